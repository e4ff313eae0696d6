"""The pictures of a project as the page shows them: the dataset with its edits, thumbnails, large views, and changes with undo.

In: a project. Out: its `Dataset` (empty where there are no pictures yet), files of thumbnails keyed by content, and an action list for undo.
Reading is remembered by the folder's file sizes and times, so that a look at an unchanged folder costs a listing. Does not judge pictures.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from app.projects import Project, Workspace
from pipelines.atomic import write_atomically
from pipelines.errors import ConfigError
from training.dataset import Dataset, Item, with_edits
from training.edit_log import LIST_NAME, LOG_NAME, EditLog, read_edits
from training.edits import Caption, Edit

THUMB_PX = 256
LARGE_PX = 1280
THREADS = 2
ACTIONS_NAME = ".actions.json"


def read_shelf(project: Project) -> Dataset:
    """The project's dataset with its edits applied; without items where nothing usable lies in the folder."""
    dataset = _read_folder(project.pictures, _signature(project.pictures))
    hints = replace(dataset.hints, constant=project.about.constant)
    return with_edits(replace(dataset, hints=hints), read_edits(project.pictures))


def known_items(project: Project, keys: Sequence[str]) -> list[Item]:
    """The items with these keys. Raises ConfigError for keys that are not there: another tab may have changed the set."""
    known = read_shelf(project).by_key
    missing = [key for key in keys if key not in known]
    if missing or not keys:
        message = f"{missing[0][:80]} is not among the pictures any more." if missing else "No picture is chosen."
        raise ConfigError(message, fix="Reload the page.")
    return [known[key] for key in keys]


def shelf_signature(project: Project) -> str:
    """Changes whenever a picture, a caption or an edit does, or what is said to be constant."""
    edits = project.pictures / LIST_NAME
    tail = edits.read_bytes() if edits.exists() else b""
    told = _signature(project.pictures) + project.about.constant
    return hashlib.sha256(told.encode("utf-8", "surrogatepass") + tail).hexdigest()[:16]


@lru_cache(maxsize=16)
def _read_folder(pictures: Path, signature: str) -> Dataset:
    from training.folder import read_folder

    return read_folder(pictures) if pictures.is_dir() else Dataset(pictures, ())


def _signature(pictures: Path) -> str:
    """Names, sizes and times of every file but our own edit lists."""
    digest = hashlib.sha256()
    for entry in sorted(_files(pictures), key=lambda entry: entry.path):
        if not entry.name.startswith(".") and entry.name not in (LIST_NAME, LOG_NAME):
            stat = entry.stat()
            digest.update(f"{entry.path}|{stat.st_size}|{stat.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield entry


def thumb_path(workspace: Workspace, item: Item, *, size_px: int = THUMB_PX) -> Path:
    """Where the thumbnail of a picture lies, or will lie: named by its content and by what the edits do to it."""
    edits = hashlib.sha256(repr((item.geometry, size_px)).encode()).hexdigest()[:8]
    return workspace.thumbs / item.content[:2] / f"{item.content[:32]}-{edits}.webp"


def make_thumb(workspace: Workspace, item: Item, *, size_px: int = THUMB_PX) -> Path:
    """The thumbnail, made if it is not there: no side longer than size_px, never enlarged. Raises DatasetError if the picture cannot be read."""
    from PIL import Image

    from training.images import open_item

    path = thumb_path(workspace, item, size_px=size_px)
    if path.exists():
        return path
    picture = open_item(item, at_least_px=size_px)
    picture.thumbnail((size_px, size_px), Image.Resampling.LANCZOS, reducing_gap=2.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    picture.save(partial, "WEBP", quality=82, method=2)
    partial.replace(path)
    return path


def make_thumbs(workspace: Workspace, items: Sequence[Item]) -> None:
    """The thumbnails of many pictures; one that cannot be read is left without."""
    from pipelines.errors import DatasetError

    def make(item: Item) -> None:
        with suppress(DatasetError):  # the doctor reports pictures that cannot be opened, and their cards say so
            make_thumb(workspace, item)

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(make, items))


def apply_edits(project: Project, edits: Iterable[Edit], *, label: str) -> int:
    """Puts edits in force as one action that can be undone as one. Returns how many."""
    edits = list(edits)
    if not edits:
        return 0
    with changing(project) as log:
        ids = log.apply(edits)
        _write_actions(project, [*read_actions(project), {"label": label, "ids": list(ids)}])
    return len(edits)


def set_caption(project: Project, key: str, text: str) -> None:
    """What the user typed under one picture. Keystrokes saved one after the other under the same picture are one action."""
    with changing(project) as log:
        actions = read_actions(project)
        if actions and actions[-1].get("typed") == key:
            log.undo(actions.pop()["ids"])
        ids = log.apply([Caption(key, text)])
        _write_actions(project, [*actions, {"label": "caption", "ids": list(ids), "typed": key}])


def undo_last(project: Project) -> str:
    """Takes the last action back; returns its label, or "" where there is none."""
    actions = read_actions(project)
    if not actions:
        return ""
    undo_edits(project, actions[-1]["ids"])
    return str(actions[-1]["label"])


def undo_edits(project: Project, ids: Sequence[int]) -> int:
    """Takes single edits back, whichever action made them; returns how many were in force. An action of which nothing is left is forgotten."""
    with changing(project) as log:
        count = len(log.undo(ids))
        left = {entry.id for entry in log.history if entry.in_force}
        _write_actions(project, [action for action in read_actions(project) if left.intersection(action["ids"])])
    return count


def redo_edits(project: Project, ids: Sequence[int], *, label: str) -> None:
    """Puts edits in force again that were taken back, as one action."""
    with changing(project) as log:
        log.redo(ids)
        _write_actions(project, [*read_actions(project), {"label": label, "ids": list(ids)}])


def read_actions(project: Project) -> list[dict]:
    """Actions that can be undone, oldest first: label and the ids of their edits."""
    try:
        return json.loads((project.pictures / ACTIONS_NAME).read_bytes())
    except (OSError, ValueError):
        return []


def _write_actions(project: Project, actions: list[dict]) -> None:
    write_atomically(project.pictures / ACTIONS_NAME, json.dumps(actions[-200:], ensure_ascii=False).encode())


@contextmanager
def changing(project: Project) -> Iterator[EditLog]:
    """The edit log and the action list, held by one thread of one process at a time: two tabs may type at once."""
    with EditLog(project.pictures).alone() as log:
        yield log
