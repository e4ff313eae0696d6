"""Checks of words and of sets, on scenes made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.checks import files, overlays, several, subjects, wording
from training.checks.base import Scene
from training.dataset import Dataset, Item
from training.edits import Caption, Crop, KeepOneOf, LeaveOut, Weight
from training.inspect import estimated_tokens, judge
from training.looks import measure
from training.measures import MAP_PX

PLAIN = measure(Image.new("RGB", (128, 128), (240, 240, 240)), id="x", size_hw=(128, 128))


def scene(captions: list[str], *, intent="product", trigger="fjordbottle", noun="bottle", **changes) -> Scene:
    items = tuple(Item(f"{number}.png", Path(f"{number}.png"), caption, 512, 512, str(number)) for number, caption in enumerate(captions))
    features = np.eye(1280, dtype=np.float16)
    looks = {
        item.key: replace(PLAIN, id=item.key, features=features[number], phash=f"{number * 2654435761 % 2**64:016x}")
        for number, item in enumerate(items)
    }
    return replace(Scene(Dataset(Path(), items), looks, {}, intent, trigger, noun, 256, estimated_tokens), **changes)


@pytest.mark.parametrize(
    ("caption", "mended"),
    [
        ("a bottle, seen from above", "seen from above"),
        ("Bottle on snow", "on snow"),
        ("seen from above", None),
        ("bottleneck, close-up", None),
    ],
)
def test_the_noun_is_taken_out_of_captions(caption, mended):
    faults = wording.caption_names_subject(scene([caption]))
    assert [fault.fix for fault in faults] == ([] if mended is None else [Caption("0.png", mended)])


def test_style_captions_should_not_name_the_style_but_may_name_things():
    faults = wording.caption_names_subject(scene(["a fox, flat vector illustration", "a bottle on snow"], intent="style"))
    assert [fault.fix for fault in faults] == [Caption("0.png", "a fox")]


@pytest.mark.parametrize(
    ("caption", "mended"),
    [
        ("fjordbottleseen from above", "fjordbottle seen from above"),
        ("myfjordbottle", "my fjordbottle"),
        ("a fjordbottle, on ice", None),
        ("Fjordbottle!", None),
    ],
)
def test_a_fused_trigger_is_set_free(caption, mended):
    faults = wording.trigger_fused(scene([caption]))
    assert [fault.fix for fault in faults] == ([] if mended is None else [Caption("0.png", mended)])


def test_long_captions_are_cut_at_a_comma_so_that_the_trigger_fits_too():
    long = ", ".join(f"part number {number} of the words" for number in range(30))
    (fault,) = wording.caption_too_long(scene([long, "short"]))
    assert isinstance(fault.fix, Caption) and long.startswith(fault.fix.text) and fault.fix.text.endswith("words")
    assert wording.caption_too_long(scene([fault.fix.text])) == []


def test_a_caption_shared_by_two_is_chance_by_three_a_fault():
    assert wording.caption_identical(scene(["on snow", "On snow", "x", ""])) == []
    assert len(wording.caption_identical(scene(["on snow", "On snow", "on snow", "x"]))) == 3


def test_words_that_stand_everywhere_are_named_but_not_those_that_tell_the_view():
    view = [f"seen from the left, light background, number {number} Acme" for number in range(10)]
    (fault,) = wording.constant_word(scene(view))
    assert "acme" in fault.sentence and "background" not in fault.sentence and "seen" not in fault.sentence
    assert fault.fixes[0] == Caption("0.png", "seen from the left, light background, 0")


@pytest.mark.parametrize(("trigger", "noun", "count"), [("", "bottle", 1), ("Bottle", "bottle", 1), ("fjordbottle", "bottle", 0)])
def test_a_trigger_that_is_missing_or_ordinary(trigger, noun, count):
    assert len(wording.trigger_missing(scene(["x"], trigger=trigger, noun=noun))) == count


def test_exact_doubles_keep_the_first():
    twice = scene(["a", "b", "c"])
    items = (twice.dataset.items[0], replace(twice.dataset.items[1], content="0"), twice.dataset.items[2])
    faults = files.exact_double(replace(twice, dataset=Dataset(Path(), items)))
    assert [(fault.key, fault.fix, fault.word) for fault in faults] == [("1.png", KeepOneOf("0.png", ("1.png",)), "double of 0.png")]


def test_sizes_and_shapes_are_judged_after_edits():
    items = (
        Item("a.png", Path("a.png"), "", 1200, 300, "a"),
        Item("b.png", Path("b.png"), "", 1200, 300, "b", edits=(Crop("b.png", (0, 0, 0.4, 1)),)),
    )
    seen = scene(["", ""])
    seen = replace(seen, dataset=Dataset(Path(), items), looks={"a.png": PLAIN, "b.png": PLAIN})
    assert [fault.key for fault in files.extreme_shape(seen)] == ["a.png"]
    assert [fault.key for fault in files.too_small(replace(seen, base_size_px=1024))] == ["a.png", "b.png"]


def test_text_at_an_edge_is_cropped_away_and_in_the_middle_left_out():
    one = scene(["a"])

    def fix(box):
        letters = replace(PLAIN.letters, lines=2, box=box)
        return overlays.lettering(replace(one, looks={"0.png": replace(one.looks["0.png"], letters=letters)}))[0].fix

    assert fix((0.1, 0.9, 0.6, 0.95)) == Crop("0.png", pytest.approx((0, 0, 1, 0.86)))
    assert isinstance(fix((0.1, 0.5, 0.6, 0.55)), LeaveOut)


def test_a_label_that_moves_with_the_product_is_no_fault_and_a_watermark_in_all_pictures_is():
    many = scene(["x"] * 10)

    def found(boxes, intent="product"):
        looks = {
            key: replace(look, letters=replace(PLAIN.letters, lines=1, box=box))
            for (key, look), box in zip(many.looks.items(), boxes, strict=True)
        }
        return len(overlays.lettering(replace(many, looks=looks, intent=intent)))

    moving = [(0.05 * number, 0.3, 0.05 * number + 0.3, 0.4) for number in range(10)]
    assert found(moving) == 0 and found(moving, intent="style") == 10
    assert found([(0.6, 0.9, 0.95, 0.97)] * 10) == 10


def test_two_of_the_subject_are_noticed_and_a_set_of_pairs_is_left_alone():
    def colours(*lefts):
        drawn = np.zeros((MAP_PX, MAP_PX), np.uint8)
        for left in lefts:
            drawn[20:40, left : left + 12], drawn[12:19, left + 3 : left + 9] = 118, 170  # a blue body with an orange cap
        return drawn.tobytes().hex()

    def found(*pictures):
        ten = scene(["x"] * 10)
        looks = {key: replace(look, colours=drawn) for (key, look), drawn in zip(ten.looks.items(), pictures, strict=True)}
        return [fault.key for fault in several.several_subjects(replace(ten, looks=looks))]

    single = [colours(left) for left in range(4, 31, 3)]
    assert found(*single, colours(4, 30)) == ["9.png"]
    assert found(*single, single[3]) == [] == found(*[colours(4, 30)] * 10)


def test_one_background_is_mended_by_showing_the_others_more_often():
    many = scene(["x"] * 10)
    other = replace(many.looks["9.png"], ground=replace(PLAIN.ground, rim=tuple(-value for value in PLAIN.ground.rim)))
    (fault,) = subjects.one_background(replace(many, looks=many.looks | {"9.png": other}))
    assert fault.extent == 0.9 and fault.fixes == (Weight("9.png", 3),)
    assert subjects.one_background(replace(many, intent="style")) == []


def test_two_large_faces_are_several_subjects_and_a_passer_by_is_none():
    from training.faces import Face

    large, small = Face((0.1, 0.1, 0.4, 0.5), 0.9, False), Face((0.8, 0.1, 0.85, 0.2), 0.9, False)
    two = scene(["x", "y"])
    looks = {
        "0.png": replace(two.looks["0.png"], faces=(large, replace(large, box=(0.5, 0.1, 0.8, 0.5)))),
        "1.png": replace(PLAIN, faces=(large, small)),
    }
    assert [fault.key for fault in several.several_subjects(replace(two, looks=looks))] == ["0.png"]


def test_a_scene_without_pictures_is_judged_without_a_crash():
    report = judge(Scene(Dataset(Path(), ()), {}, {}, "product", "x", "y", 256, estimated_tokens))
    assert report.score == 0 and [problem.code for problem in report.problems] == ["too_few"]
