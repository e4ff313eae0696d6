"""Uploaded files -> pictures of a project: zips unpacked, names made safe, doubles and foreign files named with a reason.

In: files in the upload folder with the names (and folders) they had on the user's machine. Out: an `Intake` that names every file.
Only files inside the upload folder are touched. Does not judge pictures beyond "can it be opened".
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from app.projects import USUAL_LIMITS, Limits, Project, Workspace
from app.shelf import THREADS, read_shelf
from pipelines.errors import BrandprintError, DatasetError
from training.captions import SIDECARS
from training.dataset import Rejected

TEXTS = frozenset({*SIDECARS, ".jsonl", ".csv"})
OWN = frozenset({"edits.json", "edits.log.jsonl", "project.json"})
SYSTEM = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\/]')


@dataclass(frozen=True)
class Upload:
    """A file that arrived. name: as on the user's machine, with its folders where a folder was dropped."""

    path: Path
    name: str


@dataclass(frozen=True)
class Intake:
    """What became of the files."""

    added: tuple[str, ...] = ()
    doubles: tuple[str, ...] = ()
    refused: tuple[Rejected, ...] = ()


def take_in(workspace: Workspace, project: Project, uploads: Sequence[Upload], *, limits: Limits = USUAL_LIMITS) -> Intake:
    """Moves uploads into the project's pictures. Raises DatasetError if they would pass a limit, before anything is moved."""
    uploads = [Upload(inside(upload.path, workspace.uploads), upload.name) for upload in uploads]
    plain, refused = _opened_zips(workspace, uploads)
    _check_limits(project, plain, limits)
    known = _contents(project) if plain else set()
    added, doubles = [], []
    with ThreadPoolExecutor(THREADS) as threads:
        faults = list(threads.map(_fault, plain))
    stems = _free_stems(project, [upload for upload, fault in zip(plain, faults, strict=True) if fault is None])
    for upload, fault in zip(plain, faults, strict=True):
        if fault is not None:
            refused += [fault] if fault.reason else []
            upload.path.unlink(missing_ok=True)
        elif _is_picture(upload.name) and (digest := _digest(upload.path)) in known:
            doubles.append(upload.name)
            upload.path.unlink(missing_ok=True)
        else:
            known |= {digest} if _is_picture(upload.name) else set()
            added.append(_move(upload, project, stems))
    return Intake(tuple(added), tuple(doubles), tuple(refused))


def sweep_uploads(workspace: Workspace, *, older_than_seconds: float = 6 * 3600) -> int:
    """Removes what uploads left behind; returns how many files. Called at start and by each worker."""
    limit, count = time.time() - older_than_seconds, 0
    for path in sorted(workspace.uploads.rglob("*"), reverse=True):
        try:
            if path.is_file() and path.stat().st_mtime < limit:
                path.unlink()
                count += 1
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        except OSError:
            continue  # another process was quicker
    return count


def safe_name(name: str) -> str:
    """A relative posix path that stays inside its folder: no drive, no "..", no hidden parts, no control letters. "" where nothing is left."""
    parts = [_UNSAFE.sub("_", part).strip().strip(".").strip()[-120:] for part in PurePosixPath(name.replace("\\", "/")).parts]
    return "/".join(part for part in parts if part and part != "_")


def inside(path: Path, folder: Path) -> Path:
    """The path, if it lies in the upload folder and is a real file; any caller may send any path."""
    resolved = Path(path).resolve()
    if not resolved.is_relative_to(folder.resolve()) or not resolved.is_file():
        raise DatasetError("That file was not uploaded here, or it is gone.", fix="Drop the pictures again.")
    return resolved


