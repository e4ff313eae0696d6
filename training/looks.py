"""What one picture looks like, in numbers: a `Look`.

In: an opened picture. Out: its measures, perceptual hash and, once encoded, its features. Does not open files (survey.py does),
keeps nothing (look_cache.py does) and says nothing about what is good or bad: the checks do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import imagehash
import numpy as np
from PIL import Image

from pipelines.encoder_process import FEATURES
from training import measures
from training.dataset import Item
from training.edits import Box, Geometry
from training.faces import Face, find_faces
from training.lettering import Lettering, lettering

SIDE_PX = 512  # shorter side at which pictures are measured
VERSION = 6  # of the measures: raise it and every picture is measured anew


@dataclass(frozen=True)
class Look:
    """One picture, as trained on (after its edits). size_hw: in px. quality: of the JPEG, 1-100; None for other files."""

    id: str
    size_hw: tuple[int, int]
    sharpness: float
    light: measures.Light
    inner: Box | None
    blockiness: float
    quality: int | None
    ground: measures.Background
    subject: Box | None  # where it stands apart from a plain background
    colours: str  # hex of measures.colour_map
    faces: tuple[Face, ...]
    letters: Lettering
    flat: float  # share of pixels equal to their right neighbour
    transparent: float  # share of transparent pixels
    phash: str
    features: np.ndarray | None = None  # [1280] float16, unit norm; None: not encoded yet


def look_id(item: Item) -> str:
    """What a look belongs to: the file's bytes and the edits that change its pixels."""
    edits = replace(item.geometry, focus=None)
    if edits == Geometry():
        return f"{item.content}-{VERSION}"
    shape = hashlib.sha256(repr(edits).encode()).hexdigest()
    return f"{item.content}-{VERSION}-{shape[:12]}"


def measure(picture: Image.Image, *, id: str, size_hw: tuple[int, int], transparent: float = 0.0, quality: int | None = None) -> Look:
    """Everything but the encoder's features. picture: RGB, at least 512 px on the shorter side where the original has them."""
    is_whole = (picture.height, picture.width) == size_hw
    blocks = measures.blockiness(np.asarray(picture.convert("L"))) if is_whole else 0.0
    rgb = np.asarray(_at_side(picture, SIDE_PX))
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    small_lab = measures.to_lab(_halved(rgb))
    ground = measures.background(small_lab)
    return Look(
        id=id,
        size_hw=size_hw,
        sharpness=measures.sharpness(grey),
        light=measures.light(rgb, grey),
        inner=measures.inner_box(rgb),
        blockiness=blocks,
        quality=quality,
        ground=ground,
        subject=measures.subject_box(small_lab, ground),
        colours=measures.colour_map(small_lab).tobytes().hex(),
        faces=find_faces(rgb),
        letters=lettering(rgb),
        flat=float((grey[:, 1:] == grey[:, :-1]).mean()),
        transparent=transparent,
        phash=str(imagehash.phash(_squeezed(picture))),
    )


def _at_side(picture: Image.Image, side_px: int) -> Image.Image:
    """The picture reduced to this shorter side; smaller ones stay as they are."""
    scale = side_px / min(picture.size)
    if scale >= 1:
        return picture
    return picture.resize(
        (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.BOX, reducing_gap=2.0
    )


def _halved(rgb: np.ndarray) -> np.ndarray:
    """[h, w, 3] with a shorter side of 256 px; smaller ones stay as they are."""
    scale = SIDE_PX / 2 / min(rgb.shape[:2])
    return rgb if scale >= 1 else cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _squeezed(picture: Image.Image) -> Image.Image:
    return picture.convert("L").resize((32, 32), Image.Resampling.BOX)


def feature_matrix(looks: Sequence[Look]) -> np.ndarray:
    """[N, 1280] float32; zeros where a look has no features."""
    empty = np.zeros(FEATURES, np.float16)
    rows = [empty if look.features is None else look.features for look in looks]
    return np.stack(rows).astype(np.float32) if rows else np.zeros((0, FEATURES), np.float32)
