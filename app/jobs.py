"""The queue: submit, order, cancel, list. The only code that spawns processes.

In: run folders and a workspace. Out: tickets (files) that a detached worker claims by atomic rename, one worker a device.
Everything stands in <workspace>/.jobs, so a page reload, a second tab, a server restart and a killed worker all find the same queue.
Does not do the jobs: app/worker.py hands them to processes of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.due import mark
from app.projects import Project, Workspace, now
from pipelines.atomic import write_atomically
from pipelines.errors import BrandprintError, ConfigError
from pipelines.events import Failed, Stopped
from training.runs import Job, Run, create_run, open_run

WORKER_SILENCE_SECONDS = 15.0
PAGE_SILENCE_SECONDS = 120.0
SOON, LATER = 1, 5  # pictures somebody waits for go before trainings
DEVICES = "devices.json"


@dataclass(frozen=True)
class Ticket:
    """One job in the queue. name sorts by turn: urgency, then age."""

    path: Path
    run: Run

    @property
    def name(self) -> str:
        return self.path.name


def start(workspace: Workspace, project: Project, job: Job, *, id: str = "") -> Run:
    """A new run of the project, in the queue; a worker is started if none is awake."""
    run = create_run(project.runs / (id or new_id(job.kind)), job)
    submit(workspace, run)
    return run


def new_id(kind: str) -> str:
    """A run's folder name: sorts by age."""
    return f"{now()[:23].replace(':', '').replace('-', '').replace('.', '')}-{kind}"


def submit(workspace: Workspace, run: Run) -> None:
    """Puts a new, stopped or interrupted run in the queue. Raises ConfigError if it is there already or being worked on."""
    let_go_of_the_dead(workspace)
    if is_taken(workspace, run):
        raise ConfigError("That job is in the queue already.", fix="Wait for it, or cancel it first.")
    (run.path / "stop").unlink(missing_ok=True)
    urgency = LATER if run.job.kind == "train" else SOON
    name = f"{urgency}-{time.time_ns():020d}-{run.path.name}.json"
    write_atomically(_queue(workspace) / name, json.dumps({"run": run.path.relative_to(workspace.path).as_posix()}).encode())
    wake_workers(workspace)


def cancel(workspace: Workspace, run: Run) -> None:
    """Takes a run out of the queue, or asks its worker to save and stop. A run that nobody has is stopped at once; one that ended stays as it is."""
    let_go_of_the_dead(workspace)
    tickets = [ticket for ticket in waiting(workspace) if ticket.run.path == run.path]
    for ticket in tickets:
        ticket.path.unlink(missing_ok=True)
    if is_taken(workspace, run):  # perhaps by a worker that was quicker than the line above
        run.ask_to_stop()
    elif tickets or run.state() in ("queued", "interrupted"):
        run.append(Stopped(last_step(run)))


def is_taken(workspace: Workspace, run: Run) -> bool:
    """True while the run waits, a worker has it, or a process works on it."""
    return run.is_alive() or any(ticket.run.path == run.path for ticket in (*waiting(workspace), *claimed(workspace)))


def check_idle(workspace: Workspace, project: Project) -> None:
    """Raises ConfigError while one of the project's runs waits or is worked on: it must not be moved away under a worker."""
    let_go_of_the_dead(workspace)
    taken = next((run for run in project.all_runs() if is_taken(workspace, run)), None)
    if taken and taken.job.kind == "train":
        raise ConfigError(f"{project.about.name} is being trained, or waits for it.", fix="Stop the training first.")
    if taken:
        raise ConfigError(f"{project.about.name} is at work: {taken.job.kind}.", fix="Wait for it, or cancel it first.")


def move_up(workspace: Workspace, run: Run) -> None:
    """The run comes before the ones that wait now."""
    tickets = waiting(workspace)
    mine = next((ticket for ticket in tickets if ticket.run.path == run.path), None)
    if mine is None:
        raise ConfigError("That job does not wait any more.", fix="Look at its run: it has begun.")
    first = tickets[0].name.split("-", 2)
    mine.path.replace(mine.path.with_name(f"{first[0]}-{int(first[1]) - 1:020d}-{mine.run.path.name}.json"))


