"""Compose pictures from rendered drawings: one or two things of a style on a named background.

In: RGBA drawings ([concepts, styles, 256, 256, 4], uint8) and a random generator. Out: `Scene`s (what is to be seen) and uint8 RGB pictures.
It reads no files and writes no captions (see wording.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from training.starter.data import PICTURE_PX, STYLES

# Names that the denoiser learns, sRGB. Far enough apart to be told apart after the autoencoder.
COLOURS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255), "black": (24, 24, 26), "grey": (140, 142, 146), "red": (214, 48, 49), "orange": (243, 146, 45),
    "yellow": (250, 214, 62), "green": (66, 166, 84), "teal": (26, 150, 150), "blue": (46, 108, 214), "light blue": (150, 206, 245),
    "purple": (126, 72, 190), "pink": (246, 160, 196), "beige": (236, 220, 190), "brown": (124, 80, 52),
}  # fmt: skip
DEFAULT_BACKGROUND = "white"
SIZE_RANGE = (0.70, 0.86)  # share of the picture's side
PAIR_SIZE_RANGE = (0.40, 0.48)
SHIFT = 0.05  # share of the picture's side, to each side of the centre


@dataclass(frozen=True)
class Scene:
    """What a picture shows. `things`: one or two rows of the drawings; `style`: a column; `background`: a key of COLOURS."""

    things: tuple[int, ...]
    style: int
    background: str
    fill: Literal["plain", "gradient"] = "plain"


def sample_scene(rng: np.random.Generator, concepts: np.ndarray, *, pair_share: float = 0.08, default_share: float = 0.3) -> Scene:
    """A random scene of the given concept rows. `default_share`: how often the background is plain white, so that it needs no words."""
    count = 2 if rng.random() < pair_share and len(concepts) > 1 else 1
    things = tuple(int(row) for row in rng.choice(concepts, size=count, replace=False))
    style = int(rng.integers(len(STYLES)))
    if rng.random() < default_share:
        return Scene(things, style, DEFAULT_BACKGROUND)
    name = str(rng.choice(list(COLOURS)))
    return Scene(things, style, name, "gradient" if rng.random() < 0.12 else "plain")


def shrink_drawings(drawings: np.ndarray, side_px: int) -> np.ndarray:
    """The same drawings at a smaller size, uint8 [concepts, styles, side_px, side_px, 4]."""
    small = np.empty((*drawings.shape[:2], side_px, side_px, 4), np.uint8)
    for row, column in np.ndindex(drawings.shape[:2]):
        thing = Image.fromarray(drawings[row, column], "RGBA").convert("RGBa").resize((side_px, side_px), Image.Resampling.BOX)
        small[row, column] = np.asarray(thing.convert("RGBA"))
    return small


def draw_background(rng: np.random.Generator, scene: Scene, *, side_px: int = PICTURE_PX) -> Image.Image:
    """RGB, square. Plain colours vary by a few levels; a gradient runs from a lighter to a darker tone of the same colour."""
    colour = np.array(COLOURS[scene.background], np.float32)
    if scene.background != DEFAULT_BACKGROUND:
        colour = colour + rng.normal(0, 5, 3).astype(np.float32)
    field = np.broadcast_to(colour, (side_px, side_px, 3))
    if scene.fill == "gradient":
        ramp = np.linspace(1, -1, side_px, dtype=np.float32)[:, None, None]
        field = field + ramp * float(rng.uniform(16, 34))
    return Image.fromarray(np.clip(field, 0, 255).astype(np.uint8))


def paste_thing(canvas: Image.Image, drawing: np.ndarray, *, side: float, centre: tuple[float, float]) -> None:
    """Lay one RGBA drawing on the canvas, in place. side and centre: shares of the canvas."""
    side_px = max(8, round(side * canvas.width))
    # Premultiplied resizing: transparent pixels of a drawing carry arbitrary colours that would bleed into its edge.
    thing = (
        Image.fromarray(np.ascontiguousarray(drawing), "RGBA")
        .convert("RGBa")
        .resize((side_px, side_px), Image.Resampling.BILINEAR, reducing_gap=None)
    )
    thing = thing.convert("RGBA")
    corner = tuple(round(share * canvas.width - side_px / 2) for share in centre)
    canvas.paste(thing, (corner[0], corner[1]), thing)


def draw_scene(rng: np.random.Generator, scene: Scene, drawings: np.ndarray) -> np.ndarray:
    """The picture: uint8 [S, S, 3]. drawings: uint8 [concepts, styles, S, S, 4]; S is 256, or less for a quick small picture."""
    canvas = draw_background(rng, scene, side_px=drawings.shape[-2])
    if len(scene.things) == 1:
        centre = (0.5 + rng.uniform(-SHIFT, SHIFT), 0.5 + rng.uniform(-SHIFT, SHIFT))
        paste_thing(canvas, drawings[scene.things[0], scene.style], side=rng.uniform(*SIZE_RANGE), centre=centre)
    else:
        side = rng.uniform(*PAIR_SIZE_RANGE)
        for x, row in zip((0.27, 0.73), scene.things, strict=True):
            paste_thing(canvas, drawings[row, scene.style], side=side, centre=(x, 0.5 + rng.uniform(-SHIFT, SHIFT)))
    return np.asarray(canvas)


def draw_texture(rng: np.random.Generator) -> np.ndarray:
    """A photo-like field of coloured noise with a 1/f spectrum, uint8 [256, 256, 3]: nothing in it has a name; it widens the autoencoder."""
    total = np.zeros((PICTURE_PX, PICTURE_PX, 3), np.float32)
    falloff = rng.uniform(0.45, 0.8)
    for octave in range(1, 8):
        cells = 2**octave
        noise = (rng.normal(0, 1, (cells, cells, 3)) * 0.5 + rng.normal(0, 1, (cells, cells, 1))).astype(np.float32)
        grey = [np.asarray(Image.fromarray(noise[..., c]).resize((PICTURE_PX, PICTURE_PX), Image.Resampling.BICUBIC)) for c in range(3)]
        total += falloff**octave * np.stack(grey, -1)
    total = total / total.std() * rng.uniform(20, 70) + rng.uniform(60, 200, 3)
    return np.clip(total, 0, 255).astype(np.uint8)
