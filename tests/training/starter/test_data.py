"""Names and renderings of the drawings."""

from __future__ import annotations

import numpy as np
from PIL import Image

from training.starter.data import draw_svg, fit_square, load_concepts, plain_code, png_size


def test_code_points_lose_their_variation_selectors():
    assert plain_code("1F3DD-FE0F") == "1f3dd"
    assert plain_code("1F468-200D-1F33E") == "1f468-200d-1f33e"


def test_a_wide_picture_is_centred_whole_on_a_transparent_square():
    square = fit_square(Image.new("RGB", (100, 50), "red"))
    assert square.shape == (256, 256, 4)
    assert not square[:60, :, 3].any() and not square[-60:, :, 3].any()
    assert (square[128, :, 0] == 255).all()


def test_svg_is_drawn_at_256_px():
    square = draw_svg('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 2"><rect width="1" height="2" fill="#00f"/></svg>')
    assert tuple(square[128, 10]) == (0, 0, 255, 255)
    assert square[128, 250, 3] == 0


def test_png_size_is_read_without_opening_the_picture(tmp_path):
    Image.new("RGB", (37, 12)).save(tmp_path / "a.png")
    assert png_size(tmp_path / "a.png") == (37, 12)


def test_concepts_survive_the_file(state_folder, concepts):
    assert load_concepts(state_folder) == concepts


def test_drawings_differ_by_style(drawings):
    assert np.abs(drawings[0, 0].astype(int) - drawings[0, 2]).sum() > 0
