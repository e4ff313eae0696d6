"""The shooting list: 216 photographs of the bottle, each with a caption of what varies.

In: nothing but the seed. Out: `Shot`s, and the picture of one. Deterministic; every shot can be rendered alone.
Does not write files; see `make.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from sample_data.recipes import product_sets
from sample_data.recipes.bottle import HEIGHT, RADIUS, Pose, bottle
from sample_data.recipes.product_sets import PROPS, StudioSet, build_ground
from sample_data.recipes.solids import rotation
from sample_data.recipes.studio import render
from sample_data.recipes.tracer import Camera, Light, Solid

SEED = 20
SIZE_PX = 384
FOV = 26.0
STANDS = ("standing", "lying on its side", "tilted in the air", "standing on a round white podium")
LIGHT_SIDES = {"from the left": (-1.0, 0.75), "from the right": (1.0, 0.75), "from the front": (0.25, 1.3), "from behind": (-0.55, -0.9)}
LIGHT_TONES = {"warm": (1.10, 0.98, 0.80), "soft": (1.0, 1.0, 1.0), "cool": (0.88, 0.98, 1.12)}


@dataclass(frozen=True)
class Shot:
    """One photograph, fully decided.

    turn, roll and elevation in degrees: turn is how far the mark looks away from the camera, -90..90 (the bottle is the same
    after half a turn); roll lays a lying bottle across the table. jitter moves the frame, in units of its half width.
    """

    studio: StudioSet
    stand: str
    framing: str
    turn: float
    roll: float
    elevation: float
    light_side: str
    light_tone: str
    prop: str
    prop_side: float
    jitter: tuple[float, float]
    seed: int


def spread(generator: np.random.Generator, options: tuple, weights: tuple[float, ...], count: int) -> list:
    """count options in the exact proportion of weights, shuffled."""
    edges = np.cumsum(weights) / np.sum(weights)
    chosen = [options[min(int(np.searchsorted(edges, (i + 0.5) / count)), len(options) - 1)] for i in range(count)]
    return [chosen[i] for i in generator.permutation(count)]


def list_shots() -> list[Shot]:
    """The 216 shots: 12 papers x 7, 6 gradients x 6, 12 surfaces x 8, in a shuffled order."""
    generator = np.random.default_rng(SEED)
    studios = [s for s in product_sets.PAPERS for _ in range(7)] + [s for s in product_sets.GRADIENTS for _ in range(6)]
    studios += [s for s in product_sets.SURFACES for _ in range(8)]
    studios = [studios[i] for i in generator.permutation(len(studios))]
    count = len(studios)
    stands = spread(generator, STANDS, (68, 15, 9, 8), count)
    framings = spread(generator, ("full view", "close-up", "from a distance"), (74, 14, 12), count)
    elevations = [-4 + 74 * ((i + 0.5) / count) ** 1.45 for i in generator.permutation(count)]
    turns = [90 * np.sign(s) * abs(s) ** 1.5 for s in (2 * (i + 0.5) / count - 1 for i in generator.permutation(count))]
    sides = spread(generator, tuple(LIGHT_SIDES), (34, 34, 22, 10), count)
    tones = spread(generator, tuple(LIGHT_TONES), (35, 40, 25), count)
    props = spread(generator, ("", *PROPS), (60, 8, 8, 8, 8, 8), count)
    shots = []
    for i in range(count):
        elevation = elevations[i] * (0.28 if studios[i] in product_sets.GRADIENTS else 1.0)  # from above one sees no gradient
        lies_low = stands[i] == "lying on its side" and elevation < 24  # what stands in front would hide it
        prop = "" if "podium" in stands[i] or framings[i] == "close-up" or lies_low else props[i]
        roll, prop_side = float(generator.uniform(-50, 50)), float(generator.choice((-1.0, 1.0)))
        jitter = (float(generator.uniform(-0.09, 0.09)), float(generator.uniform(-0.05, 0.05)))
        way = (float(turns[i]), roll, float(elevation))
        shots.append(Shot(studios[i], stands[i], framings[i], *way, sides[i], tones[i], prop, prop_side, jitter, seed=100 + i))
    return shots


def side_words(shot: Shot) -> str:
    """Which way the mark looks, seen from the camera."""
    if abs(shot.turn) < 20:
        return "front view"
    if abs(shot.turn) > 65:
        return "side view"
    ways = ("up", "down") if shot.stand == "lying on its side" else ("to the right", "to the left")
    return f"turned {ways[0] if shot.turn > 0 else ways[1]}"


def height_words(elevation: float) -> str:
    if elevation < 6:
        return "at eye level"
    if elevation < 24:
        return "seen from slightly above"
    return "seen from above" if elevation < 48 else "seen from high above"


def caption(shot: Shot) -> str:
    """What varies in the shot, and nothing of what the bottle always is."""
    parts = [shot.stand, side_words(shot), height_words(shot.elevation)]
    if shot.framing != "full view":
        parts.insert(0, shot.framing)
    parts += [shot.studio.words, *([shot.prop] if shot.prop else []), f"{shot.light_tone} light {shot.light_side}"]
    return ", ".join(parts)


def place_bottle(shot: Shot) -> Solid:
    """The bottle in its pose, centred on x = z = 0."""
    middle = np.array([0.0, HEIGHT / 2, 0.0], np.float32)
    if shot.stand == "lying on its side":
        yaw = (shot.elevation + shot.turn) * shot.prop_side  # turn 0: the mark looks at the camera
        tilt, roll = 90.0 * shot.prop_side, shot.roll * 0.6
        x, _, z = rotation(yaw=yaw, tilt=tilt, roll=roll) @ middle
        return bottle(Pose(yaw, tilt, roll, (float(-x), RADIUS, float(-z))))
    if shot.stand == "tilted in the air":
        tilt = 16.0 * shot.prop_side + shot.roll * 0.12
        x, y, z = rotation(yaw=shot.turn, tilt=tilt) @ middle
        return bottle(Pose(shot.turn, tilt, 0.0, (float(-x), HEIGHT / 2 + 0.3 - float(y), float(-z))))
    lift = product_sets.PODIUM_HEIGHT if "podium" in shot.stand else 0.0
    return bottle(Pose(shot.turn, 0.0, 0.0, (0.0, lift, 0.0)))


def aim_camera(shot: Shot, product: Solid) -> Camera:
    """Fills the frame as the framing asks."""
    fill = {"full view": 0.80, "close-up": 1.30, "from a distance": 0.55}[shot.framing]
    x, y, z = product.center
    if "podium" in shot.stand and shot.framing != "close-up":
        fill, y = fill * 0.86, y - 0.22
    if shot.prop and shot.framing == "full view":
        fill, x = 0.70, x + 0.30 * shot.prop_side
    if shot.framing == "close-up":
        x, y = x * 0.5, y + (0.30 if shot.stand.startswith("standing") else 0.0)
    half_width = HEIGHT / (2 * fill)
    target = (x + shot.jitter[0] * half_width, y + shot.jitter[1] * half_width, z)
    return Camera(target, half_width / float(np.tan(np.radians(FOV / 2))), shot.elevation, FOV, 0.0)


def aim_light(shot: Shot) -> Light:
    x, z = LIGHT_SIDES[shot.light_side]
    generator = np.random.default_rng(shot.seed)
    height = float(generator.uniform(0.8, 1.5)) if shot.light_side != "from behind" else 1.0
    edge = float(generator.uniform(3.5, 7.0))
    fill = 0.42 if shot.light_side == "from behind" else float(generator.uniform(0.22, 0.36))
    return Light((x, height, z), LIGHT_TONES[shot.light_tone], edge, fill)


def draw_shot(shot: Shot, *, size_px: int = SIZE_PX) -> Image.Image:
    """The photograph."""
    product = place_bottle(shot)
    solids: tuple[Solid, ...] = (product,)
    if "podium" in shot.stand:
        solids += (product_sets.podium(),)
    if shot.prop:
        depth = float(np.random.default_rng(shot.seed + 1).uniform(-0.35, 0.45))
        x, z = (0.85, 1.0) if shot.stand == "lying on its side" else (1.08, depth)
        solids += (PROPS[shot.prop](x * shot.prop_side, z),)
    ground = build_ground(shot.studio, seed=shot.seed, degrees=shot.roll * 1.6)
    return render(solids, ground, aim_light(shot), aim_camera(shot, product), size_px=size_px)
