"""Whatever a browser sends, the server function answers; it never raises and never believes."""

from __future__ import annotations

import pytest

from app.answers import Ask, Reply, answering
from app.projects import Workspace
from pipelines.errors import DatasetError


def look(ask: Ask) -> dict:
    return {"said": ask.text("word", "hello")}


def fail(ask: Ask) -> Reply:
    raise DatasetError("Picture 14 is cut off.", fix="Export it again.")


def crash(ask: Ask) -> Reply:
    raise ZeroDivisionError


def silent(ask: Ask) -> Reply:
    return Reply(extra={"saved": "a"}, with_view=False)


ACTIONS = {"fail": fail, "crash": crash, "silent": silent}


def test_a_look_brings_a_view_and_the_same_look_again_brings_none(workspace: Workspace):
    answer = answering("part", workspace, look, ACTIONS)
    first = answer({"do": "look"})
    assert first["view"]["said"] == "hello"
    assert "view" not in answer({"do": "look", "seen": first["view"]["version"]})
    assert "view" in answer({"do": "look", "seen": first["view"]["version"], "word": "other"})


def test_our_errors_reach_the_page_in_words(workspace: Workspace):
    assert answering("part", workspace, look, ACTIONS)({"do": "fail"}) == {
        "ok": False,
        "message": "Picture 14 is cut off.",
        "fix": "Export it again.",
    }


def test_a_fault_of_ours_is_answered_too(workspace: Workspace):
    answer = answering("part", workspace, look, ACTIONS)({"do": "crash"})
    assert not answer["ok"]
    assert "ZeroDivisionError" in answer["message"]


@pytest.mark.parametrize(
    "request_", [None, 7, "x", [], {"do": "no-such"}, {"do": {"a": 1}}, {"do": "look", "word": ["a"]}, {"do": "look", "word": "x" * 6000}]
)
def test_nonsense_is_answered_with_ok_or_a_message(workspace: Workspace, request_: object):
    answer = answering("part", workspace, look, ACTIONS)(request_)
    assert answer["ok"] or answer["message"]


def test_an_action_may_answer_without_a_view(workspace: Workspace):
    assert answering("part", workspace, look, ACTIONS)({"do": "silent"}) == {"ok": True, "saved": "a"}


@pytest.mark.parametrize("value", ["abc", None, "nan", "inf", -1, 9, {}])
def test_numbers_out_of_range_are_refused_by_name(workspace: Workspace, value: object):
    from pipelines.errors import ConfigError

    with pytest.raises(ConfigError, match="strength"):
        Ask(workspace, "x", {"strength": value}).number("strength", least=0, most=3)


def test_half_an_emoji_is_mended_before_anything_reads_it(workspace: Workspace):
    def told(ask: Ask) -> Reply:
        return Reply(extra={"text": ask.text("text"), "texts": ask.texts("texts"), "table": ask.table("table")}, with_view=False)

    answer = answering("part", workspace, look, {"told": told})(
        {"do": "told", "text": "a \ud83d", "texts": ["b \ud83d"], "table": {"c\ud83d": ["d \ud83d"]}}
    )
    assert (answer["text"], answer["texts"], answer["table"]) == ("a \ufffd", ("b \ufffd",), {"c\ufffd": ["d \ufffd"]})
