"""Checks of what pictures show: a face cut off, something else than the rest, the same background or view throughout.

In: a `Scene`. Out: faults of pictures and of the set. Whether the subject stands there twice is told in several.py.
"""

from __future__ import annotations

import numpy as np

from training.checks.base import Fault, Scene, SetFault
from training.edits import LeaveOut, Weight

SMALLEST_FACE = 0.05  # of the picture's width
FEWEST = 8  # pictures: below, nothing can be said about "the rest"
SAME_GROUND = 9.0  # mean distance in CIE Lab between two rims
NEARLY_ALL = 0.85
SAME_VIEW = 0.8  # median likeness of pictures that show one view only


def face_cut(scene: Scene) -> list[Fault]:
    """The largest face is cut by the picture's edge; a passer-by's that is tiny does no harm."""
    return [
        Fault(key, "face cut off", LeaveOut(key, "face cut off"))
        for key, look in zip(scene.keys, scene.seen, strict=True)
        if look.faces and look.faces[0].is_cut and look.faces[0].width > SMALLEST_FACE
    ]


def unlike_rest(scene: Scene) -> list[Fault]:
    """Pictures much less like the set than the set is like itself: likeness to the tenth part of the set that is nearest to each."""
    number = len(scene.items)
    if number < FEWEST:
        return []
    near = max(3, number // 10)
    likeness = np.sort(scene.cosines, axis=1)[:, ::-1][:, 1 : near + 1].mean(axis=1)
    middle = float(np.median(likeness))
    spread = 1.4826 * float(np.median(np.abs(likeness - middle)))
    spreads, share = (4.2, 0.62) if scene.intent == "style" else (3.5, 0.75)  # a style's pictures show many things
    limit = min(middle - spreads * max(spread, 0.02), share * middle)
    return [
        Fault(key, "unlike the rest", LeaveOut(key, "unlike the rest"))
        for key, value in zip(scene.keys, likeness, strict=True)
        if value < limit
    ]


def one_background(scene: Scene) -> list[SetFault]:
    """The same background in nearly all pictures: it would be learned with the subject. Not for styles."""
    if scene.intent == "style" or len(scene.seen) < FEWEST:
        return []
    rims = np.array([look.ground.rim for look in scene.seen], np.float32).reshape(len(scene.seen), -1, 3)
    apart = np.stack([np.linalg.norm(rims - rim, axis=2).mean(axis=1) for rim in rims])
    alike = apart < SAME_GROUND
    return _nearly_all(scene, alike, "have the same background")


def one_view(scene: Scene) -> list[SetFault]:
    """One angle or pose in nearly all pictures: prompts for another would not be followed. Not for styles."""
    number = len(scene.items)
    if scene.intent == "style" or number < FEWEST:
        return []
    alike = scene.cosines >= SAME_VIEW
    return _nearly_all(scene, alike, "show the same angle or pose")


def _nearly_all(scene: Scene, alike: np.ndarray, words: str) -> list[SetFault]:
    """A fault if nearly all pictures are like one of them; the fix counts the others more. alike: [N, N] booleans."""
    centre = int(alike.sum(axis=1).argmax())
    share = float(alike[centre].mean())
    if share < NEARLY_ALL:
        return []
    keys = tuple(key for key, same in zip(scene.keys, alike[centre], strict=True) if same)
    others = tuple(Weight(item.key, min(item.repeats * 3, 100)) for item, same in zip(scene.items, alike[centre], strict=True) if not same)
    return [SetFault(share, f"{share:.0%} of the pictures {words}.", keys, others)]
