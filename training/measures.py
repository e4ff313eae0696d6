"""Numbers that describe one picture: sharpness, light, borders, background, blockiness. Pure functions on arrays.

In: `grey` [H, W] uint8 luma or `rgb` [H, W, 3] uint8, shorter side about 512 px. Out: plain numbers and boxes (fractions).
Says nothing about what is good or bad: the checks do.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from training.edits import Box

RING = 0.06  # share of the shorter side that counts as the picture's rim
RING_SAMPLES = 8  # colour samples along each side of the rim


def sharpness(grey: np.ndarray) -> float:
    """How steep the steepest edges are, whatever their contrast: |Laplacian| over |gradient| where the gradient is strongest.

    About 1 for crisp edges at this size, 1 / sigma for edges blurred by sigma px (ratio of derivatives of a Gaussian edge).
    """
    smooth = grey.astype(np.float32)
    gradient = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)) / 4
    laplacian = np.abs(cv2.Laplacian(smooth, cv2.CV_32F, ksize=1))
    steep, curved = np.percentile(gradient, 99.5), np.percentile(laplacian, 99.5)
    return float(curved / max(steep, 1.0))


@dataclass(frozen=True)
class Light:
    """Luma statistics, 0-1. low, middle, high: 2nd, 50th and 98th percentile. white, black: share of clipped pixels off the rim's colour."""

    low: float
    middle: float
    high: float
    white: float
    black: float


def light(rgb: np.ndarray, grey: np.ndarray) -> Light:
    """Light of the picture; clipping is counted away from a plain background, which may be white or black on purpose."""
    low, middle, high = (float(value) / 255 for value in np.percentile(grey, (2, 50, 98)))
    subject = ~_like_the_rim(rgb)
    area = max(int(subject.sum()), 1)
    white = float((rgb[subject].min(axis=1) >= 250).sum()) / area if area > 1 else 0.0
    black = float((rgb[subject].max(axis=1) <= 6).sum()) / area if area > 1 else 0.0
    return Light(low, middle, high, white, black)


def _like_the_rim(rgb: np.ndarray) -> np.ndarray:
    """Pixels of exactly (within 3 of 255) the rim's most usual colour."""
    rim = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])
    usual = np.median(rim, axis=0)
    return np.abs(rgb.astype(np.int16) - usual.astype(np.int16)).max(axis=2) <= 3


def inner_box(rgb: np.ndarray) -> Box | None:
    """What lies inside a letterbox or frame of one flat colour; None where there is no such border.

    A bar is at least 1.5 % of the side, flat, and ends at a line across most of the picture: so a plain studio background is no bar.
    """
    height, width = rgb.shape[:2]
    top, bottom = _bar(rgb), _bar(rgb[::-1])
    sideways = rgb.swapaxes(0, 1)
    left, right = _bar(sideways), _bar(sideways[::-1])
    if not (top or bottom or left or right) or top + bottom > 0.8 * height or left + right > 0.8 * width:
        return None
    return left / width, top / height, 1 - right / width, 1 - bottom / height


