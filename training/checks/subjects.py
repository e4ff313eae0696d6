"""Checks of what pictures show: several subjects, a face cut off, something else than the rest, the same background or view
throughout.

In: a `Scene`. Out: faults of pictures and of the set. What belongs to the subject is learned from the set: the colours that most
pictures share.
"""

from __future__ import annotations

import cv2
import numpy as np

from training.checks.base import Fault, Scene, SetFault
from training.edits import LeaveOut, Weight
from training.looks import Look
from training.measures import CELLS, MAP_PX

FEWEST = 8  # pictures: below, nothing can be said about "the rest"
SHARED = 0.4  # of the pictures hold a colour that belongs to the subject
SAME_GROUND = 9.0  # mean distance in CIE Lab between two rims
NEARLY_ALL = 0.85
SAME_VIEW = 0.8  # median likeness of pictures that show one view only


def face_cut(scene: Scene) -> list[Fault]:
    """The largest face is cut by the picture's edge."""
    cut = [key for key, look in zip(scene.keys, scene.seen, strict=True) if look.faces and look.faces[0].is_cut]
    return [Fault(key, "face cut off", LeaveOut(key, "face cut off")) for key in cut]


def several_subjects(scene: Scene) -> list[Fault]:
    """Two or more faces of about one size, or two or more separate things in the subject's colours. Not for styles, which may show
    crowds.
    """
    if scene.intent == "style":
        return []
    own = _own_colours(scene)
    counts = [max(_things(look.colours, own), _large_faces(look)) for look in scene.seen]
    return [Fault(key, f"{count} subjects") for key, count in zip(scene.keys, counts, strict=True) if count > 1]


def _large_faces(look: Look) -> int:
    widths = [face.box[2] - face.box[0] for face in look.faces if not face.is_cut]
    return sum(width > 0.5 * max(widths) for width in widths) if widths and max(widths) > 0.08 else 0


def _own_colours(scene: Scene) -> np.ndarray:
    """[256] True for colours that stand in many pictures: the subject's."""
    present = np.zeros(CELLS)
    for look in scene.seen:
        counts = np.bincount(np.frombuffer(bytes.fromhex(look.colours), np.uint8), minlength=CELLS)
        present += counts > 0.01 * MAP_PX * MAP_PX
    own = present >= SHARED * len(scene.seen) if len(scene.seen) >= FEWEST else np.zeros(CELLS, bool)
    own[0] = False
    return own


def _things(colours: str, own: np.ndarray) -> int:
    """How many separate things of comparable size hold the subject's colours."""
    mask = own[np.frombuffer(bytes.fromhex(colours), np.uint8).reshape(MAP_PX, MAP_PX)].astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return int(((areas >= 0.5 * areas.max()) & (areas >= 0.01 * mask.size)).sum()) if len(areas) else 0


def unlike_rest(scene: Scene) -> list[Fault]:
    """Pictures much less like the set than the set is like itself: likeness to the tenth part of the set that is nearest to each."""
    number = len(scene.items)
    if number < FEWEST:
        return []
    near = max(3, number // 10)
    likeness = np.sort(scene.cosines, axis=1)[:, ::-1][:, 1 : near + 1].mean(axis=1)
    middle = float(np.median(likeness))
    spread = 1.4826 * float(np.median(np.abs(likeness - middle)))
    limit = min(middle - 3.5 * max(spread, 0.02), 0.75 * middle)
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
