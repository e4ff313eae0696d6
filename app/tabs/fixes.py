"""Mending: the doctor's fixes previewed and applied, one kind or all; every change in force, and each of them taken back alone.

In: requests of the Pictures step, the doctor's report, the edit list. Out: rows of before and after; edits, each one an action that can be undone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from app.answers import Act, Ask, Reply
from app.doctor import read_report, remove_report
from app.shelf import apply_edits, known_items, make_thumbs, read_shelf, redo_edits, thumb_path, undo_edits, undo_last
from app.strings import counted, words
from pipelines.errors import ConfigError
from training.dataset import Item
from training.edit_log import EditLog
from training.edits import Caption, Dismiss, Edit, HoldOut, KeepOneOf, LeaveOut, edited_keys, from_record, in_words

ROWS = 24


def _fixes(ask: Ask) -> tuple[Edit, ...]:
    """The edits that are asked about: of one finding, or all; without those of pictures that the user unticked."""
    from training.inspect import compatible

    report = read_report(ask.project)
    problems = (report or {}).get("problems", [])
    if ask.text("code") != "all":
        index = int(ask.number("index", least=0, most=10_000))
        problems = problems[index : index + 1]
        if not problems or problems[0]["code"] != ask.text("code"):
            raise ConfigError("The pictures have changed since the doctor looked.", fix="Wait a moment for a new look.")
    edits = compatible(from_record(record) for problem in problems for record in problem["fixes"])
    known = read_shelf(ask.project).by_key
    skip = set(ask.texts("skip"))
    return tuple(kept for edit in edits if all(key in known for key in edited_keys(edit)) and (kept := _without(edit, skip)))


def _without(edit: Edit, skip: set[str]) -> Edit | None:
    if isinstance(edit, KeepOneOf):
        others = tuple(key for key in edit.others if key not in skip)
        return replace(edit, others=others) if others else None
    return None if skip.intersection(edited_keys(edit)) else edit


def _rows(edits: Iterable[Edit]) -> list[tuple[str, Edit]]:
    """One line a picture that changes."""
    return [(key, edit) for edit in edits for key in (edit.others if isinstance(edit, KeepOneOf) else edited_keys(edit))]


def _fix_preview(ask: Ask) -> Reply:
    """Before and after of some pictures, and how many there are."""
    from training.inspect import preview

    project = ask.project
    edits = _fixes(ask)
    rows, start = _rows(edits), int(ask.number("from", least=0, most=100_000))
    now = read_shelf(project)
    then = preview(now, edits)
    shown = rows[start : start + ROWS]
    befores = [now.by_key[key] for key, _ in shown]
    afters = [then.by_key[edit.keep if isinstance(edit, KeepOneOf) else key] for key, edit in shown]
    make_thumbs(ask.workspace, [*befores, *afters])
    listed = [_row(ask, edit, before, after) for (_, edit), before, after in zip(shown, befores, afters, strict=True)]
    return Reply(extra={"rows": listed, "total": len(rows)}, with_view=False)


def _row(ask: Ask, edit: Edit, before: Item, after: Item) -> dict[str, Any]:
    """after: "" where the picture itself does not change; of doubles the one that stays."""
    paths = thumb_path(ask.workspace, before), thumb_path(ask.workspace, after)
    says = words("fix.double", name=edit.keep) if isinstance(edit, KeepOneOf) else "" if isinstance(edit, Caption) else in_words(edit)
    is_caption, stays = isinstance(edit, Caption), isinstance(edit, KeepOneOf)
    return {
        "key": before.key, "before": str(paths[0]), "after": str(paths[1]) if stays or paths[0] != paths[1] else "", "says": says, "stays": stays,
        "old": before.caption if is_caption else "", "new": after.caption if is_caption else "", "is_caption": is_caption,
    }  # fmt: skip


def _fix(ask: Ask) -> Reply:
    """The doctor's own remedy for one finding, or for all."""
    count = apply_edits(ask.project, _fixes(ask), label="fix")
    return Reply(note=counted("pictures.fixed", count), undo={"do": "undo"} if count else None)


