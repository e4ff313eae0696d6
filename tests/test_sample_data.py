"""The shipped sample sets are whole, captioned, small, and what the recipes draw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sample_data.files import ROOT, Sample, write_samples
from sample_data.make import PROJECTS, SETS
from sample_data.recipes import mascot_scenes, product_scenes, style_graphics
from sample_data.recipes.style_concepts import HELD_OUT, TRAINING
from sample_data.recipes.style_graphics import COLORS, Graphic, list_cards, thing_words

SIZE_PX = 384
MAX_TOTAL_BYTES = 11_000_000


def pictures(name: str) -> list[Path]:
    return sorted((ROOT / name).glob("*.webp"))


def read_caption(picture: Path) -> str:
    return picture.with_suffix(".txt").read_text(encoding="utf-8").strip()


def mean_difference(shipped: Path, drawn: Image.Image) -> float:
    with Image.open(shipped) as opened:
        return float(np.abs(np.asarray(opened.convert("RGB"), np.float32) - np.asarray(drawn, np.float32)).mean())


@pytest.mark.parametrize("name", SETS)
def test_a_set_has_two_hundred_square_pictures_with_unbroken_names(name: str) -> None:
    found = pictures(name)
    assert len(found) >= 200
    assert [picture.stem for picture in found] == [f"{number:03d}" for number in range(1, len(found) + 1)]
    for picture in found:
        with Image.open(picture) as opened:
            assert opened.size == (SIZE_PX, SIZE_PX), picture.name


@pytest.mark.parametrize("name", SETS)
def test_every_picture_has_a_caption_without_the_trigger(name: str) -> None:
    captions = {picture.name: read_caption(picture) for picture in pictures(name)}
    assert all(len(caption.split()) >= 3 for caption in captions.values())
    assert not [file for file, caption in captions.items() if PROJECTS[name].trigger in caption.lower()]
    assert len(list((ROOT / name).glob("*.txt"))) == len(captions)


@pytest.mark.parametrize("name", SETS)
def test_project_json_names_intent_trigger_and_licence(name: str) -> None:
    project = json.loads((ROOT / name / "project.json").read_text(encoding="utf-8"))
    assert set(project) == {"name", "intent", "trigger", "noun", "licence", "credit"} and all(project.values())
    assert project["intent"] == name
    licences = (ROOT / "LICENSES.md").read_text(encoding="utf-8")
    assert project["licence"].replace("-1.0", " 1.0").replace("-4.0", " 4.0") in licences


def test_no_caption_is_shared_by_many_pictures() -> None:
    for name in SETS:
        captions = [read_caption(picture) for picture in pictures(name)]
        assert len(set(captions)) > 0.97 * len(captions), name


def test_all_sets_together_stay_within_the_size_budget() -> None:
    assert sum(file.stat().st_size for file in ROOT.rglob("*") if file.is_file() and "__pycache__" not in file.parts) <= MAX_TOTAL_BYTES


def test_a_product_photograph_is_what_the_recipe_renders() -> None:
    shots = product_scenes.list_shots()
    shipped = pictures("product")
    assert [read_caption(picture) for picture in shipped] == [product_scenes.caption(shot) for shot in shots]
    drawn = product_scenes.draw_shot(shots[0])
    assert mean_difference(shipped[0], drawn) < 3.0
    assert mean_difference(shipped[1], drawn) > 10.0  # the measure tells two shots apart


def test_a_character_drawing_is_what_the_recipe_draws() -> None:
    drawings = mascot_scenes.list_drawings()
    shipped = pictures("character")
    assert [read_caption(picture) for picture in shipped] == [mascot_scenes.caption(drawing) for drawing in drawings]
    for index in (0, 17, 101):
        assert mean_difference(shipped[index], mascot_scenes.draw(drawings[index])) < 3.0


def test_the_product_keeps_its_colours_in_every_photograph() -> None:
    for picture in pictures("product")[::9]:
        with Image.open(picture) as opened:
            r, g, b = np.asarray(opened.convert("RGB").resize((96, 96)), np.int16).reshape(-1, 3).T
        is_blue = (b - r > 45) & (b - g > 12) & (b < 190)
        is_orange = (r - b > 90) & (r - g > 50)
        assert is_blue.mean() > 0.02 and is_orange.mean() > 0.005, picture.name


def test_style_captions_name_the_thing_and_a_known_background() -> None:
    captions = [read_caption(picture) for picture in pictures("style")]
    assert len(captions) == 2 * len(TRAINING) >= 200
    for label, caption in zip(TRAINING * 2, captions, strict=True):
        thing, _, background = caption.partition(" on a")
        assert thing == thing_words(label)
        assert background.removeprefix("n").strip().removesuffix(" background") in COLORS


def test_the_starter_knows_the_things_that_carry_the_style() -> None:
    met = set((ROOT.parent / "training" / "starter" / "first_concepts.txt").read_text(encoding="utf-8").splitlines())
    assert set(TRAINING) <= met
    assert len(set(HELD_OUT) & met) > 90


def test_held_out_concepts_are_a_hundred_and_never_in_the_style_set() -> None:
    listed = (ROOT / "style_heldout.txt").read_text(encoding="utf-8").split("\n")[:-1]
    assert tuple(listed) == HELD_OUT and len(set(listed)) == 100
    assert not set(HELD_OUT) & set(TRAINING) and len(set(TRAINING)) == len(TRAINING)
    shown = {read_caption(picture).partition(" on a")[0] for picture in pictures("style")}
    assert not shown & {thing_words(label) for label in HELD_OUT}


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("red apple", "a red apple"),
        ("owl", "an owl"),
        ("unicorn", "a unicorn"),
        ("grapes", "grapes"),
        ("nest with eggs", "a nest with eggs"),
        ("lotus", "a lotus"),
    ],
)
def test_things_get_the_right_article(label: str, words: str) -> None:
    assert thing_words(label) == words


def test_a_graphic_never_stands_before_its_own_colour() -> None:
    red = Graphic("red apple", '<circle cx="18" cy="18" r="16" fill="#d63031"/>')
    cards = list_cards([red] * 40, times=2)
    assert {card.color for card in cards[:40]} == {"white"}
    again = {card.color for card in cards[40:]}
    assert not {"red", "white"} & again and len(again) >= 8
    assert style_graphics.caption(cards[0]) == "a red apple on a white background"
    ghost = Graphic("ghost", '<circle cx="18" cy="18" r="16" fill="#fdfdfd"/>')
    assert "white" not in {card.color for card in list_cards([ghost], times=2)}


def test_writing_a_set_again_removes_what_is_no_longer_in_it(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8), "red")
    write_samples(tmp_path, [Sample("001", picture, "one"), Sample("002", picture, "two")], quality=100)
    assert write_samples(tmp_path, [Sample("001", picture, "uno")], quality=100) == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["001.txt", "001.webp"]
    assert read_caption(tmp_path / "001.webp") == "uno"
    with Image.open(tmp_path / "001.webp") as opened:
        assert opened.convert("RGB").getpixel((4, 4)) == (255, 0, 0)
