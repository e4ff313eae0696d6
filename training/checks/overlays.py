"""Checks of what lies around or over a picture: borders, transparency, lettering, screenshots.

In: a `Scene`. Out: faults with fixes.
"""

from __future__ import annotations

from training.checks.base import Fault, Scene
from training.crops import to_original
from training.dataset import Item
from training.edits import Box, Crop, Edit, Flatten, LeaveOut, Trim
from training.looks import Look

SCREEN_LETTERS = 200
SCREEN_FLAT = 0.65
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
    """Text laid over the picture, unless it is a screenshot. At an edge the fix cuts it off, elsewhere it leaves the picture out."""
    return [
        Fault(item.key, "text", _without_text(item, look))
        for item, look in zip(scene.items, scene.seen, strict=True)
        if look.letters.lines and not _is_screen(look)
    ]


def _is_screen(look: Look) -> bool:
    return look.letters.letters >= SCREEN_LETTERS and look.flat >= SCREEN_FLAT


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