def _bar(rgb: np.ndarray) -> int:
    """Thickness in px of a flat bar at the top; 0 where there is none."""
    usual = np.median(rgb[: max(2, len(rgb) // 100)].reshape(-1, 3), axis=0)
    off = np.abs(rgb.astype(np.int16) - usual.astype(np.int16)).max(axis=2)
    share = (off > 14).mean(axis=1)
    inside = np.flatnonzero(share > 0.02)
    if len(inside) == 0 or inside[0] < max(3, round(0.015 * len(rgb))) or inside[0] > 0.45 * len(rgb):
        return 0
    edge = share[inside[0] : inside[0] + 4].max()  # scaling and JPEG smear the line over a few rows
    return int(inside[0]) + 1 if edge > 0.6 else 0


def blockiness(grey: np.ndarray) -> float:
    """How much more the 8 px grid of JPEG shows than any other; 0 = not at all. Only for pictures that were not resized."""
    values = grey.astype(np.float32)
    across = np.abs(np.diff(values, axis=1)).mean(axis=0)
    down = np.abs(np.diff(values, axis=0)).mean(axis=1)
    return float(min(_grid(across), _grid(down)))


def _grid(steps: np.ndarray) -> float:
    usable = steps[: len(steps) // 8 * 8].reshape(-1, 8)
    if len(usable) < 4:
        return 0.0
    phases = np.median(usable, axis=0)
    return float(phases[7] / max(np.delete(phases, 7).mean(), 0.25) - 1)


@dataclass(frozen=True)
class Background:
    """colour: CIE Lab of the rim's most usual colour. plain: share of the rim near it. rim: Lab samples around the picture."""

    colour: tuple[float, float, float]
    plain: float
    rim: tuple[float, ...]


def background(lab: np.ndarray) -> Background:
    """What the rim of the picture looks like. lab: [H, W, 3] float32, L 0-100."""
    depth = max(1, round(RING * min(lab.shape[:2])))
    sides = [lab[:depth].mean(axis=0), lab[-depth:].mean(axis=0), lab[:, :depth].mean(axis=1), lab[:, -depth:].mean(axis=1)]
    samples = np.concatenate([_means(side, RING_SAMPLES) for side in sides])
    usual = np.median(np.concatenate(sides), axis=0)
    plain = float((np.linalg.norm(np.concatenate(sides) - usual, axis=1) < 10).mean())
    return Background((float(usual[0]), float(usual[1]), float(usual[2])), plain, tuple(float(value) for value in samples.round(1).ravel()))


def _means(line: np.ndarray, count: int) -> np.ndarray:
    """[count, C] means of consecutive pieces of a line [N, C]."""
    return np.stack([piece.mean(axis=0) for piece in np.array_split(line, count)])


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """CIE Lab, float32: L 0-100, a and b about -100 to 100."""
    return cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


@dataclass(frozen=True)
class Subjects:
    """count: how many things of one kind and size stand apart on a plain background. box: where they are; None where the background is not plain."""

    count: int
    box: Box | None


def subjects(lab: np.ndarray, ground: Background) -> Subjects:
    """Things that stand apart from a plain background. Things of other colours or much smaller are props and do not count."""
    if ground.plain < 0.7:
        return Subjects(1, None)
    distance = np.linalg.norm(lab - np.array(ground.colour, np.float32), axis=2)
    mask = cv2.morphologyEx((distance > 18).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    large = [index + 1 for index in np.flatnonzero(areas >= 0.02 * mask.size)]
    if not large:
        return Subjects(1, None)
    first = max(large, key=lambda index: stats[index, cv2.CC_STAT_AREA])
    alike = [index for index in large if _is_alike(lab, labels, stats, first, index)]
    return Subjects(len(alike), _box_around([stats[index] for index in large], mask.shape))


def _is_alike(lab: np.ndarray, labels: np.ndarray, stats: np.ndarray, first: int, other: int) -> bool:
    """True if two things are of one size (within 2.5 times) and share their colours (histograms overlap by 60 %)."""
    if stats[other, cv2.CC_STAT_AREA] * 2.5 < stats[first, cv2.CC_STAT_AREA]:
        return False
    one, two = (_colours(lab[labels == index]) for index in (first, other))
    return float(np.minimum(one, two).sum()) > 0.6


def _colours(lab: np.ndarray) -> np.ndarray:
    """Share of pixels per coarse cell of Lab; sums to 1."""
    cells = np.clip((lab - (0, -100, -100)) / (20, 25, 25), 0, (4, 7, 7)).astype(np.int32)
    counts = np.bincount(cells[:, 0] * 64 + cells[:, 1] * 8 + cells[:, 2], minlength=320)
    return counts / max(counts.sum(), 1)


def _box_around(stats: list[np.ndarray], shape: tuple[int, ...]) -> Box:
    left, top = (min(int(row[index]) for row in stats) for index in (cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP))
    right = max(int(row[cv2.CC_STAT_LEFT] + row[cv2.CC_STAT_WIDTH]) for row in stats)
    bottom = max(int(row[cv2.CC_STAT_TOP] + row[cv2.CC_STAT_HEIGHT]) for row in stats)
    return left / shape[1], top / shape[0], right / shape[1], bottom / shape[0]
