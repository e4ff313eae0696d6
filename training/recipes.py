"""The figures behind a plan: how often a picture is seen, rank, rate and batch by family and intent. Data and a few lines of arithmetic.

In: family, intent, number of pictures, dial. Out: numbers. The sources of each are the published recipes compared in docs/verdict.md, "Where the figures
come from"; the starter's were calibrated on the sample sets. Writes no sentences (plan.py does).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pipelines.card import Intent
from training.base_facts import BaseFacts, Targets
from training.config import TrainSettings

Dial = Literal["quick", "balanced", "thorough"]

# (pictures, exposures) knots at the balanced dial; between them straight lines in the logarithm of both.
STYLE_EXPOSURES = ((10, 80), (20, 60), (100, 25), (300, 15), (1000, 8))
SUBJECT_EXPOSURES = ((10, 120), (20, 100), (50, 60), (200, 22), (400, 15), (1000, 8))
STARTER_EXPOSURES = ((10, 100), (20, 70), (100, 26), (200, 18), (400, 12), (1000, 6))
DIAL = {"quick": 0.45, "balanced": 1.0, "thorough": 2.0}
XL_SHARE = 0.65  # an XL base needs about two thirds of the exposures for the same closeness
LARGE_SET = 60  # from here on a set has variety enough to carry a higher rank


@dataclass(frozen=True)
class Recipe:
    """What a family and an intent ask for, before pictures and device are looked at."""

    rank: int
    targets: Targets
    learning_rate: float
    batch: int
    most_steps: int


def recipe(base: BaseFacts, intent: Intent, *, pictures: int) -> Recipe:
    """The recipe of a base for an intent."""
    if base.is_starter or base.denoiser.parameters < 100_000_000:
        return Recipe(rank=16, targets="all", learning_rate=1e-3, batch=8, most_steps=3000)
    rank = 32 if intent == "style" or pictures >= LARGE_SET or base.family == "sdxl" else 16
    rate = 1e-4
    return Recipe(rank=rank, targets="attention+ff", learning_rate=rate, batch=4, most_steps=6000)


def exposures(base: BaseFacts, intent: Intent, *, pictures: int, dial: Dial) -> float:
    """How often each picture is seen."""
    if base.is_starter or base.denoiser.parameters < 100_000_000:
        return DIAL[dial] * between(STARTER_EXPOSURES, pictures)
    knots = STYLE_EXPOSURES if intent == "style" else SUBJECT_EXPOSURES
    return DIAL[dial] * between(knots, pictures) * (XL_SHARE if base.family == "sdxl" else 1)


def between(knots: tuple[tuple[int, int], ...], at: float) -> float:
    """The value at `at` on straight lines in the logarithm of both; flat beyond the ends. Falls wherever the knots fall."""
    if at <= knots[0][0]:
        return float(knots[0][1])
    for (left, high), (right, low) in pairwise(knots):
        if at <= right:
            share = math.log(at / left) / math.log(right / left)
            return math.exp(math.log(high) + share * math.log(low / high))
    return float(knots[-1][1])


def exposures_of(settings: TrainSettings, *, batches: float) -> float:
    """Micro-batches taken over those that one look at every picture needs: the figure that makes recipes comparable."""
    return settings.loop.steps * settings.loop.accumulation / batches


def held_out_count(pictures: int, *, share: float) -> int:
    """How many pictures a share keeps aside: 2 to 4 at least, 16 at most, none from fewer than 8."""
    if share == 0 or pictures < 8:
        return 0
    return min(16, max(2 if pictures < 40 else 4, round(share * pictures)))
