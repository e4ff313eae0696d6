"""The photographer: lights what the rays hit and develops the picture.

In: solids, a ground, a light, a camera. Out: an sRGB picture.
Draws key light, softbox reflections, glossy floors and contact shadows. Does not know any product; see `product_scenes.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sample_data.recipes.tracer import (
    Array,
    Camera,
    Ground,
    Light,
    Solid,
    Surface,
    camera_rays,
    march,
    mix,
    normalize,
    occlusion,
    smoothstep,
    soft_shadow,
    surface_normal,
    vector,
)


def studio_reflection(direction: Array, ground: Ground, light: Light, floor_tone: Array, gloss: Array) -> Array:
    """What a solid mirrors: the backdrop, the floor, a long softbox at the key light and a thin one at the other side."""
    horizon = smoothstep(-0.25, 0.3, direction[1])
    room = mix(floor_tone * 0.5, ground.backdrop(direction) * 0.45 + 0.06, horizon)
    azimuth = np.arctan2(direction[0], direction[2])
    key = np.arctan2(light.direction[0], light.direction[2])
    around = np.abs((azimuth - key + np.pi) % (2 * np.pi) - np.pi)
    opposite = np.abs((azimuth + np.sign(key + 1e-6) * 1.75 + np.pi) % (2 * np.pi) - np.pi)
    tall = smoothstep(-0.45, -0.1, direction[1]) * (1 - smoothstep(0.75, 0.97, direction[1]))
    blur = 0.22 - 0.15 * gloss
    key_box = np.clip((0.28 + blur - around) / (2 * blur), 0, 1)
    rim_box = np.clip((0.12 + blur - opposite) / (2 * blur), 0, 1) * 0.55
    overhead = smoothstep(0.8, 0.95, direction[1]) * 0.9
    return room + vector(light.color) * (tall * (key_box + rim_box) * 4.5 + overhead * 2.0)


def shade(
    solids: tuple[Solid, ...],
    ground: Ground,
    light: Light,
    p: Array,
    view: Array,
    *,
    normal: Array,
    surface: Surface,
    lit: Array,
    open_share: Array,
) -> Array:
    """Linear colour [3, N] of points seen along `view`."""
    toward = normalize(vector(light.direction))
    floor_tone = ground.albedo(np.zeros(1, np.float32), np.zeros(1, np.float32))
    wrapped = np.clip(((normal * toward).sum(0) + 0.12) / 1.12, 0.0, 1.0)
    key = vector(light.color) * (wrapped * lit * (1.0 - light.fill) * 1.5)
    sky = 0.55 + 0.45 * normal[1]
    bounce = floor_tone * (np.clip(-normal[1] * 0.5 + 0.5, 0, 1) * 0.35 * np.exp(-np.maximum(p[1], 0) * 0.9))
    ambient = (sky * (0.35 + light.fill) + bounce) * open_share
    mirrored = view - 2.0 * (view * normal).sum(0) * normal
    facing = np.clip(-(view * normal).sum(0), 0.0, 1.0)
    fresnel = 0.04 + 0.96 * (1.0 - facing) ** 5
    reflection = studio_reflection(mirrored, ground, light, floor_tone, surface.gloss) * (0.35 + 0.65 * open_share) * (0.45 + 0.55 * lit)
    half = normalize(toward - view)
    sparkle = np.clip((normal * half).sum(0), 0, 1) ** (20 + 180 * surface.gloss) * lit * surface.gloss
    diffuse = surface.albedo * (key + ambient) * (1.0 - surface.metal)
    glossy = reflection * mix(fresnel * (0.25 + 0.75 * surface.gloss), 0.9 * surface.albedo, surface.metal)
    return diffuse + glossy + vector(light.color) * sparkle * 0.5


def shade_solids(solids: tuple[Solid, ...], ground: Ground, light: Light, p: Array, view: Array) -> Array:
    """Linear colour [3, N] of hit points on the solids."""
    distances = np.stack([solid.distance(p) for solid in solids])
    owner = distances.argmin(0)
    albedo, gloss, metal = np.zeros_like(p), np.zeros(p.shape[1], np.float32), np.zeros(p.shape[1], np.float32)
    for index, solid in enumerate(solids):
        mine = owner == index
        if mine.any():
            found = solid.surface(p[:, mine])
            albedo[:, mine], gloss[mine], metal[mine] = found.albedo, found.gloss, found.metal
    normal = surface_normal(solids, p)
    lit = soft_shadow(solids, p + normal * np.float32(0.012), light)
    open_share = occlusion(solids, p, normal)
    surface = Surface(albedo, gloss, metal)
    return shade(solids, ground, light, p, view, normal=normal, surface=surface, lit=lit, open_share=open_share)


def shade_ground(solids: tuple[Solid, ...], ground: Ground, light: Light, p: Array, view: Array) -> Array:
    """Linear colour [3, N] of points on the plane y = 0, with shadow, contact shadow, mirror image and fade."""
    up = np.broadcast_to(vector((0.0, 1.0, 0.0)), p.shape)
    albedo = ground.albedo(p[0], p[2])
    lit = soft_shadow(solids, p + up * np.float32(0.004), light)
    open_share = np.ones(p.shape[1], np.float32)
    near = np.zeros(p.shape[1], bool)
    for solid in solids:
        reach = solid.radius + 0.9
        near |= (p[0] - solid.center[0]) ** 2 + (p[2] - solid.center[2]) ** 2 < reach * reach
    if near.any():
        open_share[near] = occlusion(solids, p[:, near], up[:, near])
    toward = normalize(vector(light.direction))[1]
    full = 0.62 + light.fill * 0.38  # on open ground key + fill come to one, so a named colour looks like its name
    arriving = vector(light.color) * lit * full * (0.75 + 0.25 * toward) + (1.12 - full) * open_share
    color = albedo * arriving * (0.4 + 0.6 * open_share)
    if ground.reflectance > 0:
        color = add_mirror_image(solids, ground, light, p, view, color=color)
    away = np.sqrt(p[0] ** 2 + p[2] ** 2)
    return mix(color, ground.backdrop(view), smoothstep(ground.fade_start, ground.fade_end, away))


def add_mirror_image(solids: tuple[Solid, ...], ground: Ground, light: Light, p: Array, view: Array, *, color: Array) -> Array:
    """The floor's colour with the solids mirrored in it, fading with their height."""
    mirrored = view * vector((1.0, -1.0, 1.0))
    hit = march(solids, p, mirrored, np.full(p.shape[1], np.inf, np.float32))
    seen = np.isfinite(hit)
    if not seen.any():
        return color
    points = p[:, seen] + mirrored[:, seen] * hit[seen]
    image = shade_solids(solids, ground, light, points, mirrored[:, seen])
    fresnel = ground.reflectance + (1 - ground.reflectance) * (1.0 - np.clip(-view[1, seen], 0, 1)) ** 5 * 0.5
    share = fresnel * np.exp(-points[1] * 0.8)
    result = color.copy()
    result[:, seen] = mix(color[:, seen], image, share)
    return result


