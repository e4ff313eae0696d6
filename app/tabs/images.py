"""The Pictures step: add, look, caption, leave out, mend, undo.

In: a project's pictures. Out: the view of the card grid and the doctor's drawer; each action is one call of shelf, intake or the edit list.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.answers import Act, Ask, Reply
from app.doctor import ask_report, facts_of, read_report, remove_report, report_signature, running_progress, tell_arrival
from app.intake import Intake, Upload, take_in
from app.projects import Project, Workspace
from app.removed import remove_pictures, restore_pictures
from app.shelf import LARGE_PX, apply_edits, make_thumb, make_thumbs, read_actions, read_shelf, set_caption, thumb_path, undo_last
from app.strings import counted, words
from pipelines.errors import ConfigError
from training import captions
from training.crops import view
from training.dataset import Item
from training.edits import Caption, Crop, Dismiss, Edit, Focus, HoldOut, LeaveOut, Rotate, from_record

TONES = {"serious": "bad", "warning": "warn", "hint": ""}
BULK = {
    "replace": lambda texts, first, second: captions.replaced(texts, first, second),
    "prefix": lambda texts, first, second: captions.prefixed(texts, first),
    "suffix": lambda texts, first, second: captions.suffixed(texts, first),
    "remove": lambda texts, first, second: captions.without_word(texts, first),
}


def look(ask: Ask) -> dict[str, Any]:
    """Cards, refused files and the doctor's report."""
    project = ask.project
    dataset = read_shelf(project)
    report = read_report(project)
    is_fresh = report is not None and report["signature"] == report_signature(project)
    if dataset.items and not is_fresh:
        ask_report(ask.workspace, project)
    badges = _badges(report)
    out = {item.key for item in dataset.left_out}
    items = sorted((*dataset.items, *dataset.left_out), key=lambda item: [item.key.casefold(), item.key])
    actions = read_actions(project)
    return {
        "name": project.about.name, "intent": project.about.intent, "count": len(dataset.items), "left_out": len(out),
        "items": [_card(ask.workspace, item, badges.get(item.key, []), is_out=item.key in out) for item in items],
        "refused": [{"name": entry.name, "reason": entry.reason, "fix": entry.fix} for entry in dataset.rejected],
        "report": _report(report, dataset.by_key), "is_fresh": is_fresh, "broke": bool(report and is_fresh and report["score"] is None), "undo": words(f"action.{actions[-1]['label']}") if actions else "",
        "now": {"looking": None if is_fresh else running_progress(project)},
    }  # fmt: skip


def _card(workspace: Workspace, item: Item, badges: list[dict[str, str]], *, is_out: bool) -> dict[str, Any]:
    thumb = thumb_path(workspace, item)
    height, width = item.size_hw
    return {
        "key": item.key, "caption": item.caption, "thumb": str(thumb), "has_thumb": thumb.exists(), "width": width, "height": height,
        "badges": badges, "is_out": is_out, "is_held_out": item.held_out, "repeats": item.repeats,
    }  # fmt: skip


def _badges(report: dict[str, Any] | None) -> dict[str, list[dict[str, str]]]:
    """Key -> what the doctor found there, in a word or two."""
    found: dict[str, list[dict[str, str]]] = {}
    for problem in (report or {}).get("problems", []):
        for key, says in zip(problem["keys"], problem["words"], strict=True):
            if says:
                found.setdefault(key, []).append({"code": problem["code"], "says": says, "tone": TONES[problem["severity"]]})
    return found


def _report(report: dict[str, Any] | None, known: dict[str, Item]) -> dict[str, Any] | None:
    if report is None or report["score"] is None:
        return None
    problems = [
        {"index": index, "code": problem["code"], "sentence": problem["sentence"], "cost": problem["cost"], "points": round(problem["points"], 1), "tone": TONES[problem["severity"]], "keys": [key for key in problem["keys"] if key in known], "fixes": len(problem["fixes"])}
        for index, problem in enumerate(report["problems"])
    ]  # fmt: skip
    return {
        "score": report["score"],
        "summary": report["summary"],
        "top": [problems[index] for index in report["top"]],
        "problems": problems,
    }


