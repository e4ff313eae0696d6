"""How a run stands in the studio: what its folder tells, and what the queue tells of it.

In: a workspace and a run. Out: its state, its place in the queue, and what it waits for. Only reads.
"""

from __future__ import annotations

from app import jobs
from app.projects import Workspace
from training.runs import Run, RunState


def state_of(workspace: Workspace, run: Run) -> RunState:
    """The run's own state; "queued" while a ticket waits, also for a run that goes on after a stop. One that never began and has no ticket (its worker
    was killed, its project was in the bin) is "interrupted": it can be resumed."""
    if turn(workspace, run):
        return "queued"
    state = run.state()
    return "interrupted" if state == "queued" else state


def turn(workspace: Workspace, run: Run) -> int:
    """Its place in the queue, 1 = next; 0: it does not wait. A job that its worker has just taken counts as next."""
    for place, ticket in enumerate(jobs.waiting(workspace), start=1):
        if ticket.run.path == run.path:
            return place
    return 1 if run.state() not in ("finished", "failed") and jobs.is_starting(workspace, run) else 0


def training_at_work(workspace: Workspace, *, but: Run | None = None) -> str:
    """The name of the training that a device is busy with, which everything else waits for; "" for none. A verdict gives way, so it does not count."""
    busy = (ticket for ticket in jobs.claimed(workspace) if ticket.run.job.kind == "train" and not ticket.name.startswith("0-"))
    return next((ticket.run.job.name for ticket in busy if but is None or ticket.run.path != but.path), "")
