"""Features of real and drawn pictures from one or several encoders, kept on disk by content where pictures are files.

In: pictures. Out: `Lens.see`: features of all encoders side by side. Offline: EfficientNet-Lite0, and the starter's own encoder where it is there; CLIP and DINOv2
when the caller brings them. Measures nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.encoders import PictureEncoder, TextPictureEncoder
from pipelines.errors import BaseModelError
from training.dataset import Item
from training.images import frame, open_item
from training.scores.closeness import Features, joined


def default_encoders() -> tuple[PictureEncoder, ...]:
    """What works offline: EfficientNet-Lite0, and the starter's encoder where it is installed. CLIP and DINOv2 are brought by the caller."""
    from pipelines.encoders import efficientnet, starter_encoder

    try:
        return (efficientnet(), starter_encoder())
    except BaseModelError:
        return (efficientnet(),)


@dataclass(frozen=True)
class Lens:
    """Encoders as one: `see` gives the features in which everything is compared.

    They are not centred on the set: then all that is unlike the base, noise included, would count as a step towards the set (measured on fried adapters).
    """

    encoders: tuple[PictureEncoder, ...]

    def see(self, images: Sequence[Image.Image]) -> Features:
        """[N, D], rows of length 1."""
        return self.place([encoder.encode_pictures(images) for encoder in self.encoders])

    def place(self, raw: Sequence[np.ndarray]) -> Features:
        """Encoders' own features, joined."""
        return joined(list(raw))


def text_encoder_of(encoders: Sequence[PictureEncoder]) -> TextPictureEncoder | None:
    """The last encoder that reads texts too, or None."""
    return next((encoder for encoder in reversed(encoders) if isinstance(encoder, TextPictureEncoder)), None)


def open_square(item: Item, side_px: int, *, background: str) -> Image.Image:
    """A real picture at the size that is drawn, cut around its focus."""
    picture, _ = frame(open_item(item, background=background), (side_px, side_px), focus=item.focus)
    return picture


def encode_items(items: Sequence[Item], encoder: PictureEncoder, *, side_px: int, background: str, folder: Path) -> np.ndarray:
    """Features of real pictures [N, D]; computed once for each content, edit and size."""
    paths = [folder / f"{_name(item, encoder.name, side_px, background)}.npy" for item in items]
    missing = [place for place, path in enumerate(paths) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(missing), 16):
        group = missing[start : start + 16]
        features = encoder.encode_pictures([open_square(items[place], side_px, background=background) for place in group])
        for place, row in zip(group, features, strict=True):
            partial = paths[place].with_suffix(".partial")
            with partial.open("wb") as file:
                np.save(file, row.astype(np.float32))
            partial.replace(paths[place])
    return np.stack([np.load(path) for path in paths]) if paths else np.zeros((0, 1), np.float32)


def _name(item: Item, encoder: str, side_px: int, background: str) -> str:
    return hashlib.sha256(repr((item.content, item.geometry, encoder, side_px, background)).encode()).hexdigest()[:24]
