"""Hand an adapter over: write the files, load every one back, and give out only what was proven.

In: a base, an adapter, a folder. Out: a `Bundle` that lists the files, their hashes and the checks they passed. Nothing unproven ever stands in the
folder: files are made in a hidden folder beside, checked there, and moved in at the end.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Literal

from pipelines.adapter import Adapter, effect_size
from pipelines.atomic import sweep_partials, write_atomically
from pipelines.errors import ExportError
from pipelines.events import Advice
from pipelines.families.base import Base
from pipelines.formats import beside
from pipelines.formats.container import Hashes, hashes_of, pack, with_metadata
from pipelines.formats.diffusers import adapter_metadata, to_diffusers
from pipelines.formats.drawing import picture_change
from pipelines.formats.factors import dtype_of, shares_of
from pipelines.formats.kohya import to_kohya
from pipelines.formats.merged import write_merged
from pipelines.formats.metadata import hash_fields, kohya_fields, modelspec_fields
from pipelines.formats.verify import Check, Reference, check_lora, check_merged, draw_reference

Format = Literal["kohya", "diffusers", "merged"]
Progress = Callable[[str, int, int], None]
FORMATS: tuple[Format, ...] = ("kohya", "diffusers", "merged")
NAME_BYTES = 150  # of 255 that file systems allow; a file being written has a longer name
DEAD_LEVELS = 0.5  # a picture that changes by less than half an 8-bit step shows nothing
DEAD_CHANGE = 1e-3  # of the latents; an autoencoder that clips may hide a change from the picture alone


@dataclass(frozen=True)
class BundleFile:
    """One file, or the folder of a merged pipeline. verified: empty for notes and pictures."""

    path: Path
    kind: Literal["kohya", "diffusers", "merged", "settings", "preview", "notes", "card"]
    sha256: str
    autov2: str = ""
    autov3: str = ""
    verified: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Bundle:
    """What was handed over. effect_size: |delta W| / |W|; picture_change_levels: what the adapter changes in a check picture, of 255."""

    folder: Path
    name: str
    files: tuple[BundleFile, ...]
    effect_size: float
    picture_change_levels: float
    warnings: tuple[Advice, ...] = ()

    def file(self, kind: str) -> BundleFile:
        """The file of a kind. Raises KeyError if the bundle has none."""
        found = {str(file.kind): file for file in self.files}
        return found[kind]


@dataclass(frozen=True)
class _Job:
    """What every step of one export needs."""

    base: Base
    adapter: Adapter
    stage: Path
    name: str
    precision: str
    captions: Sequence[str] | None
    thumbnail: bytes | None
    reference: Reference


def export_bundle(
    base: Base,
    adapter: Adapter,
    folder: Path,
    *,
    formats: Sequence[Format] = ("kohya", "diffusers"),
    precision: str = "fp16",
    name: str | None = None,
    thumbnail: bytes | Path | None = None,
    include_captions: Sequence[str] | None = None,
    prompt: str | None = None,
    seed: int = 0,
    strength: float | None = None,
    progress: Progress | None = None,
) -> Bundle:
    """Write and prove the adapter's files in folder.

    formats: each is written once. name: of the files; None: the card's. thumbnail: a PNG or JPEG. include_captions: only if their statistics may be published.
    prompt, seed: of the check drawing. strength: of a merged pipeline; None: the card's recommended one. progress(what, done, total).
    Raises ExportError if a file cannot be made or does not do what the adapter does; the folder is then as before.
    """
    formats = tuple(dict.fromkeys(formats))
    _check_request(base, adapter, formats, precision)
    picture = _read_picture(thumbnail)
    tell, total = progress or (lambda what, done, total: None), 2 * len(formats) + 1
    stage = _make_stage(folder)
    try:
        tell("drawing", 0, total)
        prompt = prompt or adapter.card.trigger_phrase or "a photo"
        reference = draw_reference(base, adapter, prompt=prompt, seed=seed)
        job = _Job(base, adapter, stage, file_name(name or adapter.card.name), precision, include_captions, picture, reference)
        files: list[BundleFile] = []
        for number, kind in enumerate(formats):
            tell(f"writing {kind}", 2 * number + 1, total)
            files.append(_write_merged(job, strength) if kind == "merged" else _write_lora(job, kind))
            tell(f"checked {kind}", 2 * number + 2, total)
        files += _write_beside(job, formats)
        moved = tuple(_move(file, stage, folder) for file in files)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    size, levels = effect_size(base, adapter), picture_change(base, reference.plain, reference.adapted)
    tell("done", total, total)
    return Bundle(folder, job.name, moved, size, levels, _advice(base, adapter, size=size, levels=levels, change=reference.change))


def file_name(name: str) -> str:
    """The name as a file name that every program can also write in a prompt: letters, digits, - _ and points; cut to what file systems take."""
    kept = re.sub(r"[^\w.-]+", "-", name).strip("-.").encode()[:NAME_BYTES].decode(errors="ignore").strip("-.") or "adapter"
    return f"{kept}-lora" if kept.lower() in ("card", "readme") else kept


def zip_bundle(bundle: Bundle, path: Path) -> Path:
    """All files of the bundle as one zip at path. Equal bundles give equal zips."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:  # weights do not compress
            for file in sorted(inner for entry in bundle.files for inner in _files_in(entry.path)):
                label = zipfile.ZipInfo(f"{bundle.name}/{file.relative_to(bundle.folder).as_posix()}")
                label.external_attr = 0o644 << 16
                with archive.open(label, "w", force_zip64=True) as target, open(file, "rb") as source:
                    shutil.copyfileobj(source, target, 1 << 20)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _check_request(base: Base, adapter: Adapter, formats: Sequence[str], precision: str) -> None:
    dtype_of(precision)
    unknown = [kind for kind in formats if kind not in FORMATS]
    if unknown or not formats:
        raise ExportError(f'"{unknown[0] if unknown else ""}" is not an export format.', fix=f"Use some of: {', '.join(FORMATS)}.")
    for kind in formats:
        if kind != "merged":
            shares_of(adapter, file=kind)
    if adapter.card.base_family != base.family:
        raise ExportError(
            f"The adapter is made for {adapter.card.base_family}; this base is {base.family}.", fix="Choose the base it was made for."
        )


