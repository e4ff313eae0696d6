"""The verdict after a training: made when the device has nothing else to do, and giving way to whoever waits for a picture.

In: trainings marked "unjudged". Out: verdict.json, the picked adapter and the client's page in the run. Pictures drawn so far are kept, so giving way
costs only the loading. Which checkpoint is best is training/verdict.py's business.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from app import jobs
from app.projects import Workspace
from pipelines.errors import BrandprintError
from training.runs import Run, open_run

logger = logging.getLogger(__name__)
MARK = "unjudged"
KEEP = "keep"  # a stopped run with this file is judged as it stands: the user is content with what it has learnt
LOOK_SECONDS = 1.0


def mark(run: Run) -> None:
    """Its verdict is due, if it has anything to judge."""
    if run.state() == "finished" or (run.path / KEEP).exists():
        (run.path / MARK).touch()


class Due:
    """The runs of a workspace whose verdict is due; looked for once a second."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.looked_at = workspace, 0.0

    def next(self) -> Run | None:
        """The one that has waited longest."""
        if time.monotonic() - self.looked_at < LOOK_SECONDS:
            return None
        self.looked_at = time.monotonic()
        marks = sorted(self.workspace.path.glob(f"*/runs/*/{MARK}"), key=_age)
        for path in marks:
            try:
                run = open_run(path.parent)
            except BrandprintError:
                continue
            if not run.is_alive():
                return run
        return None


def judge_beside(workspace: Workspace, run: Run, *, device: str, tick: Callable[[], None]) -> None:
    """The verdict in a process of its own; it is asked to stop as soon as a job waits, and made another time then."""
    ticket = jobs.note_work(workspace, device, run)
    process = jobs.spawn_child(["--judge", str(run.path)], device=device, log=run.path / "log.txt")
    gives_way = False
    try:
        while process.poll() is None:
            tick()
            gives_way = gives_way or bool(jobs.waiting(workspace))
            if gives_way and not run.is_asked_to_stop():  # again and again: a process that is only starting clears an old request
                run.ask_to_stop()
    finally:
        jobs.done(ticket)
    if not gives_way or process.returncode or (run.path / "verdict.json").exists():
        (run.path / MARK).unlink(missing_ok=True)


def judge(run: Run) -> None:
    """The verdict in this process, at once. Without it the adapter is whole all the same, so an error here is logged, not raised."""
    from app.artist import make_verdict

    try:
        make_verdict(run)
    except Exception:
        logger.exception("The verdict of %s could not be made.", run.path.name)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
