"""What stands in a folder of pictures: items with their captions and masks, and every other file with the reason why it is not one.

In: a folder, nested or not, with sidecars, metadata.jsonl or .csv, kohya `10_trigger class` folders, masks. Out: a `Dataset` without edits.
Symbolic links are followed only inside the folder. Reads headers and hashes in threads; does not decode pixels unless a file looks cut off.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from pipelines.errors import DatasetError
from training.captions import SIDECARS, mended, read_caption
from training.dataset import Dataset, Hints, Item, Rejected
from training.decode import SUFFIXES, Header, check_whole, read_header
from training.metadata import METADATA, read_metadata

THREADS = 8
SYSTEM_NAMES = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "$recycle.bin", "system volume information", "@eadir"}
)
OWN_NAMES = frozenset({"edits.json", "edits.log.jsonl", "project.json", "rights.json"})
MASK_FOLDERS = ("mask", "masks")
MASK_ENDINGS = (".mask", "-masklabel")
ARCHIVES = frozenset({".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz"})
FOREIGN = {
    **dict.fromkeys((".svg", ".ai", ".eps", ".pdf", ".cdr"), "is a drawing, not a picture of pixels"),
    **dict.fromkeys((".psd", ".psb", ".xcf", ".kra", ".indd", ".afphoto"), "is a layered document"),
    **dict.fromkeys((".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".raf", ".rw2"), "is a raw camera file"),
    **dict.fromkeys((".mp4", ".mov", ".avi", ".webm", ".mkv"), "is a film"),
    **dict.fromkeys((".jxl", ".jp2", ".j2k", ".exr", ".hdr", ".tga", ".dds"), "is a picture of a kind that is not read here"),
}
_PROOF = re.compile(r"rights/[0-9a-f]{8}-.+")  # a scan of a contract, kept by training/rights.py: no picture of the set
_KOHYA = re.compile(r"([1-9]\d?|100)_(\S.*)")


@dataclass(frozen=True)
class Concept:
    """What a kohya folder name `10_trigger class` says."""

    repeats: int
    trigger: str
    noun: str


def read_folder(root: Path) -> Dataset:
    """The dataset in a folder (or of one picture), no edits applied. Raises DatasetError if the folder cannot be listed."""
    files, refused, ours = _listing(root)
    root = root if root.is_dir() else root.parent
    _, files = _split(files, lambda name: _is_proof(root, name))
    masks, files = _split(files, is_mask)
    pictures, others = _split(files, lambda name: _is_picture(root, name))
    listed, used, faults = read_metadata(root, [name for name in others if PurePosixPath(name).name in METADATA])
    captions = _sidecars(pictures, others)
    with ThreadPoolExecutor(THREADS) as threads:
        mask_of = _masks(pictures, masks)
        results = list(
            threads.map(lambda name: _read_item(root, name, captions.get(name), listed.get(name, ""), mask_of.get(name)), pictures)
        )
    taken = {*used, *captions.values(), *mask_of.values(), *OWN_NAMES}
    ignored = [Rejected(name, *_why_ignored(name)) for name in (*others, *masks) if name not in taken]
    lost = "is listed in a metadata file but is not there"
    missing = [Rejected(name, lost, "Add the picture, or remove its line.") for name in listed if name not in set(pictures)]
    return Dataset(
        root=root,
        items=tuple(result for result in results if isinstance(result, Item)),
        rejected=(*(result for result in results if isinstance(result, Rejected)), *refused, *faults, *missing),
        ignored=(*ignored, *ours),
        hints=_hints(root, pictures),
    )


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key that puts picture 2 before picture 10."""
    return [(int(part), "") if part.isdigit() and part.isascii() else (0, part.casefold()) for part in re.split(r"(\d+)", name)]


def concept_of(name: str) -> Concept | None:
    """The concept of the nearest kohya folder above a file, if there is one."""
    for folder in reversed(PurePosixPath(name).parts[:-1]):
        match = _KOHYA.fullmatch(folder)
        if match:
            trigger, _, noun = match[2].strip().partition(" ")
            return Concept(int(match[1]), trigger, noun.strip())
    return None


