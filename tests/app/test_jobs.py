"""The queue is files: order, claims, cancelling, and what a killed worker leaves."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from app import jobs
from app.due import MARK
from app.projects import Project, Workspace
from app.turns import state_of
from app.worker import Beat, _hold_device, _record_death, _take_up_again
from pipelines.errors import ConfigError
from pipelines.events import Finished, Started, Step
from training.runs import Job, Run, create_run, open_run


def start(workspace: Workspace, project: Project, kind: str = "train") -> Run:
    time.sleep(0.002)
    return jobs.start(workspace, project, Job(kind=kind, name="x", settings={"base": "starter"}))  # type: ignore[arg-type]


def names(tickets: list[jobs.Ticket]) -> list[str]:
    return [ticket.run.path.name for ticket in tickets]


def test_pictures_that_somebody_waits_for_go_before_trainings(workspace: Workspace, project: Project, no_workers: list):
    first, second, drawing = start(workspace, project), start(workspace, project), start(workspace, project, "preview")
    assert names(jobs.waiting(workspace)) == [run.path.name for run in (drawing, first, second)]


def test_a_claimed_job_is_nobody_elses(workspace: Workspace, project: Project, no_workers: list):
    run = start(workspace, project)
    assert jobs.claim(workspace, "cuda:0").run.path == run.path  # type: ignore[union-attr]
    assert jobs.claim(workspace, "cuda:1") is None
    assert names(jobs.claimed(workspace)) == [run.path.name]


def test_a_job_moves_to_the_front(workspace: Workspace, project: Project, no_workers: list):
    first, second, third = (start(workspace, project) for _ in range(3))
    jobs.move_up(workspace, third)
    assert names(jobs.waiting(workspace)) == [run.path.name for run in (third, first, second)]


def test_the_same_run_is_not_queued_twice(workspace: Workspace, project: Project, no_workers: list):
    run = start(workspace, project)
    with pytest.raises(ConfigError, match="in the queue already"):
        jobs.submit(workspace, run)


def test_cancelling_a_waiting_job_takes_it_out_and_leaves_it_resumable(workspace: Workspace, project: Project, no_workers: list):
    run = start(workspace, project)
    jobs.cancel(workspace, run)
    assert jobs.waiting(workspace) == []
    assert run.state() == "stopped"
    jobs.submit(workspace, run)
    assert state_of(workspace, run) == "queued"


def test_cancelling_a_running_job_asks_its_worker(workspace: Workspace, project: Project, no_workers: list):
    run = start(workspace, project)
    jobs.claim(workspace, "auto")
    jobs.cancel(workspace, run)
    assert run.is_asked_to_stop()


def test_cancelling_a_run_that_nobody_has_stops_it(workspace: Workspace, project: Project, no_workers: list):
    run = create_run(project.runs / "one", Job(kind="train", name="x"))
    jobs.cancel(workspace, run)
    assert run.state() == "stopped"


def test_cancelling_a_run_that_ended_changes_nothing(workspace: Workspace, project: Project, no_workers: list):
    run = create_run(project.runs / "one", Job(kind="train", name="x"))
    run.append(Finished("adapter.safetensors", 1.0))
    jobs.cancel(workspace, run)
    assert run.state() == "finished"


def test_a_project_whose_runs_wait_or_are_taken_is_not_idle(workspace: Workspace, project: Project, no_workers: list):
    run = start(workspace, project)
    with pytest.raises(ConfigError, match="waits for it"):
        jobs.check_idle(workspace, project)
    jobs.claim(workspace, "auto")
    with pytest.raises(ConfigError, match="being trained"):
        jobs.check_idle(workspace, project)
    jobs.done(jobs.claimed(workspace)[0])
    jobs.check_idle(workspace, project)
    assert not jobs.is_taken(workspace, run)


def test_a_ticket_whose_run_cannot_be_read_just_now_is_kept(workspace: Workspace, project: Project, no_workers: list):
    run = start(workspace, project)
    told = (run.path / "job.json").read_bytes()
    (run.path / "job.json").write_bytes(b"")
    assert jobs.waiting(workspace) == []
    (run.path / "job.json").write_bytes(told)
    assert names(jobs.waiting(workspace)) == [run.path.name]


def test_a_training_that_ended_after_its_worker_was_killed_is_marked_for_its_verdict(
    workspace: Workspace, project: Project, no_workers: list
):
    for let_go in (
        lambda: jobs.let_go_of_the_dead(workspace),
        lambda: _take_up_again(workspace, "cpu", Beat(jobs.beat_path(workspace, "cpu"))),
    ):
        run = start(workspace, project)
        jobs.claim(workspace, "cpu")
        run.append(Started(1))
        run.append(Finished("adapter.safetensors", 1.0))
        let_go()
        assert jobs.claimed(workspace) == []
        assert (run.path / MARK).exists()


def test_one_worker_is_started_a_device_however_many_jobs_come(workspace: Workspace, project: Project, no_workers: list):
    jobs.set_devices(workspace, ("cuda:0", "cuda:1"))
    for _ in range(3):
        start(workspace, project)
    assert [arguments[-1] for arguments in no_workers] == ["cuda:0", "cuda:1"]


def test_a_worker_whose_heart_stopped_is_replaced(workspace: Workspace, project: Project, no_workers: list):
    start(workspace, project)
    old = time.time() - 60
    os.utime(jobs.beat_path(workspace, "auto"), (old, old))
    start(workspace, project)
    assert len(no_workers) == 2


def test_a_second_worker_of_a_device_finds_the_lock_taken(workspace: Workspace):
    with _hold_device(workspace, "cpu") as first, _hold_device(workspace, "cpu") as second:
        assert first
        assert not second
    with _hold_device(workspace, "cpu") as again:
        assert again


def test_what_a_killed_worker_had_taken_is_let_go_and_shown_as_interrupted(workspace: Workspace, project: Project, no_workers: list):
    run = start(workspace, project)
    jobs.claim(workspace, "cpu")
    run.append(Started(100))
    run.append(Step(1, 0.5, 1e-3, 0.1))
    (run.path / "heartbeat").write_text("999999999")
    _take_up_again(workspace, "cpu", Beat(jobs.beat_path(workspace, "cpu")))
    assert jobs.claimed(workspace) == []
    assert state_of(workspace, run) == "interrupted"


def test_a_run_of_a_killed_worker_is_interrupted_and_can_be_queued_again(workspace: Workspace, project: Project, no_workers: list):
    run = start(workspace, project)
    jobs.claim(workspace, "auto")
    run.append(Started(100))
    (run.path / "heartbeat").write_text("999999999")
    assert state_of(workspace, run) == "queued"  # its worker has just taken it
    old = time.time() - 60
    os.utime(jobs.beat_path(workspace, "auto"), (old, old))
    assert state_of(workspace, run) == "interrupted"
    jobs.submit(workspace, run)
    assert state_of(workspace, run) == "queued"


def test_a_process_that_died_without_a_word_is_recorded_with_what_to_do(workspace: Workspace, project: Project, no_workers: list):
    run = start(workspace, project)
    run.append(Started(100))
    _record_death(run, -9)
    last = run.records()[0][-1]
    assert (last["kind"], "memory" in last["message"], "resume" in last["fix"]) == ("failed", True, True)


def test_a_run_that_recorded_its_own_end_keeps_it(workspace: Workspace, project: Project, no_workers: list):
    run = start(workspace, project)
    run.append(Started(1))
    run.append(Finished("adapter.safetensors", 1.0))
    _record_death(run, 1)
    assert run.state() == "finished"


def test_a_ticket_of_a_deleted_project_vanishes(workspace: Workspace, project: Project, no_workers: list):
    start(workspace, project)
    workspace.delete(project.id)
    assert jobs.waiting(workspace) == []


def test_only_the_workers_own_gpu_is_visible_to_its_children():
    assert jobs._environment("cuda:1")["CUDA_VISIBLE_DEVICES"] == "1"
    assert jobs._environment("cpu")["CUDA_VISIBLE_DEVICES"] == ""
    assert jobs._environment("cpu")["PYTHONPATH"].split(os.pathsep)[0] == str(Path(jobs.__file__).parent.parent)


def test_a_run_opens_again_after_a_restart(workspace: Workspace, project: Project, no_workers: list):
    run = start(workspace, project)
    assert open_run(run.path).job.name == "x"