def _dismiss(ask: Ask) -> Reply:
    """The finding is no fault here: it is not reported again."""
    report = read_report(ask.project)
    problem = next((problem for problem in (report or {}).get("problems", []) if problem["code"] == ask.text("code")), None)
    if problem is None:
        raise ConfigError("The doctor does not say that any more.", fix="Reload the page.")
    apply_edits(ask.project, [Dismiss(problem["code"], tuple(problem["keys"]) or ("",))], label="dismiss")
    return Reply(note=words("pictures.dismissed"), undo={"do": "undo"})


def _check_again(ask: Ask) -> None:
    """After a look that broke off."""
    remove_report(ask.project)


def _undo(ask: Ask) -> Reply:
    label = undo_last(ask.project)
    return Reply(note=words("pictures.undone", what=words(f"action.{label}")) if label else words("pictures.nothing_to_undo"))


def _changes(ask: Ask) -> Reply:
    """Every change in force, the newest first."""
    project, start = ask.project, int(ask.number("from", least=0, most=100_000))
    known = read_shelf(project).by_key
    entries = [entry for entry in reversed(EditLog(project.pictures).history) if entry.in_force]
    listed = []
    for entry in entries[start : start + ROWS]:
        key = edited_keys(entry.edit)[0]
        thumb = str(thumb_path(ask.workspace, known[key])) if key in known else ""
        listed.append({"id": entry.id, "key": key, "thumb": thumb, "says": in_words(entry.edit)})
    return Reply(extra={"changes": listed, "total": len(entries)}, with_view=False)


def _undo_one(ask: Ask) -> Reply:
    """One change is taken back, whatever came after it."""
    id = int(ask.number("id", least=1))
    count = undo_edits(ask.project, [id])
    return (
        Reply(note=words("changes.undone"), undo={"do": "redo_one", "id": id}) if count else Reply(note=words("pictures.nothing_to_undo"))
    )


def _redo_one(ask: Ask) -> None:
    redo_edits(ask.project, [int(ask.number("id", least=1))], label="fix")


def _undo_all(ask: Ask) -> Reply:
    count = undo_edits(ask.project, [entry.id for entry in EditLog(ask.project.pictures).history if entry.in_force])
    return Reply(note=counted("changes.undone_all", count))


def _leave_out(ask: Ask) -> Reply:
    items = known_items(ask.project, ask.texts("keys"))
    apply_edits(ask.project, [LeaveOut(item.key, "by hand") for item in items], label="leave_out")
    return Reply(note=counted("pictures.left_out_now", len(items)), undo={"do": "undo"})


def _take_back(ask: Ask) -> Reply:
    """Pictures that were left out count again, whoever left them out: by hand, by the doctor, or as one of several alike."""
    project, keys = ask.project, set(ask.texts("keys"))
    entries = [entry for entry in EditLog(project.pictures).history if entry.in_force]
    alike = [entry for entry in entries if isinstance(entry.edit, KeepOneOf) and keys.intersection(entry.edit.others)]
    alone = [entry for entry in entries if isinstance(entry.edit, LeaveOut) and entry.edit.key in keys]
    undo_edits(project, [entry.id for entry in (*alike, *alone)])
    apply_edits(project, [kept for entry in alike if (kept := _without(entry.edit, keys))], label="fix")
    return Reply(note=counted("pictures.back", len(keys)))


def _hold_out(ask: Ask) -> Reply:
    items = known_items(ask.project, ask.texts("keys"))
    apply_edits(ask.project, [HoldOut(item.key) for item in items], label="hold_out")
    return Reply(note=counted("pictures.held_out_now", len(items)), undo={"do": "undo"})


def _release(ask: Ask) -> Reply:
    """Pictures that were kept for checking are taught again."""
    project, keys = ask.project, set(ask.texts("keys"))
    history = EditLog(project.pictures).history
    ids = [entry.id for entry in history if entry.in_force and isinstance(entry.edit, HoldOut) and entry.edit.key in keys]
    undo_edits(project, ids)
    return Reply(note=counted("pictures.released", len(ids)))


ACTIONS: dict[str, Act] = {
    "fix": _fix, "fix_preview": _fix_preview, "dismiss": _dismiss, "check_again": _check_again, "undo": _undo, "changes": _changes, "undo_one": _undo_one,
    "redo_one": _redo_one, "undo_all": _undo_all, "leave_out": _leave_out, "take_back": _take_back, "hold_out": _hold_out, "release": _release,
}  # fmt: skip
