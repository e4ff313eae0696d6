"""Measures say the right thing about pictures made to show it."""

from __future__ import annotations

import warnings

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from benchmarks.spoiled import FACE, cut_face, photo
from training import measures
from training.decode import jpeg_quality
from training.faces import find_faces
from training.lettering import lettering


def grey(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("L"))


def test_sharpness_falls_with_blur_and_ignores_contrast():
    picture = photo("chelsea.png")
    values = [measures.sharpness(grey(picture.filter(ImageFilter.GaussianBlur(radius)))) for radius in (0, 1, 2, 4)]
    assert values == sorted(values, reverse=True) and values[0] > 3 * values[-1]
    assert measures.sharpness(grey(picture.filter(ImageFilter.GaussianBlur(12)))) < 0.3  # rounding to whole greys is not taken for detail
    pale = picture.point(lambda value: 100 + value * 0.4)
    assert measures.sharpness(grey(pale)) == pytest.approx(values[0], rel=0.15)


def test_light_is_measured_away_from_a_plain_background():
    picture = np.full((200, 200, 3), 255, np.uint8)
    picture[60:140, 60:140] = 40
    light = measures.light(picture, cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    assert light.middle == 1.0 and light.subject_middle == pytest.approx(40 / 255, abs=0.01) and light.white == 0.0


@pytest.mark.parametrize("bars", [(0, 40), (50, 0), (30, 30)])
def test_borders_are_found_to_the_pixel(bars):
    inner = photo("chelsea.png").resize((300, 240))
    framed = Image.new("RGB", (300 + 2 * bars[0], 240 + 2 * bars[1]), (8, 8, 10))
    framed.paste(inner, bars)
    box = measures.inner_box(np.asarray(framed))
    wanted = (bars[0] / framed.width, bars[1] / framed.height, 1 - bars[0] / framed.width, 1 - bars[1] / framed.height)
    assert box == pytest.approx(wanted, abs=0.012)


def test_a_subject_on_a_plain_ground_and_a_gradient_are_no_border():
    plain = Image.new("RGB", (300, 300), (250, 250, 250))
    ImageDraw.Draw(plain).ellipse((70, 50, 230, 260), fill=(30, 90, 160))
    gradient = np.linspace(250, 60, 300).astype(np.uint8)[:, None, None].repeat(300, 1).repeat(3, 2)
    assert measures.inner_box(np.asarray(plain)) is None and measures.inner_box(gradient) is None


@pytest.mark.parametrize("box", [(30, 25, 250, 262), (60, 0, 240, 300)])
def test_a_square_thing_on_plain_ground_and_one_from_edge_to_edge_on_shaded_ground_are_no_border(box):
    ground = np.linspace(205, 225, 300).astype(np.uint8)[:, None, None].repeat(300, 1).repeat(3, 2)  # a studio's wall, darker above
    ground[:] = ground if box[1] == 0 else 215
    picture = Image.fromarray(ground)
    ImageDraw.Draw(picture).rectangle(box, fill=(30, 90, 160))
    assert measures.inner_box(np.asarray(picture)) is None


@pytest.mark.parametrize("quality", [10, 25, 50, 75, 92])
def test_the_quality_of_a_jpeg_is_told_from_its_table(tmp_path, quality):
    photo("coffee.png").save(tmp_path / "a.jpg", quality=quality)
    assert abs(jpeg_quality(tmp_path / "a.jpg") - quality) <= (2 if quality >= 25 else 6)  # small tables are clipped at 255


def test_blocks_show_after_strong_compression_only(tmp_path):
    picture = photo("chelsea.png")
    picture.save(tmp_path / "a.jpg", quality=8)
    picture.save(tmp_path / "b.jpg", quality=92)
    strong, weak = (measures.blockiness(grey(Image.open(tmp_path / name))) for name in ("a.jpg", "b.jpg"))
    assert strong > 1.0 > 0.3 > weak


def test_plain_and_busy_backgrounds():
    assert measures.background(measures.to_lab(np.full((64, 64, 3), (200, 30, 30), np.uint8))).plain == 1.0
    assert measures.background(measures.to_lab(np.asarray(photo("hubble_deep_field.jpg").resize((256, 256))))).plain < 1.0


@pytest.mark.parametrize("angle", [0, 25])
def test_lettering_is_found_straight_and_slanted(angle):
    picture = photo("coffee.png")
    layer = Image.new("L", picture.size)
    ImageDraw.Draw(layer).text((60, 190), "SAMPLE PREVIEW", font=ImageFont.load_default(42), fill=255)
    picture.paste((255, 255, 255), mask=layer.rotate(angle))
    found = lettering(np.asarray(picture))
    assert found.lines == 1 and found.box[0] < 0.2 and found.box[2] > 0.6
    assert lettering(np.asarray(photo("coffee.png"))).lines == 0


def test_lettering_is_found_on_a_banner_in_pieces_and_in_a_corner_and_not_in_leaves_or_bricks():
    picture = photo("coffee.png")
    width = picture.width
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, 300, width, 350), fill=(150, 20, 20))
    pen.text((40, 305), "SUMMER SALE -50%", font=ImageFont.load_default(36), fill=(255, 255, 255))
    pen.text((width - 190, 10), "www.brandshop.com", font=ImageFont.load_default(20), fill=(255, 255, 255))
    found = lettering(np.asarray(picture))
    assert found.lines == 2 and found.box[1] < 0.06 and found.box[3] > 0.8
    assert [lettering(np.asarray(photo(name))).lines for name in ("grass.png", "brick.png", "chelsea.png")] == [0, 0, 0]


@pytest.mark.parametrize("side", range(4))
def test_a_face_is_called_cut_from_a_quarter_on_and_whole_with_little_room(side):
    picture = photo("astronaut.png")
    parts = [cut_face(picture, FACE, side=side, share=share) for share in (-0.08, 0.28, 0.5)]
    assert [[face.is_cut for face in find_faces(np.asarray(part))][:1] for part in parts] == [[False], [True], [True]]


def test_a_whole_face_is_found_and_a_cut_one_is_known_as_cut():
    picture = photo("astronaut.png")
    whole = find_faces(np.asarray(picture))
    cut = find_faces(np.asarray(picture.crop((0, 125, 512, 512))))
    assert len(whole) == 1 and not whole[0].is_cut
    assert cut and cut[0].is_cut
    assert find_faces(np.asarray(photo("coffee.png"))) == ()


def test_the_border_of_a_picture_of_few_pixels_is_measured_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiny = measures.background(measures.to_lab(np.full((5, 3, 3), (200, 30, 30), np.uint8)))
    whole = measures.background(measures.to_lab(np.full((64, 64, 3), (200, 30, 30), np.uint8)))
    assert tiny == whole
