"""What a check sees and what it says.

In: a dataset with its looks, and what is to be taught. Out: the types `Scene`, `Fault`, `SetFault` and `Check`. Holds no check itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from pipelines.card import Intent
from training.dataset import Dataset, Item
from training.edits import Edit
from training.looks import Look, feature_matrix

Severity = Literal["serious", "warning", "hint"]
CountTokens = Callable[[str], int]


@dataclass(frozen=True)
class Scene:
    """Everything that checks may look at. base_size_px: side of the square that the base was trained on."""

    dataset: Dataset
    looks: dict[str, Look]
    failures: dict[str, tuple[str, str]]  # (reason, fix in words) of pictures that cannot be decoded
    intent: Intent
    trigger: str
    noun: str
    base_size_px: int
    count_tokens: CountTokens

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Pictures in use that could be looked at."""
        return tuple(item for item in self.dataset.items if item.key in self.looks)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        return tuple(item.key for item in self.items)

    @cached_property
    def seen(self) -> tuple[Look, ...]:
        """Looks in the order of `items`."""
        return tuple(self.looks[key] for key in self.keys)

    @cached_property
    def cosines(self) -> np.ndarray:
        """[N, N] likeness of pictures, in the order of `items`."""
        features = feature_matrix(self.seen)
        return features @ features.T

    @cached_property
    def hashes(self) -> np.ndarray:
        """[N, 64] bits of the perceptual hashes."""
        words = np.frombuffer(bytes.fromhex("".join(look.phash for look in self.seen)), np.uint8).reshape(-1, 8)
        return np.unpackbits(words, axis=1)


@dataclass(frozen=True)
class Fault:
    """One picture's fault. word: what stands on its badge."""

    key: str
    word: str
    fix: Edit | None = None


@dataclass(frozen=True)
class SetFault:
    """A fault of the set as a whole. extent: 0-1. fixes: may be empty where only other pictures help."""

    extent: float
    sentence: str
    keys: tuple[str, ...] = ()
    fixes: tuple[Edit, ...] = field(default=())


@dataclass(frozen=True)
class Check:
    """One line of the table. weight: share of a picture's worth that the fault takes (0-1); for faults of the set, of the score at
    extent 1.
    """

    code: str
    severity: Severity
    weight: float
    find: Callable[[Scene], Sequence[Fault]] | Callable[[Scene], Sequence[SetFault]]
    one: str  # "{name} is blurred."
    many: str  # "{count} pictures are blurred."
    cost: str
    of_set: bool = False
