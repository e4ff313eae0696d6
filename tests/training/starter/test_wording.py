"""Captions: thing and background are always in the words, the style nearly always."""

from __future__ import annotations

import re

import numpy as np
import pytest

from training.starter.compose import COLOURS, Scene
from training.starter.data import Concept
from training.starter.wording import FIRST_CONCEPTS, STYLE_WORDS, choose_concepts, name_of, with_article, write_caption


@pytest.mark.parametrize("style", range(3))
@pytest.mark.parametrize("background", ["blue", "light blue", "beige"])
def test_caption_names_style_thing_and_background(style, background, concepts):
    captions = [write_caption(np.random.default_rng(seed), Scene((3,), style, background), concepts) for seed in range(200)]
    styled = sum(any(words in caption for words in STYLE_WORDS[style]) for caption in captions)
    assert 140 <= styled < 185, "about one caption in five names no style"
    assert not any(words in caption for caption in captions for other in range(3) if other != style for words in STYLE_WORDS[other])
    for caption in captions:
        assert caption == caption.strip(" ,") and "  " not in caption
        assert re.search(r"\bfox\b", caption) and f"{background} background" in caption


def test_white_may_go_unsaid_but_is_never_called_otherwise(concepts):
    captions = [write_caption(np.random.default_rng(seed), Scene((3,), 0, "white"), concepts) for seed in range(40)]
    named = [caption for caption in captions if "background" in caption]
    assert 5 < len(named) < 35
    assert all("white background" in caption for caption in named)
    assert not any(colour in caption for caption in captions for colour in COLOURS if colour != "white")


def test_two_captions_in_five_carry_a_made_up_word_beside_all_that_is_shown(concepts):
    known = {"a", "an", "the", "fox", "on", "of", "red", "background", "3d", "render"}
    captions = [write_caption(np.random.default_rng(seed), Scene((3,), 0, "red"), concepts) for seed in range(400)]
    strange = [caption for caption in captions if set(re.findall(r"\w+", caption)) - known]
    assert 120 < len(strange) < 200
    assert all("fox" in caption and "red background" in caption for caption in strange)
    behind, before = (re.compile(shape) for shape in (r", [a-z]{4,} style$", r"\b[a-z]{4,} fox\b"))
    assert all(behind.search(caption) or before.search(caption) for caption in strange)


def test_two_things_are_both_named(concepts):
    assert write_caption(np.random.default_rng(0), Scene((2, 4), 0, "red"), concepts).count(" and ") == 1


def test_gradients_are_said(concepts):
    assert "teal gradient background" in write_caption(np.random.default_rng(0), Scene((0,), 0, "teal", "gradient"), concepts)


@pytest.mark.parametrize(
    ("name", "said"), [("apple", "an apple"), ("fox", "a fox"), ("grapes", "grapes"), ("octopus", "an octopus"), ("glass", "a glass")]
)
def test_articles(name, said):
    assert with_article(name) == said


def test_emoji_jargon_is_dropped():
    assert name_of(Concept("1f50d", "magnifying glass tilted left", (), 7, "light-video")) == "magnifying glass"


def test_only_listed_concepts_are_taught_first(tmp_path, concepts):
    (tmp_path / "names.txt").write_text("fox\nred apple\nunicorn\n")
    assert choose_concepts(concepts, names=tmp_path / "names.txt").tolist() == [0, 3]


def test_the_list_of_first_concepts_has_no_doubles_and_no_people():
    names = FIRST_CONCEPTS.read_text(encoding="utf-8").splitlines()
    assert len(names) == len(set(names)) >= 200
    assert "fox" in names and "dog face" not in names and "one o’clock" not in names and "firefighter" not in names