def _make_stage(folder: Path) -> Path:
    """A hidden folder in folder, for files that are not proven yet."""
    stage = folder / f".bundle.{os.getpid()}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep_partials(folder)
        stage.mkdir()
    except OSError as error:
        raise ExportError(
            f"No files can be written into {folder.name or folder}: {error.strerror}.", fix="Name another folder, or one that is new."
        ) from error
    return stage


def _read_picture(thumbnail: bytes | Path | None) -> bytes | None:
    if not isinstance(thumbnail, Path):
        return thumbnail
    try:
        return thumbnail.read_bytes()
    except OSError as error:
        raise ExportError(f"The preview picture {thumbnail.name} cannot be opened: {error.strerror}.", fix="Check the path.") from error


def _write_lora(job: _Job, kind: str) -> BundleFile:
    content, hashes = _content(job, kind)
    path = job.stage / (f"{job.name}.safetensors" if kind == "kohya" else "diffusers/pytorch_lora_weights.safetensors")
    write_atomically(path, content)
    checks = check_lora(job.base, job.adapter, path, precision=job.precision, reference=job.reference)
    _insist(path.name, kind, checks, precision=job.precision)
    return BundleFile(path, "kohya" if kind == "kohya" else "diffusers", hashes.sha256, hashes.autov2, hashes.autov3, checks)


def _content(job: _Job, kind: str) -> tuple[bytes, Hashes]:
    write = to_kohya if kind == "kohya" else to_diffusers
    packed = pack(write(job.adapter, job.base, precision=job.precision))
    url = beside.embedded_thumbnail(job.thumbnail) if job.thumbnail else ""
    fields = modelspec_fields(job.adapter.card, job.base, name=job.name, thumbnail_url=url)
    training = kohya_fields(job.adapter, job.base, name=job.name, captions=job.captions)
    if kind == "diffusers":
        fields |= adapter_metadata(job.adapter, job.base)
    content = with_metadata(packed, fields | training | hash_fields(packed, training))
    return content, hashes_of(content)


