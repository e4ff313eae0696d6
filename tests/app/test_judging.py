"""The verdict waits for the device, gives way, and comes back."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest

from app import jobs, judging
from app.due import MARK, Due, mark
from app.judging import judge_beside
from app.projects import Project, Workspace
from pipelines.events import Finished, Started, Stopped
from training.runs import Job, Run, create_run


@pytest.fixture
def trained(project: Project) -> Run:
    run = create_run(project.runs / "one", Job(kind="train", name="x", settings={"base": "starter"}))
    run.append(Started(1))
    run.append(Finished("adapter.safetensors", 1.0))
    return run


class Child:
    """A process that ends when the run is asked to stop, or after some looks."""

    def __init__(self, run: Run, *, looks: int, writes_verdict: bool) -> None:
        self.run, self.left, self.writes_verdict, self.returncode = run, looks, writes_verdict, None

    def poll(self) -> int | None:
        self.left -= 1
        if self.run.is_asked_to_stop() or self.left < 0:
            if self.writes_verdict and not self.run.is_asked_to_stop():
                (self.run.path / "verdict.json").write_text("{}")
            self.returncode = 0
        return self.returncode


def test_a_finished_training_is_due_and_a_paused_one_is_not(workspace: Workspace, project: Project, trained: Run):
    paused = create_run(project.runs / "two", Job(kind="train", name="x"))
    paused.append(Started(1))
    paused.append(Stopped(1))
    for run in (trained, paused):
        mark(run)
    assert Due(workspace).next().path == trained.path  # type: ignore[union-attr]
    (paused.path / "keep").touch()
    (trained.path / MARK).unlink()
    mark(paused)
    assert Due(workspace).next().path == paused.path  # type: ignore[union-attr]


def test_an_undisturbed_verdict_is_made_once(workspace: Workspace, trained: Run, monkeypatch: pytest.MonkeyPatch):
    mark(trained)
    monkeypatch.setattr(judging.jobs, "spawn_child", lambda *_, **__: Child(trained, looks=3, writes_verdict=True))
    seen: list[int] = []
    judge_beside(workspace, trained, device="cpu", tick=lambda: seen.append(len(jobs.claimed(workspace))))
    assert set(seen) == {1}  # pages see what the device is busy with
    assert jobs.claimed(workspace) == []
    assert Due(workspace).next() is None


def test_a_verdict_gives_way_to_a_drawing_and_stays_due(
    workspace: Workspace, project: Project, trained: Run, monkeypatch: pytest.MonkeyPatch
):
    mark(trained)
    monkeypatch.setattr(
        "app.jobs.subprocess", SimpleNamespace(Popen=lambda *_, **__: None, PIPE=subprocess.PIPE, DEVNULL=subprocess.DEVNULL)
    )
    monkeypatch.setattr(judging.jobs, "spawn_child", lambda *_, **__: Child(trained, looks=1000, writes_verdict=True))
    jobs.start(workspace, project, Job(kind="preview", name="x"))
    judge_beside(workspace, trained, device="cpu", tick=lambda: None)
    assert not (trained.path / "verdict.json").exists()
    assert Due(workspace).next().path == trained.path  # type: ignore[union-attr]


def test_a_verdict_that_cannot_be_made_is_not_tried_for_ever(workspace: Workspace, trained: Run, monkeypatch: pytest.MonkeyPatch):
    mark(trained)
    monkeypatch.setattr(judging.jobs, "spawn_child", lambda *_, **__: Child(trained, looks=2, writes_verdict=False))
    judge_beside(workspace, trained, device="cpu", tick=lambda: None)
    assert Due(workspace).next() is None
