"""Whether pictures are pictures at all, and whether a run has begun to learn its pictures by heart. Pure.

In: pictures, held-out losses, step losses. Out: shares and a curve's shape. Draws nothing, decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipelines.events import Event, Step, Validated

ROUGHER = 3.0  # times the set's roughest picture: noise
SMOOTHER = 0.15  # times its smoothest: an empty sheet


@dataclass(frozen=True)
class Look:
    """The roughness of a set's ordinary pictures, from the smoothest to the roughest: mean step between neighbouring pixels, 0..255."""

    smoothest: float
    roughest: float

    def is_broken(self, picture: Image.Image) -> bool:
        """True for what no camera and no pen makes of this subject: noise, or an empty sheet."""
        rough = roughness(picture)
        return rough > ROUGHER * self.roughest or rough < SMOOTHER * self.smoothest


def usual_look(pictures: Sequence[Image.Image], *, side_px: int) -> Look:
    """The look of real pictures at the size that is drawn."""
    measured = [roughness(picture.resize((side_px, side_px), Image.Resampling.LANCZOS)) for picture in pictures]
    return Look(min(measured), max(measured))


def roughness(picture: Image.Image) -> float:
    """Mean step between neighbouring pixels, 0..255."""
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32)
    return float(np.abs(np.diff(pixels, axis=1)).mean() + np.abs(np.diff(pixels, axis=0)).mean()) / 2


@dataclass(frozen=True)
class Curve:
    """Held-out losses over the base's, by step: 1 = no better than the base. training: the same for the steps' own losses, or empty."""

    held_out: tuple[tuple[int, float], ...]
    training: tuple[tuple[int, float], ...] = ()

    @property
    def best(self) -> tuple[int, float] | None:
        """(step, ratio) of the lowest held-out loss."""
        return min(self.held_out, key=lambda point: point[1], default=None)

    @property
    def rise(self) -> float:
        """By which share the last held-out loss lies above the lowest."""
        return self.held_out[-1][1] / self.best[1] - 1 if self.best and self.best[1] > 0 else 0.0

    def at(self, step: int) -> float | None:
        """The ratio measured nearest to a step."""
        nearest = min(self.held_out, key=lambda point: abs(point[0] - step), default=None)
        return nearest[1] if nearest else None

    @property
    def gap(self) -> float:
        """How much farther the training loss fell than the held-out loss, both as shares of their start."""
        return self.held_out[-1][1] - self.training[-1][1] if self.held_out and self.training else 0.0


def curve_of(events: Sequence[Event]) -> Curve:
    """The curve of a run's events. The training loss is a mean over a tenth of the run, over that of its first twentieth."""
    measured = {event.step: event.loss / event.base_loss for event in events if isinstance(event, Validated) and event.base_loss > 0}
    losses = {event.step: event.loss for event in events if isinstance(event, Step)}
    ordered = [losses[step] for step in sorted(losses)]
    window = max(1, len(ordered) // 10)
    start = float(np.mean(ordered[: max(1, window // 2)])) if ordered else 0.0
    training = (
        tuple((step, float(np.mean(ordered[max(0, place - window) : place])) / start) for place, step in _ends(sorted(losses), window))
        if start
        else ()
    )
    return Curve(tuple(sorted(measured.items())), training)


def _ends(steps: list[int], window: int) -> list[tuple[int, int]]:
    """(how many steps lie before, the step) at the end of each window."""
    return [(place, steps[place - 1]) for place in range(window, len(steps) + 1, window)]
