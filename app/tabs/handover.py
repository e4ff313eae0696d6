"""The Hand over step: which apps, files made and proven one by one, one zip, install notes, copies into a models folder.

In: a project's chosen adapter. Out: the view of the apps, the ticks and the facts. Making files is a job: this module asks for it and reads it.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app import jobs
from app.answers import Act, Ask, Reply
from app.intake import inside
from app.progress import read_progress
from app.projects import Project, Workspace, slug
from app.results import Result, chosen_result
from app.shelf import read_shelf
from app.strings import words
from app.turns import state_of, training_at_work
from pipelines.atomic import fill_atomically
from pipelines.card import Card
from pipelines.errors import ConfigError
from training.rights import Batch, read_rights, state_rights, withdraw_rights
from training.runs import Job, Run

APPS = {"comfyui": "kohya", "a1111": "kohya", "invokeai": "kohya", "diffusers": "diffusers", "merged": "merged"}
USUAL = ("comfyui", "a1111", "invokeai", "diffusers")
BUSY = ("queued", "running")


def look(ask: Ask) -> dict[str, Any]:
    """Apps, files with their ticks, the facts that go with them."""
    project = ask.project
    runs = project.all_runs()
    result = chosen_result(project, runs)
    if result is None:
        return {"name": project.about.name, "result": None}
    card, export = _told(project, result), _newest_export(project, runs)
    return {
        "name": project.about.name, "result": _facts(result, card), "licence": project.about.licence, "rights": _rights_view(project), "file_name": slug(project.about.name),
        "apps": [{"id": app, "format": kind, "usual": app in USUAL, "says": words(f"app.{app}.says", strength=f"{result.strength:g}", name=slug(project.about.name))} for app, kind in APPS.items()],
        "export": _export_view(ask.workspace, export) if export else None, "report": str(result.run.path / "report.html") if (result.run.path / "report.html").exists() else "",
        "folders": [folder.name for folder in ask.workspace.models_folders], "busy": training_at_work(ask.workspace),
    }  # fmt: skip


def _facts(result: Result, card: Card) -> dict[str, Any]:
    return {
        "run": result.run.path.name, "step": result.step, "strength": result.strength, "phrase": card.trigger_phrase, "base": card.base or result.base, "made_at": card.made_at,
        "pictures": card.pictures, "warnings": list(card.warnings), "sentence": result.verdict.get("sentence", ""), "cover": cover_of(result.run, result.step),
    }  # fmt: skip


def _told(project: Project, result: Result) -> Card:
    return result.card.model_copy(update={"recommended_strength": result.strength})


def cover_of(run: Run, step: int) -> str:
    """A preview of the chosen checkpoint, else the newest one."""
    previews = run.path / "previews"
    found = sorted((previews / f"{step:06d}").glob("*.*")) or sorted(
        (path for path in previews.rglob("*.*") if path.is_file()), reverse=True
    )
    return str(found[0]) if found else ""


def _newest_export(project: Project, runs: list[Run]) -> Run | None:
    return next((run for run in runs if run.job.kind == "export" and run.job.settings.get("what", "bundle") == "bundle"), None)


def _export_view(workspace: Workspace, run: Run) -> dict[str, Any]:
    progress = read_progress(run.records()[0], state_of(workspace, run), now=time.time())
    bundle = read_bundle(run)
    archive = _archive(run) if bundle else None
    return {
        "run": run.path.name, "state": progress.state, "phase": progress.phase, "done": progress.phase_done, "total": progress.phase_total, "error": progress.error,
        "advice": [{"message": message, "fix": fix} for _, message, fix in progress.advice], "step": run.job.settings["step"], "of": run.job.settings["taught"], "apps": run.job.settings["apps"],
        "files": [{"name": Path(file["path"]).relative_to("files").as_posix(), "kind": file["kind"], "bytes": file["bytes"], "path": str(run.path / file["path"]), "checked": bool(file["checks"]), "sha256": file["sha256"]} for file in (bundle or {}).get("files", [])],
        "zip": str(archive) if archive and archive.exists() else "", "zip_bytes": archive.stat().st_size if archive and archive.exists() else 0, "effect": round(100 * (bundle or {}).get("effect_size", 0.0), 1),
    }  # fmt: skip


def _archive(run: Run) -> Path:
    return (run.path / run.job.settings["zip"]).resolve()


def read_bundle(run: Run) -> dict[str, Any] | None:
    """bundle.json: the proven files of one export; None while it is being made."""
    try:
        return json.loads((run.path / "bundle.json").read_bytes())
    except (OSError, ValueError):
        return None


def _make(ask: Ask) -> Reply:
    project = ask.project
    project = project.changed(licence=ask.text("licence").strip()[:500])
    make_files(ask.workspace, project, apps=ask.texts("apps"), name=ask.text("name"))
    return Reply(note=words("handover.started"))


def make_files(workspace: Workspace, project: Project, *, apps: tuple[str, ...] = USUAL, name: str = "") -> Run:
    """Asks for the files of the chosen adapter. Raises ConfigError where nothing was taught, no app is chosen, or files are being made already."""
    runs = project.all_runs()
    result = chosen_result(project, runs)
    if result is None:
        raise ConfigError("Nothing has been taught yet.", fix="Teach it first; a quick one is done in minutes.")
    unknown = [app for app in apps if app not in APPS]
    if unknown or not apps:
        raise ConfigError(
            f"There is no app {unknown[0][:30]!r}." if unknown else "No app is chosen.", fix=f"Choose some of: {', '.join(APPS)}."
        )
    newest = _newest_export(project, runs)
    if newest and state_of(workspace, newest) in BUSY:
        raise ConfigError("The files are being made already.", fix="Wait a moment.")
    id, file_name = jobs.new_id("export"), slug(name or project.about.name)
    here = project.runs / id
    about, card = project.about, _told(project, result)
    cover = cover_of(result.run, result.step)
    settings = {
        "what": "bundle", "base": result.base, "adapter": os.path.relpath(result.adapter_path, here), "formats": list(dict.fromkeys(APPS[app] for app in apps)), "apps": list(apps),
        "name": file_name, "zip": os.path.relpath(project.exports / f"{file_name}.zip", here), "step": result.step, "taught": result.run.path.name,
        "card": {"name": about.name, "licence": about.licence, "rights": read_rights(project.path).line() or about.rights, "recommended_strength": card.recommended_strength}, "thumbnail": os.path.relpath(cover, here) if cover else "",
    }  # fmt: skip
    return jobs.start(workspace, project, Job(kind="export", name=about.name, settings=settings), id=id)


def _copy(ask: Ask) -> Reply:
    """The LoRA file with its side files into a folder that whoever runs the server named; never anywhere else."""
    project = ask.project
    index = int(ask.number("index", least=0, most=len(ask.workspace.models_folders) - 1))
    export = _newest_export(project, project.all_runs())
    bundle = read_bundle(export) if export else None
    if export is None or bundle is None:
        raise ConfigError("The files are not made yet.", fix="Make them first.")
    folder = ask.workspace.models_folders[index]
    for file in bundle["files"]:
        if file["kind"] in ("kohya", "settings", "preview"):
            source = export.path / file["path"]
            fill_atomically(folder / source.name, partial(shutil.copyfile, source))
    return Reply(note=words("handover.copied", folder=folder.name))


def _rights_view(project: Project) -> dict[str, Any]:
    """What is stated about the pictures, and how many nothing is stated about."""
    rights = read_rights(project.path)
    return {
        "stated": [{"owner": batch.owner, "ground": batch.ground, "note": batch.note, "pictures": ", ".join(batch.pictures), "proofs": len(batch.proofs)} for batch in rights.batches],
        "uncovered": len(rights.uncovered(read_shelf(project))), "line": project.about.rights,
    }  # fmt: skip


def _state(ask: Ask) -> Reply:
    """One statement about all pictures, or about those whose names fit, with files that prove it."""
    told = ask.text("pictures").strip()[:200]
    proofs = [inside(Path(path), ask.workspace.uploads) for path in ask.texts("proofs")]
    try:
        batch = Batch(
            owner=ask.text("owner").strip()[:200],
            ground=ask.text("ground"),  # type: ignore[arg-type]
            note=ask.text("note").strip()[:500],
            pictures=("*" if told.lower() in ("", "all") else told,),
        )
    except ValidationError as error:
        raise ConfigError(f"{ask.text('ground')[:40]!r} is no ground.", fix="Choose one of the list.") from error
    state_rights(ask.project.path, batch, files=proofs)
    for proof in proofs:
        proof.unlink(missing_ok=True)
    return Reply(note=words("rights.stated"))


def _withdraw(ask: Ask) -> Reply:
    withdraw_rights(ask.project.path, int(ask.number("index", least=0)))
    return Reply(note=words("rights.withdrawn"))


ACTIONS: dict[str, Act] = {"make": _make, "copy": _copy, "state": _state, "withdraw": _withdraw}
