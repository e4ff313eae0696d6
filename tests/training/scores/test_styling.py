"""How far a way of drawing was taken on: nothing at the base, all at the set, whatever is shown."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipelines.encoders import layer_statistics
from training.scores.styling import styling_of

CHANCE = np.random.default_rng(3)


def rows(count: int, *, shift: float) -> np.ndarray:
    return (CHANCE.normal(size=(count, 40)) + shift * np.linspace(-1, 1, 40)).astype(np.float32)


def drawn(side: int, *, outlined: bool) -> Image.Image:
    picture = Image.new("RGB", (128, 128), "white")
    ImageDraw.Draw(picture).rectangle((20, 20, 20 + side, 20 + side), fill=None if outlined else "#c04020", outline="black", width=4)
    return picture


def test_the_bases_own_pictures_are_at_nothing_and_the_sets_at_one():
    real, base = rows(200, shift=2.0), rows(200, shift=0.0)
    styling = styling_of(real, base)
    assert styling.of(base) == pytest.approx(0)
    assert styling.of(real) == pytest.approx(1)
    assert styling.of(rows(200, shift=1.0)) == pytest.approx(0.5, abs=0.1)
    assert styling.of(rows(200, shift=-1.0)) < -0.3


def test_outlined_things_are_nearer_to_outlined_ones_than_to_filled_ones_of_their_size():
    outlined, filled = (layer_statistics([drawn(side, outlined=kind) for side in (30, 50, 70, 90)]) for kind in (True, False))
    styling = styling_of(outlined, filled)
    assert styling.of(layer_statistics([drawn(side, outlined=True) for side in (40, 60, 80)])) > 0.5
    assert styling.of(layer_statistics([drawn(side, outlined=False) for side in (40, 60, 80)])) < 0.3
