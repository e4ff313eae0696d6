"""Captions by the hundred and mending, as the page's buttons ask for them: real folders, nothing downloaded."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from app import jobs
from app.answers import answering
from app.captioning import TEXTS, newest_captioning, write_captions
from app.doctor import REPORT, report_signature
from app.projects import Project, Workspace
from app.shelf import apply_edits, read_shelf
from app.tabs import images
from training.edits import KeepOneOf

Call = Callable[..., dict]
KEYS = [f"{number:02d}.png" for number in range(6)]
FOREIGN = ["赤いボトル、雪の上 ❄️", "从上方看，放在木桌上", "زجاجة على طاولة 🙂"]


@pytest.fixture
def call(workspace: Workspace, project: Project, no_workers: list) -> Call:
    def do(action: str = "look", **values: object) -> dict:
        return answering("pictures", workspace, images.look, images.ACTIONS)({"do": action, "project": project.id, **values})

    return do


def caption_of(project: Project, key: str) -> str:
    return read_shelf(project).by_key[key].caption


def test_a_preview_changes_nothing_and_apply_is_one_undoable_action(call: Call, project: Project):
    call("bulk", keys=["00.png"], how="replace", first="on a table, view 0", second="")
    answer = call("write_preview", source="template", template="seen from above, {caption}", mode="replace", keys=KEYS[:2])
    assert answer["proposals"] == [
        ["00.png", "", "seen from above"],
        ["01.png", "on a table, view 1", "seen from above, on a table, view 1"],
    ]
    assert caption_of(project, "01.png") == "on a table, view 1"
    applied = call("write_apply", keys=KEYS[:2], texts=["by hand", answer["proposals"][1][2]])
    assert (applied["note"], caption_of(project, "00.png")) == ("2 captions changed.", "by hand")
    call("undo")
    assert caption_of(project, "01.png") == "on a table, view 1"


def test_only_empty_captions_are_written_unless_asked(call: Call):
    assert call("write_preview", source="template", template="new", mode="empty", keys=KEYS)["proposals"] == []
    assert (
        call("write_preview", source="template", template="new", mode="behind", keys=KEYS[:1])["proposals"][0][2]
        == "on a table, view 0, new"
    )


def test_what_was_not_looked_at_yet_is_counted(call: Call):
    assert call("write_preview", source="seen", mode="replace", keys=KEYS)["unseen"] == 6


@pytest.mark.parametrize(
    "values", [{"source": "oracle"}, {"source": "template", "template": "{mood}"}, {"source": "names", "mode": "shout"}]
)
def test_wrong_wishes_are_answered_in_words(call: Call, values: dict):
    answer = call("write_preview", keys=KEYS, **values)
    assert not answer["ok"] and answer["fix"]


def test_nothing_is_downloaded_without_a_yes(call: Call, project: Project):
    answer = call("write_start", source="florence-2", keys=KEYS, agreed=False)
    assert not answer["ok"] and newest_captioning(project) is None


def test_a_hub_out_of_reach_is_told_with_the_way_out(call: Call, workspace: Workspace, project: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert call("write_start", source="qwen3-vl", keys=KEYS, agreed=True)["now"]["writing"]["state"] == "queued"
    assert "already" in call("write_start", source="qwen3-vl", keys=KEYS, agreed=True)["message"]
    ticket = jobs.claim(workspace, "auto")
    assert ticket
    write_captions(ticket.run)
    jobs.done(ticket)
    writing = call()["now"]["writing"]
    assert writing["state"] == "failed" and "file names" in writing["error"][1]


def test_texts_of_a_model_are_proposals_too(call: Call, project: Project):
    call("write_start", source="florence-2", keys=KEYS, agreed=True)
    run = newest_captioning(project)
    assert run
    (run.path / TEXTS).write_text('{"key": "00.png", "text": "on snow"}\n{"key": "01.p', "utf-8")
    assert call("write_made", mode="replace")["proposals"] == [["00.png", "on a table, view 0", "on snow"]]
    assert call("write_stop")["now"]["writing"]["state"] == "stopped"


def test_the_trigger_goes_in_once_and_out_again(call: Call, project: Project):
    call("bulk", how="trigger_in", keys=KEYS)
    call("bulk", how="trigger_in", keys=KEYS)
    assert caption_of(project, "00.png") == "fjordbottle bottle, on a table, view 0"
    assert call("bulk_preview", how="trigger_out", keys=KEYS[:1])["proposals"][0][2] == "bottle, on a table, view 0"


@pytest.mark.parametrize("text", FOREIGN)
def test_other_scripts_survive_bulk_edits_and_undo(call: Call, project: Project, text: str):
    call("write_apply", keys=["00.png"], texts=[text])
    for values in ({"how": "suffix", "first": "雪🙂"}, {"how": "trigger_in"}, {"how": "remove", "first": "雪🙂"}, {"how": "trigger_out"}):
        assert call("bulk", keys=["00.png"], **values)["ok"]
    assert text in caption_of(project, "00.png").replace("bottle, ", "")
    for _ in range(4):
        call("undo")
    assert caption_of(project, "00.png") == text


def test_words_are_counted_and_lead_to_their_pictures(call: Call):
    told = call("words")["told"]
    assert (told["total"], told["bars"][0]) == (6, ["table", 6, False])
    assert call("with_word", word="3")["keys"] == ["03.png"]
    assert len(call("with_word", word="3", without=True)["keys"]) == 5


def test_what_is_constant_leaves_the_captions_and_the_check_hears_of_it(call: Call, project: Project, workspace: Workspace):
    before = report_signature(project)
    call("tell", constant="table", varies=["view", "light", "nonsense"])
    fresh = workspace.project(project.id)
    assert (fresh.about.constant, fresh.about.varies) == ("table", ("view", "light"))
    assert report_signature(fresh) != before and read_shelf(fresh).hints.constant == "table"
    told = call("words")["told"]
    assert told["named"] == 6 and told["silent"] == [["view", 0], ["light", 6]]
    assert len(call("with_word", aspect="light")["keys"]) == 6
    assert call("constant_out")["note"] == "6 captions changed."
    assert call("words")["told"]["named"] == 0


def planted_report(project: Project) -> None:
    common = {"severity": "serious", "sentence": "x", "cost": "y", "points": 1.0}
    problems = [
        {**common, "code": "turned", "keys": ["01.png"], "words": ["turned"], "fixes": [{"kind": "rotate", "key": "01.png", "clockwise_deg": 90}]},
        {**common, "code": "doubles", "keys": ["02.png", "03.png"], "words": ["double"] * 2, "fixes": [{"kind": "keep_one_of", "keep": "00.png", "others": ["02.png", "03.png"]}]},
        {**common, "code": "wordy", "keys": ["04.png", "02.png"], "words": ["wordy"] * 2, "fixes": [{"kind": "caption", "key": key, "text": "雪"} for key in ("04.png", "02.png")]},
    ]  # fmt: skip
    record = {"signature": report_signature(project), "score": 80, "summary": "", "top": [0, 1, 2], "problems": problems}
    (project.path / REPORT).write_text(json.dumps(record))


def test_a_fix_shows_before_and_after_and_leaves_what_was_unticked(call: Call, project: Project):
    planted_report(project)
    (turned,) = call("fix_preview", index=0, code="turned")["rows"]
    assert turned["before"] != turned["after"] != "" and turned["says"] == "turned by 90°"
    doubles = call("fix_preview", index=1, code="doubles")["rows"]
    assert [row["says"] for row in doubles] == ["left out; 00.png stays"] * 2
    wordy = call("fix_preview", index=2, code="wordy")["rows"]
    assert (wordy[0]["old"], wordy[0]["new"]) == ("on a table, view 4", "雪")
    call("fix", index=1, code="doubles", skip=["03.png"])
    assert [item.key for item in read_shelf(project).left_out] == ["02.png"]


def test_all_fixes_at_once_and_each_change_taken_back_alone(call: Call, project: Project):
    planted_report(project)
    assert call("fix_preview", index=0, code="all")["total"] == 4  # 02.png is left out: its caption stays
    assert call("fix", index=0, code="all")["view"]["changes"] == 3
    listed = call("changes")["changes"]
    caption = next(one for one in listed if one["says"] == "says: 雪")
    undone = call("undo_one", id=caption["id"])
    assert caption_of(project, "04.png") == "on a table, view 4" and undone["view"]["changes"] == 2
    undo = dict(undone["undo"])
    call(undo.pop("do"), **undo)
    assert caption_of(project, "04.png") == "雪"
    assert call("undo_all")["note"] == "3 changes taken back."
    assert call()["view"]["undo"] == ""


def test_one_of_several_doubles_is_taken_back_alone(call: Call, project: Project):
    apply_edits(project, [KeepOneOf("00.png", ("01.png", "02.png"))], label="fix")
    call("take_back", keys=["01.png"])
    assert [item.key for item in read_shelf(project).left_out] == ["02.png"]


def test_pictures_kept_for_checking_can_be_taught_again(call: Call, project: Project):
    call("hold_out", keys=["00.png", "01.png"])
    assert call("release", keys=["00.png"])["note"] == "1 picture is taught again."
    assert [item.key for item in read_shelf(project).items if item.held_out] == ["01.png"]
