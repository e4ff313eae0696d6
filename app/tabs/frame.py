"""The frame around the steps: which project, how each step stands, and the job at work.

In: the workspace and the open project. Out: the view of the header and the rail. Starts nothing.
"""

from __future__ import annotations

import time
from typing import Any

from app import jobs
from app.answers import Act, Ask, Reply
from app.doctor import read_report
from app.progress import read_progress
from app.projects import Project, Workspace
from app.results import chosen_result
from app.shelf import read_shelf
from app.strings import counted, words
from app.turns import state_of
from pipelines.errors import ConfigError, DatasetError
from training.runs import Run


def look(ask: Ask) -> dict[str, Any]:
    """Projects, the open one's steps at a glance, and the job that runs or waits."""
    if jobs.waiting(ask.workspace) or jobs.claimed(ask.workspace):
        jobs.wake_workers(ask.workspace)  # a worker that was killed is missed here first
    projects = ask.workspace.projects()
    current = next((project for project in projects if project.id == ask.text("project")), None)
    return {
        "projects": [{"id": project.id, "name": project.about.name} for project in projects],
        "project": {"id": current.id, "name": current.about.name} if current else None,
        "steps": _steps(ask.workspace, current) if current else {},
        "job": _job(ask.workspace),
        "queue": [_queued(ticket, place=0) for ticket in jobs.claimed(ask.workspace)]
        + [_queued(ticket, place=place) for place, ticket in enumerate(jobs.waiting(ask.workspace), start=1)],
        "gone": bool(ask.text("project")) and current is None,
    }


def _steps(workspace: Workspace, project: Project) -> dict[str, dict[str, Any]]:
    runs = project.all_runs()
    result = chosen_result(project, runs)
    exported = project.exports.is_dir() and any(project.exports.glob("*.zip"))
    return {
        "pictures": _pictures_step(project),
        "teach": {"says": _teach_says(workspace, runs), "done": result is not None},
        "compare": {"says": words("rail.ready") if result else "", "done": False},
        "handover": {"says": words("rail.handed") if exported else "", "done": exported},
    }


def _pictures_step(project: Project) -> dict[str, Any]:
    try:
        pictures = len(read_shelf(project).items)
    except DatasetError:  # the step itself says what is wrong
        return {"says": words("rail.unreadable"), "done": False}
    report = read_report(project)
    says = (
        words("rail.scored", n=pictures, score=report["score"])
        if report and report["score"] is not None
        else counted("rail.pictures", pictures)
    )
    return {"says": says if pictures else words("rail.empty"), "done": pictures >= 1}


def _teach_says(workspace: Workspace, runs: list[Run]) -> str:
    newest = next((run for run in runs if run.job.kind == "train"), None)
    return words(f"state.{state_of(workspace, newest)}") if newest else ""


def _queued(ticket: jobs.Ticket, *, place: int) -> dict[str, Any]:
    """One line of the queue. place: 0 = at work, 1 = next."""
    return {
        "run": ticket.run.path.name,
        "of": ticket.run.path.parent.parent.name,
        "name": ticket.run.job.name,
        "kind": ticket.run.job.kind,
        "place": place,
    }


def _job(workspace: Workspace) -> dict[str, Any] | None:
    """The training at work, else another job at work, else the first that waits."""
    busy = sorted((ticket for ticket in jobs.claimed(workspace)), key=lambda ticket: ticket.run.job.kind != "train")
    ticket = next(iter(busy), None) or next(iter(jobs.waiting(workspace)), None)
    if ticket is None:
        return None
    run, is_waiting = ticket.run, ticket not in busy
    progress = read_progress(run.records()[0], "queued" if is_waiting else "running", now=time.time())
    project = run.path.parent.parent.name
    return {
        "kind": "judge" if progress.is_closing else run.job.kind, "project": project, "name": run.job.name, "waiting": is_waiting,
        "percent": int(progress.percent), "left": None if progress.seconds_left is None else round(progress.seconds_left),
        "step": {"train": "teach", "judge": "teach", "export": "handover", "caption": "pictures"}.get(run.job.kind, "compare"),
    }  # fmt: skip


def _run(ask: Ask) -> Run:
    project = ask.workspace.project(ask.text("of"))
    run = next((run for run in project.all_runs() if run.path.name == ask.text("run")), None)
    if run is None:
        raise ConfigError("That job is gone.", fix="Reload the page.")
    return run


def _cancel(ask: Ask) -> Reply:
    jobs.cancel(ask.workspace, _run(ask))
    return Reply(note=words("job.cancelled"))


def _first(ask: Ask) -> None:
    jobs.move_up(ask.workspace, _run(ask))


ACTIONS: dict[str, Act] = {"cancel": _cancel, "first": _first}
