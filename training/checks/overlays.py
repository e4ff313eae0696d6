"""Checks of what lies around or over a picture: borders, transparency, lettering, screenshots.

In: a `Scene`. Out: faults with fixes.
"""

from __future__ import annotations

import numpy as np

from training.checks.base import Fault, Scene
from training.crops import to_original
from training.dataset import Item
from training.edits import Box, Crop, Edit, Flatten, LeaveOut, Trim
from training.looks import Look

FEWEST = 8  # pictures: below, nothing can be said about what they share
LABELLED = 0.4  # of the pictures hold lettering if it stands on the subject itself
SAME_PLACE = 0.05  # standard deviation of a watermark's place, as a share of the side
SCREEN_LINES = 6
SCREEN_FLAT = 0.5
TRANSPARENT = 0.002  # share of transparent pixels


def border(scene: Scene) -> list[Fault]:
    """A letterbox or frame of one colour; the fix trims it."""
    found = [(item, scene.looks[item.key].inner) for item in scene.items]
    return [Fault(item.key, "border", Trim(item.key, to_original(item, inner))) for item, inner in found if inner]


def transparent(scene: Scene) -> list[Fault]:
    """Transparent parts, whose hidden colour other tools would show; the fix lays white beneath."""
    return [
        Fault(key, "transparent", Flatten(key, "#ffffff"))
        for key, look in zip(scene.keys, scene.seen, strict=True)
        if look.transparent > TRANSPARENT
    ]


def screenshot(scene: Scene) -> list[Fault]:
    """Much lettering on flat ground: a page or a screen."""
    return [
        Fault(key, "screenshot", LeaveOut(key, "screenshot")) for key, look in zip(scene.keys, scene.seen, strict=True) if _is_screen(look)
    ]


def lettering(scene: Scene) -> list[Fault]:
    """Text laid over the picture, unless it is a screenshot, or the product's own label. At an edge the fix cuts it off, elsewhere it
    leaves the picture out.
    """
    marked = [(item, look) for item, look in zip(scene.items, scene.seen, strict=True) if look.letters.lines and not _is_screen(look)]
    if scene.intent != "style" and _is_label(len(scene.items), [look.letters.box for _, look in marked]):
        return []
    return [Fault(item.key, "text", _without_text(item, look)) for item, look in marked]


def _is_label(pictures: int, boxes: list[Box]) -> bool:
    """True if lettering stands in many pictures, each time somewhere else: it moves with the subject, so it belongs to it. A watermark
    stands in the same place.
    """
    if pictures < FEWEST or len(boxes) < LABELLED * pictures:
        return False
    centres = [((left + right) / 2, (top + bottom) / 2) for left, top, right, bottom in boxes]
    return max(np.std(centres, axis=0)) > SAME_PLACE


def _is_screen(look: Look) -> bool:
    return look.letters.lines >= SCREEN_LINES and look.flat >= SCREEN_FLAT


def _without_text(item: Item, look: Look) -> Edit:
    left, top, right, bottom = look.letters.box
    room = 0.04
    rests: list[Box] = [
        (0, min(bottom + room, 1), 1, 1),
        (0, 0, 1, max(top - room, 0)),
        (min(right + room, 1), 0, 1, 1),
        (0, 0, max(left - room, 0), 1),
    ]
    best = max(rests, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    if (best[2] - best[0]) * (best[3] - best[1]) < 0.72:
        return LeaveOut(item.key, "text laid over")
    return Crop(item.key, to_original(item, best))
