"""Composition: the scene says what the pixels show."""

from __future__ import annotations

import numpy as np
import pytest

from training.starter.compose import COLOURS, Scene, draw_scene, draw_texture, sample_scene, shrink_drawings


@pytest.mark.parametrize("name", sorted(COLOURS))
def test_background_has_the_named_colour(name, drawings):
    picture = draw_scene(np.random.default_rng(0), Scene((0,), 0, name), drawings)
    assert picture.shape == (256, 256, 3)
    assert np.abs(picture[:4].reshape(-1, 3).mean(0) - np.array(COLOURS[name])).max() < 20


def test_same_seed_gives_the_same_picture(drawings):
    pictures = [draw_scene(np.random.default_rng(3), Scene((1,), 2, "blue"), drawings) for _ in range(2)]
    assert np.array_equal(*pictures)


def test_two_things_stand_side_by_side(drawings):
    picture = draw_scene(np.random.default_rng(0), Scene((0, 5), 1, "white"), drawings).astype(int)
    left, right = picture[:, :128], picture[:, 128:]
    assert (left[..., 0] - left[..., 2]).max() > 100  # the red one
    assert (right[..., 2] - right[..., 0]).max() > 100  # the blue one


def test_gradient_is_lighter_above_than_below(drawings):
    picture = draw_scene(np.random.default_rng(0), Scene((0,), 0, "teal", "gradient"), drawings).astype(float)
    assert picture[0].mean() > picture[-1].mean() + 10


def test_transparent_edges_do_not_bleed(drawings):
    picture = draw_scene(np.random.default_rng(0), Scene((2,), 1, "white"), drawings)
    assert picture[10, 10].tolist() == [255, 255, 255]
    assert picture.min(axis=2).min() >= 40  # a yellow thing on white has no dark fringe


def test_scenes_use_only_the_given_concepts():
    rng = np.random.default_rng(0)
    scenes = [sample_scene(rng, np.array([2, 4]), pair_share=0.5) for _ in range(200)]
    assert {row for scene in scenes for row in scene.things} == {2, 4}
    assert {scene.style for scene in scenes} == {0, 1, 2}
    assert 0.3 < np.mean([len(scene.things) == 2 for scene in scenes]) < 0.7


def test_small_drawings_give_small_pictures(drawings):
    small = shrink_drawings(drawings, 64)
    assert draw_scene(np.random.default_rng(0), Scene((0,), 0, "red"), small).shape == (64, 64, 3)


def test_textures_vary_inside_and_between():
    first, second = (draw_texture(np.random.default_rng(seed)) for seed in (0, 1))
    assert first.std() > 5 and not np.array_equal(first, second)
