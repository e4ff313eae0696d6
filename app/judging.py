"""The verdict after a training: made when the device has nothing else to do, and giving way to whoever waits for a picture.

In: a training whose verdict is due (app/due.py). Out: verdict.json, the picked adapter and the client's page in the run. Pictures drawn so far are kept, so giving way
costs only the loading. Which checkpoint is best is training/verdict.py's business.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from app import jobs
from app.due import MARK
from app.projects import Workspace
from training.runs import Run

logger = logging.getLogger(__name__)


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
        if process.poll() is None:  # this worker is being ended: the next one makes the verdict
            process.terminate()
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
