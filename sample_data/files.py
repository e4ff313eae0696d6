"""Writes and reads one sample set: numbered WebP pictures, a caption beside each, and project.json.

In: finished pictures. Out: files with stable, zero-padded names.
Does not draw anything; see `recipes/`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent


@dataclass(frozen=True)
class Project:
    """What project.json says. intent is product, character or style; noun stands beside the trigger in a prompt."""

    name: str
    intent: str
    trigger: str
    noun: str
    licence: str
    credit: str


@dataclass(frozen=True)
class Sample:
    """One picture with the words for what varies in it."""

    name: str
    picture: Image.Image
    caption: str


def write_project(folder: Path, project: Project) -> None:
    """project.json, creating the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "project.json").write_text(json.dumps(asdict(project), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_samples(folder: Path, samples: Iterable[Sample], *, quality: int) -> int:
    """How many were written; quality 100 is lossless. What an earlier run left under other names is removed."""
    written = set()
    for sample in samples:
        sample.picture.save(folder / f"{sample.name}.webp", quality=quality, lossless=quality == 100, method=4)
        (folder / f"{sample.name}.txt").write_text(sample.caption + "\n", encoding="utf-8")
        written.add(sample.name)
    for old in (*folder.glob("*.webp"), *folder.glob("*.txt")):
        if old.stem not in written:
            old.unlink()
    return len(written)
