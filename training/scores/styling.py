"""How far drawings have taken on the set's way of drawing, whatever they show. Pure numpy.

In: statistics of early layers (`pipelines.encoders.layer_statistics`), one row a picture. Out: a share. Encodes and draws nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Statistics = NDArray[np.float32]  # [N, D]


@dataclass(frozen=True)
class Styling:
    """From the base's way of drawing to the set's. real: mean of the set; spread: deviation of a statistic between pictures; by_base: the base's distance."""

    real: NDArray[np.float32]
    spread: NDArray[np.float32]
    by_base: float

    def of(self, drawn: Statistics) -> float:
        """0 as far from the set as the base's own pictures, 1 as the set; below 0 farther than the base. Means are compared, so that what is shown counts little."""
        return 1 - _distance(drawn, self.real, self.spread) / max(self.by_base, 1e-6)


def styling_of(real: Statistics, by_base: Statistics) -> Styling:
    """real: the set's pictures; by_base: the base's, at the prompts that will be drawn."""
    spread = np.concatenate([real, by_base]).std(axis=0) + 1e-6
    middle = real.mean(axis=0)
    return Styling(middle, spread, _distance(by_base, middle, spread))


def _distance(drawn: Statistics, real: NDArray[np.float32], spread: NDArray[np.float32]) -> float:
    return float(np.linalg.norm((drawn.mean(axis=0) - real) / spread))
