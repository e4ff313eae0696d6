"""The photo studio: named sets (ground + backdrop + words for the caption) and props.

In: a name and a seed. Out: a `Ground`, or a `Solid` standing beside the product.
Does not choose: `product_scenes.py` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sample_data.recipes import materials
from sample_data.recipes.materials import Paint, linear
from sample_data.recipes.solids import ellipsoid, rotation, rounded_box, rounded_cylinder, to_body
from sample_data.recipes.tracer import Array, Ground, Solid, Surface, mix, smoothstep, vector

Backdrop = Callable[[Array], Array]
PODIUM_HEIGHT = 0.3


@dataclass(frozen=True)
class StudioSet:
    """words: as the caption says it. is_turned: whether its pattern may lie at any angle."""

    words: str
    paint: Callable[[int], Paint]
    backdrop: Backdrop
    reflectance: float
    fade: tuple[float, float]
    is_turned: bool = False


def even_wall(hex_color: str) -> Backdrop:
    """Seamless paper: the colour, a little lighter in the middle."""
    base = vector(linear(hex_color))

    def wall(d: Array) -> Array:
        glow = 1.0 - 0.22 * smoothstep(0.05, 0.55, np.sqrt(d[0] ** 2 + (d[1] + 0.1) ** 2))
        return (base * glow).astype(np.float32)

    return wall


def gradient_wall(low: str, high: str) -> Backdrop:
    """From the low colour below the horizon to the high colour above it."""
    return lambda d: materials.blend(low, high, smoothstep(-0.3, 0.28, d[1]))


def room_wall(low: str, high: str) -> Backdrop:
    """An unsharp room: a soft gradient with a window's glow at the upper left."""

    def wall(d: Array) -> Array:
        base = materials.blend(low, high, smoothstep(-0.25, 0.4, d[1]))
        glow = np.exp(-(((d[0] + 0.22) / 0.2) ** 2) - ((d[1] - 0.12) / 0.2) ** 2)
        return (base + vector((0.30, 0.28, 0.24)) * glow * 0.5).astype(np.float32)

    return wall


def open_air(haze: str, hills: str) -> Backdrop:
    """Sky over unsharp hills."""

    def view(d: Array) -> Array:
        sky = materials.blend(haze, "7fb9e6", smoothstep(0.0, 0.5, d[1]))
        ridge = 0.035 + 0.02 * np.sin(d[0] * 9 + 1) + 0.012 * np.sin(d[0] * 23)
        cover = 1 - smoothstep(-0.03, 0.03, d[1] - ridge)
        return mix(sky, np.broadcast_to(vector(linear(hills)), sky.shape), cover).astype(np.float32)

    return view


def paper(name: str) -> StudioSet:
    color = materials.COLORS[name]
    article = "an" if name[0] in "aeiou" else "a"
    return StudioSet(f"on {article} {name} background", lambda seed: materials.plain(color), even_wall(color), 0.035, (2.6, 7.0))


def gradient(low: str, high: str) -> StudioSet:
    a, b = materials.COLORS[low], materials.COLORS[high]
    return StudioSet(f"on a {low} to {high} gradient background", lambda seed: materials.plain(a), gradient_wall(a, b), 0.06, (1.2, 6.0))


PAPERS = tuple(paper(name) for name in materials.COLORS)
GRADIENTS = (
    gradient("pink", "orange"), gradient("light blue", "white"), gradient("purple", "pink"),
    gradient("mint", "yellow"), gradient("beige", "white"), gradient("black", "grey"),
)  # fmt: skip
SURFACES = (
    StudioSet("on a light wooden table", lambda s: materials.wood("dcb98a", "b98a57", seed=s), room_wall("d9cfc2", "efe9df"), 0.03, (3.0, 6.5), True),
    StudioSet("on a dark wooden table", lambda s: materials.wood("7a4e30", "45291a", seed=s), room_wall("5b4a40", "8f7d6e"), 0.05, (3.0, 6.5), True),
    StudioSet("on white marble", lambda s: materials.marble("efeeec", "9a9ca3", seed=s), room_wall("d3d7da", "eef0f1"), 0.09, (3.5, 7.5), True),
    StudioSet("on green marble", lambda s: materials.marble("3d7a66", "7fae9a", seed=s), room_wall("b9c7bd", "dfe6df"), 0.08, (3.5, 7.5), True),
    StudioSet("on white tiles", lambda s: materials.tiles("ecefef", "b3b8ba", seed=s, size=0.8), room_wall("cfd8dc", "e6ecee"), 0.10, (3.5, 8.0), True),
    StudioSet("on terracotta tiles", lambda s: materials.tiles("c4714a", "8f7f70", seed=s, size=0.95), room_wall("e2cdb4", "f0e4d2"), 0.03, (3.5, 8.0), True),
    StudioSet("on concrete", lambda s: materials.speckled("7f8284", "b9bbba", seed=s, scale=9, contrast=0.7), room_wall("9fa4a6", "c6cacb"), 0.02, (3.0, 7.0)),
    StudioSet("on sand", lambda s: materials.speckled("c9a877", "efd9ae", seed=s, scale=26, contrast=0.9), open_air("eaf2f5", "6fb6cf"), 0.0, (3.5, 9.0)),
    StudioSet("on grass", lambda s: materials.grass("2c6a20", "8cc04a", seed=s), open_air("e3f0f6", "5f9a55"), 0.0, (3.5, 8.0), True),
    StudioSet("on a red checked tablecloth", lambda s: materials.checked("c7322f", size=0.36), room_wall("d6d9c8", "eeeadb"), 0.0, (3.0, 6.5), True),
    StudioSet("on snow", lambda s: materials.speckled("cfdbe6", "f6f9fb", seed=s, scale=16, contrast=0.8), open_air("eef3f7", "a9bccb"), 0.0, (3.0, 8.0)),
    StudioSet("on black slate", lambda s: materials.speckled("24272a", "4c5154", seed=s, scale=12, contrast=0.8), room_wall("33383c", "6b7276"), 0.05, (3.0, 7.0)),
)  # fmt: skip


