"""The dataset doctor's findings for the page: asked for, made in a process of their own, kept beside the pictures.

In: a project. Out: its newest report as plain JSON, whether it still fits the pictures, and how far a running one is.
The checks themselves are training/inspect.py's; here they are only started, stored and read.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from app import jobs
from app.projects import Project, Workspace
from app.shelf import shelf_signature
from pipelines.atomic import write_atomically

REPORT = ".report.json"
RUNNING = ".report.running"
SILENCE_SECONDS = 30.0
STARTER_SIZE_PX = 256


def read_report(project: Project) -> dict[str, Any] | None:
    """The newest report, perhaps of an older state of the pictures; None where none was made."""
    try:
        found = json.loads((project.path / REPORT).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "score" in found else None


def report_signature(project: Project) -> str:
    """Changes with the pictures, the captions, the edits, and with what the subject is called."""
    about = project.about
    told = f"{about.intent}|{about.trigger}|{about.noun}|{about.base}"
    return hashlib.sha256((shelf_signature(project) + told).encode()).hexdigest()[:16]


def running_progress(project: Project) -> tuple[int, int] | None:
    """(done, total) of a report being made; None where none is."""
    path = project.path / RUNNING
    try:
        if time.time() - path.stat().st_mtime > SILENCE_SECONDS:
            return None
        done, total = path.read_text().split()
        return int(done), int(total)
    except (OSError, ValueError):
        return None


def ask_report(workspace: Workspace, project: Project) -> None:
    """Starts a report in a process of its own, unless one is being made or the newest still fits."""
    report = read_report(project)
    if running_progress(project) is not None or (report and report["signature"] == report_signature(project)):
        return
    (project.path / RUNNING).write_text("0 0")
    log = workspace.jobs / "workers" / "doctor.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    jobs.spawn_child(["--examine", str(project.path)], device="cpu", log=log)


def examine(project: Project) -> None:
    """Makes the report; runs in the process that ask_report started."""
    from app.shelf import read_shelf
    from training.inspect import inspect_dataset

    signature, dataset, about = report_signature(project), read_shelf(project), project.about
    running = project.path / RUNNING
    try:
        report = inspect_dataset(
            dataset, intent=about.intent, trigger=about.trigger, noun=about.noun, base_size_px=base_size_px(about.base),
            cache=project.path / ".doctor", progress=lambda done, total: _tell(running, done, total),
        )  # fmt: skip
        write_atomically(project.path / REPORT, json.dumps(_record(report, signature), ensure_ascii=False).encode())
    except Exception as error:
        record: dict[str, Any] = {"signature": signature, "score": None, "problems": [], "error": str(error)}
        write_atomically(project.path / REPORT, json.dumps(record).encode())
        raise
    finally:
        running.unlink(missing_ok=True)


def base_size_px(base: str) -> int:
    """The size that the base draws at; the starter's where it cannot be told yet."""
    from pipelines.errors import BrandprintError
    from training.base_facts import read_base_facts

    try:
        return read_base_facts(base).native_size_px
    except BrandprintError:
        return STARTER_SIZE_PX


def _record(report: Any, signature: str) -> dict[str, Any]:
    from training.edits import to_record

    problems = [
        {"code": problem.code, "severity": problem.severity, "keys": list(problem.keys), "words": list(problem.words), "sentence": problem.sentence, "cost": problem.cost, "points": problem.points, "fixes": [to_record(edit) for edit in problem.fixes]}
        for problem in report.problems
    ]  # fmt: skip
    top = [report.problems.index(problem) for problem in report.top3]
    return {"signature": signature, "score": report.score, "summary": report.summary, "problems": problems, "top": top}


def remove_report(project_path: Path) -> None:
    """Forget the report, so that the next look makes a new one."""
    (project_path / REPORT).unlink(missing_ok=True)


def _tell(path: Path, done: int, total: int) -> None:
    """How far the look is, for pages."""
    path.write_text(f"{done} {total}")
