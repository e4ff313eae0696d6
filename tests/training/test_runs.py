"""Run folders: readable at any moment, also after a torn line, a dead worker or a second one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.errors import RunError
from pipelines.events import Finished, Phase, Started, Step, Stopped
from training import runs
from training.runs import Job, create_run, last_of, list_runs, open_run


@pytest.fixture
def run(tmp_path: Path):
    return create_run(tmp_path / "runs" / "mug", Job(kind="train", name="mug", dataset="pictures"))


def test_events_come_back_in_order(run) -> None:
    for event in (Started(3), Step(1, 0.5, 1e-4, 0.1), Phase("pictures", 1, 2)):
        run.append(event)
    assert list(run.events()) == [Started(3), Step(1, 0.5, 1e-4, 0.1), Phase("pictures", 1, 2)]


def test_a_torn_last_line_is_passed_over_and_writing_goes_on_behind_it(run) -> None:
    run.append(Started(3))
    with open(run.events_path, "ab") as file:
        file.write(b'{"kind": "step", "st')
    assert list(run.events()) == [Started(3)]
    run.append(Stopped(1))
    assert list(run.events()) == [Started(3), Stopped(1)]


def test_records_can_be_read_from_where_one_left_off(run) -> None:
    run.append(Started(3))
    first, offset = run.records()
    run.append(Stopped(2))
    second, _ = run.records(offset=offset)
    assert [record["kind"] for record in first + second] == ["started", "stopped"]


def test_a_run_tells_its_state(run) -> None:
    assert run.state() == "queued"
    with run.held():
        run.append(Started(3))
        assert run.state() == "running"
    assert run.state() == "interrupted"
    run.append(Finished("adapter.safetensors", 1.0))
    assert run.state() == "finished"


def test_a_killed_worker_leaves_an_interrupted_run(run) -> None:
    code = f"from training.runs import open_run\nfrom pathlib import Path\nrun = open_run(Path({str(run.path)!r}))\nwith run.held():\n    import os\n    os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert not run.is_alive()
    assert run.state() == "interrupted"


def test_a_second_writer_is_refused(run) -> None:
    code = f"from training.runs import open_run\nfrom pathlib import Path\nwith open_run(Path({str(run.path)!r})).held():\n    print('held', flush=True)\n    input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdin and other.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="another process"), run.held():
            pass
        other.communicate("\n")
    with run.held():
        pass


def test_a_run_whose_heart_is_not_seen_to_beat_is_refused_all_the_same(run) -> None:
    code = f"from training.runs import open_run\nfrom pathlib import Path\nwith open_run(Path({str(run.path)!r})).held():\n    print('held', flush=True)\n    input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdin and other.stdout.readline() == "held\n"
        (run.path / "heartbeat").unlink()
        with pytest.raises(RunError, match="another process"), run.held():
            pass
        other.communicate("\n")


def test_the_heart_beats_while_the_disk_is_full_and_after(run, monkeypatch) -> None:
    monkeypatch.setattr(runs, "HEARTBEAT_SECONDS", 0.01)

    def beats() -> bool:
        before = (run.path / "heartbeat").stat().st_mtime_ns
        time.sleep(0.3)
        return (run.path / "heartbeat").stat().st_mtime_ns > before

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with run.held():
        with monkeypatch.context() as patched:
            patched.setattr(Path, "write_text", full)
            assert beats()
            patched.setattr(os, "utime", full)
            assert not beats()
        assert beats()


def test_a_process_that_is_only_starting_counts_as_the_holder(run) -> None:
    run.expect(os.getpid())
    assert run.state() == "running"
    with run.held():
        assert run.is_alive()
    assert not run.is_alive()


def test_a_run_is_not_overwritten(run) -> None:
    with pytest.raises(RunError, match="already stands"):
        create_run(run.path, Job(kind="train", name="mug"))


def test_a_folder_without_a_job_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"job\.json is missing"):
        open_run(tmp_path)


def test_runs_are_listed_newest_first(tmp_path: Path) -> None:
    for name, made_at in (("old", "2026-01-01T00:00:00"), ("new", "2026-02-01T00:00:00")):
        create_run(tmp_path / name, Job(kind="train", name=name, made_at=made_at))
    assert [run.job.name for run in list_runs(tmp_path)] == ["new", "old"]


@pytest.mark.parametrize("content", ["", '{"kind": "upscale", "name": "of a newer version"}', "[1]"])
def test_a_run_that_cannot_be_opened_hides_no_other(tmp_path: Path, content: str) -> None:
    create_run(tmp_path / "whole", Job(kind="train", name="whole"))
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "job.json").write_text(content)
    assert [run.job.name for run in list_runs(tmp_path)] == ["whole"]


def test_the_last_event_of_a_kind(run) -> None:
    assert last_of(run, Step) is None
    run.append(Step(1, 0.5, 1e-4, 0.1))
    run.append(Step(2, 0.4, 1e-4, 0.1))
    assert last_of(run, Step).step == 2
