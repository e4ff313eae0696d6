"""Finds lettering laid over a picture: captions, date stamps, watermarks, the text of screenshots.

In: rgb [H, W, 3] uint8. Out: lines of letters, with how many letters each has. A letter is a small shape lighter or darker than what
surrounds it; a line is a chain of letters of one size, one spacing and one contrast, in any direction. Does not read what is
written.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

MIN_LETTERS = 5
_SIZES = (9, 21)  # stroke widths that are looked for lie below these, in px


@dataclass(frozen=True)
class Lettering:
    """lines: how many lines are surely lettering. letters: how many letters stand in all lines, doubtful ones included. box: around
    the sure lines, fractions; zeros where there are none.
    """

    lines: int
    letters: int
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class _Shapes:
    """Candidate letters: centres [N, 2] (x, y), heights [N], widths [N], contrasts [N]."""

    centres: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    contrasts: np.ndarray


def lettering(rgb: np.ndarray) -> Lettering:
    """Lines of letters in the picture [H, W, 3] uint8: by lightness, and by colour where letters are as light as their ground."""
    lightness, reddish, yellowish = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB))
    lines: list[np.ndarray] = []
    letters = 0
    for channel, sizes in ((lightness, _SIZES), (reddish, _SIZES[:1]), (yellowish, _SIZES[:1])):
        for sign in (1, -1):
            for size in sizes:
                shapes = _letter_shapes(channel if sign > 0 else 255 - channel, size)
                chains = _chains(shapes)
                letters += sum(map(len, chains)) if channel is lightness else 0
                lines += [shapes.centres[chain] for chain in chains if _is_sure(chain, shapes)]
    if not lines:
        return Lettering(0, letters, (0.0, 0.0, 0.0, 0.0))
    height, width = rgb.shape[:2]
    low, high = np.concatenate(lines).min(axis=0), np.concatenate(lines).max(axis=0)
    box = (float(low[0] / width), float(low[1] / height), float(high[0] / width), float(high[1] / height))
    return Lettering(len(lines), letters, box)


def _is_sure(chain: list[int], shapes: _Shapes) -> bool:
    """True if a chain is no accident of a texture: its letters have one contrast, and it is long, strong, or most of what there is.

    Limits from 290 pictures of sample data and scikit-image with and without lettering laid over (docs/doctor.md).
    """
    contrasts, heights, count = shapes.contrasts[chain], shapes.heights[chain], len(chain)
    contrast, spread = float(contrasts.mean()), float(contrasts.std() / contrasts.mean())
    share = count / len(shapes.heights)
    if (count >= 6 and contrast >= 150 and spread <= 0.13) or (count >= 9 and contrast >= 40 and spread <= 0.1):
        return True
    if share < 0.1:
        return False
    if (spread <= 0.03 and contrast >= 25) or (spread <= 0.13 and contrast >= (40 if count >= 6 else 120)):
        return True
    is_even = float(heights.std() / heights.mean()) <= 0.1
    return share >= 0.2 and contrast >= 40 and ((count >= 7 and spread <= 0.19) or (is_even and spread <= 0.1))


def _letter_shapes(grey: np.ndarray, size: int) -> _Shapes:
    """Small shapes lighter than their surroundings, with strokes thinner than `size` px."""
    strokes = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, cv2.getStructuringElement(cv2.MORPH_RECT, (size, size)))
    mask = (strokes > max(13, min(int(np.percentile(strokes, 97)) // 2, 40))).astype(np.uint8)
    count, labels, stats, centres = cv2.connectedComponentsWithStats(mask, connectivity=8)
    stats, centres = stats[1:], centres[1:]
    width, height, area = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT], stats[:, cv2.CC_STAT_AREA]
    fill = area / np.maximum(width * height, 1)
    longest = np.maximum(width, height)
    good = (longest >= 6) & (longest <= 0.2 * min(grey.shape)) & (height < 5 * width) & (width < 3 * height) & (fill > 0.15) & (fill < 0.92)
    chosen = np.flatnonzero(good)[:500]
    contrasts = np.bincount(labels.ravel(), strokes.ravel(), minlength=count)[1:] / np.maximum(area, 1)
    return _Shapes(centres[chosen], height[chosen].astype(float), width[chosen].astype(float), contrasts[chosen])


def _chains(shapes: _Shapes) -> list[list[int]]:
    """Groups of letters that follow one another on a straight line."""
    if len(shapes.heights) < MIN_LETTERS:
        return []
    apart = shapes.centres[None] - shapes.centres[:, None]
    distance = np.hypot(apart[..., 0], apart[..., 1])
    tall = np.maximum(shapes.heights, shapes.widths)
    pair = np.maximum(tall[:, None], tall[None])
    alike = (np.minimum(tall[:, None], tall[None]) > 0.5 * pair) & (
        np.minimum(shapes.contrasts[:, None], shapes.contrasts[None]) > 0.6 * np.maximum(shapes.contrasts[:, None], shapes.contrasts[None])
    )
    near = alike & (distance < 1.9 * pair) & (distance > 0.3 * pair)
    chains, used = [], np.zeros(len(tall), bool)
    for start in np.argsort(shapes.centres[:, 0]):
        chain = [] if used[start] else _walk(int(start), near, apart, distance, tall)
        if len(chain) >= MIN_LETTERS and _is_even(chain, shapes, distance):
            used[chain] = True
            chains.append(chain)
    return chains


def _walk(start: int, near: np.ndarray, apart: np.ndarray, distance: np.ndarray, tall: np.ndarray) -> list[int]:
    """The longest chain to the right of one shape: each next letter is the nearest one that stays on the line."""
    best: list[int] = [start]
    for second in np.flatnonzero(near[start] & (apart[start, :, 0] > 0)):
        chain = [start, int(second)]
        direction = apart[start, second] / distance[start, second]
        while True:
            steps = apart[chain[-1]]
            along, off = steps @ direction, np.abs(steps @ np.array([-direction[1], direction[0]]))
            from_start = np.abs(apart[start] @ np.array([-direction[1], direction[0]]))
            ahead = near[chain[-1]] & (along > 0) & (off < 0.35 * tall[chain[-1]]) & (from_start < 0.6 * tall[start])
            if not ahead.any():
                break
            options = np.flatnonzero(ahead)
            chain.append(int(options[np.argmin(along[options])]))
        best = chain if len(chain) > len(best) else best
    return best


def _is_even(chain: list[int], shapes: _Shapes, distance: np.ndarray) -> bool:
    """True if the letters are of one height and stand at regular distances, as type does, and are not all the same shape, as
    ornaments are.
    """
    heights, widths = shapes.heights[chain], shapes.widths[chain]
    gaps = distance[chain[:-1], chain[1:]]
    is_regular = heights.std() < 0.35 * heights.mean() and gaps.std() < 0.5 * gaps.mean()
    return bool(is_regular and widths.std() > 0.08 * widths.mean())
