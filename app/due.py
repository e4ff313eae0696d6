"""Which trainings wait for their verdict: a mark in the run's folder, so that it outlives the worker that saw the training end.

In: a training that ended. Out: the marked runs, one by one. Who makes the verdict, and when: app/judging.py, app/worker.py.
"""

from __future__ import annotations

import time
from pathlib import Path

from app.projects import Workspace
from pipelines.errors import BrandprintError
from training.runs import Run, open_run

MARK = "unjudged"
KEEP = "keep"  # a stopped run with this file is judged as it stands: the user is content with what it has learnt
LOOK_SECONDS = 1.0


def mark(run: Run) -> None:
    """Its verdict is due, if it has anything to judge."""
    if run.job.kind == "train" and (run.state() == "finished" or (run.path / KEEP).exists()):
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


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