def build_ground(studio: StudioSet, *, seed: int, degrees: float) -> Ground:
    """The set's ground, its pattern drawn from seed and turned where it may be."""
    paint = studio.paint(seed)
    if studio.is_turned:
        paint = materials.turned(paint, degrees)
    return Ground(paint, studio.backdrop, studio.reflectance, *studio.fade)


def painted(color: str, gloss: float) -> Callable[[Array], Surface]:
    """A surface of one colour."""
    base = vector(linear(color))

    def surface(p: Array) -> Surface:
        count = p.shape[1]
        return Surface(np.repeat(base, count, 1).astype(np.float32), np.full(count, gloss, np.float32), np.zeros(count, np.float32))

    return surface


def cup(x: float, z: float) -> Solid:
    """A white mug with its handle to the right."""

    def distance(p: Array) -> Array:
        q = p - vector((x, 0.0, z))
        wall = rounded_cylinder(q, 0.36, low=0.0, high=0.72, rounding=0.05)
        hollow = rounded_cylinder(q, 0.30, low=0.08, high=1.2, rounding=0.04)
        ring = np.sqrt((np.sqrt((q[0] - 0.38) ** 2 + (q[1] - 0.38) ** 2) - 0.19) ** 2 + q[2] ** 2) - 0.045
        return np.maximum(np.minimum(wall, ring), -hollow)

    return Solid(distance, painted("f2f0ea", 0.6), (x + 0.1, 0.36, z), 0.68)


def stones(x: float, z: float) -> Solid:
    """Three smooth pebbles."""
    pebbles = ((0.0, 0.15, 0.0, (0.34, 0.17, 0.26)), (0.33, 0.1, 0.24, (0.2, 0.11, 0.16)), (-0.1, 0.39, 0.0, (0.21, 0.11, 0.17)))

    def distance(p: Array) -> Array:
        parts = [ellipsoid(p - vector((x + a, b, z + c)), radii) for a, b, c, radii in pebbles]
        return np.minimum(np.minimum(parts[0], parts[1]), parts[2]) * np.float32(0.9)

    return Solid(distance, painted("8d9094", 0.15), (x + 0.08, 0.22, z + 0.08), 0.62)


def cube(x: float, z: float) -> Solid:
    """A yellow block, turned a little."""
    matrix = rotation(yaw=28)
    return Solid(
        lambda p: rounded_box(to_body(p, matrix, (x, 0.36, z)), (0.36, 0.36, 0.36), 0.04), painted("efc23b", 0.3), (x, 0.36, z), 0.64
    )


def lemon(x: float, z: float) -> Solid:
    """Two lemons."""
    one, two = rotation(yaw=35), rotation(yaw=-50)

    def distance(p: Array) -> Array:
        a = ellipsoid(to_body(p, one, (x, 0.26, z)), (0.36, 0.26, 0.26))
        b = ellipsoid(to_body(p, two, (x + 0.3, 0.24, z - 0.45)), (0.33, 0.24, 0.24))
        return np.minimum(a, b) * np.float32(0.9)

    return Solid(distance, painted("f4cf2c", 0.4), (x + 0.15, 0.26, z - 0.22), 0.72)


def cactus(x: float, z: float) -> Solid:
    """A ribbed round cactus in a terracotta pot."""
    green, clay = painted("4f9d58", 0.1), painted("c4714a", 0.1)

    def distance(p: Array) -> Array:
        q = p - vector((x, 0.0, z))
        pot = np.minimum(
            rounded_cylinder(q, 0.25, low=0.0, high=0.36, rounding=0.04), rounded_cylinder(q, 0.29, low=0.30, high=0.42, rounding=0.03)
        )
        ribs = 0.014 * np.cos(np.arctan2(q[2], q[0]) * 10)
        plant = ellipsoid(q - vector((0.0, 0.66, 0.0)), (0.27, 0.34, 0.27)) + ribs.astype(np.float32)
        return np.minimum(pot, plant * np.float32(0.85))

    def surface(p: Array) -> Surface:
        is_pot = p[1] < 0.43
        plant, pot = green(p), clay(p)
        return Surface(np.where(is_pot, pot.albedo, plant.albedo), plant.gloss, plant.metal)

    return Solid(distance, surface, (x, 0.5, z), 0.62)


def podium() -> Solid:
    """A low round white stand, its top at PODIUM_HEIGHT."""
    return Solid(
        lambda p: rounded_cylinder(p, 1.0, low=0.0, high=PODIUM_HEIGHT, rounding=0.025), painted("f3f1ed", 0.25), (0.0, 0.15, 0.0), 1.06
    )


PROPS: dict[str, Callable[[float, float], Solid]] = {
    "a white cup beside it": cup,
    "grey stones beside it": stones,
    "a yellow cube beside it": cube,
    "lemons beside it": lemon,
    "a small cactus beside it": cactus,
}
