"""The drawing list: 216 drawings of the mascot, each with a caption of what varies.

In: nothing but the seed. Out: `Drawing`s, and the picture of one. Deterministic.
Does not write files; see `make.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from sample_data.recipes.mascot import GRADIENTS, HOLD_FRONT, HOLD_HIGH, INK, POSES, Pose, draw_mascot
from sample_data.recipes.mascot_places import FRONT_PROPS, HIGH_PROPS, PLACES, PLAIN, Place
from sample_data.recipes.mascot_wear import NOTHING, WEAR, Wear
from sample_data.recipes.raster import rasterize

SEED = 31
COUNT = 216
SIZE_PX = 384
GROUND_Y = 340
FROM_BEHIND = ("standing", "waving", "walking", "hands on hips")
FRAMINGS = {"": 1.0, "close-up": 1.36, "from a distance": 0.72}


@dataclass(frozen=True)
class Drawing:
    """One drawing, fully decided. turn -1..1: to the picture's left or right; shift in canvas units."""

    pose: Pose
    held: str
    expression: str
    turn: float
    is_behind: bool
    is_mirrored: bool
    wear: Wear
    place: Place
    framing: str
    shift: float


def cycle(generator: np.random.Generator, options: tuple, count: int) -> list:
    """count options, each as often as the others, shuffled."""
    return [options[i % len(options)] for i in generator.permutation(count)]


def list_poses(generator: np.random.Generator) -> list[tuple[Pose, str]]:
    """COUNT poses with what is held: 11 of each of the 14 free poses, the rest with a prop."""
    free = [(pose, "") for pose in POSES for _ in range(11)]
    props = [(HOLD_FRONT, prop) for prop in FRONT_PROPS] + [(HOLD_HIGH, prop) for prop in HIGH_PROPS]
    holding = []
    for i in range(COUNT - len(free)):
        pose, prop = props[i % len(props)]
        hand, size = ((0, -44), 1.05) if pose is HOLD_FRONT else (pose.right_arm.end, 1.1)
        holding.append(
            (
                replace(pose, words=pose.words.format(prop.words)),
                f'<g transform="translate({hand[0]},{hand[1]}) scale({size})">{prop.svg}</g>',
            )
        )
    everything = free + holding
    return [everything[i] for i in generator.permutation(COUNT)]


def list_drawings() -> list[Drawing]:
    """The 216 drawings: six in ten before a plain colour, four in ten in a place; half of them wear something."""
    generator = np.random.default_rng(SEED)
    poses = list_poses(generator)
    plain_count = 130
    places = cycle(generator, PLAIN, plain_count) + cycle(generator, PLACES, COUNT - plain_count)
    places = [places[i] for i in generator.permutation(COUNT)]
    wears = cycle(generator, WEAR, COUNT)
    turns = cycle(generator, (0.0, 0.0, -0.75, 0.75, -0.4, 0.4), COUNT)
    drawings = []
    for i, (pose, held) in enumerate(poses):
        expression = str(generator.choice(pose.expressions))
        is_dressed, is_mirrored = generator.random() < 0.55, generator.random() < 0.4 and "right" not in pose.words
        is_behind = not held and generator.random() < 0.06 and pose.words in FROM_BEHIND
        framing = str(generator.choice(("", "close-up", "from a distance"), p=(0.78, 0.12, 0.10)))
        if pose.lift > 0 or abs(pose.lean) > 5 or pose.words.startswith("holding up") or is_behind:
            framing = "" if framing == "close-up" else framing
        wear = wears[i] if is_dressed else NOTHING
        shift = float(generator.uniform(-14, 14))
        drawings.append(Drawing(pose, held, expression, turns[i], is_behind, is_mirrored, wear, places[i], framing, shift))
    return drawings


def caption(drawing: Drawing) -> str:
    """What varies in the drawing, and nothing of what the character always is."""
    parts = [drawing.framing] if drawing.framing else []
    parts.append(drawing.pose.words)
    seen_turn = -drawing.turn if drawing.is_mirrored else drawing.turn
    if drawing.is_behind:
        parts.append("seen from behind")
    else:
        parts.append(drawing.expression)
        if abs(seen_turn) > 0.5:
            parts.append(f"looking to the {'right' if seen_turn > 0 else 'left'}")
    is_hidden = drawing.is_behind and not (drawing.wear.behind or drawing.wear.around or drawing.wear.on_head)
    if drawing.wear.words and not is_hidden:
        parts.append(drawing.wear.words)
    return ", ".join([*parts, drawing.place.words])


def drawing_svg(drawing: Drawing) -> str:
    """The whole picture as SVG, 400 x 400."""
    scale = FRAMINGS[drawing.framing]
    x, y = 200 + drawing.shift, {"": GROUND_Y, "close-up": 438, "from a distance": GROUND_Y - 4}[drawing.framing]
    tall = 0.92 if drawing.held or drawing.wear.head_rise > 20 or drawing.pose.lift > 20 else 1.0
    size = scale * tall * 1.12
    figure = draw_mascot(
        drawing.pose, drawing.expression, turn=drawing.turn, wear=drawing.wear, is_behind=drawing.is_behind, held=drawing.held
    )
    width = (96 - drawing.pose.lift * 0.7) * size
    shadow = f'<ellipse cx="{x}" cy="{y + 4}" rx="{width}" ry="{width * 0.16}" fill="#1d1433" opacity="0.28" filter="url(#soft)"/>'
    mirror = -size if drawing.is_mirrored else size
    style = f".line{{stroke:{INK};stroke-width:6;fill:none;stroke-linecap:round}}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400"><style>{style}</style><defs>{GRADIENTS}'
        '<filter id="soft"><feGaussianBlur stdDeviation="5"/></filter></defs>'
        f'{drawing.place.svg}{shadow}<g transform="translate({x},{y}) scale({mirror},{size})">{figure}</g></svg>'
    )


def draw(drawing: Drawing, *, size_px: int = SIZE_PX) -> Image.Image:
    """The picture."""
    return rasterize(drawing_svg(drawing), size_px=size_px)
