"""One number from 0 to 100 for a set, from the faults found in it; and what mending each would bring.

In: faults by picture and of the set, as weights. Out: the score and its parts. Formula and proof that planting a fault never raises
it and mending one never lowers it: docs/doctor.md. Knows nothing of pictures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.card import Intent

ENOUGH: dict[Intent, int] = {"product": 20, "character": 20, "style": 30}  # sound pictures; peers.md's experts start at 10-30
LEAST_FOR_COUNT = 0.3  # what even a single picture keeps of the count's part


@dataclass(frozen=True)
class Tally:
    """What the score is made from. worths: 1 - weight of each picture's faults, multiplied, for every picture in use.

    sound: pictures in use without a fault that is mended by leaving them out. total: all pictures ever given, refused and left-out
    ones included. refused: unreadable files that were not left out yet. set_losses: weight x extent of each fault of the set.
    """

    worths: tuple[float, ...]
    sound: int
    total: int
    refused: int
    set_losses: tuple[float, ...]


def tally(
    faults: Mapping[str, Mapping[str, float]], *, used: int, sound: int, total: int, refused: int, set_losses: Mapping[str, float]
) -> Tally:
    """A tally from weights by picture and code. Pictures in use without a fault need not be listed."""
    worths = tuple(math.prod(1 - weight for weight in weights.values()) for weights in faults.values())
    return Tally(worths + (1.0,) * (used - len(worths)), sound, total, refused, tuple(set_losses.values()))


@dataclass(frozen=True)
class Parts:
    """The three factors of the score, each 0-1."""

    pictures: float
    count: float
    whole: float


def parts(tally: Tally, intent: Intent) -> Parts:
    """pictures: 1 - lost worth / all pictures ever given. count: sound pictures against what is enough. whole: faults of the set
    multiplied.
    """
    lost = sum(1 - worth for worth in tally.worths) + tally.refused
    count = LEAST_FOR_COUNT + (1 - LEAST_FOR_COUNT) * min(1.0, tally.sound / ENOUGH[intent])
    return Parts(1 - lost / max(tally.total, 1), count if tally.sound else 0.0, math.prod(1 - loss for loss in tally.set_losses))


def score(tally: Tally, intent: Intent) -> float:
    """0-100, not rounded."""
    factors = parts(tally, intent)
    return 100 * factors.pictures * factors.count * factors.whole
