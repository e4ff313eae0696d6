"""The trigger stands once, as a word of its own; every script survives; bulk edits are pure."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.captions import (
    coverage,
    mended,
    phrases,
    prefixed,
    read_caption,
    replaced,
    suffixed,
    with_trigger,
    without_trigger,
    without_word,
    without_words,
    write_caption,
)


@pytest.mark.parametrize(
    ("caption", "intent", "wanted"),
    [
        ("seen from above, warm light", "product", "fjordbottle bottle, seen from above, warm light"),
        ("a red apple", "style", "a red apple, fjordbottle bottle"),
        ("", "product", "fjordbottle bottle"),
        ("a fjordbottle on a table", "product", "a fjordbottle on a table"),
        ("Fjordbottle, fjordbottle bottle on a table", "product", "Fjordbottle, bottle on a table"),
        ("fjordbottleseen from above", "product", "fjordbottle seen from above"),
        ("上から見た、暖かい光", "character", "fjordbottle bottle, 上から見た、暖かい光"),
        ("زجاجة على طاولة 🙂", "product", "fjordbottle bottle, زجاجة على طاولة 🙂"),
    ],
)
def test_the_trigger_stands_exactly_once(caption, intent, wanted):
    assert with_trigger(caption, "fjordbottle", "bottle", intent) == wanted


def test_a_noun_inside_the_trigger_is_not_said_twice():
    assert with_trigger("on ice", "fjord bottle", "bottle", "product") == "fjord bottle, on ice"
    assert with_trigger("a cat", "twemo style", "", "style") == "a cat, twemo style"


def test_no_trigger_leaves_the_caption():
    assert with_trigger("a cat", "", "robot", "character") == "a cat"


def test_a_japanese_trigger_needs_no_spaces_around_it():
    assert with_trigger("赤い福太郎のマスコット", "福太郎", "", "character") == "赤い福太郎のマスコット"


def test_composed_and_decomposed_forms_are_the_same_word():
    decomposed = unicodedata.normalize("NFD", "über")
    assert with_trigger(f"an {decomposed} cat", "über", "", "product") == f"an {decomposed} cat"


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)


@given(texts, st.sampled_from(["product", "character", "style"]))
def test_inserting_twice_is_inserting_once(caption, intent):
    once = with_trigger(caption, "fjordbottle", "bottle", intent)
    assert with_trigger(once, "fjordbottle", "bottle", intent) == once
    assert once.casefold().count("fjordbottle") >= 1


@given(texts)
def test_a_sidecar_gives_back_what_was_written(tmp_path_factory, caption):
    path = tmp_path_factory.mktemp("c") / "a.txt"
    write_caption(path, caption)
    assert read_caption(path) == " ".join(caption.split())
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_sidecars_of_other_editors_are_read(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes("Größe, café".encode(encoding))
    assert read_caption(tmp_path / "a.txt") == "Größe, café"


def test_find_and_replace_knows_words():
    assert replaced(["a cat in a catalogue", "Cat"], "cat", "dog") == ["a dog in a catalogue", "dog"]
    assert replaced(["a cat in a catalogue"], "cat", "dog", whole_words=False) == ["a dog in a dogalogue"]
    assert replaced(["1 + 1"], "+", r"\1") == [r"1 \1 1"]
    assert replaced(["x"], " ", "y") == ["x"]


def test_prefix_suffix_and_removal():
    assert prefixed(["on ice", "photo, on ice", ""], "photo") == ["photo, on ice", "photo, on ice", "photo"]
    assert suffixed(["on ice", "on ice, photo"], "photo") == ["on ice, photo", "on ice, photo"]
    assert without_word(["a, nice, cat", "nice", "nicer cat"], "nice") == ["a, cat", "", "nicer cat"]
    assert without_trigger("fjordbottle, on ice, Fjordbottle", "fjordbottle") == "on ice"


def test_coverage_counts_pictures_not_mentions():
    assert coverage(["red red cat", "a red dog", "猫 と 犬"]) == {"red": 2, "a": 1, "cat": 1, "dog": 1, "と": 1, "犬": 1, "猫": 1}


def test_lists_of_words_are_parted_in_any_script():
    assert phrases(" orange cap, steel;雪、光，水, steel") == ("orange cap", "steel", "雪", "光", "水")


def test_what_is_constant_leaves_with_what_hangs_on_it():
    assert without_words(["a bottle with an orange cap, on ice", "orange, steel"], ["cap", "orange cap", "steel"]) == [
        "a bottle, on ice",
        "orange",
    ]


@pytest.mark.parametrize(
    ("caption", "taken", "wanted"),
    [
        ("a red bottle, letter A, on ice", ["bottle"], "a red, letter A, on ice"),
        ("vitamin A, bottle", ["bottle"], "vitamin A"),
        ("plan of, a bottle, on ice", ["bottle"], "plan of, on ice"),
        ("bottle of orange cap and steel, the letter A", ["orange cap", "steel"], "bottle, the letter A"),
        ("with a bottle", ["bottle"], ""),
        ("vitamin-a bottle", ["bottle"], "vitamin-a"),
        ("a bottle on ice", ["bottle", " "], "a on ice"),
    ],
)
def test_only_what_stands_around_a_taken_word_goes_with_it(caption, taken, wanted):
    assert without_words([caption], taken) == [wanted]


def test_taking_no_words_leaves_captions_as_they_are():
    assert without_words(["in , a"], []) == without_words(["in , a"], [" "]) == without_words(["in , a"], ["cap"]) == ["in , a"]


FOREIGN = ("赤いボトル、雪の上 ❄️", "从上方看，放在木桌上", "زجاجة على طاولة 🙂", "👩🏽‍🚀 in space")


@pytest.mark.parametrize("caption", FOREIGN)
def test_every_bulk_edit_keeps_other_scripts_whole(caption):
    assert caption in prefixed([caption], "photo")[0] and caption in suffixed([caption], "photo")[0]
    assert replaced([caption], "cat", "dog") == without_word([caption], "cat") == without_words([caption], ["cat"]) == [caption]
    assert without_trigger(with_trigger(caption, "fjordbottle", "", "product"), "fjordbottle") == caption


def test_half_letters_are_mended_and_whole_ones_stay():
    assert mended("nice \ud83d") == "nice \ufffd"
    assert mended("\udcffa \ud83db \ud83d\ude42 日本 e\u0301") == "\ufffda \ufffdb 🙂 日本 e\u0301"
