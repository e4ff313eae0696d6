"""Forecasts: shares by part, measured speeds, and the error afterwards."""

from __future__ import annotations

import pytest

from pipelines.events import Finished, Started, Step
from pipelines.settings import with_values
from tests.training.test_plan import CPU, GPU, SD1, SDXL, STARTER
from training.base_facts import FAMILY_DENOISERS, count_denoiser
from training.config import TrainSettings
from training.forecast import Speed, duration, forecast_error, make_forecast, memory_bytes, refine, size

SETTINGS = with_values(TrainSettings(), {("loop", "steps"): 200, ("loop", "batch"): 4, ("loop", "preview_prompts"): ("a", "b")})
TIMED = Speed(
    fixed_seconds=0.1,
    seconds_per_picture=0.2,
    resolution_px=512,
    forward_seconds=0.08,
    encode_seconds=0.5,
    load_seconds=4,
    peak_bytes=3 * 2**30,
    peak_batch=2,
)


def changed(**loop) -> TrainSettings:
    return with_values(SETTINGS, {("loop", name): value for name, value in loop.items()})


def test_timed_steps_make_the_forecast():
    forecast = make_forecast(SETTINGS, SD1, GPU, pictures=100, held_out=0, speed=TIMED)
    assert forecast.is_measured
    assert forecast.sec_per_step == pytest.approx(0.1 + 4 * 0.2)
    assert forecast.prepare_seconds == pytest.approx(50)
    assert forecast.seconds == pytest.approx(sum((4, 50, forecast.train_seconds, forecast.preview_seconds)))


def test_the_last_batch_of_an_epoch_is_smaller_and_so_is_its_time():
    forecast = make_forecast(SETTINGS, SD1, GPU, pictures=9, held_out=0, speed=TIMED)
    assert forecast.sec_per_step == pytest.approx(0.1 + 3 * 0.2)  # 4, 4 and 1


def test_accumulation_costs_time_but_no_memory():
    plain, more = (make_forecast(changed(accumulation=count), SD1, GPU, pictures=100, held_out=4) for count in (1, 4))
    assert more.sec_per_step == pytest.approx(4 * plain.sec_per_step)
    assert more.memory_bytes == plain.memory_bytes


def test_memory_grows_with_the_batch_and_shrinks_with_checkpointing():
    sizes = [memory_bytes(changed(batch=batch), SDXL, GPU) for batch in (1, 4, 16)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[2]
    assert memory_bytes(changed(batch=16, gradient_checkpointing=True), SDXL, GPU) < sizes[2]


def test_measured_memory_is_scaled_by_the_batch():
    two = memory_bytes(changed(batch=2), SD1, GPU, speed=TIMED)
    assert two == pytest.approx(TIMED.peak_bytes)
    assert memory_bytes(changed(batch=8), SD1, GPU, speed=TIMED) > two


def test_validation_takes_a_small_share_of_the_training():
    forecast = make_forecast(changed(validations=10), STARTER, CPU, pictures=300, held_out=16)
    assert 0 < forecast.validate_seconds <= 0.07 * forecast.train_seconds


def test_the_error_says_by_how_much_the_forecast_missed():
    forecast = make_forecast(SETTINGS, SD1, GPU, pictures=100, held_out=4, speed=TIMED)
    missed = forecast_error(forecast, [Started(1), Finished("a", forecast.seconds * 1.2)], peak_bytes=int(forecast.memory_bytes * 0.9))
    assert missed is not None and missed.seconds == pytest.approx(0.2) and missed.memory == pytest.approx(-0.1, abs=1e-3)
    assert missed.words == "Time was 20% more, memory 10% less than forecast."
    assert forecast_error(forecast, [Started(1)]) is None


def test_the_runs_own_step_time_corrects_the_forecast():
    forecast = make_forecast(SETTINGS, SD1, GPU, pictures=100, held_out=4)
    better = refine(forecast, [Step(1, 0.1, 1e-4, forecast.sec_per_step * 3)])
    assert better.train_seconds == pytest.approx(3 * forecast.train_seconds)
    assert refine(forecast, []) == forecast


def test_the_family_figures_are_what_the_published_architectures_count():
    import torch
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
    assert (
        count_denoiser({name: tuple(each.shape) for name, each in unet.named_parameters()}, sample_size=64, levels=4)
        == FAMILY_DENOISERS["sd1"]
    )


def test_units_are_those_that_people_use():
    assert [duration(seconds) for seconds in (20, 300, 7200, 4 * 86400)] == ["20 seconds", "5 minutes", "2.0 hours", "4 days"]
    assert [size(count) for count in (5 * 2**20, 3 * 2**30)] == ["5 MB", "3.0 GB"]


def test_previews_on_a_cpu_are_fast_ones_and_small_ones_are_drawn_together():
    def share(base, device):
        exact = 2 * 20 * 2 * SETTINGS.loop.checkpoints * TIMED.forward_seconds * (base.native_size_px / TIMED.resolution_px) ** 2
        return make_forecast(SETTINGS, base, device, pictures=100, held_out=0, speed=TIMED).preview_seconds / exact

    assert share(SD1, GPU) == pytest.approx(1)
    assert share(SD1, CPU) == pytest.approx(0.6)
    assert share(STARTER, CPU) == pytest.approx(0.3)
