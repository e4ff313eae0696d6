"""Projects as folders of a workspace: create, rename, duplicate, delete to the bin, bring back, list.

In: a workspace folder and a project's id (its folder's name). Out: frozen `Project` values, read from disk every time.
Layout: <project>/project.json, pictures/ (with captions and edits.json beside them), runs/<id>/, exports/; the bin, thumbnails and uploads in dot folders.
Does not look at pictures (app/shelf.py does) and starts no jobs (app/jobs.py does).
"""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.atomic import write_atomically
from pipelines.card import Intent
from pipelines.errors import ConfigError
from training.rights import keep_rights
from training.runs import Run, list_runs

Dial = Literal["quick", "balanced", "thorough"]
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
NAME_LENGTH = 80
LOCK = ".project.lock"


class About(BaseModel):
    """What a project is about: project.json. overrides: settings that the user changed by hand, by dotted path."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = "Untitled"
    intent: Intent = "product"
    trigger: str = ""
    noun: str = ""
    base: str = "starter"
    dial: Dial = "balanced"
    overrides: dict[str, Any] = {}
    prompts: tuple[str, ...] = ()
    constant: str = ""  # what all pictures share, so that no caption says it: "orange cap, steel"
    varies: tuple[str, ...] = ()  # aspects that captions should tell: training/aspects.py
    licence: str = ""
    rights: str = ""
    credit: str = ""
    made_at: str = ""
    is_sample: bool = False
    chosen_run: str = ""  # the run whose adapter Compare and Hand over show; empty: the newest
    chosen_step: int = 0  # a checkpoint that the user picked over the verdict's; 0: the verdict's
    chosen_strength: float = 0.0  # 0: the verdict's
    starred: tuple[str, ...] = ()  # pictures worth keeping: "run id/previews/name"


@dataclass(frozen=True)
class Limits:
    """What one studio takes. file_bytes counts for zips too."""

    file_bytes: int = 500 << 20
    pictures: int = 5_000
    total_bytes: int = 8 << 30


USUAL_LIMITS = Limits()


@dataclass(frozen=True)
class Project:
    """One project's folder."""

    path: Path
    about: About

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def pictures(self) -> Path:
        return self.path / "pictures"

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def exports(self) -> Path:
        return self.path / "exports"

    def all_runs(self) -> list[Run]:
        """Every run, newest first."""
        return list_runs(self.runs)

    @contextmanager
    def alone(self) -> Iterator[Project]:
        """The project as it stands now; no other tab or process changes project.json for as long as this lasts. Raises ConfigError if it is gone
        or its project.json cannot be read."""
        if not self.path.is_dir():  # the lock's file would bring the folder back
            raise ConfigError(f"{self.about.name} is not there any more.", fix="Bring it back from the bin, or reload the page.")
        with FileLock(self.path / LOCK, is_singleton=True):  # one object a path, so that `changed` may be called inside
            found = _read(self.path) if (self.path / "project.json").exists() else self
            if isinstance(found, ConfigError):
                raise found
            yield found

    def changed(self, **values: Any) -> Project:
        """The project with other values in project.json, which is written at once; what another tab changed meanwhile stays. Raises ConfigError for a
        value out of range."""
        with self.alone() as fresh:
            try:
                about = About.model_validate({**fresh.about.model_dump(), **values})
            except ValidationError as error:
                field = ".".join(str(part) for part in error.errors()[0]["loc"])
                raise ConfigError(f"{field} cannot be {values.get(field)!r}.", fix="Choose one of the offered values.") from error
            write_atomically(self.path / "project.json", about.model_dump_json(indent=2).encode())
            return Project(self.path, about)


