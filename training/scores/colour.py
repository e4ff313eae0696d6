"""The colours that a set always shows, and how far drawn pictures miss them, in CIEDE2000.

In: pictures. Out: a palette of the set and distances. A colour belongs to the palette if it is seen in most pictures: backgrounds that change fall out.
Reads no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE_PX = 48  # pictures are counted at this size
CLUSTERS = 16
SEEN_SHARE = 0.015  # of a picture's pixels: a colour that fills less is not seen
COMMON_SHARE = 0.6  # of the pictures: a colour that fewer show is not the set's own
SAME_COLOUR = 10.0  # CIEDE2000 below which two colours are called the same at a glance
MOST_COLOURS = 5

Lab = NDArray[np.float64]  # [N, 3]: L 0..100, a and b about -128..127


@dataclass(frozen=True)
class Palette:
    """The set's own colours in Lab, the most common first."""

    lab: Lab

    @property
    def hex(self) -> tuple[str, ...]:
        """As #rrggbb."""
        return tuple("#{:02x}{:02x}{:02x}".format(*(round(255 * float(channel)) for channel in row)) for row in lab_to_srgb(self.lab))

    def distance(self, picture: Image.Image) -> float:
        """Mean over the palette's colours of the CIEDE2000 to the nearest colour that the picture really shows."""
        shown, _ = main_colours(picture)
        return float(np.mean([delta_e(colour[None], shown).min() for colour in self.lab])) if len(self.lab) else 0.0


def palette_of(pictures: Sequence[Image.Image]) -> Palette:
    """The colours that most of the pictures show; at most five, empty where they have none in common."""
    per_picture = [main_colours(picture) for picture in pictures]
    if not per_picture:
        return Palette(np.zeros((0, 3)))
    candidates = np.concatenate([colours for colours, _ in per_picture])
    weights = np.concatenate([shares for _, shares in per_picture])
    kept: list[Lab] = []
    order = np.argsort(-_commonness(candidates, per_picture), kind="stable")
    common = _commonness(candidates, per_picture)
    for index in order:
        if common[index] < COMMON_SHARE or len(kept) == MOST_COLOURS:
            break
        near = delta_e(candidates[index][None], candidates) < SAME_COLOUR
        mean = np.average(candidates[near], axis=0, weights=weights[near])
        if all(delta_e(mean[None], other[None])[0] >= SAME_COLOUR for other in kept):
            kept.append(mean)
    return Palette(np.array(kept).reshape(-1, 3))


def main_colours(picture: Image.Image) -> tuple[Lab, NDArray[np.float64]]:
    """(colours in Lab, their shares) of what fills at least 1.5 % of a picture, by median cut."""
    small = picture.convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX)
    reduced = small.quantize(CLUSTERS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    counts = reduced.getcolors() or []
    colours = np.array(reduced.getpalette() or [], dtype=np.float64).reshape(-1, 3)
    kept = [(count / SIDE_PX**2, colours[index]) for count, index in counts if count / SIDE_PX**2 >= SEEN_SHARE]  # type: ignore[index]
    return srgb_to_lab(np.array([colour for _, colour in kept]).reshape(-1, 3) / 255), np.array([share for share, _ in kept])


def _commonness(candidates: Lab, per_picture: list[tuple[Lab, NDArray[np.float64]]]) -> NDArray[np.float64]:
    """For each candidate, the share of pictures that show a colour like it."""
    return np.mean(
        [[(delta_e(candidate[None], colours) < SAME_COLOUR).any() for candidate in candidates] for colours, _ in per_picture], axis=0
    )


def srgb_to_lab(rgb: NDArray[np.float64]) -> Lab:
    """sRGB in 0..1 -> CIE Lab, D65 (IEC 61966-2-1; CIE 15)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T / _WHITE
    cube = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * cube[:, 1] - 16, 500 * (cube[:, 0] - cube[:, 1]), 200 * (cube[:, 1] - cube[:, 2])], axis=1)


def lab_to_srgb(lab: Lab) -> NDArray[np.float64]:
    """CIE Lab -> sRGB in 0..1, clipped."""
    y = (lab[:, 0] + 16) / 116
    cube = np.stack([y + lab[:, 1] / 500, y, y - lab[:, 2] / 200], axis=1)
    xyz = np.where(cube > 6 / 29, cube**3, 3 * (6 / 29) ** 2 * (cube - 4 / 29)) * _WHITE
    linear = np.clip(xyz @ np.linalg.inv(_TO_XYZ).T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


_TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
_WHITE = np.array([0.95047, 1.0, 1.08883])


def delta_e(left: Lab, right: Lab) -> NDArray[np.float64]:
    """CIEDE2000 (Sharma, Wu, Dalal 2005, equations 2 to 22), row by row; one row is laid against all."""
    (l1, a1, b1), (l2, a2, b2) = left.T, right.T
    mean_chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1 + 0.5 * (1 - np.sqrt(mean_chroma**7 / (mean_chroma**7 + 25.0**7)))
    c1, c2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, stretch * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    grey = c1 * c2 == 0
    turn = np.where(grey, 0, (h2 - h1 + 180) % 360 - 180)
    hue_step = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2)
    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    hue = np.where(grey, h1 + h2, (h1 + h2) / 2 + np.where(np.abs(h1 - h2) > 180, np.where(h1 + h2 < 360, 180, -180), 0))
    angle = np.radians(hue)
    t = (
        1
        - 0.17 * np.cos(angle - np.pi / 6)
        + 0.24 * np.cos(2 * angle)
        + 0.32 * np.cos(3 * angle + np.radians(6))
        - 0.20 * np.cos(4 * angle - np.radians(63))
    )
    s_l = 1 + 0.015 * (lightness - 50) ** 2 / np.sqrt(20 + (lightness - 50) ** 2)
    s_c, s_h = 1 + 0.045 * chroma, 1 + 0.015 * chroma * t
    turned = 2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    l_part, c_part, h_part = (l2 - l1) / s_l, (c2 - c1) / s_c, hue_step / s_h
    return np.sqrt(np.maximum(0, l_part**2 + c_part**2 + h_part**2 - turned * c_part * h_part))
