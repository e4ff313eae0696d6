"""Draws as many different captioned pictures as a benchmark needs: shapes on coloured grounds with a little grain, as photographs have it.

In: a folder, a count, a size, a seed. Out: 00001.jpg and 00001.txt ..., and metadata.jsonl for tools that read captions from there. Same seed, same files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

COLOURS = {
    "red": (200, 40, 40),
    "green": (40, 150, 70),
    "blue": (40, 70, 190),
    "yellow": (235, 200, 50),
    "white": (240, 240, 240),
    "black": (30, 30, 30),
}
SHAPES = ("circle", "square", "bar")
GRAIN = 6.0  # standard deviation, in 255ths


def write_set(folder: Path, count: int, *, side_px: int, seed: int = 0, first: int = 0) -> Path:
    """Pictures number first ... first + count - 1 of the endless row that the seed stands for."""
    folder.mkdir(parents=True, exist_ok=True)
    records = []
    for number in range(first, first + count):
        picture, caption = draw(np.random.default_rng((seed, number)), side_px)
        name = f"{number + 1:05d}"
        picture.save(folder / f"{name}.jpg", quality=92)
        (folder / f"{name}.txt").write_text(caption)
        records.append({"file_name": f"{name}.jpg", "text": caption})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def draw(random: np.random.Generator, side_px: int) -> tuple[Image.Image, str]:
    """One picture and its caption."""
    names = list(COLOURS)
    ground, *fills = (names[place] for place in random.permutation(len(names))[:3])
    shapes = [SHAPES[place] for place in random.integers(0, len(SHAPES), 2)]
    picture = Image.new("RGB", (side_px, side_px), COLOURS[ground])
    for shape, fill in zip(shapes, fills, strict=True):
        _draw_shape(
            ImageDraw.Draw(picture), shape, COLOURS[fill], random.uniform(0.1, 0.9, 2) * side_px, random.uniform(0.08, 0.35) * side_px
        )
    grainy = np.asarray(picture, np.float32) + random.normal(0, GRAIN, (side_px, side_px, 1))
    caption = f"a {fills[0]} {shapes[0]} and a {fills[1]} {shapes[1]} on a {ground} background"
    return Image.fromarray(grainy.clip(0, 255).astype(np.uint8)), caption


def _draw_shape(pen: ImageDraw.ImageDraw, shape: str, fill: tuple[int, int, int], centre: Sequence[float], radius: float) -> None:
    x, y = centre
    height = radius / 3 if shape == "bar" else radius
    box = (x - radius, y - height, x + radius, y + height)
    if shape == "circle":
        pen.ellipse(box, fill=fill)
    else:
        pen.rectangle(box, fill=fill)
