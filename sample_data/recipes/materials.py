"""What the product stands on: colours by name, and procedural wood, marble, tiles, stone, sand, grass, cloth, snow.

In: ground coordinates x, z (one unit is about 10 cm) and a seed. Out: linear albedo [3, N].
Does not light anything. The noise is plain value noise on a seeded lattice.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from sample_data.recipes.tracer import RGB, Array, mix, smoothstep, vector

Paint = Callable[[Array, Array], Array]
LATTICE = 256

COLORS: dict[str, str] = {  # name in the caption -> sRGB
    "white": "f1f0ec", "grey": "a9adb0", "black": "26272a", "beige": "e2d2b4", "yellow": "f6c93a", "pink": "f3aebd",
    "red": "cf3a3c", "orange": "f08a3c", "mint": "a8dec4", "green": "5f9e5a", "light blue": "a5d2ec", "purple": "8a6cc0",
}  # fmt: skip


def linear(hex_color: str) -> RGB:
    """Linear RGB of an sRGB colour written rrggbb."""
    r, g, b = (int(hex_color[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (r, g, b))  # type: ignore[return-value]


@cache
def lattice(seed: int) -> Array:
    return np.random.default_rng(seed).random((LATTICE, LATTICE), np.float32)


def value_noise(u: Array, v: Array, seed: int) -> Array:
    """Smooth noise in 0..1 with features of size one."""
    table = lattice(seed)
    iu, iv = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    fu, fv = (u - iu).astype(np.float32), (v - iv).astype(np.float32)
    fu, fv = fu * fu * (3 - 2 * fu), fv * fv * (3 - 2 * fv)
    a, b = iu % LATTICE, (iu + 1) % LATTICE
    c, d = iv % LATTICE, (iv + 1) % LATTICE
    top = table[c, a] + (table[c, b] - table[c, a]) * fu
    return top + (table[d, a] + (table[d, b] - table[d, a]) * fu - top) * fv


def fractal(u: Array, v: Array, *, seed: int, octaves: int) -> Array:
    """Sum of octaves of value noise, in 0..1."""
    total, weight, share = np.zeros_like(u), 0.0, 1.0
    for octave in range(octaves):
        total = total + share * value_noise(u * 2**octave, v * 2**octave, seed + octave)
        weight, share = weight + share, share * 0.5
    return total / np.float32(weight)


def blend(low: str, high: str, share: Array) -> Array:
    return mix(vector(linear(low)), vector(linear(high)), np.clip(share, 0, 1)).astype(np.float32)


def plain(hex_color: str) -> Paint:
    """One even colour."""
    return lambda x, z: np.broadcast_to(vector(linear(hex_color)), (3, x.size)).astype(np.float32)


def wood(light: str, dark: str, *, seed: int) -> Paint:
    """Planks half a unit wide, their grain stretched along x, with thin dark joints."""

    def paint(x: Array, z: Array) -> Array:
        plank = np.floor(z / 0.62)
        grain = fractal(x * 0.55 + plank * 17.3, z * 7.0, seed=seed, octaves=4)
        ring = 0.5 + 0.5 * np.sin((grain * 9 + z * 3) * 2)
        tone = value_noise(plank * 3.7, plank * 1.3, seed + 9)
        color = blend(light, dark, 0.55 * grain + 0.2 * ring + 0.45 * (tone - 0.4))
        joint = smoothstep(0.0, 0.012, np.abs(z / 0.62 - np.round(z / 0.62)) * 0.62)
        return color * (0.45 + 0.55 * joint)

    return paint


def marble(base: str, vein: str, *, seed: int) -> Paint:
    """Stone with thin veins where a bent noise crosses its middle."""

    def paint(x: Array, z: Array) -> Array:
        bend = fractal(x * 0.8, z * 0.8, seed=seed, octaves=4)
        cloud = fractal(x * 0.5 + 9, z * 0.5 + bend, seed=seed + 7, octaves=3)
        thin = np.abs(fractal(x * 0.7 + 2.2 * bend, z * 0.7 - 1.4 * bend, seed=seed + 13, octaves=4) - 0.5)
        return blend(base, vein, 0.75 * (1 - smoothstep(0.0, 0.045, thin)) + 0.3 * smoothstep(0.5, 0.8, cloud))

    return paint


def tiles(color: str, joint: str, *, seed: int, size: float) -> Paint:
    """Square tiles with joints, each a little different."""

    def paint(x: Array, z: Array) -> Array:
        column, row = np.floor(x / size), np.floor(z / size)
        tone = value_noise(column * 5.3, row * 3.1, seed)
        edge = np.minimum(np.abs(x / size - np.round(x / size)), np.abs(z / size - np.round(z / size))) * size
        body = vector(linear(color)) * (0.86 + 0.2 * tone + 0.05 * fractal(x * 4, z * 4, seed=seed + 3, octaves=2))
        return mix(np.broadcast_to(vector(linear(joint)), body.shape), body, smoothstep(0.014, 0.03, edge)).astype(np.float32)

    return paint


def speckled(low: str, high: str, *, seed: int, scale: float, contrast: float) -> Paint:
    """Clouds and fine grain: concrete, slate, sand, snow."""

    def paint(x: Array, z: Array) -> Array:
        clouds = fractal(x * 0.9, z * 0.9, seed=seed, octaves=3)
        grain = fractal(x * scale, z * scale, seed=seed + 5, octaves=3)
        return blend(low, high, np.asarray(0.5 + contrast * (0.6 * (clouds - 0.5) + 0.9 * (grain - 0.5)), np.float32))

    return paint


def grass(low: str, high: str, *, seed: int) -> Paint:
    """Short lawn: blades as noise stretched in two directions, with lighter patches."""

    def paint(x: Array, z: Array) -> Array:
        blades = np.maximum(value_noise(x * 22, z * 6 + x * 2, seed), value_noise(x * 19 + z * 6, z * 7 - x * 3, seed + 1))
        patch = fractal(x * 0.6, z * 0.6, seed=seed + 2, octaves=3)
        return blend(low, high, 1.1 * (blades - 0.35) + 0.5 * (patch - 0.5))

    return paint


def checked(color: str, *, size: float) -> Paint:
    """Woven tablecloth: where a coloured warp crosses a coloured weft the square is full, elsewhere half."""

    def paint(x: Array, z: Array) -> Array:
        warp = smoothstep(-0.03, 0.03, np.sin(x * np.pi / size))
        weft = smoothstep(-0.03, 0.03, np.sin(z * np.pi / size))
        return blend("f6f3ee", color, np.asarray((warp + weft) / 2, np.float32))

    return paint


def turned(paint: Paint, degrees: float) -> Paint:
    """The same ground, turned about the product."""
    c, s = np.float32(np.cos(np.radians(degrees))), np.float32(np.sin(np.radians(degrees)))
    return lambda x, z: paint(c * x - s * z, s * x + c * z)
