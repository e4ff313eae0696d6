"""The product: the Fjord bottle. Its form, its brand mark and its colours, which never change from picture to picture.

In: a pose. Out: a `Solid`. Does not place, light or photograph it; see `product_scenes.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sample_data.recipes.solids import rotation, rounded_cylinder, smooth_union, standing_ring, to_body
from sample_data.recipes.tracer import Array, Solid, Surface, smoothstep, vector

RADIUS = 0.56
HEIGHT = 2.34  # to the top of the carrying loop
BODY = (0.002, 0.105, 0.215)  # linear: deep fjord blue
CAP = (0.900, 0.130, 0.020)  # linear: signal orange
STEEL = (0.70, 0.72, 0.74)
WHITE = (0.86, 0.87, 0.85)
MARK_HEIGHT, MARK_RADIUS = 0.98, 0.43
WAVE_HEIGHT, WAVE_WIDTH = 0.33, 0.105


@dataclass(frozen=True)
class Pose:
    """yaw turns the bottle on its axis (0: mark to the camera), tilt lays it down, roll turns it on the table; degrees."""

    yaw: float
    tilt: float
    roll: float
    position: tuple[float, float, float]


def body_distance(p: Array) -> Array:
    barrel = rounded_cylinder(p, RADIUS, low=0.0, high=1.60, rounding=0.17)
    foot = rounded_cylinder(p, RADIUS - 0.005, low=0.0, high=0.5, rounding=0.06)
    neck = rounded_cylinder(p, 0.36, low=1.2, high=1.78, rounding=0.03)
    return smooth_union(np.minimum(barrel, foot), neck, 0.22)


def cap_distance(p: Array) -> Array:
    lid = rounded_cylinder(p, 0.41, low=1.71, high=2.07, rounding=0.07)
    angle = np.arctan2(p[2], p[0])
    grip = smoothstep(1.76, 1.82, p[1]) * (1 - smoothstep(1.94, 2.0, p[1]))
    lid = lid + (0.009 * grip * np.cos(angle * 26)).astype(np.float32)
    loop = standing_ring(p, major=0.215, minor=0.06, height=2.06)
    return smooth_union(lid * np.float32(0.9), loop, 0.05)


def bottle_distance(p: Array) -> Array:
    """[3, N] in the bottle's own frame: it stands on y = 0 around the y axis, its mark facing +z."""
    ring = rounded_cylinder(p, 0.395, low=1.655, high=1.715, rounding=0.015)
    return np.minimum(np.minimum(body_distance(p), ring), cap_distance(p))


def mountain(u: Array, v: Array) -> Array:
    """Coverage of the mark's two peaks above the water, [N] in 0..1; u and v from the middle of the disc, in units of its radius."""
    high = 0.70 - 1.35 * np.abs(u + 0.16)
    low = 0.26 - 1.35 * np.abs(u - 0.42)
    water = -0.40 + 0.08 * np.sin(u * 7.5)
    return ((v < np.maximum(high, low)) & (v > water)).astype(np.float32)


def bottle_surface(p: Array) -> Surface:
    """Colour by place: orange cap, steel ring, blue body with a white disc on both sides and a white wave around the foot."""
    across = np.sqrt(p[0] ** 2 + p[2] ** 2)
    angle = np.arctan2(p[0], p[2])
    side = np.where(np.abs(angle) > np.pi / 2, angle - np.sign(angle) * np.pi, angle)
    u, v = side * RADIUS / MARK_RADIUS, (p[1] - MARK_HEIGHT) / MARK_RADIUS
    on_wall = across > 0.3
    disc = ((u * u + v * v < 1.0) & on_wall).astype(np.float32)
    ink = disc * mountain(u, v)
    stripe = np.abs(p[1] - WAVE_HEIGHT - 0.045 * np.sin(angle * 8)) < WAVE_WIDTH / 2
    white = np.maximum(disc - ink, (stripe & on_wall).astype(np.float32))
    is_cap = (p[1] > 1.712).astype(np.float32)
    is_ring = ((p[1] > 1.652) & (p[1] <= 1.712) & (across > 0.37)).astype(np.float32)
    albedo = vector(BODY) * (1 - white) + vector(WHITE) * white
    albedo = albedo * (1 - is_cap) + vector(CAP) * is_cap
    albedo = albedo * (1 - is_ring) + vector(STEEL) * is_ring
    gloss = np.float32(0.75) - 0.35 * is_cap + 0.2 * is_ring
    return Surface(albedo.astype(np.float32), gloss.astype(np.float32), is_ring)


def bottle(pose: Pose) -> Solid:
    """The bottle in the scene."""
    matrix = rotation(yaw=pose.yaw, tilt=pose.tilt, roll=pose.roll)
    middle = matrix @ np.array([0.0, HEIGHT / 2, 0.0], np.float32) + np.asarray(pose.position, np.float32)

    def distance(p: Array) -> Array:
        return bottle_distance(to_body(p, matrix, pose.position))

    def surface(p: Array) -> Surface:
        return bottle_surface(to_body(p, matrix, pose.position))

    x, y, z = (float(value) for value in middle)
    return Solid(distance, surface, (x, y, z), 1.31)
