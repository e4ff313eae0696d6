"""Chance belongs to a place in the run, not to the order of calls."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from training.chance import draw_for, generator_of, mixed_seed
from training.config import TrainSettings

SHAPE = torch.Size((4, 16, 2, 3))


def test_a_place_draws_the_same_whenever_it_is_asked():
    settings = TrainSettings()
    first, again = (draw_for(SHAPE, settings, timesteps=1000, generator=generator_of(3, 17, 0)) for _ in range(2))
    assert torch.equal(first.noise, again.noise) and torch.equal(first.timesteps, again.timesteps) and first.dropped == again.dropped


def test_what_is_drawn_fits_latents_and_settings():
    dropping = TrainSettings.model_validate({"pictures": {"caption_dropout": 0.5}})
    draws = [draw_for(SHAPE, dropping, timesteps=10, generator=generator_of(0, number)) for number in range(50)]
    assert all(draw.noise.shape == SHAPE and draw.timesteps.shape == (4,) for draw in draws)
    assert {int(step) for draw in draws for step in draw.timesteps} == set(range(10))
    assert 60 < sum(sum(draw.dropped) for draw in draws) < 140  # of 200


@given(st.integers(0, 2**31), st.lists(st.integers(0, 10**6), min_size=1, max_size=3))
def test_neighbouring_places_share_no_seed(seed: int, places: list[int]):
    neighbours = {mixed_seed(seed, *places), mixed_seed(seed + 1, *places), mixed_seed(seed, *places[:-1], places[-1] + 1)}
    assert len(neighbours) == 3 and all(0 <= value < 2**63 for value in neighbours)
