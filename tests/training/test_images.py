"""Buckets and frames: no stretching, no enlarging, the focal point stays in view."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines.errors import DatasetError
from training.dataset import Item
from training.edits import Crop, Flatten, Focus, Rotate
from training.images import bucket_stride, choose_buckets, cut_for, frame, mask_for, nearest_bucket, open_item

RED, BLUE = (255, 0, 0), (0, 0, 255)


def item(path, image: Image.Image, **values) -> Item:
    image.save(path)
    return Item(key=path.name, path=path, caption="", width_px=image.width, height_px=image.height, content="0", **values)


def test_buckets_are_those_of_diffusers():
    from diffusers.training_utils import generate_aspect_ratio_buckets

    for resolution_px, stride_px in ((512, 64), (1024, 64), (768, 8), (256, 32), (64, 64)):
        assert list(choose_buckets(resolution_px, stride_px=stride_px)) == generate_aspect_ratio_buckets(resolution_px, stride_px)


def test_bucket_sides_are_multiples_of_64_px_and_finer_only_where_the_resolution_is_small() -> None:
    assert [bucket_stride(*sizes) for sizes in ((512, 8), (1024, 8), (768, 8), (256, 16), (256, 8), (64, 16))] == [64, 64, 64, 32, 32, 16]


sides = st.integers(16, 4000)


@given(height=sides, width=sides, resolution_px=st.sampled_from([256, 512, 1024]))
def test_nothing_is_ever_enlarged_or_stretched(height, width, resolution_px):
    bucket = nearest_bucket((height, width), choose_buckets(resolution_px, stride_px=8), stride_px=8)
    cut = cut_for((height, width), bucket)
    left, top, right, bottom = cut.box
    assert cut.scale <= 1
    assert bucket[0] % 8 == bucket[1] % 8 == 0
    assert (right - left) / (bottom - top) == pytest.approx(bucket[1] / bucket[0], rel=1e-6)
    assert 0 <= left < right <= width and 0 <= top < bottom <= height


@given(height=sides, width=sides)
def test_with_upscale_every_picture_gets_a_full_bucket(height, width):
    buckets = choose_buckets(512)
    assert nearest_bucket((height, width), buckets, upscale=True) in buckets


def test_the_nearest_shape_wins_whatever_the_size():
    buckets = choose_buckets(512)
    assert nearest_bucket((3000, 3000), buckets) == (512, 512)
    assert nearest_bucket((2000, 3000), buckets) == nearest_bucket((600, 900), buckets)
    assert nearest_bucket((4000, 1000), buckets) == max(buckets, key=lambda bucket: bucket[0] / bucket[1])


@given(x=st.floats(0, 1), y=st.floats(0, 1), height=sides, width=sides)
def test_the_focal_point_is_always_inside_the_cut(x, y, height, width):
    left, top, right, bottom = cut_for((height, width), (512, 384), focus=(x, y)).box
    assert left - 1e-6 <= x * width <= right + 1e-6
    assert top - 1e-6 <= y * height <= bottom + 1e-6


def test_frame_cuts_where_the_focus_is_and_says_where():
    image = Image.new("RGB", (400, 100), RED)
    image.paste(BLUE, (300, 0, 400, 100))
    right, how = frame(image, (100, 100), focus=(1.0, 0.5))
    left, _ = frame(image, (100, 100), focus=(0.0, 0.5))
    assert right.size == (100, 100) and set(right.get_flattened_data()) == {BLUE} and set(left.get_flattened_data()) == {RED}
    assert (how.original_hw, how.crop_yx, how.target_hw) == ((100, 400), (0, 300), (100, 100))


def test_frame_resizes_with_antialiasing():
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    small, _ = frame(Image.fromarray(stripes), (64, 64))
    assert np.abs(np.asarray(small).astype(int) - 127)[8:-8, 8:-8].max() < 12  # nearest neighbour would give 0 or 255


def test_edits_cut_in_the_upright_original_then_turn(tmp_path):
    image = Image.new("RGB", (200, 100), RED)
    image.paste(BLUE, (100, 0, 200, 50))
    edited = item(tmp_path / "a.png", image, edits=(Rotate("a.png", 90), Crop("a.png", (0.5, 0.0, 1.0, 1.0)), Focus("a.png", 1.0, 0.0)))
    picture = open_item(edited)
    assert picture.size == (100, 100) and edited.size_hw == (100, 100)
    assert picture.getpixel((75, 50)) == BLUE and picture.getpixel((25, 50)) == RED
    assert edited.focus == (1.0, 1.0)  # the upper right corner lies lower right after a quarter turn
    assert edited.geometry.size_hw(200, 60) == (100, 60)


def test_flatten_overrules_the_background(tmp_path):
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert open_item(item(tmp_path / "a.png", clear), background="#00ff00").getpixel((4, 4)) == (0, 255, 0)
    edited = item(tmp_path / "a.png", clear, edits=(Flatten("a.png", "#0000ff"),))
    assert open_item(edited, background="#00ff00").getpixel((4, 4)) == BLUE


def test_a_mask_is_cut_like_its_picture(tmp_path):
    mask = Image.new("L", (100, 50), 0)
    mask.paste(255, (50, 0, 100, 50))
    mask.save(tmp_path / "a.mask.png")
    masked = item(tmp_path / "a.png", Image.new("RGB", (200, 100)), mask=tmp_path / "a.mask.png", edits=(Rotate("a.png", 180),))
    cut = mask_for(masked, (50, 100))
    assert cut.size == (100, 50) and cut.getpixel((10, 25)) == 255 and cut.getpixel((90, 25)) == 0


def test_transparency_is_a_mask_and_an_opaque_picture_has_none(tmp_path):
    image = Image.new("RGBA", (64, 64), (9, 9, 9, 255))
    assert mask_for(item(tmp_path / "a.png", image), (32, 32)) is None
    image.paste((0, 0, 0, 0), (0, 0, 32, 64))
    mask = mask_for(item(tmp_path / "a.png", image), (32, 32))
    assert mask.getpixel((4, 16)) == 0 and mask.getpixel((28, 16)) == 255


def test_a_mask_of_another_shape_is_refused(tmp_path):
    Image.new("L", (100, 100), 255).save(tmp_path / "a.mask.png")
    with pytest.raises(DatasetError, match="100 x 100 px, its picture 200 x 100"):
        mask_for(item(tmp_path / "a.png", Image.new("RGB", (200, 100)), mask=tmp_path / "a.mask.png"), (32, 64))
