"""Rates over a run, and optimizers that say what they lack."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ConfigError
from training.config import OptimSettings, TrainSettings
from training.optim import build_optimizer, milestones, rate_share, set_rate


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear"])
def test_the_rate_rises_then_falls_and_never_leaves_its_range(schedule: str) -> None:
    settings = OptimSettings(schedule=schedule, warmup=0.1)
    shares = [rate_share(settings, step, 100) for step in range(100)]
    assert shares[0] == pytest.approx(0.1) and shares[9] == pytest.approx(1.0)
    assert all(0 <= share <= 1 for share in shares)
    assert shares[-1] == 1.0 if schedule == "constant" else shares[-1] < 0.02


@given(
    schedule=st.sampled_from(["constant", "cosine", "linear"]),
    warmup=st.sampled_from([0.0, 0.05, 0.3]),
    total=st.integers(1, 600),
    count=st.integers(1, 40),
)
def test_between_milestones_the_rates_sum_up_alike(schedule: str, warmup: float, total: int, count: int) -> None:
    settings = OptimSettings(schedule=schedule, warmup=warmup)
    chosen = milestones(settings, total, count)
    assert chosen == sorted(set(chosen)) and len(chosen) == min(count, total) and chosen[0] >= 1 and chosen[-1] == total
    learnt = [sum(rate_share(settings, step, total) for step in range(start, end)) for start, end in pairwise([0, *chosen])]
    if total >= 20 * count:
        assert max(learnt) - min(learnt) <= 2  # of the full rate: one step's worth on either side


def test_a_constant_rate_spreads_milestones_evenly_and_none_are_asked_for() -> None:
    assert milestones(OptimSettings(schedule="constant", warmup=0.0), 50, 5) == [10, 20, 30, 40, 50]
    assert milestones(OptimSettings(), 50, 0) == []


def test_no_warmup_starts_at_the_full_rate() -> None:
    assert rate_share(OptimSettings(warmup=0.0), 0, 10) == 1.0


def test_the_text_encoder_has_its_own_rate() -> None:
    denoiser, text = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    optimizer = build_optimizer(OptimSettings(learning_rate=1e-3, text_encoder_rate=1e-5), denoiser=[denoiser], text_encoder=[text])
    set_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [pytest.approx(5e-4), pytest.approx(5e-6)]


def test_prodigy_with_a_small_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="set learning_rate to 1"):
        TrainSettings(optim=OptimSettings(optimizer="prodigy", learning_rate=1e-4))


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without CUDA answers")
def test_8_bit_adamw_says_what_it_needs() -> None:
    with pytest.raises(ConfigError, match="needs a CUDA device"):
        build_optimizer(OptimSettings(optimizer="adamw8bit"), denoiser=[torch.nn.Parameter(torch.ones(2))], text_encoder=[])
