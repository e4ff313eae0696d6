"""SVG text to pixels, by resvg. In: SVG with a square view box. Out: an RGB picture. Uses no fonts."""

from __future__ import annotations

import io

import resvg_py
from PIL import Image


def rasterize(svg: str, *, size_px: int) -> Image.Image:
    """SVG text as a picture, drawn at twice the size and reduced."""
    png = resvg_py.svg_to_bytes(svg_string=svg, width=size_px * 2, height=size_px * 2, skip_system_fonts=True)
    large = Image.open(io.BytesIO(bytes(png))).convert("RGB")
    return large.resize((size_px, size_px), Image.Resampling.BOX)
