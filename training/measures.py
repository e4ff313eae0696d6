"""Numbers that describe one picture: sharpness, light, borders, background, blockiness. Pure functions on arrays.

In: `grey` [H, W] uint8 luma or `rgb` [H, W, 3] uint8, shorter side about 512 px. Out: plain numbers and boxes (fractions).
Says nothing about what is good or bad: the checks do.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from training.edits import Box

_ROUNDING = 1.5  # |Laplacian| that rounding to whole grey values alone can give
RING = 0.06  # share of the shorter side that counts as the picture's rim
RING_SAMPLES = 8  # colour samples along each side of the rim


def sharpness(grey: np.ndarray) -> float:
    """How steep the steepest edges are, whatever their contrast: |Laplacian| over |gradient| where the gradient is strongest.

    About 1 for crisp edges at this size, 1 / sigma for edges blurred by sigma px (ratio of derivatives of a Gaussian edge).
    """
    smooth = grey.astype(np.float32)
    gradient = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)) / 4
    laplacian = np.abs(cv2.Laplacian(smooth, cv2.CV_32F, ksize=1))
    steep, curved = _top(gradient), _top(laplacian)
    return float(max(curved - _ROUNDING, 0.0) / max(steep, 1.0))


def _top(values: np.ndarray) -> float:
    """The 99.5th percentile of [H, W], found among the highest values only: a sample says where those begin."""
    flat = values.ravel()
    rank = 0.995 * (flat.size - 1)
    below = int(rank)
    high = flat[flat >= np.percentile(flat[::61], 97)]
    wanted = below - (flat.size - high.size)
    if wanted < 0:  # the sample missed
        high, wanted = flat, below
    ordered = np.sort(high)
    following = ordered[min(wanted + 1, len(ordered) - 1)]
    return float(ordered[wanted] + (following - ordered[wanted]) * (rank - below))


@dataclass(frozen=True)
class Light:
    """Luma, 0-1. low, middle, high: 2nd, 50th and 98th percentile of the picture. subject_low, subject_middle: 10th and 50th of
    what is not the rim's colour. white: share of that which is clipped. span: widest distance from 2nd to 98th percentile among
    red, green and blue.
    """

    low: float
    middle: float
    high: float
    subject_low: float
    subject_middle: float
    white: float
    span: float


def light(rgb: np.ndarray, grey: np.ndarray) -> Light:
    """Light of the picture; the subject's is taken apart from a plain background, which may be white or black on purpose."""
    low, middle, high = _percentiles(grey, (2, 50, 98))
    _, subject = cv2.threshold(_difference(rgb, _rim_colour(rgb)), 3, 255, cv2.THRESH_BINARY)  # within 3 it is the rim's
    if cv2.countNonZero(subject) < 50:
        subject = np.full_like(subject, 255)
    dark, usual = _percentiles(grey, (10, 50), within=subject)
    clipped = cv2.bitwise_and(cv2.inRange(rgb, (250, 250, 250), (255, 255, 255)), subject)
    spans = [_percentiles(rgb, (2, 98), channel=channel) for channel in range(3)]
    white = cv2.countNonZero(clipped) / cv2.countNonZero(subject)
    return Light(low, middle, high, dark, usual, white, max(high - low for low, high in spans))


def _percentiles(values: np.ndarray, shares: tuple[int, ...], *, channel: int = 0, within: np.ndarray | None = None) -> list[float]:
    """Percentiles of one channel of uint8 values, as fractions of 255, from their histogram. within: mask of those that count."""
    counts = cv2.calcHist([values], [channel], within, [256], [0, 256])
    reached = np.cumsum(counts, dtype=np.float64) / max(float(counts.sum()), 1.0)
    return [float(np.searchsorted(reached, share / 100)) / 255 for share in shares]


def _rim_colour(rgb: np.ndarray) -> np.ndarray:
    """The usual colour of the outermost pixels."""
    return np.median(np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]]), axis=0)