def _listing(root: Path) -> tuple[list[str], list[Rejected], list[Rejected]]:
    """Names of all files below a folder, in natural order; those that must not be opened; and folders that Brandprint itself filled."""
    if root.is_file():
        sidecars = [root.with_suffix(ending) for ending in SIDECARS]
        return [root.name, *(path.name for path in sidecars if path.is_file())], [], []
    names: list[str] = []
    refused: list[Rejected] = []
    ours: list[Rejected] = []
    for folder, folders, files in os.walk(root, followlinks=False, onerror=_raise):
        at = Path(folder).relative_to(root).as_posix()
        prefix = "" if at == "." else at + "/"
        made = [name for name in sorted(folders) if _is_run(Path(folder) / name) or _is_exports(Path(folder) / name)]
        ours += [Rejected(prefix + name, "is a folder that Brandprint made, not pictures to learn from") for name in made]
        folders[:] = [name for name in folders if name not in made]
        refused += [_refused_link(root, prefix + name) for name in sorted(folders) if (Path(folder) / name).is_symlink()]
        folders[:] = sorted(name for name in folders if not _is_system(name) and not (Path(folder) / name).is_symlink())
        for name in files:
            problem = None if _is_system(name) else _name_problem(root, prefix + name)
            if problem:
                refused.append(problem)
            elif not _is_system(name):
                names.append(prefix + name)
    return sorted(names, key=natural), refused, ours


def _is_run(folder: Path) -> bool:
    """True for a run: `brandprint train .` keeps its runs, previews included, among the pictures."""
    return (folder / "job.json").is_file() and (folder / "events.jsonl").is_file()


def _is_exports(folder: Path) -> bool:
    """True for the exports of a studio's project, which stand beside its pictures."""
    return folder.name == "exports" and (folder.parent / "project.json").is_file() and (folder.parent / "pictures").is_dir()


def _raise(error: OSError) -> None:
    name = Path(error.filename or "").name
    raise DatasetError(f"The folder {name!r} cannot be listed: {error.strerror}.", fix="Check its permissions.") from error


def _is_system(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def _refused_link(root: Path, name: str) -> Rejected:
    return Rejected(_printable(name), "is a link to another folder", "Copy the folder itself.")


def _name_problem(root: Path, name: str) -> Rejected | None:
    if _printable(name) != name:
        return Rejected(_printable(name), "has a name that this system cannot spell", "Rename it.")
    path = root / name
    if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
        return Rejected(name, "is a link that leads outside the folder", "Copy the picture itself.")
    if not path.is_file():
        return Rejected(name, "is a link to nothing, or no regular file", "Remove it.")
    return None


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _split(names: Iterable[str], condition) -> tuple[list[str], list[str]]:
    yes: list[str] = []
    no: list[str] = []
    for name in names:
        (yes if condition(name) else no).append(name)
    return yes, no


def is_mask(name: str) -> bool:
    """True for names of masks: they belong to a picture, and are none."""
    path = PurePosixPath(name)
    if path.suffix.lower() not in SUFFIXES:
        return False
    return path.stem.lower().endswith(MASK_ENDINGS) or path.parent.name.lower() in MASK_FOLDERS


def _masks(pictures: list[str], masks: list[str]) -> dict[str, str]:
    """The mask of each picture that has one: name.mask.png, name-masklabel.png, or of the same name in a folder `mask`."""
    known = {str(PurePosixPath(mask).with_suffix("")): mask for mask in masks}
    found = {}
    for name in pictures if known else ():
        path = PurePosixPath(name)
        beside = [f"{path.parent / path.stem}{ending}" for ending in MASK_ENDINGS]
        below = [str(path.parent / folder / path.stem) for folder in MASK_FOLDERS]
        match = next((known[stem] for stem in (*beside, *below) if stem in known), None)
        if match:
            found[name] = match
    return found


def _is_picture(root: Path, name: str) -> bool:
    """True for names of pictures outside kohya's folder of class pictures; a name without ending is judged by the file's first bytes."""
    path = PurePosixPath(name)
    if _is_class_picture(root, name):
        return False
    if path.suffix:
        return path.suffix.lower() in SUFFIXES
    with (root / name).open("rb") as file:
        start = file.read(12)
    is_webp = start[:4] == b"RIFF" and start[8:] == b"WEBP"
    return is_webp or start.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"II*\x00", b"MM\x00*"))


