"""Pictures taken out of a project: moved to its bin with their captions and masks, and brought back as they were.

In: a project and items of its shelf. Out: a ticket that brings them back. Nothing is deleted: the bin lies in the project's folder. Edits stay in the
edit list, where edits of pictures that are gone have no effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from app.projects import Project
from app.shelf import read_shelf
from pipelines.errors import ConfigError
from training.captions import SIDECARS
from training.dataset import Item


def remove_pictures(project: Project, items: Sequence[Item]) -> str:
    """Moves the pictures to the bin; returns the ticket that brings them back."""
    ticket = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    keys = {item.key for item in items}
    shared = {item.path.with_suffix("") for key, item in read_shelf(project).by_key.items() if key not in keys}
    for item in items:
        for path in _belongings(item, keeps_words=item.path.with_suffix("") in shared):
            _move(path, _bin(project) / ticket / path.relative_to(project.pictures))
    return ticket


def restore_pictures(project: Project, ticket: str) -> int:
    """Brings them back; returns how many files. A file whose place was taken meanwhile stays in the bin. Raises ConfigError for a ticket that is not there."""
    folder = next((path for path in _bin(project).glob("*") if path.name == ticket), None)
    if folder is None:
        raise ConfigError("The bin does not hold those pictures any more.", fix="Add them again.")
    back = [path for path in sorted(folder.rglob("*")) if path.is_file() and not (project.pictures / path.relative_to(folder)).exists()]
    for path in back:
        _move(path, project.pictures / path.relative_to(folder))
    return len(back)


def _bin(project: Project) -> Path:
    return project.path / ".bin" / "pictures"


def _belongings(item: Item, *, keeps_words: bool) -> Iterator[Path]:
    """The picture, its mask, and its caption files unless another picture of the same name needs them."""
    yield item.path
    if item.mask and item.mask.exists():
        yield item.mask
    bases = (item.path,) if keeps_words else (item.path, item.path.with_suffix(""))
    yield from (path for base in bases for ending in SIDECARS if (path := base.with_name(base.name + ending)).exists())


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
