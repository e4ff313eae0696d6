"""Signed distances of simple bodies, and placing them in the scene.

In: points [3, N] float32. Out: distances [N]; negative inside.
Does not colour anything. Formulas: Inigo Quilez, "Distance functions", https://iquilezles.org/articles/distfunctions/
"""

from __future__ import annotations

import numpy as np

from sample_data.recipes.tracer import Array


def rounded_cylinder(p: Array, radius: float, *, low: float, high: float, rounding: float) -> Array:
    """Upright cylinder around the y axis from low to high, its edges rounded."""
    across = np.sqrt(p[0] ** 2 + p[2] ** 2) - (radius - rounding)
    along = np.abs(p[1] - (low + high) / 2) - ((high - low) / 2 - rounding)
    outside = np.sqrt(np.maximum(across, 0) ** 2 + np.maximum(along, 0) ** 2)
    return outside + np.minimum(np.maximum(across, along), 0) - rounding


def rounded_box(p: Array, half: tuple[float, float, float], rounding: float) -> Array:
    """Box around the origin with half extents, its edges rounded."""
    qx, qy, qz = (np.abs(p[axis]) - (half[axis] - rounding) for axis in range(3))
    outside = np.sqrt(np.maximum(qx, 0) ** 2 + np.maximum(qy, 0) ** 2 + np.maximum(qz, 0) ** 2)
    return outside + np.minimum(np.maximum(qx, np.maximum(qy, qz)), 0) - rounding


def ellipsoid(p: Array, radii: tuple[float, float, float]) -> Array:
    """Ellipsoid around the origin (a bound that is exact near the surface)."""
    k0 = np.sqrt(sum((p[axis] / radii[axis]) ** 2 for axis in range(3)))
    k1 = np.sqrt(sum((p[axis] / radii[axis] ** 2) ** 2 for axis in range(3)))
    return k0 * (k0 - 1.0) / np.maximum(k1, 1e-6)


def standing_ring(p: Array, *, major: float, minor: float, height: float) -> Array:
    """Torus in the x-y plane around (0, height, 0)."""
    ring = np.sqrt(p[0] ** 2 + (p[1] - height) ** 2) - major
    return np.sqrt(ring**2 + p[2] ** 2) - minor


def smooth_union(a: Array, b: Array, width: float) -> Array:
    """Union whose seam is filled over `width` (polynomial smooth minimum)."""
    h = np.maximum(width - np.abs(a - b), 0.0) / width
    return np.minimum(a, b) - h * h * (width / 4)


def rotation(*, yaw: float = 0.0, tilt: float = 0.0, roll: float = 0.0) -> Array:
    """[3, 3] matrix from the body to the scene, degrees: yaw about its own y axis, then tilt about z, then roll about the scene's y."""
    y, t, r = np.radians([yaw, tilt, roll])
    own = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    lean = np.array([[np.cos(t), -np.sin(t), 0], [np.sin(t), np.cos(t), 0], [0, 0, 1]])
    turn = np.array([[np.cos(r), 0, np.sin(r)], [0, 1, 0], [-np.sin(r), 0, np.cos(r)]])
    return (turn @ lean @ own).astype(np.float32)


def to_body(p: Array, matrix: Array, position: tuple[float, float, float]) -> Array:
    """Scene points in the frame of a body that was rotated by matrix, then moved to position."""
    return matrix.T @ (p - np.asarray(position, np.float32)[:, None])