def waiting(workspace: Workspace) -> list[Ticket]:
    """Jobs in the order of their turn."""
    return _tickets(workspace, sorted(_queue(workspace).glob("*.json")))


def claimed(workspace: Workspace) -> list[Ticket]:
    """Jobs that a worker has taken."""
    return _tickets(workspace, sorted((workspace.jobs / "claimed").glob("*/*.json")))


def let_go_of_the_dead(workspace: Workspace) -> None:
    """Drops what killed workers had taken and nobody works on any more; the runs say "interrupted" and can be queued again."""
    for ticket in claimed(workspace):
        if not ticket.run.is_alive() and not _is_awake(_beat(workspace, ticket.path.parent.name)):
            settle(ticket)


def is_starting(workspace: Workspace, run: Run) -> bool:
    """True between the moment when a living worker took the run and the run's first sign of life."""
    mine = [ticket for ticket in claimed(workspace) if ticket.run.path == run.path]
    return bool(mine) and not run.is_alive() and _is_awake(_beat(workspace, mine[0].path.parent.name))


def claim(workspace: Workspace, device: str, *, kinds: Sequence[str] = ()) -> Ticket | None:
    """The next job for a worker, taken by atomic rename so that no two get it. kinds: only these; empty: any."""
    folder = workspace.jobs / "claimed" / _file_name(device)
    folder.mkdir(parents=True, exist_ok=True)
    for ticket in waiting(workspace):
        if kinds and ticket.run.job.kind not in kinds:
            continue
        try:
            ticket.path.replace(folder / ticket.name)
        except FileNotFoundError:
            continue  # another worker was quicker
        return Ticket(folder / ticket.name, ticket.run)
    return None


def note_work(workspace: Workspace, device: str, run: Run) -> Ticket:
    """A ticket for work that never stood in the queue, so that pages see what the device is busy with."""
    path = workspace.jobs / "claimed" / _file_name(device) / f"0-{run.path.name}.json"
    write_atomically(path, json.dumps({"run": run.path.relative_to(workspace.path).as_posix()}).encode())
    return Ticket(path, run)


def held_by(workspace: Workspace, device: str) -> list[Ticket]:
    """What this device's worker had claimed, perhaps before it was killed."""
    return _tickets(workspace, sorted((workspace.jobs / "claimed" / _file_name(device)).glob("*.json")))


def settle(ticket: Ticket) -> None:
    """The end of a job whose worker did not see it: a training that came to its end is marked for its verdict."""
    mark(ticket.run)
    done(ticket)


def done(ticket: Ticket) -> None:
    """The job is over, one way or another."""
    ticket.path.unlink(missing_ok=True)


def devices(workspace: Workspace) -> tuple[str, ...]:
    """The devices that workers of this workspace own; written at the server's start."""
    try:
        return tuple(json.loads((workspace.jobs / DEVICES).read_bytes()))
    except (OSError, ValueError):
        return ("auto",)


def set_devices(workspace: Workspace, names: Sequence[str]) -> None:
    """Which devices get a worker."""
    write_atomically(workspace.jobs / DEVICES, json.dumps(list(names)).encode())


def wake_workers(workspace: Workspace) -> None:
    """Starts a detached worker for every device that has none. It outlives this process."""
    for device in devices(workspace):
        if not is_awake(workspace, device):
            _spawn_worker(workspace, device)


def is_awake(workspace: Workspace, device: str) -> bool:
    """True while the device's worker beats."""
    return _is_awake(beat_path(workspace, device))


def beat_path(workspace: Workspace, device: str) -> Path:
    """The file that a worker touches."""
    return _beat(workspace, _file_name(device))


def _beat(workspace: Workspace, name: str) -> Path:
    return workspace.jobs / "workers" / f"{name}.beat"


