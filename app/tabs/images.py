"""The Pictures step: add, look, caption by hand, turn, remove.

In: a project's pictures. Out: the view of the card grid and the doctor's drawer; each action is one call of shelf, intake or the edit list. Captions by the
hundred stand in captions.py, mending and taking back in fixes.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.answers import Act, Ask, Reply
from app.captioning import view_captioning
from app.doctor import ask_report, facts_of, read_report, report_signature, running_progress, tell_arrival
from app.intake import take_in
from app.placing import Intake, Upload
from app.projects import Workspace
from app.removed import remove_pictures, restore_pictures
from app.shelf import LARGE_PX, apply_edits, known_items, make_thumb, make_thumbs, read_actions, read_shelf, set_caption, thumb_path
from app.strings import counted, words
from app.tabs import captions, fixes
from pipelines.errors import ConfigError
from training.crops import view
from training.dataset import Item
from training.edits import Crop, Focus, Rotate

TONES = {"serious": "bad", "warning": "warn", "hint": ""}


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
        "captions": captions.view_captions(project), "changes": len(dataset.edits), "fixes": len({json.dumps(fix) for problem in (report or {}).get("problems", []) for fix in problem["fixes"]}),
        "now": {"looking": None if is_fresh else running_progress(project), "writing": view_captioning(ask.workspace, project)},
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
    if added or intake.captions:
        ask_report(ask.workspace, project)  # it looks at the first pictures while the rest arrive
    make_thumbs(ask.workspace, [item for item in read_shelf(project).items if item.key in added])
    return Reply(extra={"intake": _intake(intake)}, with_view=ask.flag("last"))


def _intake(intake: Intake) -> dict[str, Any]:
    pictures = [name for name in intake.added if not name.lower().endswith((".txt", ".caption", ".jsonl", ".csv"))]
    return {
        "added": len(pictures),
        "texts": len(intake.added) - len(pictures) + len(intake.captions),
        "doubles": list(intake.doubles),
        "refused": [{"name": entry.name, "reason": entry.reason, "fix": entry.fix} for entry in intake.refused],
    }


def _caption(ask: Ask) -> Reply:
    """What stands under one picture after a pause in typing."""
    project, key = ask.project, ask.text("key")
    item = known_items(project, [key])[0]
    text = " ".join(ask.text("text").split())
    if text != item.caption:
        set_caption(project, key, text)
    return Reply(extra={"saved": key, "text": text}, with_view=False)


def _remove(ask: Ask) -> Reply:
    """Out of the project, into its bin."""
    items = known_items(ask.project, ask.texts("keys"))
    ticket = remove_pictures(ask.project, items)
    return Reply(note=counted("pictures.removed", len(items)), undo={"do": "restore", "ticket": ticket})


def _restore(ask: Ask) -> Reply:
    restore_pictures(ask.project, ask.text("ticket"))
    return Reply(note=words("pictures.restored"))


def _rotate(ask: Ask) -> Reply:
    items = known_items(ask.project, ask.texts("keys"))
    apply_edits(ask.project, [Rotate(item.key, 90) for item in items], label="rotate")
    make_thumbs(ask.workspace, [item for item in read_shelf(ask.project).items if item.key in {one.key for one in items}])
    return Reply()


def _focus(ask: Ask) -> Reply:
    """The point that crops keep; x and y are fractions of the upright original."""
    item = known_items(ask.project, [ask.text("key")])[0]
    apply_edits(ask.project, [Focus(item.key, ask.number("x", least=0, most=1), ask.number("y", least=0, most=1))], label="focus")
    return Reply()


def _crop(ask: Ask) -> Reply:
    item = known_items(ask.project, [ask.text("key")])[0]
    box = tuple(ask.number(side, least=0, most=1) for side in ("left", "top", "right", "bottom"))
    apply_edits(ask.project, [Crop(item.key, box)], label="crop")  # type: ignore[arg-type]
    make_thumb(ask.workspace, read_shelf(ask.project).by_key[item.key])
    return Reply()


def _thumbs(ask: Ask) -> Reply:
    """Thumbnails that are not there yet, a screenful at a time."""
    items = known_items(ask.project, ask.texts("keys"))[:60]
    make_thumbs(ask.workspace, items)
    return Reply(extra={"made": [item.key for item in items if thumb_path(ask.workspace, item).exists()]}, with_view=False)


def _large(ask: Ask) -> Reply:
    """One picture large enough to look at, the point that crops keep, and the size in which the trainer sees it."""
    item = known_items(ask.project, [ask.text("key")])[0]
    path = make_thumb(ask.workspace, item, size_px=LARGE_PX)
    base = facts_of(ask.project.about.base)
    seen = view(item, resolution_px=base.native_size_px, base_stride_px=base.stride_px)
    x, y = item.focus
    large = {"key": item.key, "url": str(path), "x": x, "y": y, "bucket": seen.bucket_hw, "is_enlarged": seen.is_enlarged}
    return Reply(extra={"large": large}, with_view=False)


ACTIONS: dict[str, Act] = {
    "add": _add, "caption": _caption, "rotate": _rotate, "focus": _focus, "crop": _crop, "thumbs": _thumbs, "large": _large, "remove": _remove,
    "restore": _restore, **captions.ACTIONS, **fixes.ACTIONS,
}  # fmt: skip
