"""Finds lettering laid over a picture: captions, date stamps, watermarks, price banners, the text of screenshots.

In: rgb [H, W, 3] uint8. Out: how many lines of lettering there are, and where. Letters are found by the detector of PP-OCRv3 (Li et
al. 2022, arXiv 2206.03001; differentiable binarization, arXiv 1911.08947; weights Apache-2.0, shipped in training/models). Does not
read what is written, and does not know whether it was laid over or stands on the thing itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from training.edits import Box

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

MODEL = Path(__file__).parent / "models" / "text_detection_ppocrv3.onnx"
SIDE_PX = 320  # shorter side at which lettering is looked for: letters of 4 % of the side are 13 px high
LONGEST_PX = 960
STRIDE_PX = 32  # of the network
LIKELY = 0.3  # above, a spot belongs to lettering (the detector's own threshold)
GROWTH = 1.6  # the network marks the middle of a line: this is how far it lies inside (DB's unclip ratio; 1.5-2 in the paper)
_MEAN = np.array((0.485, 0.456, 0.406), np.float32)
_DEVIATION = np.array((0.229, 0.224, 0.225), np.float32)


@dataclass(frozen=True)
class Lettering:
    """lines: how many lines of lettering. box: around all of them, fractions; zeros where there are none."""

    lines: int
    box: Box


@dataclass(frozen=True)
class _Piece:
    """A stretch of lettering, in px of the network's map. angle: of its length, radians."""

    x: float
    y: float
    length: float
    height: float
    angle: float
    sureness: float


def lettering(rgb: np.ndarray) -> Lettering:
    """Lines of lettering in the picture, in any direction."""
    likely = _likelihood(rgb)
    lines = [line for line in _lines(_pieces(likely)) if _is_sure(line, min(likely.shape))]
    if not lines:
        return Lettering(0, (0.0, 0.0, 0.0, 0.0))
    corners = np.concatenate([_corners(piece) for line in lines for piece in line]) / likely.shape[::-1]
    (left, top), (right, bottom) = corners.min(axis=0).clip(0, 1), corners.max(axis=0).clip(0, 1)
    return Lettering(len(lines), (float(left), float(top), float(right), float(bottom)))


def _likelihood(rgb: np.ndarray) -> np.ndarray:
    """[h, w] in [0, 1]: how likely each spot of the reduced picture belongs to lettering."""
    height, width = rgb.shape[:2]
    scale = min(SIDE_PX / min(height, width), LONGEST_PX / max(height, width))
    size = [max(STRIDE_PX, round(side * scale / STRIDE_PX) * STRIDE_PX) for side in (width, height)]
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    pixels = (
        small[..., ::-1].astype(np.float32) / 255 - _MEAN
    ) / _DEVIATION  # the network wants blue first, and these numbers all the same
    network = _network()
    return network.run(None, {network.get_inputs()[0].name: np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])})[0][0, 0]


def _pieces(likely: np.ndarray) -> list[_Piece]:
    """Stretches of lettering that are longer than high."""
    outlines, _ = cv2.findContours((likely > LIKELY).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    pieces = []
    for outline in outlines:
        (x, y), (length, height), degrees = cv2.minAreaRect(outline)
        if length < height:
            length, height, degrees = height, length, degrees + 90
        if height < 2 or length < 6:
            continue
        left, top, wide, high = cv2.boundingRect(outline)
        inside = cv2.drawContours(np.zeros((high, wide), np.uint8), [outline - (left, top)], -1, 1, -1)
        sureness = float(likely[top : top + high, left : left + wide][inside > 0].mean())
        growth = GROWTH * length * height / (length + height)
        if length + growth > 1.2 * (height + growth) and sureness > 0.85:
            pieces.append(_Piece(x, y, length + growth, height + growth, math.radians(degrees), sureness))
    return pieces


def _lines(pieces: list[_Piece]) -> list[list[_Piece]]:
    """Pieces that continue one another: lettering is often found in pieces where what lies beneath changes."""
    rest, lines = list(pieces), []
    while rest:
        line = [rest.pop()]
        while following := [piece for piece in rest if any(_continues(piece, other) for other in line)]:
            line += following
            rest = [piece for piece in rest if piece not in following]
        lines.append(line)
    return lines


def _continues(one: _Piece, other: _Piece) -> bool:
    """True if two pieces lie on one line, close together, and are of about one height."""
    high, low = max(one.height, other.height), min(one.height, other.height)
    turn = abs((one.angle - other.angle + math.pi / 2) % math.pi - math.pi / 2)
    right, down = one.x - other.x, one.y - other.y
    along = abs(right * math.cos(other.angle) + down * math.sin(other.angle))
    off = abs(down * math.cos(other.angle) - right * math.sin(other.angle))
    return low > 0.6 * high and turn < 0.2 and off < 0.4 * high and along < (one.length + other.length) / 2 + 2.5 * high


def _is_sure(line: list[_Piece], side_px: int) -> bool:
    """True if a line is long for its height, and the detector sure: what else it takes for lettering (eyes, windows of a train) is
    short, or large. Limits from sample data and scikit-image's photos with and without lettering laid over (docs/doctor.md).
    """
    length, height = sum(piece.length for piece in line), max(piece.height for piece in line)
    sureness = sum(piece.sureness * piece.length for piece in line) / length
    if height > 0.15 * side_px:
        return length >= 4.5 * height and sureness >= 0.88
    if len(line) > 1:
        return length >= 3.5 * height and sureness >= 0.88
    return (length >= 3 * height and sureness >= 0.88) or (length >= 2.2 * height and sureness >= 0.93)


def _corners(piece: _Piece) -> np.ndarray:
    """[4, 2] corners (x, y)."""
    return cv2.boxPoints(((piece.x, piece.y), (piece.length, piece.height), math.degrees(piece.angle)))


@cache
def _network() -> InferenceSession:
    """One for all threads; each call keeps to its own, since there is a picture per core."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = 1
    return InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
