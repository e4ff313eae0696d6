"""`brandprint check`: what is wrong with a set of pictures, what it costs, and the fixes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.terminal import say, show_json

COLOURS = {"serious": "red", "warning": "yellow", "notice": "dim"}


def check(
    pictures: Annotated[Path, typer.Argument(help="Folder or zip of pictures.")],
    intent: Annotated[str, typer.Option(metavar="style|character|product", help="What is to be taught. Empty: the folder's own hint, or product.")] = "",
    trigger: Annotated[str, typer.Option(help="The trigger word.")] = "",
    noun: Annotated[str, typer.Option(help="The kind of thing it is.")] = "",
    base: Annotated[str, typer.Option(help="Base that the set is for.")] = "starter",
    fix: Annotated[bool, typer.Option("--fix", help="Put every proposed fix into the edit list. Originals are never touched.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take every edit back.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Look at every picture and caption: a score, the problems, and what would raise it most."""
    from training.base_facts import read_base_facts
    from training.dataset import load_dataset
    from training.inspect import apply_fixes, inspect_dataset, undo_all

    if undo:
        say(f"{undo_all(pictures)} edits taken back.")
        return
    dataset = load_dataset(pictures)
    hints = dataset.hints
    told = {"intent": intent or hints.intent or "product", "trigger": trigger or hints.trigger, "noun": noun or hints.noun}
    report = inspect_dataset(dataset, **told, base_size_px=read_base_facts(base).native_size_px, cache=cache_beside(pictures))
    if fix:
        changed = apply_fixes(report, pictures)
        dataset = load_dataset(pictures)
        report = inspect_dataset(dataset, **told, base_size_px=read_base_facts(base).native_size_px, cache=cache_beside(pictures))
    if as_json:
        show_json(report.record())
        return
    if fix:
        say(f"{changed} edits made; brandprint check --undo takes them back.")
    show_report(dataset, report)


def show_report(dataset, report) -> None:
    """The report in words."""
    say(f"[bold]{len(dataset.items)} pictures, score {report.score:.0f} of 100[/bold]")
    for rejected in dataset.rejected:
        say(f"[red]not used[/red] {rejected.name}: {rejected.reason} {rejected.fix}")
    for problem in report.problems:
        colour = COLOURS.get(problem.severity, "white")
        say(f"[{colour}]{problem.severity}[/{colour}] {problem.sentence}")
    if not report.problems and not dataset.rejected:
        say("Nothing to mend: this set is ready.")
    elif report.top3:
        say("What would raise the score most:")
        for advice in report.top3:
            say(f"  {advice}")


def cache_beside(pictures: Path) -> Path:
    """Where measures of a set are kept between looks: in the user's cache, never among the pictures."""
    import hashlib
    import os

    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "brandprint" / hashlib.sha256(str(pictures.resolve()).encode()).hexdigest()[:16]