def _difference(rgb: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """[H, W] uint8: the largest difference from a colour among red, green and blue."""
    red, green, blue = cv2.split(cv2.absdiff(rgb, np.append(np.round(colour), 0.0)))
    return cv2.max(cv2.max(red, green), blue)


def inner_box(rgb: np.ndarray) -> Box | None:
    """What lies inside a letterbox or frame of one flat colour; None where there is no such border.

    A border has bars on two opposite sides or on all four, flat, of one thickness (a frame's foot may be thicker), each ending
    abruptly along most of its length: so neither a plain studio background nor a gradient is a border.
    """
    for first, last in ((rgb[:2], rgb[-2:]), (rgb[:, :2], rgb[:, -2:])):
        colour = np.median(np.concatenate([first.reshape(-1, 3), last.reshape(-1, 3)]), axis=0)
        box = _framed(_difference(rgb, colour))
        if box:
            return box
    return None


def _framed(difference: np.ndarray) -> Box | None:
    """The part of a picture that a border leaves, given how much pixels differ from the border's colour [H, W]."""
    off = difference > 14
    rows, columns = np.flatnonzero(off.mean(axis=1) > 0.02), np.flatnonzero(off.mean(axis=0) > 0.02)
    if len(rows) == 0 or len(columns) == 0:
        return None
    height, width = off.shape
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    beside = _pair(left / width, 1 - right / width)
    across = _pair(top / height, 1 - bottom / height, may_differ=bool(beside))
    if (
        across is None
        or beside is None
        or not (across or beside)
        or not _is_flat(difference, top=top, bottom=bottom, left=left, right=right)
    ):
        return None
    step = 3  # px: scaling and JPEG smear the line over a few rows
    lines = [off[min(top + step, height - 1), left:right], off[max(bottom - 1 - step, 0), left:right]] if across else []
    lines += [off[top:bottom, min(left + step, width - 1)], off[top:bottom, max(right - 1 - step, 0)]] if beside else []
    needed = (
        0.85 if across and beside else 0.5
    )  # bars that run from edge to edge are surer than a frame, which a square thing on plain ground resembles
    if min(float(line.mean()) for line in lines) < needed:
        return None
    return left / width, top / height, right / width, bottom / height


def _is_flat(difference: np.ndarray, *, top: int, bottom: int, left: int, right: int) -> bool:
    """True if what lies outside the box is of one colour but for what JPEG smears: a studio's background is shaded."""
    smear = 4
    outside = np.ones(difference.shape, bool)
    outside[max(top - smear, 0) : bottom + smear, max(left - smear, 0) : right + smear] = False
    return bool(np.percentile(difference[outside], 95) <= 6) if outside.any() else False


def _pair(one: float, other: float, *, may_differ: bool = False) -> bool | None:
    """True for two bars of one thickness, False for no bars, None for anything that is no border."""
    thin, thick = min(one, other), max(one, other)
    if thick < 0.012:
        return False
    is_border = thin >= 0.012 and thick <= 0.3 and thick <= (3 * thin + 0.02 if may_differ else thin + 0.02)
    return True if is_border else None


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
    phases = usable.mean(axis=0)
    return float(phases[7] / max(np.delete(phases, 7).mean(), 0.15) - 1)


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
    """[count, C] means of consecutive pieces of a line [N, C]; of a shorter one some places stand twice."""
    if len(line) < count:
        return line[np.arange(count) * len(line) // count]
    return np.stack([piece.mean(axis=0) for piece in np.array_split(line, count)])


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """CIE Lab, float32: L 0-100, a and b about -100 to 100."""
    return cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


MAP_PX = 48  # side of a colour map
CELLS_ACROSS = 16  # cells of 16 units in CIE a, and as many in b
CELLS = CELLS_ACROSS**2  # values of a colour map: 0 = greyish, else the cell of (a, b)


def colour_map(lab: np.ndarray) -> np.ndarray:
    """[48, 48] uint8: the hue of each spot as a cell of CIE (a, b), 16 units wide; 0 where there is hardly any colour."""
    small = cv2.resize(lab, (MAP_PX, MAP_PX), interpolation=cv2.INTER_AREA)
    cells = np.clip((small[..., 1:] + 120) // 16, 0, 15).astype(np.uint8)
    coloured = np.linalg.norm(small[..., 1:], axis=2) > 18
    return np.where(coloured, cells[..., 0] * CELLS_ACROSS + cells[..., 1], 0).astype(np.uint8)


def subject_box(lab: np.ndarray, ground: Background) -> Box | None:
    """Where something stands apart from a plain background; None where the background is not plain, or nothing does."""
    if ground.plain < 0.7:
        return None
    distance = np.linalg.norm(lab - np.array(ground.colour, np.float32), axis=2)
    mask = cv2.morphologyEx((distance > 18).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    rows, columns = np.flatnonzero(mask.mean(axis=1) > 0.01), np.flatnonzero(mask.mean(axis=0) > 0.01)
    if len(rows) == 0 or len(columns) == 0:
        return None
    height, width = mask.shape
    return float(columns[0] / width), float(rows[0] / height), float((columns[-1] + 1) / width), float((rows[-1] + 1) / height)
