"""Where accepted uploads go in a project: no file over another, every caption to its own picture, doubles to the picture that they double.

In: uploads that can be read, each with the zip it came in. Out: an `Intake` that says what became of them. Names count within one zip, or within one
drop; what is said of new pictures becomes a sidecar of their final name, what is said of pictures that are here already an edit, which can be undone.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from app.projects import Project
from app.shelf import apply_edits, read_shelf
from training.captions import SIDECARS, read_caption, write_caption
from training.dataset import Rejected
from training.edit_log import read_edits
from training.edits import Caption, edited_keys
from training.names import safe_part

Place = tuple[str, int, str]  # the zip it came in, how many of the very same name came before it, its name or stem


@dataclass(frozen=True)
class Upload:
    """A file that arrived. name: as on the user's machine, with its folders where a folder was dropped; origin: the zip it came in, if any."""

    path: Path
    name: str
    origin: str = ""


@dataclass(frozen=True)
class Intake:
    """What became of the files. added: names in the project; captions: pictures that were here already and now say something else."""

    added: tuple[str, ...] = ()
    doubles: tuple[str, ...] = ()
    refused: tuple[Rejected, ...] = ()
    captions: tuple[str, ...] = ()


def place(project: Project, uploads: Sequence[Upload]) -> Intake:
    """Moves uploads into the project's pictures. One lot at a time: the caller sees to that."""
    from training.folder import is_mask
    from training.metadata import METADATA

    kinds: dict[str, list[_File]] = defaultdict(list)
    for file in _files(uploads):
        name = PurePosixPath(file.name)
        if is_picture(file.name):
            kinds["mask" if is_mask(file.name) else "picture"].append(file)
        elif name.name.lower() in METADATA:
            kinds["table"].append(file)
        else:
            kinds["text" if name.suffix.lower() in SIDECARS else "other"].append(file)
    lot = _Lot(project)
    rows = {table: lot.read_table(table) for table in kinds["table"]}
    with_words = {text.at(text.stem) for text in kinds["text"]}
    with_words |= {table.at(_stem(name)) for table, said in rows.items() for name in said}
    lot.take_pictures(kinds["picture"], with_words)
    lot.take_masks(kinds["mask"])
    for text in sorted(kinds["text"], key=lambda file: SIDECARS.index(PurePosixPath(file.name).suffix.lower())):
        lot.take_text(text)
    for table, said in rows.items():
        lot.take_table(table, said)
    for file in kinds["other"]:
        lot.settle(file, file.name)
    return lot.told()


def safe_name(name: str) -> str:
    """A relative posix path that stays inside its folder: no drive, no "..", no hidden parts, no control letters. "" where nothing is left."""
    parts = [safe_part(part.strip().strip(".").strip()) for part in PurePosixPath(name.replace("\\", "/")).parts]
    return "/".join(part for part in parts if part and part != "_")


def is_picture(name: str) -> bool:
    """True for names that end as a picture's do."""
    from training.decode import SUFFIXES

    return PurePosixPath(name).suffix.lower() in SUFFIXES


@dataclass(frozen=True)
class _File:
    """An upload under its safe name. number: how many of the same origin and name came before it, as when folders were flattened."""

    upload: Upload
    name: str
    number: int

    @property
    def stem(self) -> str:
        return _stem(self.name)

    def at(self, name: str) -> Place:
        """Another name, or stem, beside this file."""
        return self.upload.origin, self.number, name


