"""Checks of sharpness and light.

In: a `Scene`. Out: faults; the fix leaves the picture out. Limits were set on sample data and scikit-image's photos (docs/doctor.md).
"""

from __future__ import annotations

import numpy as np

from training.checks.base import Fault, Scene
from training.edits import LeaveOut
from training.measures import Light

SOFT = 0.43  # steepness of edges (measures.sharpness) below which a picture is soft whatever the set
SOFT_SHARE = 0.55  # of the set's median: a set of soft pictures is a style


def blurred(scene: Scene) -> list[Fault]:
    """Edges much softer than in most of the set, and soft in themselves."""
    limit = min(SOFT, SOFT_SHARE * float(np.median([look.sharpness for look in scene.seen] or [1.0])))
    return _faults(scene, "blurred", [look.sharpness < limit for look in scene.seen])


def too_dark(scene: Scene) -> list[Fault]:
    """Even the lightest parts are dark."""
    return _faults(scene, "too dark", [look.light.high < 0.23 and look.light.subject_middle < 0.2 for look in scene.seen])


def too_bright(scene: Scene) -> list[Fault]:
    """Washed out: even dark parts are light; or much of the subject is clipped; or, off a plain ground, far lighter than nearly all of the set."""
    middles, lows = [look.light.middle for look in scene.seen], [look.light.low for look in scene.seen]
    unusual, pale = max(0.8, float(np.percentile(middles or [0.0], 90)) + 0.1), max(0.52, float(np.percentile(lows or [0.0], 80)) + 0.1)
    marks = [
        (look.light.middle > unusual and look.ground.plain < 0.95)
        or (look.light.middle > 0.9 and look.light.low > pale)
        or _is_washed_out(look.light, is_plain=look.ground.plain >= 0.95)
        for look in scene.seen
    ]
    return _faults(scene, "too bright", marks)


def _is_washed_out(light: Light, *, is_plain: bool) -> bool:
    """What is clipped may be a white studio's light on a plain ground, unless dark parts of the subject are gone too."""
    is_pale = light.low > 0.74 and light.middle > 0.8
    is_clipped = light.white > 0.34 and (not is_plain or light.subject_low > 0.6)
    return is_pale or is_clipped or (light.middle > 0.97 and light.white > 0.04 and light.subject_low > 0.34)


def low_contrast(scene: Scene) -> list[Fault]:
    """Darkest and lightest lie within a fifth of the range in every colour."""
    return _faults(scene, "flat", [look.light.span < 0.19 for look in scene.seen])


def _faults(scene: Scene, word: str, marks: list[bool]) -> list[Fault]:
    return [Fault(key, word, LeaveOut(key, word)) for key, marked in zip(scene.keys, marks, strict=True) if marked]
