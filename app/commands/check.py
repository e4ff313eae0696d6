"""`brandprint check`: what is wrong with a set of pictures, what it costs, and the fixes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.fields import as_choice
from app.terminal import say, show_json, show_table
from pipelines.card import Intent

COLOURS = {"serious": "red", "warning": "yellow", "hint": "dim"}
MOST_IGNORED = 10  # files that are no pictures, by name; a download folder may hold hundreds


def check(
    pictures: Annotated[Path, typer.Argument(help="Folder or zip of pictures.")],
    intent: Annotated[
        str, typer.Option(metavar="style|character|product", help="What is to be taught. Empty: the folder's own hint, or product.")
    ] = "",
    trigger: Annotated[str, typer.Option(help="The trigger word.")] = "",
    noun: Annotated[str, typer.Option(help="The kind of thing it is.")] = "",
    base: Annotated[str, typer.Option(help="Base that the set is for.")] = "starter",
    fix: Annotated[bool, typer.Option("--fix", help="Put every proposed fix into the edit list. Originals are never touched.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take every edit back.")] = False,
    undo_id: Annotated[list[int] | None, typer.Option(help="Take the edit of this number back; may be given several times.")] = None,
    edits: Annotated[bool, typer.Option("--edits", help="List the edits in force with their numbers.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Look at every picture and caption: a score, the problems, and what would raise it most."""
    from training.base_facts import read_base_facts
    from training.dataset import load_dataset
    from training.edit_log import EditLog

    if undo:
        say(f"{_counted(len(EditLog(load_dataset(pictures).root).undo_all()))} taken back.")
        return
    if edits or undo_id:
        log = EditLog(load_dataset(pictures).root)
        if undo_id:
            say(f"{_counted(len(log.undo(undo_id)))} taken back.")
        list_edits(log, as_json=as_json)
        return
    size_px = read_base_facts(base).native_size_px
    dataset, report = look(pictures, intent=intent, trigger=trigger, noun=noun, base_size_px=size_px)
    changed = EditLog(dataset.root).apply(report.fixes) if fix else ()
    if changed:
        dataset, report = look(pictures, intent=intent, trigger=trigger, noun=noun, base_size_px=size_px)
    if as_json:
        show_json(record_of(dataset, report))
        return
    if fix:
        say(f"{_counted(len(changed))} made; brandprint check {pictures} --undo takes them back.")
    show_report(dataset, report)


def _counted(number: int) -> str:
    return "1 edit" if number == 1 else f"{number} edits"


def list_edits(log, *, as_json: bool) -> None:
    """The edits in force, oldest first, with the numbers by which they are undone."""
    from training.edits import edited_keys, in_words, to_record

    in_force = [entry for entry in log.history if entry.in_force]
    if as_json:
        show_json([{"id": entry.id, **to_record(entry.edit)} for entry in in_force])
    elif in_force:
        show_table(("number", "picture", "what"), [(entry.id, edited_keys(entry.edit)[0], in_words(entry.edit)) for entry in in_force])
    else:
        say("No edits are in force.")


def look(pictures: Path, *, base_size_px: int, intent: str = "", trigger: str = "", noun: str = ""):
    """The dataset and the doctor's report; what the caller did not say is taken from the folder's own hints."""
    from training.dataset import load_dataset
    from training.inspect import inspect_dataset

    dataset = load_dataset(pictures)
    hints = dataset.hints
    wanted = as_choice(intent or hints.intent or "product", Intent, name="intent")
    return dataset, inspect_dataset(
        dataset,
        intent=wanted,
        trigger=trigger or hints.trigger,
        noun=noun or hints.noun,
        base_size_px=base_size_px,
        cache=cache_of(pictures),
    )


def record_of(dataset, report) -> dict:
    """The report for scripts."""
    return {
        "pictures": report.pictures,
        "score": report.score,
        "rejected": [{"name": one.name, "reason": one.reason, "fix": one.fix} for one in dataset.rejected],
        "ignored": [{"name": one.name, "reason": one.reason} for one in dataset.ignored],
        "problems": [
            {
                "code": one.code,
                "severity": one.severity,
                "pictures": list(one.keys),
                "sentence": one.sentence,
                "cost": one.cost,
                "fixes": len(one.fixes),
                "points": one.points,
            }
            for one in report.problems
        ],
    }


def show_report(dataset, report) -> None:
    """The report in words."""
    say(report.summary, lead=f"Score {report.score} of 100.")
    for rejected in dataset.rejected:
        say(f"{rejected.name} {rejected.reason}. {rejected.fix}", lead="not used", lead_style="red")
    for ignored in dataset.ignored[:MOST_IGNORED]:
        say(f"{ignored.name} {ignored.reason}. {ignored.fix}".rstrip(), lead="ignored", lead_style="dim")
    if len(dataset.ignored) > MOST_IGNORED:
        say(f"and {len(dataset.ignored) - MOST_IGNORED} more files that are no pictures", lead="ignored", lead_style="dim")
    for problem in report.problems:
        say(f"{problem.sentence} {problem.cost}", lead=problem.severity, lead_style=COLOURS[problem.severity])
    if report.top3:
        say("What would raise the score most:")
    for problem in report.top3:
        say(f"  +{problem.points:.0f}  {problem.sentence}")
    if any(problem.fixes for problem in report.problems):
        say("--fix mends what can be mended; originals are never touched.")


def cache_of(pictures: Path) -> Path:
    """Where measures of a set are kept between looks."""
    import hashlib

    from training.archive import user_cache

    return user_cache() / hashlib.sha256(str(pictures.resolve()).encode()).hexdigest()[:16]
