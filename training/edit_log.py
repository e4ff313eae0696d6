"""The edit list of a set: edits.json holds what is in force, edits.log.jsonl every apply, undo and redo that led there.

In: a folder (the project's, or the pictures' own) and edits. Out: the edits in force, and two files beside the originals,
which are never touched. The log only grows; edits.json is replaced in one step, and goes away when nothing is in force.
One process changes the list at a time: a file beside it is locked meanwhile, and what others wrote is read first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock

from pipelines.atomic import write_atomically
from pipelines.errors import DatasetError
from training.edits import Edit, check, from_record, to_record

LIST_NAME = "edits.json"
LOG_NAME = "edits.log.jsonl"
LOCK_NAME = ".edits.lock"


def read_edits(folder: Path) -> tuple[Edit, ...]:
    """The edits in force. Raises DatasetError if edits.json cannot be understood."""
    return tuple(edit for _, edit in _entries(folder))


def _entries(folder: Path) -> list[tuple[int, Edit]]:
    path = folder / LIST_NAME
    if not path.exists():
        return []
    try:
        records = json.loads(path.read_text("utf-8"))["edits"]
        return [(int(record["id"]), from_record(record)) for record in records]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{LIST_NAME} cannot be understood ({type(error).__name__}: {error})."
        raise DatasetError(message, fix="Correct it, or move it away to start without edits.") from error


@dataclass(frozen=True)
class Applied:
    """One edit of the list with its number, by which it is undone."""

    id: int
    edit: Edit
    in_force: bool


class EditLog:
    """The edit list of one folder, with undo of any edit and redo."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(folder / LOCK_NAME)
        self._stamp = _stamp(folder)
        self._applied = _adopted(folder)
        self._undone = [entry.id for entry in self._applied if not entry.in_force]

    @contextmanager
    def alone(self) -> Iterator[EditLog]:
        """The log as it stands now; nobody else changes it for as long as this lasts."""
        with self._lock:
            if self._stamp != (stamp := _stamp(self._folder)):  # another process or tab wrote
                self._stamp, self._applied = stamp, _adopted(self._folder)
                resting = {entry.id for entry in self._applied if not entry.in_force}
                self._undone = [number for number in self._undone if number in resting]
            yield self

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits in force, in the order in which they were made."""
        return tuple(entry.edit for entry in self._applied if entry.in_force)

    @property
    def history(self) -> tuple[Applied, ...]:
        """Every edit ever made, undone ones included."""
        return tuple(self._applied)

    def apply(self, edits: Iterable[Edit]) -> tuple[int, ...]:
        """Puts edits in force; returns their ids. Edits that are undone can no longer be redone by `redo()` without an id."""
        checked = [check(edit) for edit in edits]
        with self.alone():
            first = 1 + max((entry.id for entry in self._applied), default=0)
            fresh = [Applied(first + index, edit, True) for index, edit in enumerate(checked)]
            self._applied = [*self._applied, *fresh]
            self._undone.clear()
            self._write([{"op": "apply", "id": entry.id, **to_record(entry.edit)} for entry in fresh])
        return tuple(entry.id for entry in fresh)

    def undo(self, ids: Sequence[int] | None = None) -> tuple[Edit, ...]:
        """Takes edits out of force: those with these ids, or the last one. Returns them; nothing to undo is no error."""
        with self.alone():
            in_force = [entry.id for entry in self._applied if entry.in_force]
            chosen = in_force[-1:] if ids is None else [number for number in ids if number in in_force]
            self._undone += chosen
            return self._set(chosen, False)

    def undo_all(self) -> tuple[Edit, ...]:
        """Takes every edit out of force."""
        with self.alone():
            return self.undo([entry.id for entry in self._applied if entry.in_force])

    def redo(self, ids: Sequence[int] | None = None) -> tuple[Edit, ...]:
        """Puts undone edits in force again, in their old places: those with these ids, or the one undone last."""
        with self.alone():
            resting = [entry.id for entry in self._applied if not entry.in_force]
            chosen = self._undone[-1:] if ids is None else [number for number in ids if number in resting]
            self._undone = [number for number in self._undone if number not in chosen]
            return self._set(chosen, True)

    def _set(self, ids: Sequence[int], in_force: bool) -> tuple[Edit, ...]:
        chosen = set(ids)
        self._applied = [Applied(entry.id, entry.edit, in_force) if entry.id in chosen else entry for entry in self._applied]
        self._write([{"op": "redo" if in_force else "undo", "id": number} for number in ids])
        return tuple(entry.edit for entry in self._applied if entry.id in chosen)

    def _write(self, operations: list[dict[str, Any]]) -> None:
        """First the log, then the list. After a crash between the two the list counts: the log's surplus is taken as undone."""
        if not operations:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        _append(self._folder / LOG_NAME, [json.dumps({"at": moment, **operation}, ensure_ascii=False) for operation in operations])
        _write_list(self._folder, self._applied)
        self._stamp = _stamp(self._folder)


def _stamp(folder: Path) -> tuple[tuple[int, int, int], ...]:
    """Changes with every change of the two files."""
    found = [path.stat() for name in (LIST_NAME, LOG_NAME) if (path := folder / name).exists()]
    return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in found)


def _append(path: Path, lines: Sequence[str]) -> None:
    with path.open("a+b") as file:
        if file.tell() and not _ends_with_newline(file):
            file.write(b"\n")  # a crash tore the last line
        file.write("".join(line + "\n" for line in lines).encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())


def _ends_with_newline(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _write_list(folder: Path, applied: Sequence[Applied]) -> None:
    entries = [{"id": entry.id, **to_record(entry.edit)} for entry in applied if entry.in_force]
    if entries:
        text = json.dumps({"edits": entries}, ensure_ascii=False, indent=1) + "\n"
        write_atomically(folder / LIST_NAME, text.encode("utf-8"))
    else:
        (folder / LIST_NAME).unlink(missing_ok=True)


def _adopted(folder: Path) -> list[Applied]:
    """History from the log, made to agree with edits.json, which counts: it may have been edited by hand or copied here alone."""
    history = {entry.id: entry for entry in _replayed(folder / LOG_NAME)}
    if not (folder / LIST_NAME).exists():
        return [Applied(entry.id, entry.edit, False) for entry in history.values()]
    listed = dict(_entries(folder))
    merged = {number: Applied(number, listed.get(number, entry.edit), number in listed) for number, entry in history.items()}
    merged |= {number: Applied(number, edit, True) for number, edit in listed.items()}
    return [merged[number] for number in sorted(merged)]


def _replayed(log: Path) -> list[Applied]:
    entries: dict[int, Applied] = {}
    for line in log.read_bytes().splitlines() if log.exists() else []:  # bytes: a line torn inside a letter must not cost the others
        try:
            record = json.loads(line)
            number = int(record["id"])
            if record["op"] == "apply":
                entries[number] = Applied(number, from_record(record), True)
            elif number in entries:
                entries[number] = Applied(number, entries[number].edit, record["op"] == "redo")
        except (ValueError, KeyError, DatasetError):
            continue  # a torn last line, or an edit of a newer version: edits.json still counts
    return list(entries.values())
