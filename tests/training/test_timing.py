"""Timed steps on a tiny base: positive figures, the base as before, and a memory of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.settings import with_values
from tests.training.test_plan import CPU, SD1
from training.config import TrainSettings
from training.forecast import Speed, make_forecast
from training.timing import recall_speed, remember_speed, time_steps

SETTINGS = with_values(TrainSettings(), {("adapter", "rank"): 2, ("loop", "batch"): 2, ("loop", "steps"): 10})
SPEED = Speed(fixed_seconds=0.1, seconds_per_picture=0.2, resolution_px=512, forward_seconds=0.1, encode_seconds=0.1, peak_bytes=2**30)


def test_timing_leaves_the_base_as_it_was(tiny_sd1: Path):
    from pipelines.families.base import load_base

    base = load_base(str(tiny_sd1))
    before = {name: tensor.clone() for name, tensor in base.unet.state_dict().items()}
    speed = time_steps(base, SETTINGS)
    after = base.unet.state_dict()
    assert before.keys() == after.keys() and all((before[name] == after[name]).all() for name in before)
    assert speed.step_seconds(2, 64) > 0 and speed.forward_seconds > 0 and speed.peak_bytes > 2**20
    assert make_forecast(SETTINGS, SD1, CPU, pictures=10, held_out=0, speed=speed).is_measured


def test_a_remembered_speed_comes_back_for_the_same_case_only(tmp_path: Path):
    remember_speed(tmp_path, SPEED, base=SD1, device=CPU, settings=SETTINGS)
    assert recall_speed(tmp_path, base=SD1, device=CPU, settings=SETTINGS) == SPEED
    other = with_values(SETTINGS, {("adapter", "rank"): 8})
    assert recall_speed(tmp_path, base=SD1, device=CPU, settings=other) is None


@pytest.mark.parametrize("content", ["", "{", '{"x": 1}'])
def test_a_damaged_memory_is_no_error(tmp_path: Path, content: str):
    (tmp_path / "speed.json").write_text(content)
    assert recall_speed(tmp_path, base=SD1, device=CPU, settings=SETTINGS) is None
