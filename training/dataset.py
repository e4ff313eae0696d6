"""A folder or zip of pictures -> a frozen `Dataset`: what is trained on, what was refused and why, and what the user changed.

In: a folder (nested or not), a zip, kohya `10_trigger class` folders, metadata.jsonl or .csv, .txt and .caption sidecars.
Out: `Dataset`. Every file is either an item, or named in `rejected` or `ignored` with its reason; nothing is dropped in silence.
Only headers are read here: pixels are opened by images.py. Originals are never touched; changes come from the edit list (edit_log.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from pipelines.errors import DatasetError
from training.edits import Caption, Dismiss, Edit, Geometry, HoldOut, KeepOneOf, LeaveOut, Weight, edited_keys, geometry


@dataclass(frozen=True)
class Item:
    """One picture of a dataset."""

    key: str  # posix path relative to the set's root: stable and unique
    path: Path
    caption: str  # without trigger
    width_px: int  # of the upright original
    height_px: int
    content: str  # SHA-256 of the file's bytes: keys the caches
    repeats: int = 1
    mask: Path | None = None
    edits: tuple[Edit, ...] = ()
    held_out: bool = False

    @property
    def geometry(self) -> Geometry:
        """What the edits do to the pixels."""
        return geometry(self.edits)

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) in px as trained on: upright, after edits."""
        return self.geometry.size_hw(self.width_px, self.height_px)

    @property
    def focus(self) -> tuple[float, float]:
        """The point (x, y) that crops keep in view, as fractions of the edited picture."""
        return self.geometry.seen_focus()


@dataclass(frozen=True)
class Rejected:
    """A file that is not trained on. name: relative to the set's root."""

    name: str
    reason: str
    fix: str = ""


@dataclass(frozen=True)
class Hints:
    """What folder names or project.json say about the subject; empty where they say nothing."""

    trigger: str = ""
    noun: str = ""
    intent: str = ""
    name: str = ""
    constant: str = ""  # words that no caption should say: all pictures share what they name


@dataclass(frozen=True)
class Dataset:
    """The pictures of one project, in natural order of their names."""

    root: Path
    items: tuple[Item, ...]
    rejected: tuple[Rejected, ...] = ()  # pictures that cannot be used
    ignored: tuple[Rejected, ...] = ()  # files that are no pictures, class pictures, nested archives
    left_out: tuple[Item, ...] = ()  # usable, but the edit list leaves them out
    hints: Hints = Hints()
    edits: tuple[Edit, ...] = field(default=(), repr=False)  # in force, in order
    originals: tuple[Item, ...] = field(default=(), repr=False)  # items before any edit; empty: no edit list was applied

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def by_key(self) -> dict[str, Item]:
        """Items by key, left-out ones included."""
        return {item.key: item for item in (*self.items, *self.left_out)}

    @property
    def dismissed(self) -> frozenset[tuple[str, str]]:
        """(code, key) pairs that the user called no fault."""
        return frozenset((edit.code, key) for edit in self.edits if isinstance(edit, Dismiss) for key in edit.keys)


def load_dataset(source: Path, *, workspace: Path | None = None) -> Dataset:
    """The dataset of a folder, a zip or one picture, with its edit list applied.

    workspace: the project folder: zips are unpacked into it and its edits.json counts; None: a cache folder, and the
    edits.json beside the pictures. Raises DatasetError if there is nothing at `source`, if an archive is not safe to
    unpack, or if no picture can be used.
    """
    from training.archive import is_archive, unpack
    from training.edit_log import read_edits
    from training.folder import read_folder

    source = Path(source)
    if not source.exists():
        raise DatasetError(f"There is nothing at {source.name!r}.", fix="Give a folder of pictures or a zip.")
    refused: tuple[Rejected, ...] = ()
    root = source
    if is_archive(source):
        root, refused = unpack(source, workspace=workspace)
    dataset = read_folder(root)
    dataset = replace(dataset, rejected=refused + dataset.rejected)
    if not dataset.items:
        message = f"No usable picture in {source.name!r}: {_tally(dataset)}."
        raise DatasetError(message, fix="Add JPEG, PNG, WebP, AVIF, HEIC, TIFF or GIF pictures.")
    return with_edits(dataset, read_edits(workspace or root))


def with_edits(dataset: Dataset, edits: Iterable[Edit]) -> Dataset:
    """The dataset as exactly these edits make it, whatever it carried before. Edits of pictures that are gone have no effect."""
    edits = tuple(edits)
    originals = dataset.originals or dataset.items
    mine: dict[str, list[Edit]] = {}
    for edit in edits:
        for key in edited_keys(edit):
            mine.setdefault(key, []).append(edit)
    changed = [_changed(item, tuple(mine.get(item.key, ()))) for item in originals]
    left_out = tuple(item for item in changed if _is_left_out(item))
    return replace(
        dataset, items=tuple(item for item in changed if not _is_left_out(item)), left_out=left_out, originals=originals, edits=edits
    )


def _changed(original: Item, edits: tuple[Edit, ...]) -> Item:
    captions = [edit.text for edit in edits if isinstance(edit, Caption)]
    weights = [edit.repeats for edit in edits if isinstance(edit, Weight)]
    return replace(
        original,
        edits=edits,
        caption=captions[-1] if captions else original.caption,
        repeats=weights[-1] if weights else original.repeats,
        held_out=original.held_out or any(isinstance(edit, HoldOut) for edit in edits),
    )


def _is_left_out(item: Item) -> bool:
    return any(isinstance(edit, LeaveOut) or (isinstance(edit, KeepOneOf) and edit.keep != item.key) for edit in item.edits)


def _tally(dataset: Dataset) -> str:
    count = len(dataset.rejected) + len(dataset.ignored)
    first = next(iter(dataset.rejected or dataset.ignored), None)
    return "it is empty" if first is None else f"{count} files refused, the first is {first.name}: {first.reason}"
