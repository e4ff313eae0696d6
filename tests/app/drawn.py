"""Pictures for the tests of the page."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw


def draw_picture(path: Path, number: int, *, side_px: int = 96) -> Path:
    """A picture unlike the others."""
    image = Image.new("RGB", (side_px, side_px), ((37 * number) % 256, (91 * number) % 256, (53 * number + 80) % 256))
    ImageDraw.Draw(image).ellipse((10 + number % 20, 14, 60, 70 + number % 15), fill=((200 - 11 * number) % 256, 180, (17 * number) % 256))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path