def to_srgb(linear: Array) -> NDArray[np.uint8]:
    """8-bit sRGB; values above 0.75 roll off softly instead of clipping."""
    x = np.maximum(linear, 0.0)
    x = np.where(x > 0.75, 0.75 + 0.25 * (1.0 - np.exp(-(x - 0.75) / 0.25)), x)
    encoded = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    return (np.clip(encoded, 0, 1) * 255 + 0.5).astype(np.uint8)


def render(solids: tuple[Solid, ...], ground: Ground, light: Light, camera: Camera, *, size_px: int, samples: int = 2) -> Image.Image:
    """The picture, size_px square, reduced from samples x samples rays a pixel."""
    wide = size_px * samples
    origin, direction = camera_rays(camera, wide)
    t_ground = np.where(direction[1] < -1e-4, -origin[1] / np.minimum(direction[1], -1e-4), np.inf).astype(np.float32)
    t_solid = march(solids, origin, direction, t_ground)
    color = ground.backdrop(direction).astype(np.float32)
    on_solid = np.isfinite(t_solid)
    on_ground = ~on_solid & np.isfinite(t_ground) & (t_ground < 60)
    if on_solid.any():
        view = direction[:, on_solid]
        color[:, on_solid] = shade_solids(solids, ground, light, origin + view * t_solid[on_solid], view)
    if on_ground.any():
        view = direction[:, on_ground]
        color[:, on_ground] = shade_ground(solids, ground, light, origin + view * t_ground[on_ground], view)
    # Reduced after encoding: a bright edge on a dark one then has even steps to the eye, not only in light.
    encoded = to_srgb(color).reshape(3, wide, wide).transpose(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(encoded)).resize((size_px, size_px), Image.Resampling.BICUBIC)
