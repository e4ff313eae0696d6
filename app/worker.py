"""Owns one device: takes jobs from the queue one by one, each done by a process of its own whose memory is given back at its end.

In: `python -m app.worker --workspace W --device D` (the detached dispatcher), `--run FOLDER` (one training), `--draw BASE` (a warm base that draws),
`--examine PROJECT` (the doctor), `--caption FOLDER` (captions by a downloaded model).
Out: events in run folders. The dispatcher imports no torch and holds no model: a crash of a job never takes the queue down. A job's ticket goes only
when its process has ended: a dispatcher that is ended before leaves it to the next one, which waits for that process.
A training and a drawing never share the device: the warm base is ended before a training starts.
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from app import jobs
from app.due import Due, mark
from app.intake import sweep_uploads
from app.judging import judge, judge_beside
from app.projects import Workspace, open_workspace
from pipelines.events import Stopped
from pipelines.locks import hold
from training.runs import Run, open_run

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.1
BEAT_SECONDS = 3.0
IDLE_SECONDS = 900.0
COLD_SECONDS = 600.0  # a warm base that nobody asked for this long is let go
DRAW_WISH_SECONDS = 60.0  # a wish for a warm base is honoured this long after it was made


class Artist:
    """The process that keeps a base warm and draws. One line in: a run's folder; one line out: its end."""

    def __init__(self, workspace: Workspace, device: str) -> None:
        self.workspace, self.device = workspace, device
        self.process: subprocess.Popen[str] | None = None
        self.base = ""
        self.used_at = 0.0

    @property
    def is_warm(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def warm(self, base: str) -> None:
        """Load the base in a process of its own; returns at once."""
        if self.is_warm and self.base == base:
            return
        self.rest()
        log = self.workspace.jobs / "workers" / "artist.log"
        self.process = jobs.spawn_child(["--draw", base], device=self.device, log=log, with_pipes=True)
        self.base, self.used_at = base, time.monotonic()

    def rest(self) -> None:
        """End it; its memory is the system's again."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def draw(self, run: Run, beat: Beat) -> None:
        """One preview, board or export, to its end."""
        self.warm(str(run.job.settings.get("base", "starter")))
        assert self.process is not None and self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(f"{run.path}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended: told below by its exit code
        while self.process.poll() is None and not select.select([self.process.stdout], [], [], 0)[0]:
            beat.tick()
        self.process.stdout.readline()
        self.used_at = time.monotonic()
        if self.process.poll() is not None:
            _record_death(run, self.process.returncode)


class Beat:
    """The sign of life that tells pages and servers that this device has a worker."""

    def __init__(self, path: Path) -> None:
        self.path, self.at = path, 0.0

    def tick(self) -> None:
        """Wait a moment, and beat when it is time."""
        if time.monotonic() - self.at > BEAT_SECONDS:
            with suppress(OSError):  # a full disk must not end the worker
                self.path.parent.mkdir(parents=True, exist_ok=True)
                os.utime(self.path) if self.at and self.path.exists() else self.path.write_text(str(os.getpid()))
            self.at = time.monotonic()
        time.sleep(TICK_SECONDS)


def dispatch(workspace: Workspace, device: str, *, idle_seconds: float = IDLE_SECONDS) -> None:
    """Take jobs until the queue was empty for long and no page is open. Returns at once if the device has a worker already."""
    with _hold_device(workspace, device) as is_mine:
        if is_mine:
            _take_jobs(workspace, device, idle_seconds=idle_seconds)


def _hold_device(workspace: Workspace, device: str) -> AbstractContextManager[bool]:
    """True for the one worker that owns the device."""
    path = jobs.beat_path(workspace, device).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    return hold(path)


def _take_jobs(workspace: Workspace, device: str, *, idle_seconds: float) -> None:
    beat = Beat(jobs.beat_path(workspace, device))
    artist = Artist(workspace, device)
    due = Due(workspace)
    sweep_uploads(workspace)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        _take_up_again(workspace, device, beat)
        idle_since = time.monotonic()
        while time.monotonic() - idle_since < idle_seconds or jobs.is_page_open(workspace):
            beat.tick()
            with _surviving("the next job"):
                if _do_next(workspace, artist, due, device, beat):
                    idle_since = time.monotonic()
    finally:
        artist.rest()
        beat.path.unlink(missing_ok=True)


def _do_next(workspace: Workspace, artist: Artist, due: Due, device: str, beat: Beat) -> bool:
    """The job whose turn it is, else a verdict that is due; False where there is neither."""
    if ticket := jobs.claim(workspace, device):
        _do(ticket, artist, device, beat)
    elif run := due.next():
        artist.rest()
        judge_beside(workspace, run, device=device, tick=beat.tick)
    else:
        _keep_warm(workspace, artist)
        return False
    return True


def _do(ticket: jobs.Ticket, artist: Artist, device: str, beat: Beat) -> None:
    """One job to its end. The ticket stays where this worker is ended meanwhile (SystemExit): the job's process goes on."""
    run = ticket.run
    with _surviving(run.path.name):
        if run.job.kind == "train":
            artist.rest()
            _train(run, device, beat)
        elif run.job.kind == "caption":
            artist.rest()
            _caption(run, device, beat)
        else:
            artist.draw(run, beat)
    jobs.done(ticket)


@contextmanager
def _surviving(what: str) -> Iterator[None]:
    """An error of one job (its project was deleted, the disk is full) is logged and ends that job alone."""
    try:
        yield
    except Exception:
        logger.exception("%s broke off", what)


def _train(run: Run, device: str, beat: Beat) -> None:
    _wait_for(["--leave-verdict", str(run.path)], run, device, beat)
    mark(run)


def _caption(run: Run, device: str, beat: Beat) -> None:
    _wait_for(["--caption", str(run.path)], run, device, beat)


def _wait_for(arguments: list[str], run: Run, device: str, beat: Beat) -> None:
    """The run's work in a process of its own, to its end. It counts as the run's holder from its first moment, while it still loads its libraries."""
    process = jobs.spawn_child(arguments, device=device, log=run.path / "log.txt")
    with suppress(OSError):
        if not run.is_alive():
            run.expect(process.pid)
    while process.poll() is None:
        beat.tick()
    if process.returncode:
        _record_death(run, process.returncode)


def _record_death(run: Run, code: int) -> None:
    """A process that ended without a word: say so in its run. Runs that recorded their own end are left as they are."""
    kinds = [record.get("kind") for record in run.records()[0]]
    last = next((kind for kind in reversed(kinds) if kind in ("started", "stopped", "finished", "failed")), "")
    if last in ("stopped", "finished", "failed") or run.is_alive():  # alive: another process has the run, which this one was refused
        return
    memory = (
        "The system ended it, most likely because memory ran out." if code == -signal.SIGKILL else f"Its process ended with code {code}."
    )
    jobs.fail(run, f"The job broke off. {memory}", "All but the last few minutes is safe: resume it. log.txt holds the details.")


def _take_up_again(workspace: Workspace, device: str, beat: Beat) -> None:
    """Jobs that an earlier worker of this device had taken: wait for those still alive, settle them as that worker would have; the page offers to resume
    the others."""
    for ticket in jobs.held_by(workspace, device):
        with _surviving(ticket.run.path.name):
            while ticket.run.is_alive():
                beat.tick()
            jobs.settle(ticket)


def _keep_warm(workspace: Workspace, artist: Artist) -> None:
    base, asked_at = jobs.warm_wish(workspace)
    if base and time.time() - asked_at < DRAW_WISH_SECONDS:
        artist.used_at = time.monotonic()
        if not artist.is_warm or artist.base != base:
            artist.warm(base)
    elif artist.is_warm and time.monotonic() - artist.used_at > COLD_SECONDS:
        artist.rest()


def train_one(run: Run, *, with_verdict: bool = True) -> int:
    """One training in this process; its end stands in the run. Returns the exit code."""
    from training.execute import execute

    is_cancelled = (
        not with_verdict and run.is_asked_to_stop()
    )  # while this process was starting; execute takes an earlier request for an old one
    if is_cancelled:
        run.append(Stopped(jobs.last_step(run)))
        return 0
    try:
        execute(run)
    except Exception:
        return 1  # execute recorded it
    is_first = os.environ.get("RANK", "0") == "0"  # under torchrun the others only learn
    if with_verdict and is_first and run.state() == "finished":
        judge(run)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """The entry of every worker process."""
    parser = argparse.ArgumentParser(prog="python -m app.worker")
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--idle-seconds", type=float, default=IDLE_SECONDS)
    parser.add_argument("--run", type=Path)
    parser.add_argument(
        "folder", type=Path, nargs="?", help="the same as --run, for launchers that take no options behind the program (torchrun)"
    )
    parser.add_argument("--leave-verdict", action="store_true", help="whoever started this sees to the verdict")
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--draw")
    parser.add_argument("--examine", type=Path)
    parser.add_argument("--caption", type=Path)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if chosen.run or chosen.folder or chosen.judge or chosen.draw is not None:
        from pipelines.lean import load_libraries

        load_libraries()
    if chosen.run or chosen.folder:
        return train_one(open_run(chosen.run or chosen.folder), with_verdict=not chosen.leave_verdict)
    if chosen.judge:
        judge(open_run(chosen.judge))
        return 0
    if chosen.draw is not None:
        from app.artist import serve

        serve(chosen.draw)
        return 0
    if chosen.examine:
        from app.doctor import examine

        examine(open_workspace(chosen.examine.parent), chosen.examine.name)
        return 0
    if chosen.caption:
        from app.captioning import write_captions

        write_captions(open_run(chosen.caption))
        return 0
    dispatch(open_workspace(chosen.workspace), chosen.device, idle_seconds=chosen.idle_seconds)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
