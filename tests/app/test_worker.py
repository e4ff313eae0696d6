"""The dispatcher: no job's trouble is the queue's, and no ticket goes before its process has ended."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from app import jobs
from app.due import MARK, Due, mark
from app.judging import judge_beside
from app.projects import Project, Workspace
from app.worker import Artist, Beat, _do, _do_next, _surviving
from pipelines.events import Finished, Started
from training.runs import Job, create_run


class Child:
    """A process that does something at its first look and has ended at the second."""

    pid = os.getpid()

    def __init__(self, act=lambda: None, *, code: int = 0) -> None:
        self.act, self.code, self.returncode, self.is_terminated = act, code, None, False

    def poll(self) -> int | None:
        if self.act:
            self.act()
            self.act = None
        else:
            self.returncode = self.code
        return self.returncode

    def terminate(self) -> None:
        self.is_terminated = True


@pytest.fixture
def claimed(workspace: Workspace, project: Project, no_workers: list) -> jobs.Ticket:
    jobs.start(workspace, project, Job(kind="train", name="x", settings={"base": "starter"}))
    ticket = jobs.claim(workspace, "cpu")
    assert ticket
    return ticket


@pytest.fixture
def beat(workspace: Workspace) -> Beat:
    return Beat(jobs.beat_path(workspace, "cpu"))


def test_a_worker_that_is_ended_leaves_the_ticket_of_the_training_that_goes_on(
    workspace: Workspace, claimed: jobs.Ticket, beat: Beat, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(jobs, "spawn_child", lambda *_, **__: Child(act=lambda: sys.exit(0)))
    with pytest.raises(SystemExit):
        _do(claimed, Artist(workspace, "cpu"), "cpu", beat)
    assert [ticket.run.path for ticket in jobs.held_by(workspace, "cpu")] == [claimed.run.path]
    assert claimed.run.is_alive()  # from its start on, so that the next worker waits for it


def test_a_worker_survives_a_job_whose_project_vanished(
    workspace: Workspace, project: Project, claimed: jobs.Ticket, beat: Beat, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(jobs, "spawn_child", lambda *_, **__: Child(act=lambda: workspace.delete(project.id), code=1))
    monkeypatch.setattr(Child, "pid", 999999999)
    _do(claimed, Artist(workspace, "cpu"), "cpu", beat)
    assert not claimed.path.exists()


def test_a_worker_survives_a_job_that_cannot_be_started(
    workspace: Workspace, claimed: jobs.Ticket, beat: Beat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(jobs, "spawn_child", full)
    _do(claimed, Artist(workspace, "cpu"), "cpu", beat)
    assert not claimed.path.exists()
    assert claimed.run.path.name in caplog.text


def test_a_training_is_marked_when_its_process_has_ended(
    workspace: Workspace, claimed: jobs.Ticket, beat: Beat, monkeypatch: pytest.MonkeyPatch
):
    def train() -> None:
        claimed.run.append(Started(1))
        claimed.run.append(Finished("adapter.safetensors", 1.0))
        (claimed.run.path / "heartbeat").write_text("0")

    monkeypatch.setattr(jobs, "spawn_child", lambda *_, **__: Child(act=train))
    _do(claimed, Artist(workspace, "cpu"), "cpu", beat)
    assert (claimed.run.path / MARK).exists()


def test_a_worker_that_is_ended_ends_the_verdict_that_it_makes(workspace: Workspace, claimed: jobs.Ticket, monkeypatch: pytest.MonkeyPatch):
    jobs.done(claimed)
    child = Child(act=lambda: None)
    monkeypatch.setattr(jobs, "spawn_child", lambda *_, **__: child)
    with pytest.raises(SystemExit):
        judge_beside(workspace, claimed.run, device="cpu", tick=lambda: sys.exit(0))
    assert child.is_terminated or child.returncode is not None
    assert jobs.claimed(workspace) == []


def test_drawings_are_not_marked_for_a_verdict(project: Project):
    run = create_run(project.runs / "drawn", Job(kind="preview", name="x"))
    run.append(Finished("", 1.0))
    mark(run)
    assert not (run.path / MARK).exists()


def test_nothing_to_do_is_told(workspace: Workspace, beat: Beat):
    assert not _do_next(workspace, Artist(workspace, "cpu"), Due(workspace), "cpu", beat)


def test_the_beat_goes_on_where_the_disk_is_full(beat: Beat, monkeypatch: pytest.MonkeyPatch):
    beat.tick()
    os.utime(beat.path, (0, 0))
    beat.at = 1e-9
    monkeypatch.setattr(Path, "write_text", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    beat.tick()
    assert beat.path.stat().st_mtime > 0


def test_an_end_by_a_signal_is_not_survived():
    with pytest.raises(SystemExit), _surviving("x"):
        sys.exit(0)