def _is_awake(beat: Path) -> bool:
    try:
        return time.time() - beat.stat().st_mtime < WORKER_SILENCE_SECONDS
    except OSError:
        return False


def page_seen(workspace: Workspace) -> None:
    """A page is open: workers stay warm."""
    workspace.jobs.mkdir(exist_ok=True)
    (workspace.jobs / "page").touch()


def is_page_open(workspace: Workspace) -> bool:
    """True if a page asked for something in the last two minutes."""
    try:
        return time.time() - (workspace.jobs / "page").stat().st_mtime < PAGE_SILENCE_SECONDS
    except OSError:
        return False


def ask_warm(workspace: Workspace, base: str) -> None:
    """Somebody will want pictures of this base soon: load it while the device is free."""
    write_atomically(workspace.jobs / "warm.json", json.dumps({"base": base}).encode())
    wake_workers(workspace)


def warm_wish(workspace: Workspace) -> tuple[str, float]:
    """(base, when it was asked for); ("", 0) where nobody asked."""
    path = workspace.jobs / "warm.json"
    try:
        return str(json.loads(path.read_bytes())["base"]), path.stat().st_mtime
    except (OSError, ValueError, KeyError):
        return "", 0.0


def spawn_child(arguments: Sequence[str], *, device: str, log: Path, with_pipes: bool = False) -> subprocess.Popen[str]:
    """A process of its own for one job or for drawing; gentle to the page (nice 5), no shell."""
    environment = _environment(device)
    pipe = subprocess.PIPE if with_pipes else subprocess.DEVNULL
    with open(log, "ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "app.worker", *arguments],
            stdin=pipe, stdout=pipe if with_pipes else errors, stderr=errors, text=True, env=environment, start_new_session=True, preexec_fn=_gentle,
        )  # fmt: skip


def _spawn_worker(workspace: Workspace, device: str) -> None:
    log = workspace.jobs / "workers" / f"{_file_name(device)}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    beat_path(workspace, device).touch()  # a second request within its start does not spawn a second one; its own lock would end it anyway
    with open(log, "ab") as errors:
        subprocess.Popen(
            [sys.executable, "-m", "app.worker", "--workspace", str(workspace.path), "--device", device],
            stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=_environment(device), start_new_session=True,
        )  # fmt: skip


def _environment(device: str) -> dict[str, str]:
    """Ours, with this package importable from any folder, and only the worker's own GPU visible."""
    home = str(Path(__file__).resolve().parent.parent)
    paths = [home, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    chosen = (
        {"CUDA_VISIBLE_DEVICES": device.partition(":")[2]}
        if device.startswith("cuda:")
        else {"CUDA_VISIBLE_DEVICES": ""}
        if device == "cpu"
        else {}
    )
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "PYTHONUNBUFFERED": "1", **chosen}


def _gentle() -> None:
    os.nice(5)


def fail(run: Run, message: str, fix: str) -> None:
    """Records the end of a run whose process could not do so itself."""
    run.append(Failed(message, fix))


def _queue(workspace: Workspace) -> Path:
    folder = workspace.jobs / "queue"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _tickets(workspace: Workspace, paths: Sequence[Path]) -> list[Ticket]:
    """The tickets whose runs can be read. One whose run is gone (project deleted) is removed; one that cannot be read just now is left."""
    found = []
    for path in paths:
        with suppress(OSError, ValueError, KeyError, BrandprintError):
            folder = workspace.path / json.loads(path.read_bytes())["run"]
            if _is_gone(folder / "job.json"):
                path.unlink(missing_ok=True)
            else:
                found.append(Ticket(path, open_run(folder)))
    return found


def _is_gone(path: Path) -> bool:
    """True only where the system says so; a disk that cannot answer says nothing."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    return False


def last_step(run: Run) -> int:
    """How far a training came."""
    steps = [record["step"] for record in run.records()[0] if record.get("kind") == "step"]
    return steps[-1] if steps else 0


def _file_name(device: str) -> str:
    return device.replace(":", "-")
