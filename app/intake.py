"""Uploaded files -> pictures of a project: zips unpacked, foreign and unreadable files named with a reason, the others placed (placing.py).

In: files in the upload folder with the names (and folders) they had on the user's machine. Out: an `Intake` that names every file.
Only files inside the upload folder are touched. Does not judge pictures beyond "can it be opened".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from app.placing import Intake, Upload, is_picture, place, safe_name
from app.projects import USUAL_LIMITS, Limits, Project, Workspace
from app.shelf import THREADS
from pipelines.errors import BrandprintError, DatasetError
from training.captions import SIDECARS
from training.dataset import Rejected
from training.edit_log import LIST_NAME, LOG_NAME

TEXTS = frozenset({*SIDECARS, ".jsonl", ".csv"})
OWN = frozenset({LIST_NAME, LOG_NAME, "project.json"})
SYSTEM = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
_taking = threading.Lock()  # two lots at once would choose the same free names


def take_in(workspace: Workspace, project: Project, uploads: Sequence[Upload], *, limits: Limits = USUAL_LIMITS) -> Intake:
    """Moves uploads into the project's pictures. Raises DatasetError if they would pass a limit, before anything is moved."""
    names = {inside(upload.path, workspace.uploads): upload.name for upload in uploads}
    with TemporaryDirectory(dir=workspace.uploads, prefix="unpacked-", ignore_cleanup_errors=True) as fresh:
        plain, refused = _opened_zips(Path(fresh), [Upload(path, name) for path, name in names.items()])
        with _taking:
            _check_limits(project, plain, limits)
            with ThreadPoolExecutor(THREADS) as threads:
                faults = list(threads.map(_fault, plain))
            for upload, fault in zip(plain, faults, strict=True):
                if fault is not None:
                    refused += [fault] if fault.reason else []
                    upload.path.unlink(missing_ok=True)
            intake = place(project, [upload for upload, fault in zip(plain, faults, strict=True) if fault is None])
    return replace(intake, refused=(*refused, *intake.refused))


def sweep_uploads(workspace: Workspace, *, older_than_seconds: float = 6 * 3600) -> int:
    """Removes what uploads left behind; returns how many files. Called at start and by each worker."""
    limit, count = time.time() - older_than_seconds, 0
    for path in sorted(workspace.uploads.rglob("*"), reverse=True):
        try:
            if path.is_file() and path.stat().st_mtime < limit:
                path.unlink()
                count += 1
            elif path.is_dir() and path.stat().st_mtime < limit and not any(path.iterdir()):
                path.rmdir()  # a fresh one is about to be filled
        except OSError:
            continue  # another process was quicker
    return count


def inside(path: Path, folder: Path) -> Path:
    """The path, if it lies in the upload folder and is a real file; any caller may send any path."""
    resolved = Path(path).resolve()
    if not resolved.is_relative_to(folder.resolve()) or not resolved.is_file():
        raise DatasetError("That file was not uploaded here, or it is gone.", fix="Drop the pictures again.")
    return resolved


def _opened_zips(folder: Path, uploads: Iterable[Upload]) -> tuple[list[Upload], list[Rejected]]:
    """The files of every zip, each unpacked into a folder of its own below this one, and the other uploads; and what was refused."""
    from training.archive import is_archive, unpack_into

    plain: list[Upload] = []
    refused: list[Rejected] = []
    for number, upload in enumerate(uploads):
        try:
            if is_picture(upload.name) or not is_archive(upload.path):
                plain.append(upload)
                continue
            root = folder / str(number)
            root.mkdir()
            refused += unpack_into(root, upload.path)
            files = [path for path in sorted(root.rglob("*")) if path.is_file()]
            plain += [Upload(path, path.relative_to(root).as_posix(), origin=root.name) for path in files]
        except BrandprintError as error:
            refused.append(Rejected(upload.name, error.message.removeprefix(f"{upload.path.name} "), error.fix))
        upload.path.unlink(missing_ok=True)
    return plain, refused


def _check_limits(project: Project, uploads: Sequence[Upload], limits: Limits) -> None:
    there = list(_pictures(project.pictures))
    count = len(there) + sum(is_picture(upload.name) for upload in uploads)
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
    if not is_picture(name):
        return Rejected(upload.name, "is not a picture that can be read here", "Use JPEG, PNG, WebP, AVIF, HEIC, TIFF or GIF.")
    try:
        read_header(upload.path)
    except DatasetError as error:
        return Rejected(upload.name, error.message.removeprefix(f"{upload.path.name} "), error.fix)
    return None


def _pictures(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and is_picture(path.name))
