"""Who owns the pictures and on what ground they may be used: a record per batch, kept with the project and carried into the card.

In: what the user states, and files that prove it. Out: rights.json and copies of the files in the project folder, and one line for
the card. It records statements; it gives no legal advice.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.atomic import write_atomically
from pipelines.errors import DatasetError
from training.dataset import Dataset

FILE_NAME = "rights.json"
PROOFS = "rights"
Ground = Literal["own work", "licence", "consent", "release", "public domain", "other"]


class Proof(BaseModel):
    """A file that was attached: a licence, a signed release. path: relative to the project folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    sha256: str


class Batch(BaseModel):
    """What is stated about some pictures. pictures: patterns of names (* and ?); "*" means all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: str
    ground: Ground
    note: str = ""
    pictures: tuple[str, ...] = ("*",)
    people_shown: bool = False
    proofs: tuple[Proof, ...] = ()
    stated_at: str = ""  # ISO 8601

    def covers(self, key: str) -> bool:
        """True if this statement is about the picture."""
        return any(fnmatchcase(key, pattern) for pattern in self.pictures)


class Rights(BaseModel):
    """All statements of a project."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batches: tuple[Batch, ...] = ()

    def uncovered(self, dataset: Dataset) -> tuple[str, ...]:
        """Pictures in use that no statement is about."""
        return tuple(item.key for item in dataset.items if not any(batch.covers(item.key) for batch in self.batches))

    def line(self) -> str:
        """One line for the card: owners and grounds, no file names."""
        found = dict.fromkeys(f"{batch.owner} ({batch.ground}{f': {batch.note}' if batch.note else ''})" for batch in self.batches)
        return "; ".join(found)


def read_rights(project: Path) -> Rights:
    """The project's statements; none if there is no record. Raises DatasetError for a damaged one."""
    path = project / FILE_NAME
    if not path.exists():
        return Rights()
    try:
        return Rights.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DatasetError(
            f"{FILE_NAME} cannot be understood: {error.errors()[0]['msg']}.", fix="Correct it, or state the rights again."
        ) from error


def stated_line(pictures: Path) -> str:
    """The card's line for a folder of pictures: what is stated beside them, or one folder up, where a project keeps it; empty where nothing is."""
    return read_rights(pictures).line() or read_rights(pictures.parent).line()


def state_rights(project: Path, batch: Batch, *, files: Sequence[Path] = ()) -> Rights:
    """Adds a statement, with copies of the files that prove it. Raises DatasetError for an empty owner or a missing file."""
    if not batch.owner.strip():
        raise DatasetError("The owner of the pictures is empty.", fix="Say who owns them: a person or a company.")
    proofs = tuple(_keep(project, path) for path in files)
    stamped = batch.model_copy(
        update={"proofs": batch.proofs + proofs, "stated_at": batch.stated_at or datetime.now(UTC).isoformat(timespec="seconds")}
    )
    rights = Rights(batches=(*read_rights(project).batches, stamped))
    _write(project, rights)
    return rights


def withdraw_rights(project: Path, index: int) -> Rights:
    """Takes a statement back; files that were attached stay. Raises DatasetError if there is no such statement."""
    batches = read_rights(project).batches
    if not 0 <= index < len(batches):
        raise DatasetError(f"There is no statement number {index + 1}; there are {len(batches)}.", fix="Choose one of the list.")
    rights = Rights(batches=batches[:index] + batches[index + 1 :])
    _write(project, rights)
    return rights


def keep_rights(source: Path, target: Path) -> None:
    """The statements of one project, with the files that prove them, in another one too; nothing where there are none."""
    if (source / FILE_NAME).exists():
        if (source / PROOFS).exists():
            shutil.copytree(source / PROOFS, target / PROOFS, dirs_exist_ok=True)
        shutil.copyfile(source / FILE_NAME, target / FILE_NAME)


def _keep(project: Path, path: Path) -> Proof:
    """Copies a file into the project under a name that tells its content apart."""
    if not path.is_file():
        raise DatasetError(f"There is no file {path.name!r} to attach.", fix="Choose the file again.")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    kept = project / PROOFS / f"{digest[:8]}-{path.name}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, kept)
    return Proof(path=kept.relative_to(project).as_posix(), sha256=digest)


def _write(project: Path, rights: Rights) -> None:
    text = json.dumps(rights.model_dump(), ensure_ascii=False, indent=1) + "\n"
    write_atomically(project / FILE_NAME, text.encode("utf-8"))