def _is_proof(root: Path, name: str) -> bool:
    return bool(_PROOF.fullmatch(name)) and (root / "rights.json").is_file()


def _is_class_picture(root: Path, name: str) -> bool:
    return name.startswith("reg/") and (root / "img").is_dir()


def _why_ignored(name: str) -> tuple[str, str]:
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    if name.startswith("reg/"):
        return "is a class picture of kohya's layout", "Give the folder reg as class pictures instead."
    if suffix in FOREIGN:
        return FOREIGN[suffix], "Export it as JPEG or PNG."
    if suffix in ARCHIVES:
        return "is an archive inside the set", "Unpack it into the folder."
    if suffix in SIDECARS:
        return "is a caption without a picture of its name", "Give it the picture's name, or remove it."
    if suffix in SUFFIXES:
        return "is a mask without a picture of its name", "Give it the picture's name, or remove it."
    return "is not a picture", ""


def _sidecars(pictures: list[str], others: list[str]) -> dict[str, str]:
    """The sidecar of each picture that has one: `name.txt` or `name.caption`, else `name.jpg.txt`."""
    known = set(others)
    found = {}
    for name in pictures:
        stem = str(PurePosixPath(name).with_suffix(""))
        match = next((text for text in (base + ending for base in (stem, name) for ending in SIDECARS) if text in known), None)
        if match:
            found[name] = match
    return found


def _read_item(root: Path, name: str, sidecar: str | None, listed: str, mask: str | None) -> Item | Rejected:
    path = root / name
    concept = concept_of(name)
    try:
        stat = path.stat()
        header, content = _facts(path, stat.st_size, stat.st_mtime_ns)
        caption = read_caption(root / sidecar) if sidecar else listed
    except DatasetError as error:
        return Rejected(name, error.message.removeprefix(path.name).strip().rstrip("."), error.fix)
    except OSError as error:
        return Rejected(name, f"cannot be read: {error.strerror}", "Check its permissions.")
    return Item(
        key=name,
        path=path,
        caption=caption,
        width_px=header.width_px,
        height_px=header.height_px,
        content=content,
        repeats=concept.repeats if concept else 1,
        mask=root / mask if mask else None,
    )


@lru_cache(maxsize=8192)
def _facts(path: Path, size: int, mtime_ns: int) -> tuple[Header, str]:
    """Header and SHA-256 of a whole picture; remembered while size and time stay the same, so that a folder that grows costs what is new."""
    header = read_header(path)
    check_whole(path, header)
    with path.open("rb") as file:
        return header, hashlib.file_digest(file, "sha256").hexdigest()


def _hints(root: Path, pictures: list[str]) -> Hints:
    """The subject as project.json says it, else as most kohya folders do."""
    stated = _stated(root / "project.json")
    concepts = Counter((concept.trigger, concept.noun) for concept in _concepts(pictures))
    trigger, noun = concepts.most_common(1)[0][0] if concepts else ("", "")
    return Hints(
        trigger=stated.get("trigger") or trigger,
        noun=stated.get("noun") or noun,
        intent=stated.get("intent", ""),
        name=stated.get("name", ""),
        constant=stated.get("constant", ""),
    )


def _concepts(pictures: list[str]) -> Iterator[Concept]:
    for name in pictures:
        concept = concept_of(name)
        if concept:
            yield concept


def _stated(path: Path) -> dict[str, str]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: mended(value) for key, value in values.items() if isinstance(value, str)} if isinstance(values, dict) else {}