def _opened_zips(workspace: Workspace, uploads: Iterable[Upload]) -> tuple[list[Upload], list[Rejected]]:
    from training.archive import is_archive, unpack

    plain: list[Upload] = []
    refused: list[Rejected] = []
    for upload in uploads:
        try:
            if not _is_picture(upload.name) and is_archive(upload.path):
                folder, bad = unpack(upload.path, workspace=workspace.uploads)
                refused += bad
                plain += [
                    Upload(path, path.relative_to(folder).as_posix())
                    for path in sorted(folder.rglob("*"))
                    if path.is_file() and path.name != ".unpacked.json"
                ]
                (folder / ".unpacked.json").unlink(missing_ok=True)
                upload.path.unlink(missing_ok=True)
            else:
                plain.append(upload)
        except BrandprintError as error:
            upload.path.unlink(missing_ok=True)
            refused.append(Rejected(upload.name, error.message.removeprefix(f"{upload.path.name} "), error.fix))
    return plain, refused


def _check_limits(project: Project, uploads: Sequence[Upload], limits: Limits) -> None:
    there = list(_pictures(project.pictures))
    count = len(there) + sum(_is_picture(upload.name) for upload in uploads)
    if count > limits.pictures:
        raise DatasetError(
            f"That would make {count} pictures; a project holds {limits.pictures}.",
            fix="Choose the best few hundred: more do not teach more.",
        )
    total = sum(path.stat().st_size for path in (*there, *(upload.path for upload in uploads)))
    if total > limits.total_bytes:
        raise DatasetError(
            f"That would make {total / 1e9:.1f} GB; a project holds {limits.total_bytes / 1e9:.1f} GB.",
            fix="Export the pictures at 2048 px or less.",
        )


def _fault(upload: Upload) -> Rejected | None:
    """Why a file cannot be taken; a fault without reason is a system file that nobody misses."""
    from training.decode import read_header

    name = safe_name(upload.name)
    if (
        not name
        or name.rpartition("/")[2].lower() in SYSTEM
        or "__macosx" in name.lower()
        or PurePosixPath(upload.name).name.startswith(".")
    ):
        return Rejected(upload.name, "")
    if PurePosixPath(name).name.lower() in OWN:
        return Rejected(upload.name, "")
    if PurePosixPath(name).suffix.lower() in TEXTS:
        return None
    if not _is_picture(name):
        return Rejected(upload.name, "is not a picture that can be read here", "Use JPEG, PNG, WebP, AVIF, HEIC, TIFF or GIF.")
    try:
        read_header(upload.path)
    except DatasetError as error:
        return Rejected(upload.name, error.message.removeprefix(f"{upload.path.name} "), error.fix)
    return None


def _free_stems(project: Project, uploads: Sequence[Upload]) -> dict[str, str]:
    """Old stem -> new stem, so that a picture and its caption keep the same name when another picture already has it."""
    taken = {path.relative_to(project.pictures).with_suffix("").as_posix().casefold() for path in _pictures(project.pictures)}
    result: dict[str, str] = {}
    for stem in dict.fromkeys(
        PurePosixPath(safe_name(upload.name)).with_suffix("").as_posix() for upload in uploads if _is_picture(upload.name)
    ):
        names = (stem if count == 1 else f"{stem} ({count})" for count in range(1, 10_000))
        result[stem] = next(name for name in names if name.casefold() not in taken)
        taken.add(result[stem].casefold())
    return result


def _move(upload: Upload, project: Project, stems: dict[str, str]) -> str:
    name = PurePosixPath(safe_name(upload.name))
    stem = name.with_suffix("").as_posix()
    target = project.pictures / (stems.get(stem, stem) + name.suffix)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and _is_picture(target.name):  # two formats of one picture: a.jpg and a.png
        target = target.with_name(f"{target.stem} ({target.suffix[1:]}){target.suffix}")
    try:
        upload.path.replace(target)
    except OSError:
        shutil.move(upload.path, target)
    return target.relative_to(project.pictures).as_posix()


def _pictures(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and _is_picture(path.name))


def _is_picture(name: str) -> bool:
    from training.decode import SUFFIXES

    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _contents(project: Project) -> set[str]:
    """SHA-256 of every picture that lies there."""
    shelf = read_shelf(project)
    unread = (project.pictures / entry.name for entry in shelf.rejected)
    return {item.content for item in (*shelf.items, *shelf.left_out)} | {_digest(path) for path in unread if path.is_file()}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
