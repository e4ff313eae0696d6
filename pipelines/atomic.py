"""Files that are whole or not there: written beside their place, flushed to disk, then moved in.

In: bytes, or a function that fills a file or folder. Out: the file or folder, complete. A kill or a full disk at any moment leaves the previous one as it was.
"""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

_numbers = itertools.count()


def write_atomically(path: Path, content: bytes) -> None:
    """Put content at path, replacing what stood there only once the new file is complete."""
    fill_atomically(path, lambda partial: partial.write_bytes(content))


def fill_atomically(path: Path, fill: Callable[[Path], object]) -> None:
    """Let `fill` write a partial file beside path, which takes path's place only once it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial_beside(path)
    try:
        fill(partial)
        _sync_file(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(path.parent)


def fill_folder_atomically(path: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write into a partial folder beside path, then move it in whole. An older folder at path is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial_beside(path)
    partial.mkdir()
    try:
        fill(partial)
        for file in partial.rglob("*"):
            if file.is_file():
                _sync_file(file)
        if path.exists():
            shutil.rmtree(path)
        partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _sync_folder(path.parent)


def sweep_partials(folder: Path) -> None:
    """Remove what killed writers left behind."""
    for leftover in folder.glob(".*.partial"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)


def _partial_beside(path: Path) -> Path:
    """A name that no other process, thread or call writes to: the page answers from many threads."""
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_native_id()}-{next(_numbers)}.partial")


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(path: Path) -> None:
    if os.name == "posix":
        _sync_file(path)