@dataclass(frozen=True)
class Workspace:
    """The folder that holds all projects of one studio. models_folders: where adapters may be copied to, named by whoever runs the server."""

    path: Path
    limits: Limits = USUAL_LIMITS
    models_folders: tuple[Path, ...] = ()

    @property
    def thumbs(self) -> Path:
        return self.path / ".thumbs"

    @property
    def bin(self) -> Path:
        return self.path / ".bin"

    @property
    def jobs(self) -> Path:
        return self.path / ".jobs"

    @property
    def uploads(self) -> Path:
        return self.path / ".uploads"

    @property
    def imported(self) -> Path:
        return self.path / ".imported"

    def projects(self) -> list[Project]:
        """Every project that can be read, newest first; samples last."""
        found = [project for path in self._folders() if isinstance(project := _read(path), Project)]
        newest_first = sorted(found, key=lambda project: project.about.made_at, reverse=True)
        return sorted(newest_first, key=lambda project: project.about.is_sample)

    def unreadable(self) -> dict[str, ConfigError]:
        """What is wrong with the projects whose project.json cannot be read, by id."""
        return {path.name: problem for path in self._folders() if isinstance(problem := _read(path), ConfigError)}

    def project(self, id: str) -> Project:
        """The project with this id. Raises ConfigError if there is none, or its project.json cannot be read."""
        if not _ID.fullmatch(str(id)) or not (self.path / id / "project.json").exists():
            raise ConfigError(f"There is no project {str(id)[:60]!r}.", fix="Choose one from the list of projects.")
        found = _read(self.path / id)
        if isinstance(found, ConfigError):
            raise found
        return found

    def _folders(self) -> list[Path]:
        return [path.parent for path in sorted(self.path.glob("*/project.json")) if _ID.fullmatch(path.parent.name)]

    def create(self, name: str, **values: Any) -> Project:
        """A new, empty project. Raises ConfigError for a name that is empty or too long."""
        name = check_name(name)
        path = self._free_folder(name)
        (path / "pictures").mkdir(parents=True)
        return Project(path, About()).changed(**{"made_at": now(), **values, "name": name})

    def rename(self, id: str, name: str) -> Project:
        """Another name; the folder stays, so that links and runs keep working."""
        return self.project(id).changed(name=check_name(name))

    def duplicate(self, id: str) -> Project:
        """A copy with the same pictures, captions, edits and statements of rights, but no runs."""
        source = self.project(id)
        copy = self.create(f"{source.about.name} copy"[:NAME_LENGTH])
        _link_tree(source.pictures, copy.pictures)
        keep_rights(source.path, copy.path)
        about = source.about.model_dump() | {
            "name": copy.about.name,
            "made_at": copy.about.made_at,
            "is_sample": False,
            "chosen_run": "",
            "chosen_step": 0,
            "starred": (),
        }
        return copy.changed(**about)

    def delete(self, id: str) -> str:
        """Moves a project to the bin; returns the ticket that brings it back. Raises ConfigError while one of its runs is alive."""
        project = self.project(id)
        if any(run.is_alive() for run in project.all_runs()):
            raise ConfigError(f"{project.about.name} is being trained.", fix="Stop the training first.")
        ticket = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}--{project.id}"
        self.bin.mkdir(exist_ok=True)
        project.path.replace(self.bin / ticket)
        return ticket

    def restore(self, ticket: str) -> Project:
        """Brings a project back from the bin. Raises ConfigError if the bin has no such ticket or its place is taken."""
        moved = next((path for path in self.binned() if path.name == ticket), None)
        if moved is None:
            raise ConfigError("The bin does not hold that project any more.", fix="Look into the bin for others.")
        id = ticket.partition("--")[2]
        path = self.path / id if not (self.path / id).exists() else self._free_folder(id)
        moved.replace(path)
        return self.project(path.name)

    def binned(self) -> list[Path]:
        """Deleted projects, the last one first."""
        return sorted((path for path in self.bin.glob("*--*") if (path / "project.json").exists()), reverse=True)

    def _free_folder(self, name: str) -> Path:
        stem = slug(name)
        numbers = (self.path / (stem if count == 1 else f"{stem}-{count}") for count in range(1, 10_000))
        return next(path for path in numbers if not path.exists())


def open_workspace(path: Path, *, limits: Limits = USUAL_LIMITS, models_folders: tuple[Path, ...] = ()) -> Workspace:
    """The workspace at path, its folder made if need be."""
    path = path.expanduser().resolve()
    for folder in (path, path / ".thumbs", path / ".uploads"):
        folder.mkdir(parents=True, exist_ok=True)
    return Workspace(path, limits, models_folders)


def add_samples(workspace: Workspace, source: Path) -> list[Project]:
    """The sample projects, linked (or copied) from `source`/<set>/. Does nothing where the workspace already holds projects or a bin."""
    if workspace.projects() or workspace.binned():
        return []
    return [_add_sample(workspace, card.parent) for card in sorted(source.glob("*/project.json"), key=_sample_order)]


def _sample_order(card: Path) -> int:
    order = ("style", "character", "product")  # the last one made stands first
    return order.index(card.parent.name) if card.parent.name in order else -1


def _add_sample(workspace: Workspace, source: Path) -> Project:
    about = About.model_validate_json((source / "project.json").read_bytes())
    project = workspace.create(about.name)
    _link_tree(source, project.pictures, leave_out=("project.json",))
    for job in sorted((source.parent / "trained").glob(f"{source.name}*/job.json")):  # <set>, <set>-drawn: made by app/shipped.py
        shutil.copytree(job.parent, project.runs / f"sample{job.parent.name.removeprefix(source.name)}")
    return project.changed(**(about.model_dump() | {"made_at": now(), "is_sample": True}))


def _link_tree(source: Path, target: Path, *, leave_out: tuple[str, ...] = ()) -> None:
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if path.is_file() and relative.parts[0] not in leave_out and not relative.name.startswith("."):
            link_or_copy(path, target / relative)


def link_or_copy(source: Path, target: Path) -> None:
    """The same file at another place; a hard link where the disk allows it, since pictures are never written in place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix.lower() in (".json", ".jsonl"):  # these are appended to or edited: they must not be shared
        shutil.copyfile(source, target)
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def check_name(name: str) -> str:
    """The name on one line. Raises ConfigError if nothing is left or it is longer than 80 letters."""
    tidy = " ".join(str(name).split())
    if not tidy or len(tidy) > NAME_LENGTH:
        raise ConfigError(
            f"A project's name has 1 to {NAME_LENGTH} letters, not {len(tidy)}.", fix="Type a short name, such as the product's."
        )
    return tidy


def slug(name: str) -> str:
    """A folder name: lower-case ASCII letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:48].strip("-") or "project"


def now() -> str:
    """The moment, ISO 8601 with milliseconds, so that names sort by age."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _read(path: Path) -> Project | ConfigError:
    """The project of a folder, or what is wrong with its project.json."""
    try:
        return Project(path, About.model_validate_json((path / "project.json").read_bytes()))
    except OSError as error:
        why = error.strerror or str(error)
    except ValidationError as error:
        first = error.errors()[0]
        why = ": ".join([*(str(part) for part in first["loc"]), first["msg"]])
    return ConfigError(
        f"project.json of {path.name} cannot be read ({why}).", fix="Correct it in the workspace, or move the project's folder away."
    )
