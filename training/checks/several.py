"""Tells whether the subject, or a face, stands in a picture more than once.

In: a `Scene`. Out: hints. What belongs to the subject is learned from the set: the colours that many pictures share, and in how many
patches each usually appears (one cap, two shoes). Does not look at styles, which may show crowds.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from training.checks.base import Fault, Scene
from training.looks import Look
from training.measures import CELLS, CELLS_ACROSS, MAP_PX

FEWEST = 8  # pictures: below, nothing can be said about what they share
SHARED = 0.4  # of the pictures hold a colour that belongs to the subject
SMALLEST, COMPARABLE = 6, 0.45  # cells of the map; share of the largest patch of its colour
APART = 0.24 * MAP_PX  # between the middles of two patches that belong to two subjects
SURPRISE = 2.3  # nats: how unlikely the doubled patches are together, as this set goes
RARE, USUAL = 0.02, 0.5  # of the pictures: fewer do no harm; where more show several, it is how the subject comes (a pair of shoes)


def several_subjects(scene: Scene) -> list[Fault]:
    """Two or more faces of about one size, or twice as many patches of the subject's colours as usual."""
    if scene.intent == "style":
        return []
    maps = [np.frombuffer(bytes.fromhex(look.colours), np.uint8).reshape(MAP_PX, MAP_PX) for look in scene.seen]
    found = _doubled(maps) | np.array([_large_faces(look) > 1 for look in scene.seen], bool)
    if not RARE * len(found) <= found.sum() <= USUAL * len(found):
        return []
    return [Fault(key, "several subjects") for key, several in zip(scene.keys, found, strict=True) if several]


def _large_faces(look: Look) -> int:
    widths = [face.width for face in look.faces if not face.is_cut]
    return sum(width > 0.5 * max(widths) for width in widths) if widths and max(widths) > 0.08 else 0


def _doubled(maps: Sequence[np.ndarray]) -> np.ndarray:
    """[N] True where colours of the subject stand in twice as many patches as usual, and so rarely that it is no chance. Two subjects
    that touch are told too, by their caps or shoes.
    """
    families = _own_colours(maps)
    if not families:
        return np.zeros(len(maps), bool)
    patches = np.array([[_patches(np.isin(colours, family)) for family in families] for colours in maps])  # [N, families]
    twice = patches >= 2 * np.array([np.median(column[column > 0]) for column in patches.T])
    return twice @ -np.log(twice.mean(axis=0) + 0.02) >= SURPRISE


def _own_colours(maps: Sequence[np.ndarray]) -> list[list[int]]:
    """Colours that stand in many pictures, the subject's, in families of neighbouring hues: light and shade of one paint."""
    if len(maps) < FEWEST:
        return []
    present = np.sum([np.bincount(colours.ravel(), minlength=CELLS) > 0.01 * colours.size for colours in maps], axis=0)
    own = np.zeros(CELLS, np.uint8)
    own[1:] = present[1:] >= SHARED * len(maps)
    count, labels = cv2.connectedComponents(own.reshape(CELLS_ACROSS, CELLS_ACROSS), connectivity=8)
    return [np.flatnonzero(labels.ravel() == family).tolist() for family in range(1, count)]


def _patches(mask: np.ndarray) -> int:
    """Patches of comparable size; those close together count as one, as a highlight may part them."""
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, _, stats, centres = cv2.connectedComponentsWithStats(closed, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept: list[np.ndarray] = []
    for index in np.argsort(-areas):
        centre = centres[1 + index]
        if areas[index] >= max(SMALLEST, COMPARABLE * areas.max()) and all(np.hypot(*(centre - other)) >= APART for other in kept):
            kept.append(centre)
    return len(kept)