def _add(ask: Ask) -> Reply:
    """Files that were uploaded just now: [{path, name}]."""
    files = ask.values.get("files")
    if not isinstance(files, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("path"), str) and isinstance(entry.get("name"), str) for entry in files
    ):
        raise ConfigError("The page did not say which files it sent.", fix="Reload the page and drop them again.")
    project = ask.project
    intake = take_in(ask.workspace, project, [Upload(Path(entry["path"]), entry["name"]) for entry in files], limits=ask.workspace.limits)
    added = set(intake.added)
    tell_arrival(project, are_more_coming=ask.flag("more"))
    if added:
        ask_report(ask.workspace, project)  # it looks at the first pictures while the rest arrive
    make_thumbs(ask.workspace, [item for item in read_shelf(project).items if item.key in added])
    return Reply(extra={"intake": _intake(intake)}, with_view=ask.flag("last"))


def _intake(intake: Intake) -> dict[str, Any]:
    pictures = [name for name in intake.added if not name.lower().endswith((".txt", ".caption", ".jsonl", ".csv"))]
    return {
        "added": len(pictures),
        "texts": len(intake.added) - len(pictures),
        "doubles": list(intake.doubles),
        "refused": [{"name": entry.name, "reason": entry.reason, "fix": entry.fix} for entry in intake.refused],
    }


def _caption(ask: Ask) -> Reply:
    """What stands under one picture after a pause in typing."""
    project, key = ask.project, ask.text("key")
    item = _known(project, [key])[0]
    text = " ".join(ask.text("text").split())
    if text != item.caption:
        set_caption(project, key, text)
    return Reply(extra={"saved": key, "text": text}, with_view=False)


def _bulk(ask: Ask) -> Reply:
    """One change of many captions."""
    project = ask.project
    change = BULK.get(ask.text("how"))
    if change is None or not ask.text("first").strip():
        raise ConfigError("There is nothing to change.", fix="Say which words.")
    items = _known(project, list(ask.texts("keys")))
    fresh = change([item.caption for item in items], ask.text("first"), ask.text("second"))
    edits: list[Edit] = [Caption(item.key, text) for item, text in zip(items, fresh, strict=True) if text != item.caption]
    apply_edits(project, edits, label="bulk")
    return Reply(note=counted("pictures.captions_changed", len(edits)), undo={"do": "undo"} if edits else None)


def _leave_out(ask: Ask) -> Reply:
    items = _known(ask.project, list(ask.texts("keys")))
    apply_edits(ask.project, [LeaveOut(item.key, "by hand") for item in items], label="leave_out")
    return Reply(note=counted("pictures.left_out_now", len(items)), undo={"do": "undo"})


def _remove(ask: Ask) -> Reply:
    """Out of the project, into its bin."""
    items = _known(ask.project, list(ask.texts("keys")))
    ticket = remove_pictures(ask.project, items)
    return Reply(note=counted("pictures.removed", len(items)), undo={"do": "restore", "ticket": ticket})


def _restore(ask: Ask) -> Reply:
    restore_pictures(ask.project, ask.text("ticket"))
    return Reply(note=words("pictures.restored"))


def _take_back(ask: Ask) -> Reply:
    """Pictures that were left out count again, whoever left them out."""
    from training.edit_log import EditLog

    project, keys = ask.project, set(ask.texts("keys"))
    log = EditLog(project.pictures)
    log.undo([entry.id for entry in log.history if entry.in_force and isinstance(entry.edit, LeaveOut) and entry.edit.key in keys])
    return Reply(note=counted("pictures.back", len(keys)))


