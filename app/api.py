"""The studio's named endpoints for `gradio_client`: the whole job in a few lines of Python, typed on both sides.

In: plain values. Out: plain values. Each is one call of what the page's buttons call; the page's own server functions are not part of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_type_hints

import gradio as gr
from gradio.data_classes import FileData

from app.answers import Ask, whole
from app.intake import take_in
from app.placing import Upload
from app.projects import Workspace
from app.results import chosen_result
from app.tabs import compare, handover, teach
from app.tabs.running import view_run
from pipelines.errors import BrandprintError
from training.runs import Run


def publish(workspace: Workspace) -> None:
    """Adds the endpoints to the page being built."""

    def create_project(name: str, intent: str = "product", trigger: str = "", noun: str = "") -> str:
        """A new project; returns its id."""
        return _said(lambda: workspace.create(**whole({"name": name, "intent": intent, "trigger": trigger, "noun": noun})).id)

    def add_pictures(project: str, files: list[FileData]) -> dict[str, Any]:
        """Pictures, caption files or a zip into the project; says what was added and what was refused."""
        return _said(lambda: _added(workspace, project, files))

    def start(project: str, dial: str = "balanced", overrides: dict[str, Any] | None = None) -> str:
        """Starts a training as planned; returns the run's id."""
        return _said(lambda: _started(workspace, project, dial, whole(overrides or {})))

    def status(project: str, run: str = "") -> dict[str, Any]:
        """How a run stands: state, percent, seconds left, error. run: empty for the newest."""
        return _said(lambda: _status(workspace, project, run))

    def preview(project: str, prompt: str, seed: int = 0, pictures: int = 1, strength: float = 0.0, shape: str = "square") -> str:
        """Draws with the chosen adapter beside the base; returns the run's id. strength 0: the recommended one. Files come with `pictures`."""
        return _said(lambda: _previewed(workspace, project, whole(prompt), seed, pictures, strength, shape))

    def pictures(project: str, run: str) -> list[FileData]:
        """The finished pictures of a run."""
        return _said(lambda: _pictures(workspace, project, run))

    def export(project: str, apps: list[str] | None = None) -> str:
        """Makes files for other apps; returns the run's id. apps: comfyui, a1111, invokeai, diffusers, merged."""
        return _said(lambda: handover.make_files(workspace, workspace.project(project), apps=tuple(apps or handover.USUAL)).path.name)

    def bundle(project: str) -> FileData:
        """The zip of the newest export."""
        return _said(lambda: _bundle(workspace, project))

    for function in (create_project, add_pictures, start, status, preview, pictures, export, bundle):
        function.__annotations__ = get_type_hints(function)  # Gradio takes a postponed return type for a text, and would call it Any
        gr.api(function, api_name=function.__name__, queue=False)


def _said(call: Any) -> Any:
    """Our errors reach the caller with what to do; they are not faults of the server."""
    try:
        return call()
    except BrandprintError as error:
        raise gr.Error(f"{error.message} {error.fix}".strip(), print_exception=False) from error


def _added(workspace: Workspace, project: str, files: list[FileData]) -> dict[str, Any]:
    uploads = [Upload(Path(_field(file, "path")), whole(_field(file, "orig_name")) or Path(_field(file, "path")).name) for file in files]
    intake = take_in(workspace, workspace.project(project), uploads, limits=workspace.limits)
    return {
        "added": list(intake.added),
        "doubles": list(intake.doubles),
        "captions": list(intake.captions),
        "refused": [f"{entry.name} {entry.reason}" for entry in intake.refused],
    }


def _field(file: Any, name: str) -> str:
    return str((file.get(name) if isinstance(file, dict) else getattr(file, name)) or "")


def _started(workspace: Workspace, project: str, dial: str, overrides: dict[str, Any]) -> str:
    workspace.project(project).changed(dial=dial, overrides=overrides)
    return teach.start_training(Ask(workspace, "start", {"project": project})).path.name


def _run(workspace: Workspace, project: str, run: str) -> Run:
    runs = workspace.project(project).all_runs()
    found = next((one for one in runs if one.path.name == run or not run), None)
    if found is None:
        raise gr.Error(f"{project} has no run {run!r}.", print_exception=False)
    return found


def _status(workspace: Workspace, project: str, run: str) -> dict[str, Any]:
    found = _run(workspace, project, run)
    view = view_run(workspace, found)
    return {
        "run": found.path.name,
        "kind": found.job.kind,
        **{key: view[key] for key in ("state", "percent", "left", "step", "total_steps", "error", "judging")},
    }


def _previewed(workspace: Workspace, project: str, prompt: str, seed: int, pictures: int, strength: float, shape: str) -> str:
    opened = workspace.project(project)
    result = chosen_result(opened, opened.all_runs())
    if result is None:
        raise gr.Error("Nothing has been taught yet. Call start first.", print_exception=False)
    run = compare.draw_preview(
        workspace,
        opened,
        result,
        prompt=prompt,
        shape=shape,
        step=result.step,
        strength=strength or result.strength,
        seed=seed,
        pictures=pictures,
    )
    return run.path.name


def _pictures(workspace: Workspace, project: str, run: str) -> list[FileData]:
    found = _run(workspace, project, run)
    return [FileData(path=str(path)) for path in sorted((found.path / "previews").rglob("*.png"))]


def _bundle(workspace: Workspace, project: str) -> FileData:
    archives = sorted(workspace.project(project).exports.glob("*.zip"), key=lambda path: path.stat().st_mtime)
    if not archives:
        raise gr.Error("No files were made yet. Call export first.", print_exception=False)
    return FileData(path=str(archives[-1]))
