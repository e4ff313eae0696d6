"""A run is a folder that anyone can read without our code.

job.json (what was asked), events.jsonl (one writer, append-only), log.txt, heartbeat, checkpoints/, previews/, adapter.safetensors, card.json.
In: a folder. Out: `Run`, its events and its state. Does not start processes (app/jobs.py) or train (trainer.py).
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from pipelines.atomic import write_atomically
from pipelines.errors import RunError
from pipelines.events import Event, from_record, to_record
from pipelines.locks import hold

CACHE = ".cache"  # beside the runs: latents, embeddings, features, and what was measured on this machine
JobKind = Literal["train", "preview", "board", "export", "caption"]
RunState = Literal["queued", "running", "stopped", "interrupted", "finished", "failed"]
CHECKPOINTS = "checkpoints"
HEARTBEAT = "heartbeat"
LOCK = ".held"
HEARTBEAT_SECONDS = 2.0
SILENCE_SECONDS = 20.0  # a run whose heartbeat is older than this has lost its worker


class Job(BaseModel):
    """What was asked. settings: the tree of the job's kind, as plain values; dataset: the pictures' folder, relative to the run where it can be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: JobKind
    name: str
    dataset: str = ""
    settings: dict[str, Any] = {}
    made_at: str = ""


@dataclass(frozen=True)
class Run:
    """One job's folder."""

    path: Path
    job: Job

    @property
    def events_path(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def dataset_path(self) -> Path:
        """The folder or archive of the pictures."""
        return self.path / self.job.dataset

    @property
    def adapter_path(self) -> Path:
        return self.path / "adapter.safetensors"

    def append(self, event: Event) -> None:
        """Write one event; it is on its way to the disk when this returns. A torn line that a killed writer left is closed first."""
        line = json.dumps({"at": time.time(), **to_record(event)}, ensure_ascii=False) + "\n"
        with open(self.events_path, "ab+") as file:
            if file.seek(0, os.SEEK_END) and not _ends_line(file):
                file.write(b"\n")
            file.write(line.encode())

    def records(self, *, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Whole records from a byte offset on, and the offset to go on from. Torn or foreign lines are passed over."""
        if not self.events_path.exists():
            return [], offset
        with open(self.events_path, "rb") as file:
            file.seek(offset)
            content = file.read()
        whole = content.rfind(b"\n") + 1
        return [record for line in content[:whole].splitlines() if (record := _parse(line))], offset + whole

    def events(self) -> Iterator[Event]:
        """All events of kinds that this version knows, oldest first."""
        return (event for record in self.records()[0] if (event := from_record(record)))

    def state(self) -> RunState:
        """How the run stands, told from its events and its heartbeat."""
        kinds = [record.get("kind") for record in self.records()[0]]
        last = next((kind for kind in reversed(kinds) if kind in ("started", "stopped", "finished", "failed")), None)
        if last in ("stopped", "finished", "failed") and not self.is_alive():
            return last  # type: ignore[return-value]
        if self.is_alive():
            return "running"
        return "queued" if last is None and not (self.path / HEARTBEAT).exists() else "interrupted"

    def is_alive(self) -> bool:
        """True while a worker on this machine holds the run."""
        try:
            pid = int((self.path / HEARTBEAT).read_text())
            age = time.time() - (self.path / HEARTBEAT).stat().st_mtime
        except (OSError, ValueError):
            return False
        return age < SILENCE_SECONDS and _process_exists(pid)

    def ask_to_stop(self) -> None:
        """The worker finishes its step, saves what can be resumed and ends."""
        (self.path / "stop").touch()

    def is_asked_to_stop(self) -> bool:
        return (self.path / "stop").exists()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the run as its one writer, heart beating. Raises RunError while another process holds it, even one whose heart cannot be seen to beat."""
        with hold(self.path / LOCK) as is_mine:
            if not is_mine or (self.is_alive() and int((self.path / HEARTBEAT).read_text()) != os.getpid()):
                raise RunError(f"{self.path.name} is being worked on by another process.", fix="Wait for it, or stop it first.")
            (self.path / "stop").unlink(missing_ok=True)
            done = threading.Event()
            beat = threading.Thread(target=self._beat, args=(done,), daemon=True)
            self.expect(os.getpid())
            beat.start()
            try:
                yield
            finally:
                done.set()
                beat.join()
                with suppress(OSError):  # a full disk, or a folder that is gone, must not hide how the work ended
                    (self.path / HEARTBEAT).write_text("0")

    def _beat(self, done: threading.Event) -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            try:
                self.expect(os.getpid())
            except OSError:
                with suppress(OSError):
                    os.utime(self.path / HEARTBEAT)  # takes no space: a full disk does not stop the heart

    def expect(self, pid: int) -> None:
        """This process counts as the run's holder from now on; one that is only starting has until the silence is over for its own first beat."""
        fresh = self.path / f".heartbeat.{os.getpid()}"  # replaced, not rewritten: a reader must never find it empty
        fresh.write_text(str(pid))
        fresh.replace(self.path / HEARTBEAT)


def create_run(folder: Path, job: Job) -> Run:
    """A new run at folder. Raises RunError if one stands there."""
    if (folder / "job.json").exists():
        raise RunError(f"A run already stands at {folder.name}.", fix="Resume it, or choose another name.")
    folder.mkdir(parents=True, exist_ok=True)
    stamped = job.model_copy(update={"made_at": job.made_at or datetime.now(UTC).isoformat(timespec="seconds")})
    write_atomically(folder / "job.json", stamped.model_dump_json(indent=2).encode())
    return Run(folder, stamped)


def open_run(folder: Path) -> Run:
    """The run at folder. Raises RunError if there is none."""
    try:
        job = Job.model_validate_json((folder / "job.json").read_bytes())
    except (OSError, ValueError) as error:
        raise RunError(
            f"{folder.name} is not a run folder: job.json is missing or damaged.", fix="Choose a folder that `brandprint runs` lists."
        ) from error
    return Run(folder, job)


def list_runs(folder: Path) -> list[Run]:
    """Every run below folder, newest first; what `open_run` refuses, such as a job of a newer version, is passed over."""
    found = []
    for path in folder.glob("*/job.json"):
        with suppress(RunError):
            found.append(open_run(path.parent))
    return sorted(found, key=lambda run: run.job.made_at, reverse=True)


def checkpoint_name(step: int) -> str:
    """Where a checkpoint stands in its run."""
    return f"{CHECKPOINTS}/{step:06d}"


def checkpoint_folders(run_path: Path) -> list[Path]:
    """All whole checkpoints, oldest first. Folders of other names, such as "000200 copy", are none."""
    found = [path.parent for path in (run_path / CHECKPOINTS).glob("*/adapter.safetensors") if path.parent.name.isdecimal()]
    return sorted(found, key=lambda folder: int(folder.name))


def last_of(run: Run, kind: type) -> Event | None:
    """The newest event of a kind, or None."""
    return next((event for event in reversed(list(run.events())) if isinstance(event, kind)), None)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _ends_line(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _process_exists(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
