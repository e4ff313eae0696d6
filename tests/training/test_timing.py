"""A run's own steps become the next forecast, for the same case only; a damaged memory is no error."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
from PIL import Image

from app.commands.teach import make_plan_for
from pipelines.settings import with_values
from tests.training.test_plan import CPU, SD1
from training.config import TrainSettings
from training.dataset import load_dataset
from training.execute import execute
from training.forecast import Speed, guess_speed, make_forecast
from training.plan import Plan
from training.runs import Job, create_run
from training.timing import FEWEST_STEPS, recall_speed, remember_speed, speed_of_run

SETTINGS = with_values(TrainSettings(), {("adapter", "rank"): 2, ("loop", "batch"): 2, ("loop", "steps"): 10})
SPEED = Speed(fixed_seconds=0.1, seconds_per_picture=0.2, resolution_px=512, forward_seconds=0.1, encode_seconds=0.1, peak_bytes=2**30)
PHASES = [{"kind": "phase", "name": "pictures", "done": done, "total": 4, "at": 100.0 + 3 * done} for done in range(5)]
STEPS = [{"kind": "step", "step": step, "at": 200.0 + 7 * step} for step in range(1, FEWEST_STEPS + 1)]


def told(records, settings: TrainSettings = SETTINGS) -> Speed | None:
    return speed_of_run(records, settings, base=SD1, device=CPU, peak_bytes=2**31)


def test_the_next_forecast_is_what_the_run_took():
    speed = told([*PHASES, *STEPS])
    assert speed is not None
    forecast = make_forecast(SETTINGS, SD1, CPU, pictures=10, held_out=0, speed=speed)
    assert forecast.is_measured and forecast.sec_per_step == pytest.approx(7.0)
    assert forecast.prepare_seconds == pytest.approx(10 * 3.0)
    assert abs(forecast.memory_bytes - 2**31) < 2**20


def test_a_checkpoint_between_two_steps_makes_no_step_longer():
    saved = [record | {"at": record["at"] + 30 * (record["step"] > 3)} for record in STEPS]
    assert told(saved) == told(STEPS)


def test_memory_seen_at_a_small_side_is_forecast_for_that_side_and_more_for_a_larger_one():
    small = with_values(SETTINGS, {("pictures", "resolution_px"): 256})
    speed = told(STEPS, small)
    need = [make_forecast(settings, SD1, CPU, pictures=10, held_out=0, speed=speed).memory_bytes for settings in (small, SETTINGS)]
    assert abs(need[0] - 2**31) < 2**20 and need[1] > need[0] + 2**28


@pytest.mark.parametrize("changed", [{("loop", "accumulation"): 2}, {("loss", "prior_weight"): 1.0, ("subject", "noun"): "mug"}])
def test_a_step_of_two_batches_is_told_as_two(changed):
    twice, once = told(STEPS, with_values(SETTINGS, changed)), told(STEPS)
    assert twice is not None and once is not None
    assert twice.step_seconds(2, 512) == pytest.approx(once.step_seconds(2, 512) / 2)


def test_pictures_that_were_cached_already_are_guessed_at_the_steps_pace():
    speed, guess = told(STEPS), guess_speed(SETTINGS, SD1, CPU)
    assert speed is not None
    assert speed.encode_seconds / guess.encode_seconds == pytest.approx(speed.forward_seconds / guess.forward_seconds)


def test_a_run_of_few_steps_tells_nothing():
    assert told([*PHASES, *STEPS[1:]]) is None


def test_a_remembered_speed_comes_back_for_the_same_case_only(tmp_path: Path):
    remember_speed(tmp_path, SPEED, base=SD1, device=CPU, settings=SETTINGS)
    assert recall_speed(tmp_path, base=SD1, device=CPU, settings=SETTINGS) == SPEED
    other = with_values(SETTINGS, {("adapter", "rank"): 8})
    assert recall_speed(tmp_path, base=SD1, device=CPU, settings=other) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"x": 1}'])
def test_a_damaged_memory_is_no_error_and_is_replaced(tmp_path: Path, content: str):
    (tmp_path / "speed.json").write_text(content)
    assert recall_speed(tmp_path, base=SD1, device=CPU, settings=SETTINGS) is None
    remember_speed(tmp_path, SPEED, base=SD1, device=CPU, settings=SETTINGS)
    assert recall_speed(tmp_path, base=SD1, device=CPU, settings=SETTINGS) == SPEED


def test_after_a_run_the_next_plan_is_a_measurement(tmp_path: Path, tiny_sd1: Path):
    pictures, runs = tmp_path / "mugs", tmp_path / "runs"
    pictures.mkdir()
    for number in range(4):
        Image.effect_noise((64, 64), 40 + number).convert("RGB").save(pictures / f"{number}.png")

    def planned() -> Plan:
        loop = {"steps": 6, "batch": 1, "checkpoints": 1, "validations": 0, "precision": "fp32", "preview_prompts": ()}
        values = {("loop", name): value for name, value in loop.items()} | {("adapter", "rank"): 2, ("loss", "prior_weight"): 0.0}
        return make_plan_for(load_dataset(pictures), dial="quick", values={("base",): str(tiny_sd1), **values}, cache=runs / ".cache")

    first = planned()
    job = Job(kind="train", name="one", dataset=str(pictures), settings=first.settings.model_dump(mode="json"))
    run = create_run(runs / "one", job)
    execute(run)
    ended = [record["at"] for record in run.records()[0] if record.get("kind") == "step"]
    taken = median(later - sooner for sooner, later in pairwise(ended))
    assert not first.forecast.is_measured
    assert planned().forecast.is_measured and planned().forecast.sec_per_step == pytest.approx(taken)