class _Lot:
    """The files of one intake on their way, and what was found out about them so far."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._here = read_shelf(project).by_key
        self._keys: dict[Place, list[str]] = {}  # name or stem of a picture that came -> where it stands in the project
        self._new: list[str] = []
        self._said: dict[str, str] = {}  # what the files say of a picture, by its key
        self._added: list[str] = []
        self._doubles: list[str] = []
        self._refused: list[Rejected] = []

    def take_pictures(self, pictures: Sequence[_File], with_words: set[Place]) -> None:
        """Doubles are dropped first, so that they take no name; the others go where no picture and no caption of another one stands."""
        known = _contents(self._project)
        first: dict[str, _File] = {}
        digests = [_digest(file.upload.path) for file in pictures]
        for digest, file in zip(digests, pictures):
            if digest not in known:
                first.setdefault(digest, file)
        stems = _free_stems(self._project, first.values(), with_words)
        for digest, file in zip(digests, pictures):
            if first.get(digest) is file:
                key = stems[file.at(file.stem)] + PurePosixPath(file.name).suffix
                if self.settle(file, key):
                    known[digest] = key
                    self._new.append(key)
            else:
                self._doubles.append(file.upload.name)
                file.upload.path.unlink(missing_ok=True)
            for name in (file.stem, file.name):
                self._keys.setdefault(file.at(name), []).extend([known[digest]] if digest in known else [])

    def take_masks(self, masks: Sequence[_File]) -> None:
        """A mask takes the name that its picture got."""
        from training.folder import MASK_ENDINGS

        for file in masks:
            name = PurePosixPath(file.name)
            ending = next((ending for ending in MASK_ENDINGS if name.stem.lower().endswith(ending)), "")
            folder = name.parent if ending else name.parent.parent
            owners = self._keys.get(file.at((folder / name.stem.removesuffix(ending)).as_posix()))
            if not owners:
                self.settle(file, file.name)
                continue
            owner = PurePosixPath(owners[0])
            self.settle(file, (owner.parent / name.parent.relative_to(folder) / f"{owner.stem}{ending}{name.suffix}").as_posix())

    def take_text(self, text: _File) -> None:
        """What a sidecar says of its pictures: those that came with it, else those of its name that are here; without any it waits for one."""
        keys = self._keys.get(text.at(text.stem))
        if keys is None:
            keys = [key for key in self._here if text.stem in (key, _stem(key))]
        if not keys:
            self.settle(text, text.name)
            return
        words = read_caption(text.upload.path)
        for key in keys:
            if words and self._said.setdefault(key, words) != words:
                self._refused.append(Rejected(text.upload.name, f"says something else of {key} than another file that came with it"))
        text.upload.path.unlink(missing_ok=True)

    def read_table(self, table: _File) -> dict[str, str]:
        """Captions by safe name, counted from where the table stood."""
        from training.metadata import read_metadata

        path, folder = table.upload.path, PurePosixPath(table.name).parent
        captions, _, faults = read_metadata(path.parent, [path.name])
        self._refused += [Rejected(table.name + fault.name.removeprefix(path.name), fault.reason, fault.fix) for fault in faults]
        path.unlink(missing_ok=True)
        safe = {safe_name((folder / name).as_posix()): words for name, words in captions.items()}
        return {name: words for name, words in safe.items() if name and words}

    def take_table(self, table: _File, said: dict[str, str]) -> None:
        """What a table says of pictures without a sidecar. A table that came alone speaks of the pictures that are here."""
        is_alone = not any(origin == table.upload.origin for origin, _, _ in self._keys)
        missing = 0
        for name, words in said.items():
            keys = self._keys.get(table.at(name), [name] if is_alone and name in self._here else [])
            missing += not keys
            for key in keys:
                self._said.setdefault(key, words)
        if missing and (is_alone or table.upload.origin):  # of a drop, the page sends the table with every batch of pictures
            reason = f"names {missing} picture{'s' * (missing > 1)} that did not come with it"
            self._refused.append(Rejected(table.upload.name, reason, "Add pictures together with their table."))

    def settle(self, file: _File, key: str) -> bool:
        """Moves a file to its place in the project, never over another file; True if it stands there now."""
        target = self._project.pictures / key
        try:
            if target.exists():
                if not target.is_file() or _digest(target) != _digest(file.upload.path):
                    self._refused.append(Rejected(file.upload.name, "has the name of another file that is here already", "Rename it."))
                file.upload.path.unlink(missing_ok=True)
                return False
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(file.upload.path, target)
        except OSError as error:
            self._refuse(file.upload.name, error)
            return False
        self._added.append(key)
        return True

    def told(self) -> Intake:
        """Writes what was said, and names everything."""
        sharing = Counter(_stem(key) for key in self._new)
        for key in self._new:
            name = f"{_stem(key) if sharing[_stem(key)] == 1 else key}{SIDECARS[0]}"
            try:
                if key in self._said:
                    write_caption(self._project.pictures / name, self._said[key])
                    self._added.append(name)
            except OSError as error:
                self._refuse(name, error)
        edits = [Caption(key, words) for key, words in self._said.items() if key not in self._new and not self._says(key, words)]
        apply_edits(self._project, edits, label="caption")
        return Intake(tuple(self._added), tuple(self._doubles), tuple(self._refused), tuple(edit.key for edit in edits))

    def _says(self, key: str, words: str) -> bool:
        return key in self._here and self._here[key].caption == words

    def _refuse(self, name: str, error: OSError) -> None:
        self._refused.append(Rejected(name, f"cannot be kept: {error.strerror or error}", "Rename it, or make room on the disk."))


def _files(uploads: Iterable[Upload]) -> Iterable[_File]:
    counts: Counter[tuple[str, str]] = Counter()
    for upload in uploads:
        name = safe_name(upload.name)
        yield _File(upload, name, counts[upload.origin, name])
        counts[upload.origin, name] += 1


def _free_stems(project: Project, pictures: Iterable[_File], with_words: set[Place]) -> dict[Place, str]:
    """The stem that each picture gets. A caption that waits in the project is taken up only by a picture of its name that brings none.

    Names of pictures that were removed are taken while edits of theirs are in force: they would be applied to another picture.
    """
    files = [path.relative_to(project.pictures).as_posix() for path in project.pictures.rglob("*") if path.is_file()]
    edited = [key for edit in read_edits(project.pictures) for key in edited_keys(edit)]
    taken = {_stem(name).casefold() for name in (*files, *edited) if is_picture(name)}
    texts = [_stem(name).casefold() for name in files if PurePosixPath(name).suffix.lower() in SIDECARS]
    waiting = {*texts, *(_stem(name) for name in texts if is_picture(name))}
    stems: dict[Place, str] = {}
    for file in pictures:
        if file.at(file.stem) in stems:
            continue
        brings_words = file.at(file.stem) in with_words or file.at(file.name) in with_words
        names = (file.stem if count == 1 else f"{file.stem} ({count})" for count in range(1, 1_000_000))
        free = (name for name in names if name.casefold() not in taken)
        stem = next(name for name in free if name.casefold() not in waiting or (name == file.stem and not brings_words))
        stems[file.at(file.stem)] = stem
        taken.add(stem.casefold())
    return stems


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def _contents(project: Project) -> dict[str, str]:
    """SHA-256 of every picture that lies there -> its key."""
    shelf = read_shelf(project)
    contents: dict[str, str] = {}
    for item in (*shelf.items, *shelf.left_out):
        contents.setdefault(item.content, item.key)
    for entry in shelf.rejected:
        if (project.pictures / entry.name).is_file():
            contents.setdefault(_digest(project.pictures / entry.name), entry.name)
    return contents


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
