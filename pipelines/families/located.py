"""A base that was found and checked, before any weight is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.families.base import FamilyName, Prediction

CONFIGS = Path(__file__).resolve().parent / "configs"


@dataclass(frozen=True)
class Located:
    """A complete base on this machine. weights: every file whose bytes make the base, with the component that it belongs to."""

    source: str
    path: Path
    kind: Literal["folder", "file"]
    family: FamilyName
    prediction: Prediction
    weights: tuple[tuple[str, Path], ...]
    variants: tuple[tuple[str, str], ...] = ()  # component -> "fp16", where only that variant is there
    zero_terminal_snr: bool = False  # a single file's mark; a folder's scheduler says it itself
