"""What the trainer sees, and where crops look."""

from __future__ import annotations

import pytest
from PIL import Image

from training.crops import centred_box, crop_to_subject, focal_point, focus_on_subject, to_original, view
from training.dataset import Item
from training.edits import Crop, Focus, Rotate
from training.looks import measure


def item(width_px: int, height_px: int, edits=()) -> Item:
    from pathlib import Path

    return Item(key="a", path=Path("a.png"), caption="", width_px=width_px, height_px=height_px, content="0", edits=tuple(edits))


def scene(box) -> Image.Image:
    picture = Image.new("RGB", (400, 200), (240, 240, 240))
    picture.paste((20, 40, 200), box)
    return picture


def test_the_view_is_what_the_bucket_takes():
    seen = view(item(2000, 500, [Focus("a", 1.0, 0.5)]), resolution_px=256, base_stride_px=16)
    assert seen.bucket_hw == (192, 352)
    assert seen.box[2] == pytest.approx(1.0) and seen.box[0] == pytest.approx(0.5, abs=0.06) and not seen.is_enlarged


def test_the_subject_on_a_plain_background_is_the_focal_point():
    picture = scene((300, 50, 380, 150))
    look = measure(picture, id="x", size_hw=(200, 400))
    assert focal_point(look, picture) == pytest.approx((0.85, 0.5), abs=0.03)
    crop = crop_to_subject(item(400, 200), look)
    assert crop is not None and crop.box[0] > 0.55 and crop.box[2] == 1.0


def test_a_face_goes_before_everything_else():
    from benchmarks.spoiled import photo

    picture = photo("astronaut.png")
    x, y = focal_point(measure(picture, id="x", size_hw=(512, 512)), picture)
    assert (x, y) == pytest.approx((0.44, 0.23), abs=0.05)


def test_a_focus_found_on_a_turned_picture_lies_right_in_the_original():
    turned = item(200, 400, [Rotate("a", 90)])  # as trained on: 400 x 200
    picture = scene((300, 50, 380, 150))
    focus = focus_on_subject(turned, measure(picture, id="x", size_hw=(200, 400)), picture)
    assert (focus.x, focus.y) == pytest.approx((0.5, 0.15), abs=0.03)
    assert item(200, 400, [Rotate("a", 90), focus]).focus == pytest.approx((0.85, 0.5), abs=0.03)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_boxes_go_back_to_the_original_through_turn_and_crop(degrees):
    edited = item(100, 100, [Rotate("a", degrees), Crop("a", (0.2, 0.0, 1.0, 0.5))])
    whole = to_original(edited, (0, 0, 1, 1))
    assert whole == pytest.approx((0.2, 0.0, 1.0, 0.5))


def test_a_narrow_picture_is_cut_to_two_to_one_around_its_focus():
    left, top, right, bottom = centred_box(item(900, 200, [Focus("a", 0.9, 0.5)]), 2.0)
    assert (right - left) * 900 == pytest.approx(400) and right == pytest.approx(1.0) and (top, bottom) == (0.0, 1.0)
    assert centred_box(item(200, 900), 2.0) == pytest.approx((0.0, 0.2778, 1.0, 0.7222), abs=1e-3)
