"""Judge drawn pictures: which concept, which background. Styles have a judge of their own (style_judge.py).

In: pictures and the rendered drawings. Out: shares in 0..1. Features are EfficientNet-Lite0's (pipelines.encoders), which never saw our drawings' names.
It draws nothing and knows no prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.encoders import picture_features
from training.starter.compose import COLOURS, paste_thing
from training.starter.data import PICTURE_PX, STYLES

GALLERY_SIDE = 0.78  # the middle of compose.SIZE_RANGE


def on_white(drawing: np.ndarray) -> Image.Image:
    """A drawing as the denoiser should draw it: centred on white."""
    canvas = Image.new("RGB", (PICTURE_PX, PICTURE_PX), "white")
    paste_thing(canvas, drawing, side=GALLERY_SIDE, centre=(0.5, 0.5))
    return canvas


def gallery_features(state_folder: Path) -> np.ndarray:
    """Features of every concept in the four styles, [concepts, 4, 1280], rows of length 1; computed once and kept."""
    path = state_folder / "data" / "features.npy"
    if not path.exists():
        drawings = np.load(state_folder / "data" / "emoji.npy", mmap_mode="r")
        reserved = np.load(state_folder / "data" / "reserved.npy", mmap_mode="r")
        pictures = ([*(drawings[row, column] for column in range(len(STYLES))), reserved[row]] for row in range(len(drawings)))
        np.save(path, np.stack([picture_features([on_white(drawing) for drawing in row]) for row in pictures]))
    return np.load(path)


def retrieval_ranks(features: np.ndarray, gallery: np.ndarray, rows: Sequence[int], *, styles: int = len(STYLES)) -> np.ndarray:
    """Place of the right concept (0 is first) for each picture, int [N]. A concept is as near as its nearest of the first `styles` styles.

    features: [N, D]; gallery: [concepts, 4, D]; rows: the right concepts.
    """
    nearness = np.einsum("nd,csd->ncs", features, gallery[:, :styles]).max(2)
    own = nearness[np.arange(len(rows)), list(rows)]
    return (nearness > own[:, None]).sum(1)


def judge_background(picture: Image.Image) -> str:
    """The named colour nearest to the median of a 10 px frame."""
    pixels = np.asarray(picture.convert("RGB"), np.float32)
    frame = np.concatenate([part.reshape(-1, 3) for part in (pixels[:10], pixels[-10:], pixels[:, :10], pixels[:, -10:])])
    middle = np.median(frame, 0)
    return min(COLOURS, key=lambda name: float(np.square(middle - np.array(COLOURS[name])).sum()))
