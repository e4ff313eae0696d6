"""The judge of styles: on made-up statistics, and on pictures whose style is plain to see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from training.starter.autoencoder import build_autoencoder
from training.starter.style_judge import fit_style_judge, layer_statistics, redrawn


@pytest.fixture
def gallery() -> np.ndarray:
    """40 concepts x 4 styles x (drawn, redrawn): what is shown, how it is drawn, and a softness that says nothing."""
    rng = np.random.default_rng(0)
    shown, style, soft = rng.normal(size=(40, 1, 1, 32)), 2 * rng.normal(size=(1, 4, 1, 32)), rng.normal(size=(1, 1, 2, 32))
    return shown + style + soft + 0.3 * rng.normal(size=(40, 4, 2, 32))


def test_styles_are_told_apart_on_unseen_concepts_drawn_or_redrawn(gallery: np.ndarray) -> None:
    judge = fit_style_judge(gallery[:32], ridge=1.0)
    assert judge.ceiling > 0.8
    for style in range(4):
        assert (judge(gallery[32:, style].reshape(-1, 32)) == style).mean() >= 0.8


def test_the_ceiling_is_low_where_styles_do_not_differ() -> None:
    alike = np.random.default_rng(1).normal(size=(60, 4, 2, 16))
    assert fit_style_judge(alike, ridge=1.0).ceiling < 0.6


def test_statistics_tell_outlines_from_flat_areas_whatever_the_shape() -> None:
    def picture(x: int, *, outlined: bool) -> Image.Image:
        canvas = Image.new("RGB", (224, 224), "white")
        ImageDraw.Draw(canvas).ellipse((x, 40, x + 90, 180), fill=None if outlined else "teal", outline="teal", width=3)
        return canvas

    flat, flat_too, line = layer_statistics([picture(20, outlined=False), picture(100, outlined=False), picture(20, outlined=True)])
    assert np.linalg.norm(flat - flat_too) < 0.5 * np.linalg.norm(flat - line)


def test_a_redrawn_picture_keeps_its_size() -> None:
    torch.manual_seed(0)
    (again,) = redrawn([Image.new("RGB", (64, 32), "red")], build_autoencoder().eval())
    assert again.size == (64, 32) and again.mode == "RGB"
