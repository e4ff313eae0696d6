"""Every word on the page stands in strings.py, and no word there is unused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app import strings, ui
from app.strings import EN, counted, words

APP = Path(ui.__file__).parent
SCRIPTS = "".join(path.read_text("utf-8") for path in (APP / "assets").glob("*.js"))
PYTHON = "".join(path.read_text("utf-8") for path in [*APP.glob("*.py"), *(APP / "tabs").glob("*.py")] if path.name != "strings.py")
ENDINGS = tuple(
    f"{key}."
    for key in (
        "pictures.next",
        "teach.title",
        "intent",
        "dial",
        "step",
        "job",
        "state",
        "run",
        "run.preparing",
        "pictures.state",
        "bulk",
        "shape",
        "app",
        "file",
        "group",
        "plan",
        "action",
        "ground",
        "library.mix",
        "pictures.badge",
        "write",
        "write.mode",
        "aspect",
    )
)


def test_every_key_that_a_script_uses_is_there():
    used = set(re.findall(r"""\bt\("([\w.]+?)"[,)]""", SCRIPTS))
    assert used - set(EN) == set()


def test_every_counted_key_has_one_and_many():
    for key in {*re.findall(r"""\bcount\("([\w.]+)",""", SCRIPTS), *re.findall(r"""counted\("([\w.]+)",""", PYTHON)}:
        assert {f"{key}.one", f"{key}.many"} <= set(EN), key


def test_every_key_that_python_uses_is_there():
    assert set(re.findall(r"""\bwords\("([\w.]+)"[,)]""", PYTHON)) - set(EN) == set()


def test_no_words_are_left_over():
    everything = (SCRIPTS + PYTHON).replace("'", '"')
    unused = [
        key
        for key in EN
        if f'"{key}"' not in everything
        and not key.startswith(ENDINGS)
        and not key.endswith((".one", ".many", ".says", ".first", ".second"))
    ]
    assert unused == []


def test_values_are_filled_in():
    assert words("left", time="2 min") == "2 min left"
    assert (counted("rail.pictures", 1), counted("rail.pictures", 2)) == ("1 picture", "2 pictures")


@pytest.mark.parametrize("text", EN.values())
def test_texts_speak_plainly(text: str):
    assert not re.search(r"\b(oops|sorry|please|invalid|successfully)\b", text, re.IGNORECASE)
    assert "/tmp" not in text


def test_contexts_exist_for_every_intent():
    assert set(strings.CONTEXTS) == {"product", "character", "style"}
