"""Checks of files: unreadable, too small, too long and narrow, doubles, compression.

In: a `Scene`. Out: faults with fixes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.checks.base import Fault, Scene
from training.crops import centred_box
from training.edits import Crop, KeepOneOf, LeaveOut

SMALLEST = 0.5  # of the base's size: below, even a reduced bucket shows little
LONGEST = 2.5  # longer : shorter side; buckets go to 2
NEAR = ((3, 0.8), (8, 0.95), (10, 0.965), (14, 0.975))  # (bits of the perceptual hash that differ at most, likeness at least)
LOW_QUALITY = 30
BLOCKY = 0.65


def unreadable(scene: Scene) -> list[Fault]:
    """Files that were refused, or that turn out damaged when decoded; unless they were left out already."""
    acknowledged = {edit.key for edit in scene.dataset.edits if isinstance(edit, LeaveOut)}
    refused = {entry.name: entry.reason for entry in scene.dataset.rejected} | {key: reason for key, (reason, _) in scene.failures.items()}
    return [Fault(name, reason, LeaveOut(name, reason)) for name, reason in refused.items() if name not in acknowledged]


def too_small(scene: Scene) -> list[Fault]:
    """Shorter side below half of the base's size."""
    limit = SMALLEST * scene.base_size_px
    small = [(item.key, min(item.size_hw)) for item in scene.items if min(item.size_hw) < limit]
    return [Fault(key, f"only {side} px", LeaveOut(key, "too small")) for key, side in small]


def extreme_shape(scene: Scene) -> list[Fault]:
    """Sides in a ratio above 2.5: any training frame cuts most of it away. The fix keeps a 2:1 part around the focal point."""
    faults = []
    for item in scene.items:
        height, width = item.size_hw
        if max(height, width) > LONGEST * min(height, width):
            word = f"{width} x {height} px"
            faults.append(Fault(item.key, word, Crop(item.key, centred_box(item, 2.0))))
    return faults


def exact_double(scene: Scene) -> list[Fault]:
    """Files with the same bytes."""
    groups: dict[str, list[str]] = {}
    for item in scene.items:
        groups.setdefault(item.content, []).append(item.key)
    return [fault for keys in groups.values() if len(keys) > 1 for fault in _surplus(keys[0], keys[1:], "double of")]


def near_double(scene: Scene) -> list[Fault]:
    """Pictures that show the same in nearly the same way: close perceptual hashes and features. Of each group the best one is kept."""
    number = len(scene.items)
    signs = scene.hashes.astype(np.float32) * 2 - 1
    apart = (64 - signs @ signs.T) / 2
    close = np.logical_or.reduce([(apart <= bits) & (scene.cosines >= cosine) for bits, cosine in NEAR])
    faults = []
    for group in _groups(close, number):
        members = _without_exact(scene, group)
        if len(members) > 1:
            best = max(members, key=lambda index: (min(scene.seen[index].sharpness, 1.0), scene.items[index].width_px, -index))
            others = [scene.keys[index] for index in members if index != best]
            faults += _surplus(scene.keys[best], others, "like")
    return faults


def _without_exact(scene: Scene, group: list[int]) -> list[int]:
    """The group with exact doubles, which `exact_double` reports, named once."""
    first: dict[str, int] = {}
    for index in group:
        first.setdefault(scene.items[index].content, index)
    return list(first.values())


def _groups(linked: np.ndarray, number: int) -> list[list[int]]:
    """Connected groups of two and more."""
    group = np.arange(number)
    for one, other in np.argwhere(np.triu(linked, 1)):
        group[group == group[other]] = group[one]
    return [list(np.flatnonzero(group == name)) for name in np.unique(group) if (group == name).sum() > 1]


def _surplus(keep: str, others: Sequence[str], words: str) -> list[Fault]:
    return [Fault(key, f"{words} {keep}", KeepOneOf(keep, (key,))) for key in others]


def compressed(scene: Scene) -> list[Fault]:
    """JPEG quality below 30, or the 8 px blocks of a strongly compressed JPEG in a file saved again."""
    faults = []
    for key, look in zip(scene.keys, scene.seen, strict=True):
        if look.quality is not None and look.quality < LOW_QUALITY:
            faults.append(Fault(key, f"JPEG quality {look.quality}", LeaveOut(key, "heavily compressed")))
        elif look.blockiness > BLOCKY:
            faults.append(Fault(key, "blocks of compression", LeaveOut(key, "heavily compressed")))
    return faults
