"""Which pictures a step sees: a pure function of seed and step, so that a run goes on after a kill exactly where it was.

In: a bucket and a repeat count per picture. Out: indices for any micro-batch. Holds no position and reads no files.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class BatchOrder:
    """The endless order of micro-batches. All pictures of a micro-batch share a bucket; each epoch shows every picture `repeats` times."""

    buckets: tuple[Hashable, ...]
    repeats: tuple[int, ...]
    batch: int
    seed: int

    def __post_init__(self) -> None:
        if not self.buckets:
            raise ValueError("no pictures to order")

    @property
    def per_epoch(self) -> int:
        """Micro-batches in one epoch."""
        return len(self.epoch(0))

    def at(self, number: int) -> tuple[int, ...]:
        """Picture indices of micro-batch `number`, counted from the run's start. Length 1 to batch."""
        epoch, place = divmod(number, self.per_epoch)
        return self.epoch(epoch)[place]

    def epoch(self, number: int) -> tuple[tuple[int, ...], ...]:
        """All micro-batches of an epoch."""
        return _epoch(self.buckets, self.repeats, self.batch, self.seed, number)


@lru_cache(maxsize=4)
def _epoch(buckets: Sequence[Hashable], repeats: Sequence[int], batch: int, seed: int, number: int) -> tuple[tuple[int, ...], ...]:
    chance = random.Random(f"{seed}/{number}")
    by_bucket: dict[Hashable, list[int]] = defaultdict(list)
    for index, bucket in enumerate(buckets):
        by_bucket[bucket] += [index] * repeats[index]
    batches = []
    for members in by_bucket.values():
        chance.shuffle(members)
        batches += [tuple(members[start : start + batch]) for start in range(0, len(members), batch)]
    chance.shuffle(batches)
    return tuple(batches)
