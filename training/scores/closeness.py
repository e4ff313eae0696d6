"""How near drawn pictures come to pictures that were never trained on, how well they follow their captions, and how they vary. Pure numpy.

In: features of pictures, unit length, one row each. Out: numbers. Encodes and draws nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]  # [N, D], rows of length 1
SMALLEST_RANGE = 0.05  # of similarity between base and set: below it the base is as close as pictures of the set are to each other


@dataclass(frozen=True)
class Scale:
    """The ends of fidelity: what the base reaches, and what the nearest training picture reaches. Similarities, -1..1."""

    base: float
    ceiling: float

    def of(self, similarity: NDArray[np.float32]) -> NDArray[np.float32]:
        """0 at the base, 1 at the ceiling."""
        return (similarity - self.base) / max(self.ceiling - self.base, SMALLEST_RANGE)


def unit(features: Features) -> Features:
    """The rows at length 1."""
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-8)


def joined(parts: list[Features]) -> Features:
    """Features of several encoders as one: side by side, each with equal weight, of length 1."""
    return np.concatenate(parts, axis=1) / np.sqrt(len(parts))


def paired(left: Features, right: Features) -> NDArray[np.float32]:
    """Similarity of row to row, [N]."""
    return np.einsum("nd,nd->n", left, right)


def nearest_similarity(pictures: Features, among: Features, *, leave_self: bool = False) -> NDArray[np.float32]:
    """Similarity of each picture to the nearest of the others, [N]. leave_self: both are the same set, and a picture is not its own neighbour."""
    table = pictures @ among.T
    if leave_self:
        np.fill_diagonal(table, -np.inf)
    return table.max(axis=1)


def caption_match(drawn: Features, real: Features) -> NDArray[np.float32]:
    """For each drawn picture, the share of other captions' real pictures that it is farther from than from its own caption's: 1 = always, 0.5 = chance.

    drawn[i] was drawn with the caption of real[i]. Real pictures that look like its own (nearer than half of all) are no fair opponents but weigh little.
    """
    table = drawn @ real.T
    own = np.diag(table)[:, None]
    others = ~np.eye(len(table), dtype=bool)
    if not others.any():
        return np.full(len(table), 0.5, dtype=np.float32)
    wins = (own > table) + 0.5 * (own == table)
    return (wins * others).sum(axis=1) / others.sum(axis=1)


def text_match(pictures: Features, texts: Features) -> NDArray[np.float32]:
    """For each picture, the share of other captions that fit it less than its own: 1 = always, 0.5 = chance. texts[i]: the caption of pictures[i].

    Captions are compared for one picture, and pictures for one caption, so that a caption that fits everything wins nothing.
    """
    return ((caption_match(pictures, texts) + caption_match(texts, pictures)) / 2).astype(np.float32)


def obedience_of(match: NDArray[np.float32]) -> NDArray[np.float32]:
    """Chance (0.5) becomes 0, always (1) stays 1."""
    return 2 * match - 1


def restyled(things: Features, *, real: Features, by_base: Features) -> Features:
    """What things would look like in the set's style: the base's own pictures of them, moved by the way from the base's pictures of the set's captions to the
    real ones. A difference of means as a direction between two looks: Gal et al. 2021, arXiv 2108.00946 (they compare with it, here it is a target).
    """
    return unit(things + (real.mean(axis=0) - by_base.mean(axis=0)))


def spread(features: Features) -> float:
    """Mean distance (1 - similarity) between different rows; 0 for fewer than two."""
    count = len(features)
    if count < 2:
        return 0.0
    table = features @ features.T
    return float(1 - (table.sum() - np.trace(table)) / (count * (count - 1)))


def relative(value: float, reference: float) -> float:
    """value / reference, 1 where the reference is nothing, at most 3."""
    return min(3.0, value / reference) if reference > 1e-6 else 1.0
