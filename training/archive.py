"""A zip of pictures -> a folder of its own, unpacked without trusting anything that the archive says.

In: a zip. Out: the folder, and every entry that was refused with its reason. Entries cannot leave the folder, links and
nested archives stay out, and what an entry claims to hold is checked against what really comes out. An archive that was
unpacked before is not unpacked again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import lzma
import os
import re
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from pipelines.errors import DatasetError
from training.dataset import Rejected
from training.folder import ARCHIVES, SYSTEM_NAMES
from training.names import safe_part

_DONE = ".unpacked.json"
_CHUNK = 1 << 20
_DAMAGED = (  # what zipfile raises for bytes that make no sense, and for zips of kinds that it does not know
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    IndexError,
    NotImplementedError,
    ValueError,
)
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Limits:
    """What an archive may hold before it is taken for a bomb."""

    entries: int = 20_000
    total_bytes: int = 20 << 30
    entry_bytes: int = 1 << 30
    ratio: int = 200  # unpacked : packed; pictures stay below 20, text below 100
    ratio_from_bytes: int = 10 << 20  # smaller entries may be as empty as they like


def is_archive(source: Path) -> bool:
    """True for a zip. Raises DatasetError for archives of other kinds."""
    if source.is_dir():
        return False
    if zipfile.is_zipfile(source):
        return True
    if source.suffix.lower() in ARCHIVES:
        reason = "is damaged or no zip" if source.suffix.lower() == ".zip" else "is an archive of a kind that is not read here"
        raise DatasetError(f"{source.name} {reason}.", fix="Unpack it and give the folder, or pack it again as zip.")
    return False


def unpack(source: Path, *, workspace: Path | None = None, limits: Limits = Limits()) -> tuple[Path, tuple[Rejected, ...]]:
    """(folder with the archive's files, refused entries). The folder stands in the workspace, or in the user's cache.

    Raises DatasetError for a bomb, a damaged archive, or a disk without room.
    """
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    parent = (workspace if workspace else user_cache()) / "unpacked"
    target = parent / digest
    if not (target / _DONE).exists():
        parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=parent, prefix=".part-"))
        try:
            refused = unpack_into(part, source, limits=limits)
            (part / _DONE).write_text(json.dumps([asdict(entry) for entry in refused]), "utf-8")
            shutil.rmtree(target, ignore_errors=True)
            part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return target, tuple(Rejected(**entry) for entry in json.loads((target / _DONE).read_text("utf-8")))


def user_cache() -> Path:
    """Where unpacked archives and measures of sets are kept: in the user's cache, never among the pictures."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "brandprint"


def unpack_into(folder: Path, source: Path, *, limits: Limits = Limits()) -> tuple[Rejected, ...]:
    """Unpacks into a folder that is empty; returns the refused entries. Raises as `unpack` does."""
    refused: list[Rejected] = []
    try:
        with zipfile.ZipFile(source) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir() and not _is_system(entry.filename)]
            _check_size(source, entries, folder, limits)
            budget = limits.total_bytes
            for entry in entries:
                reason = _refusal(entry, limits)
                if reason:
                    refused.append(Rejected(_shown(entry.filename), *reason))
                    continue
                problem, written = _write_entry(archive, entry, folder, min(limits.entry_bytes, budget))
                budget -= written
                if problem:
                    refused.append(Rejected(_shown(entry.filename), *problem))
    except _DAMAGED as error:
        raise DatasetError(f"{source.name} is a damaged zip ({error}).", fix="Pack it again, or give the folder.") from error
    except OSError as error:
        message = f"{source.name} cannot be unpacked: {error.strerror or error}."
        room = "Make room on the disk, or give the folder." if error.errno in _FULL else "Unpack it and give the folder."
        raise DatasetError(message, fix=room) from error
    return tuple(refused)


def _check_size(source: Path, entries: list[zipfile.ZipInfo], folder: Path, limits: Limits) -> None:
    total = sum(entry.file_size for entry in entries)
    size = f"{source.name} unpacks to {total / 1e9:.1f} GB"
    if len(entries) > limits.entries:
        raise DatasetError(f"{source.name} holds {len(entries)} files, more than {limits.entries}.", fix="Split it.")
    if total > limits.total_bytes:
        raise DatasetError(f"{size}, more than {limits.total_bytes / 1e9:.1f} GB.", fix="Split it, or give the folder.")
    if total > shutil.disk_usage(folder).free:
        raise DatasetError(f"{size}; the disk has less room.", fix="Make room, or give the folder.")


def _refusal(entry: zipfile.ZipInfo, limits: Limits) -> tuple[str, str] | None:
    """(reason, fix) for an entry that must not be unpacked."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a link, and an archive's links are not followed", "Pack the picture itself."
    if entry.flag_bits & 0x1:
        return "is locked with a password", "Pack it again without one."
    if PurePosixPath(entry.filename).suffix.lower() in ARCHIVES:
        return "is an archive inside the archive", "Unpack it first."
    if entry.file_size > limits.entry_bytes:
        return f"unpacks to {entry.file_size / 1e9:.1f} GB", "Scale it down."
    ratio = entry.file_size // max(entry.compress_size, 1)
    if entry.file_size > limits.ratio_from_bytes and ratio > limits.ratio:
        return f"unpacks to {ratio} times its packed size, as bombs do", "Save it again as JPEG or PNG."
    return None


def _write_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path, limit: int) -> tuple[tuple[str, str] | None, int]:
    """Unpacks one entry; returns ((what went wrong, fix) or None, bytes written). A wrong entry leaves no file. Raises OSError for a full disk."""
    written = 0
    target: Path | None = None
    try:
        target = _target(folder, entry.filename)
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as source, target.open("xb") as file:
            for chunk in iter(lambda: source.read(_CHUNK), b""):
                written += len(chunk)
                if written > limit:
                    raise zipfile.BadZipFile("it holds more than it says")
                file.write(chunk)
        return None, written
    except (*_DAMAGED, OSError) as error:
        if target:
            with suppress(OSError):
                target.unlink()
        return _what_went_wrong(error), written


def _what_went_wrong(error: Exception) -> tuple[str, str]:
    """(reason, fix) for an entry that could not be unpacked. Raises the error again if the disk is full: the next entry would fare no better."""
    if isinstance(error, OSError) and error.errno in _FULL:
        raise error
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "stands in a folder that has the name of a file in the archive", "Rename one of the two."
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return "has a path that is too long for this disk", "Shorten the names of its folders."
    if isinstance(error, OSError) and error.errno:
        return f"cannot be unpacked ({error.strerror})", "Unpack the archive and give the folder."
    return f"is damaged in the archive ({error})", "Pack it again."


def _is_system(name: str) -> bool:
    parts = _parts(name)
    return any(part.lower() in SYSTEM_NAMES or (part.startswith(".") and part not in (".", "..")) for part in parts)


def _parts(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part]


def _target(folder: Path, name: str) -> Path:
    """Where an entry goes: its own sub-folder if its path is honest, else into the folder under its last name; never over a file."""
    parts = _parts(name)
    if ".." in parts or name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        parts = parts[-1:]
    safe = [safe_part(part) or "_" for part in parts if part not in (".", "..")] or ["unnamed"]
    target = folder.joinpath(*safe)
    return next(path for path in _numbered(target) if not path.exists())


def _numbered(target: Path) -> Iterator[Path]:
    yield target
    number = 2
    while True:
        yield target.with_name(f"{target.stem} ({number}){target.suffix}")
        number += 1


def _shown(name: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]", "_", name)
