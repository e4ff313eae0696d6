"""Light rays against signed distance fields: what is hit, its normal, soft shadow, ambient occlusion.

In: solids (distance + surface), rays or points. Out: arrays of distances, normals, shares of light.
Knows no colours of light and no product; `studio.py` makes the picture.
Points and directions are float32 arrays [3, N]; y is up; the camera looks along -z; one unit is about 10 cm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
RGB = tuple[float, float, float]

MAX_STEPS = 70
HIT_DISTANCE = 0.0015
CHUNK_RAYS = 49152  # keeps the temporaries of one step inside the cache


@dataclass(frozen=True)
class Surface:
    """What a point looks like: albedo [3, N] linear, gloss and metal [N] in 0..1."""

    albedo: Array
    gloss: Array
    metal: Array


@dataclass(frozen=True)
class Solid:
    """A closed body. distance: [3, N] -> [N]; surface: [3, N] -> Surface; the bounding ball must hold all of it."""

    distance: Callable[[Array], Array]
    surface: Callable[[Array], Surface]
    center: RGB
    radius: float


@dataclass(frozen=True)
class Light:
    """Key light: direction towards it, colour, edge (larger is a harder shadow), and the share that is fill light."""

    direction: RGB
    color: RGB
    edge: float
    fill: float


@dataclass(frozen=True)
class Ground:
    """The plane y = 0 and what lies behind it. albedo(x, z) -> [3, N]; backdrop(direction) -> linear [3, N].

    From fade_start to fade_end (distance from the origin) the ground turns into the backdrop.
    """

    albedo: Callable[[Array, Array], Array]
    backdrop: Callable[[Array], Array]
    reflectance: float
    fade_start: float
    fade_end: float


@dataclass(frozen=True)
class Camera:
    """Looks at target from distance, elevation degrees above the horizon; fov is vertical, in degrees."""

    target: RGB
    distance: float
    elevation: float
    fov: float
    roll: float


def vector(values: RGB) -> Array:
    """Column [3, 1], for arithmetic with points."""
    return np.asarray(values, np.float32)[:, None]


def normalize(v: Array) -> Array:
    return v / np.maximum(np.sqrt((v * v).sum(0)), 1e-9)


def smoothstep(low: float, high: float, x: Array) -> Array:
    s = np.clip((x - low) / (high - low), 0.0, 1.0)
    return s * s * (3.0 - 2.0 * s)


def mix(a: Array, b: Array, share: Array) -> Array:
    return a + (b - a) * share


def camera_rays(camera: Camera, size_px: int) -> tuple[Array, Array]:
    """Origin [3, 1] and unit directions [3, size_px**2], rows from the top."""
    e, roll = np.radians(camera.elevation), np.radians(camera.roll)
    forward = np.array([0.0, -np.sin(e), -np.cos(e)])
    right, up = np.array([1.0, 0.0, 0.0]), np.array([0.0, np.cos(e), -np.sin(e)])
    right, up = right * np.cos(roll) + up * np.sin(roll), up * np.cos(roll) - right * np.sin(roll)
    half = np.tan(np.radians(camera.fov) / 2)
    axis = ((np.arange(size_px) + 0.5) / size_px * 2 - 1) * half
    x, y = np.meshgrid(axis, -axis)
    directions = forward[:, None] + right[:, None] * x.ravel() + up[:, None] * y.ravel()
    origin = vector(camera.target) - (forward * camera.distance)[:, None].astype(np.float32)
    return origin, normalize(directions.astype(np.float32))


def scene_distance(solids: tuple[Solid, ...], p: Array) -> Array:
    """Distance to the nearest solid, [N]."""
    nearest = solids[0].distance(p)
    for solid in solids[1:]:
        nearest = np.minimum(nearest, solid.distance(p))
    return nearest


def ball_interval(solids: tuple[Solid, ...], origin: Array, direction: Array, *, margin: float = 0.0) -> tuple[Array, Array]:
    """Where each ray can meet a solid at all: (start, end) along it; start > end means never."""
    count = direction.shape[1]
    start, end = np.full(count, np.inf, np.float32), np.full(count, -np.inf, np.float32)
    for solid in solids:
        offset = origin - vector(solid.center)
        b = (offset * direction).sum(0)
        inside = b * b - (offset * offset).sum(0) + (solid.radius + margin) ** 2
        root = np.sqrt(np.maximum(inside, 0.0))
        meets = (inside > 0) & (root - b > 0)
        start = np.where(meets, np.minimum(start, np.maximum(-b - root, 0.0)), start)
        end = np.where(meets, np.maximum(end, root - b), end)
    return start, end


def march(solids: tuple[Solid, ...], origin: Array, direction: Array, far: Array) -> Array:
    """Distance along each ray to the first solid before `far`, inf where there is none. origin [3, 1] or [3, N]."""
    start, end = ball_interval(solids, origin, direction)
    end = np.minimum(end, far)
    hit = np.full(direction.shape[1], np.inf, np.float32)
    candidates = np.flatnonzero(start < end)
    origins = np.broadcast_to(origin, direction.shape)
    for first in range(0, candidates.size, CHUNK_RAYS):
        active = candidates[first : first + CHUNK_RAYS]
        o, d, t, stop = origins[:, active], direction[:, active], start[active] + 0.002, end[active]
        for _ in range(MAX_STEPS):
            gap = scene_distance(solids, o + d * t)
            touching = gap < HIT_DISTANCE
            hit[active[touching]] = t[touching]
            t = t + gap
            going = ~touching & (t < stop)
            if not going.any():
                break
            active, o, d, t, stop = active[going], o[:, going], d[:, going], t[going], stop[going]
    return hit


def surface_normal(solids: tuple[Solid, ...], p: Array) -> Array:
    """Outward unit normals by four distance samples at the corners of a tetrahedron."""
    total = np.zeros_like(p)
    for corner in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
        k = vector(corner)
        total += k * scene_distance(solids, p + k * np.float32(0.0012))
    return normalize(total)


def soft_shadow(solids: tuple[Solid, ...], p: Array, light: Light) -> Array:
    """Share of the key light that arrives, [N]: the narrowest gap seen on the way to the light, over its distance."""
    direction = np.broadcast_to(normalize(vector(light.direction)), p.shape)
    start, end = ball_interval(solids, p, direction, margin=0.5)
    lit = np.ones(p.shape[1], np.float32)
    candidates = np.flatnonzero(start < end)
    for first in range(0, candidates.size, CHUNK_RAYS):
        active = candidates[first : first + CHUNK_RAYS]
        o, d = p[:, active], direction[:, active]
        t, stop = np.maximum(start[active], 0.015), end[active]
        share = np.ones(active.size, np.float32)
        for _ in range(26):
            gap = scene_distance(solids, o + d * t)
            share = np.minimum(share, 0.5 + 0.5 * light.edge * gap / t)
            t = t + np.clip(np.abs(gap), 0.04, 0.3)  # walks on inside a body: its depth is what makes the core dark
            lit[active] = share
            going = (share > 0.0) & (t < stop)
            if not going.any():
                break
            active, o, d, t, stop, share = active[going], o[:, going], d[:, going], t[going], stop[going], share[going]
    share = np.clip(lit, 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)


def occlusion(solids: tuple[Solid, ...], p: Array, normal: Array) -> Array:
    """Share of the ambient light that arrives, [N]."""
    open_share = np.ones(p.shape[1], np.float32)
    for reach, weight in ((0.06, 2.2), (0.18, 1.1), (0.4, 0.55), (0.8, 0.25)):
        gap = scene_distance(solids, p + normal * np.float32(reach))
        gap = np.minimum(gap, p[1] + normal[1] * reach + 0.3 * reach)
        open_share -= np.clip(reach - gap, 0.0, None) * np.float32(weight)
    return np.clip(open_share, 0.18, 1.0)
