"""The Library: every adapter of the studio as a card; open, import a file from elsewhere, mix two, delete with undo.

In: the workspace. Out: the view of the cards. An imported or mixed adapter becomes a project of its own, so that it can be compared and handed over.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from app import jobs
from app.answers import Act, Ask, Reply, told
from app.intake import inside
from app.placing import Upload
from app.projects import Project, Workspace
from app.results import Result, results
from app.shelf import read_shelf, thumb_path
from app.strings import words
from app.tabs.handover import cover_of
from app.turns import state_of
from pipelines.errors import ConfigError, DatasetError
from training.runs import Job, Run

SUFFIXES = (".safetensors",)


def look(ask: Ask) -> dict[str, Any]:
    """All adapters, newest first, and those being read or mixed."""
    cards = [card for project in ask.workspace.projects() for card in _cards(ask.workspace, project)]
    return {"adapters": sorted(cards, key=lambda card: card["made_at"], reverse=True)}


def _cards(workspace: Workspace, project: Project) -> list[dict[str, Any]]:
    """The cards of one project; what is wrong with it stands on a card and stops no other project."""
    try:
        runs = project.all_runs()
        ready = {result.run.path.name: result for result in results(project, runs)}
        coming = [run for run in runs if run.job.settings.get("what") in ("import", "mix") and run.path.name not in ready]
        return [_card(workspace, project, result) for result in ready.values()] + [_coming(workspace, project, run) for run in coming]
    except Exception as error:
        return [_failed(project, told(error, by=f"library, for {project.id},"))]


def _card(workspace: Workspace, project: Project, result: Result) -> dict[str, Any]:
    card = result.card
    fidelity = card.scores.get("fidelity")
    return {
        "id": f"{project.id}/{result.run.path.name}", "project": project.id, "run": result.run.path.name, "name": project.about.name, "trigger": card.trigger_phrase, "base": card.base or result.base,
        "family": card.base_family, "intent": card.intent or project.about.intent, "made_at": result.run.job.made_at, "score": None if fidelity is None else round(100 * max(0.0, min(1.0, fidelity))),
        "picture": cover_of(result.run, result.step) or _first_picture(workspace, project), "what": result.run.job.settings.get("what", "train"), "state": "ready", "file": str(result.adapter_path), "strength": result.strength,
    }  # fmt: skip


def _first_picture(workspace: Workspace, project: Project) -> str:
    """A thumbnail of what it was taught from, where nothing was drawn while it learnt; "" where there is none."""
    try:
        item = next(iter(read_shelf(project).items), None)
    except DatasetError:  # the adapter is whole all the same; Pictures says what is wrong
        return ""
    path = thumb_path(workspace, item) if item else None
    return str(path) if path and path.exists() else ""


def _coming(workspace: Workspace, project: Project, run: Run) -> dict[str, Any]:
    failed = next((record for record in reversed(run.records()[0]) if record.get("kind") == "failed"), None)
    return {
        "id": f"{project.id}/{run.path.name}", "project": project.id, "run": run.path.name, "name": run.job.name, "trigger": "", "base": run.job.settings.get("base", ""), "family": "", "intent": project.about.intent,
        "made_at": run.job.made_at, "score": None, "picture": "", "what": run.job.settings["what"], "state": state_of(workspace, run), "error": [failed["message"], failed.get("fix", "")] if failed else None, "file": "", "strength": 1.0,
    }  # fmt: skip


def _failed(project: Project, error: tuple[str, str]) -> dict[str, Any]:
    about = project.about
    return {
        "id": f"{project.id}/", "project": project.id, "run": "", "name": about.name, "trigger": "", "base": about.base, "family": "", "intent": about.intent,
        "made_at": about.made_at, "score": None, "picture": "", "what": "", "state": "failed", "error": error, "file": "", "strength": 1.0,
    }  # fmt: skip


def _open(ask: Ask) -> Reply:
    project = ask.workspace.project(ask.text("of"))
    project.changed(chosen_run=ask.text("run"), chosen_step=0, chosen_strength=0.0)
    return Reply(go={"project": project.id, "step": "compare"})


def _import(ask: Ask) -> Reply:
    """A file that was uploaded just now."""
    upload = Upload(inside(Path(ask.text("path")), ask.workspace.uploads), ask.text("name"))
    if Path(upload.name).suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"{upload.name[:60]} is not a .safetensors file.",
            fix="LoRA files of the kinds .pt, .ckpt and .bin can hold code and are refused; convert it first.",
        )
    name = Path(upload.name).stem[:80]
    project = ask.workspace.create(name)
    id = jobs.new_id("import")
    (project.runs / id).mkdir(parents=True)
    upload.path.replace(project.runs / id / "source.safetensors")
    jobs.start(
        ask.workspace,
        project,
        Job(kind="export", name=name, settings={"what": "import", "base": "starter", "path": "source.safetensors", "name": name}),
        id=id,
    )
    return Reply(note=words("library.importing", name=name))


def _mix(ask: Ask) -> Reply:
    """Two adapters of one base as one."""
    first, second = _find(ask, ask.text("first")), _find(ask, ask.text("second"))
    if first[1].run.path == second[1].run.path:
        raise ConfigError("Both are the same adapter.", fix="Choose two different ones.")
    if first[1].card.base_family != second[1].card.base_family or first[1].base != second[1].base:
        raise ConfigError(f"They belong to different bases: {first[1].base} and {second[1].base}.", fix="Mix adapters of one base.")
    name = f"{first[0].about.name} + {second[0].about.name}"[:80]
    project = ask.workspace.create(name, intent=first[0].about.intent)
    id = jobs.new_id("mix")
    here = project.runs / id
    parts = [
        {"path": os.path.relpath(result.adapter_path, here), "strength": ask.number(which, 1.0, least=0, most=2)}
        for which, (_, result) in (("first_strength", first), ("second_strength", second))
    ]
    trigger = ", ".join(phrase for _, result in (first, second) if (phrase := result.card.trigger_phrase))
    jobs.start(
        ask.workspace,
        project,
        Job(kind="export", name=name, settings={"what": "mix", "base": first[1].base, "parts": parts, "name": name, "trigger": trigger}),
        id=id,
    )
    return Reply(note=words("library.mixed", name=name))


def _find(ask: Ask, id: str) -> tuple[Project, Result]:
    project = ask.workspace.project(id.partition("/")[0])
    result = next((result for result in results(project, project.all_runs()) if result.run.path.name == id.partition("/")[2]), None)
    if result is None:
        raise ConfigError("That adapter is gone.", fix="Reload the page.")
    return project, result


def _delete(ask: Ask) -> Reply:
    """One run of a project, to the project's own bin."""
    project = ask.workspace.project(ask.text("of"))
    run = next((run for run in project.all_runs() if run.path.name == ask.text("run")), None)
    if run is None or jobs.is_taken(ask.workspace, run):
        raise ConfigError(
            "That adapter is gone." if run is None else f"{run.job.name} is being worked on, or waits for it.",
            fix="Reload the page." if run is None else "Stop it first.",
        )
    (project.path / ".bin").mkdir(exist_ok=True)
    run.path.replace(project.path / ".bin" / run.path.name)
    return Reply(note=words("library.deleted", name=run.job.name), undo={"do": "restore", "of": project.id, "run": run.path.name})


def _restore(ask: Ask) -> Reply:
    project = ask.workspace.project(ask.text("of"))
    moved = next((path for path in (project.path / ".bin").glob("*") if path.name == ask.text("run")), None)
    if moved is None:
        raise ConfigError("The bin does not hold it any more.", fix="Reload the page.")
    moved.replace(project.runs / moved.name)
    return Reply(note=words("library.restored"))


ACTIONS: dict[str, Act] = {"open": _open, "import": _import, "mix": _mix, "delete": _delete, "restore": _restore}