def _hold_out(ask: Ask) -> Reply:
    items = _known(ask.project, list(ask.texts("keys")))
    apply_edits(ask.project, [HoldOut(item.key) for item in items], label="hold_out")
    return Reply(note=counted("pictures.held_out_now", len(items)), undo={"do": "undo"})


def _rotate(ask: Ask) -> Reply:
    items = _known(ask.project, list(ask.texts("keys")))
    apply_edits(ask.project, [Rotate(item.key, 90) for item in items], label="rotate")
    make_thumbs(ask.workspace, [item for item in read_shelf(ask.project).items if item.key in {one.key for one in items}])
    return Reply()


def _focus(ask: Ask) -> Reply:
    """The point that crops keep; x and y are fractions of the upright original."""
    item = _known(ask.project, [ask.text("key")])[0]
    apply_edits(ask.project, [Focus(item.key, ask.number("x", least=0, most=1), ask.number("y", least=0, most=1))], label="focus")
    return Reply()


def _crop(ask: Ask) -> Reply:
    item = _known(ask.project, [ask.text("key")])[0]
    box = tuple(ask.number(side, least=0, most=1) for side in ("left", "top", "right", "bottom"))
    apply_edits(ask.project, [Crop(item.key, box)], label="crop")  # type: ignore[arg-type]
    make_thumb(ask.workspace, read_shelf(ask.project).by_key[item.key])
    return Reply()


def _fix(ask: Ask) -> Reply:
    """The doctor's own remedy for one finding."""
    report = read_report(ask.project)
    index = int(ask.number("index", least=0, most=10_000))
    if report is None or index >= len(report["problems"]) or report["problems"][index]["code"] != ask.text("code"):
        raise ConfigError("The pictures have changed since the doctor looked.", fix="Wait a moment for a new look.")
    edits = [from_record(record) for record in report["problems"][index]["fixes"]]
    count = apply_edits(ask.project, edits, label="fix")
    return Reply(note=counted("pictures.fixed", count), undo={"do": "undo"})


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


def _thumbs(ask: Ask) -> Reply:
    """Thumbnails that are not there yet, a screenful at a time."""
    items = _known(ask.project, list(ask.texts("keys")))[:60]
    make_thumbs(ask.workspace, items)
    return Reply(extra={"made": [item.key for item in items if thumb_path(ask.workspace, item).exists()]}, with_view=False)


def _large(ask: Ask) -> Reply:
    """One picture large enough to look at, the point that crops keep, and the size in which the trainer sees it."""
    item = _known(ask.project, [ask.text("key")])[0]
    path = make_thumb(ask.workspace, item, size_px=LARGE_PX)
    base = facts_of(ask.project.about.base)
    seen = view(item, resolution_px=base.native_size_px, base_stride_px=base.stride_px)
    x, y = item.focus
    large = {"key": item.key, "url": str(path), "x": x, "y": y, "bucket": seen.bucket_hw, "is_enlarged": seen.is_enlarged}
    return Reply(extra={"large": large}, with_view=False)


def _known(project: Project, keys: list[str]) -> list[Item]:
    """The items with these keys. Raises ConfigError for keys that are not there: another tab may have changed the set."""
    known = read_shelf(project).by_key
    missing = [key for key in keys if key not in known]
    if missing or not keys:
        raise ConfigError(
            f"{missing[0][:80]} is not among the pictures any more." if missing else "No picture is chosen.", fix="Reload the page."
        )
    return [known[key] for key in keys]


ACTIONS: dict[str, Act] = {
    "add": _add, "caption": _caption, "bulk": _bulk, "leave_out": _leave_out, "take_back": _take_back, "hold_out": _hold_out, "rotate": _rotate,
    "focus": _focus, "crop": _crop, "fix": _fix, "dismiss": _dismiss, "undo": _undo, "thumbs": _thumbs, "large": _large, "remove": _remove, "restore": _restore, "check_again": _check_again,
}  # fmt: skip
