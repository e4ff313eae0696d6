"""A run's state in the studio: never one that nothing can end."""

from __future__ import annotations

import os
import time

from app import jobs
from app.projects import Project, Workspace
from app.turns import state_of
from training.runs import Job, Run, create_run

TRAINING = Job(kind="train", name="x", settings={"base": "starter"})


def resumes(workspace: Workspace, run: Run) -> bool:
    jobs.submit(workspace, run)
    return state_of(workspace, run) == "queued"


def test_a_run_that_never_got_a_ticket_is_interrupted_and_resumes(workspace: Workspace, project: Project, no_workers: list):
    run = create_run(project.runs / "one", TRAINING)  # its page was killed before it stood in the queue
    assert state_of(workspace, run) == "interrupted"
    assert resumes(workspace, run)


def test_a_run_whose_project_was_in_the_bin_is_interrupted_and_resumes(workspace: Workspace, project: Project, no_workers: list):
    run = jobs.start(workspace, project, TRAINING)
    ticket = workspace.delete(project.id)
    assert jobs.waiting(workspace) == []
    workspace.restore(ticket)
    assert state_of(workspace, run) == "interrupted"
    assert resumes(workspace, run)


def test_a_run_whose_worker_was_killed_before_it_began_is_interrupted_and_resumes(workspace: Workspace, project: Project, no_workers: list):
    run = jobs.start(workspace, project, TRAINING)
    jobs.claim(workspace, "auto")
    assert state_of(workspace, run) == "queued"
    old = time.time() - 60
    os.utime(jobs.beat_path(workspace, "auto"), (old, old))
    assert state_of(workspace, run) == "interrupted"
    assert resumes(workspace, run)