def _write_merged(job: _Job, strength: float | None) -> BundleFile:
    path = job.stage / "merged"
    strength = job.adapter.card.recommended_strength if strength is None else strength
    reference = job.reference
    if strength != reference.strength:
        reference = draw_reference(job.base, job.adapter, prompt=reference.prompt, seed=reference.seed, strength=strength)
    write_merged(job.base, job.adapter, path, strength=strength, precision=job.precision)
    checks = check_merged(job.base, job.adapter, path, precision=job.precision, reference=reference)
    _insist(path.name, "merged", checks, precision=job.precision)
    digest = sha256("".join(f"{file.relative_to(path).as_posix()} {_digest(file)}\n" for file in sorted(_files_in(path))).encode())
    return BundleFile(path, "merged", digest.hexdigest(), verified=checks)


def _insist(file: str, kind: str, checks: Sequence[Check], *, precision: str) -> None:
    for check in checks:
        if not check.passed:
            is_rounding = precision != "fp32" and check.bound > 0 and not math.isnan(check.value)  # what has no room at all is no rounding
            fix = "Export in fp32." if is_rounding else "Report this with the adapter's card; the run itself is unharmed."
            raise ExportError(
                f"{file} ({kind}) was written but does not act as the adapter: {check.name} {check.value:.3g}, at most {check.bound:.3g}.",
                fix=fix,
            )


def _write_beside(job: _Job, kinds: Sequence[str]) -> list[BundleFile]:
    card, family = job.adapter.card, job.base.family
    contents: list[tuple[str, Literal["settings", "preview", "notes", "card"], bytes]] = [
        ("README.txt", "notes", beside.install_notes(card, job.name, family=family, kinds=kinds).encode()),
        ("card.json", "card", beside.card_record(card)),
    ]
    if "kohya" in kinds:
        contents.append((f"{job.name}.json", "settings", beside.webui_record(card, family)))
    if job.thumbnail:
        contents.append((f"{job.name}.png", "preview", beside.preview_picture(job.thumbnail)))
    for file, _, content in contents:
        write_atomically(job.stage / file, content)
    return [BundleFile(job.stage / file, kind, sha256(content).hexdigest()) for file, kind, content in contents]


def _move(file: BundleFile, stage: Path, folder: Path) -> BundleFile:
    target = folder / file.path.relative_to(stage)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        shutil.rmtree(target)
    file.path.replace(target)
    return BundleFile(target, file.kind, file.sha256, file.autov2, file.autov3, file.verified)


def _advice(base: Base, adapter: Adapter, *, size: float, levels: float, change: float) -> tuple[Advice, ...]:
    found: list[Advice] = []
    if size == 0.0 or (levels < DEAD_LEVELS and change < DEAD_CHANGE):
        fix = "Train longer or at a higher rate, or choose a later checkpoint."
        found.append(
            Advice("dead", f"This adapter is dead: it changes a picture by {levels:.2g} of 255 steps (weights by {size:.2g}).", fix)
        )
    if size > 1.0:
        found.append(
            Advice(
                "fried",
                f"The adapter outweighs the base: its weights are {size:.2g} times as large.",
                "Choose an earlier checkpoint or a lower strength.",
            )
        )
    trained_on = adapter.card.base_fingerprint
    if trained_on and trained_on != base.fingerprint:
        found.append(
            Advice(
                "other-base",
                f"The adapter was trained on {adapter.card.base or 'another base'}; it was checked on {Path(base.source).name}.",
                "Export with the base it was trained on.",
            )
        )
    return tuple(found)


def _files_in(path: Path) -> list[Path]:
    return [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]


def _digest(file: Path) -> str:
    with open(file, "rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
