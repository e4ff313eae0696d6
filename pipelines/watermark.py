"""An invisible mark in the picture itself, which stays when the metadata is stripped.

In: a PIL picture. Out: the same with 32 bits spread over it (DWT + DCT + SVD of the invisible-watermark package, extra `provenance`), or whether it carries them.
It survives JPEG down to quality 70 and resizing, less surely cropping. Not a proof of origin: anybody can remove or forge it; credentials.py is the proof.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from PIL import Image

PAYLOAD = b"BrPr"
BITS = len(PAYLOAD) * 8
ENOUGH_BITS = 28  # of 32: random bits agree that far once in 94,000 pictures
SMALLEST_PIXELS = 256 * 256
METHOD = "dwtDctSvd"


def is_available(image: Image.Image) -> bool:
    """True where the package is installed and the picture is large enough to be marked."""
    return find_spec("imwatermark") is not None and image.width * image.height >= SMALLEST_PIXELS


def with_mark(image: Image.Image) -> Image.Image:
    """A copy of the picture, RGB, with the mark."""
    from imwatermark import WatermarkEncoder

    encoder = WatermarkEncoder()
    encoder.set_watermark("bytes", PAYLOAD)
    return Image.fromarray(encoder.encode(_bgr(image), METHOD)[:, :, ::-1].copy())


def carries_mark(image: Image.Image) -> bool:
    """True when the picture carries our mark."""
    from imwatermark import WatermarkDecoder

    found = WatermarkDecoder("bytes", BITS).decode(_bgr(image), METHOD)
    return BITS - sum((ours ^ theirs).bit_count() for ours, theirs in zip(PAYLOAD, found, strict=True)) >= ENOUGH_BITS


def _bgr(image: Image.Image) -> Any:
    import numpy as np

    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])
