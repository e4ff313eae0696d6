"""Where to cut a picture: the focal point, a crop for a shape, and what the trainer will really see.

In: an item, and its look or its pixels. Out: boxes and points in fractions. Faces go before subjects, subjects before saliency (smartcrop).
Does not cut anything: edits do.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from training.dataset import Item
from training.edits import Box, Crop, Focus
from training.images import Size, bucket_of, cut_for
from training.looks import Look


@dataclass(frozen=True)
class View:
    """What the trainer sees of a picture: the bucket in px, and the box (fractions of the edited picture) that fills it."""

    bucket_hw: Size
    box: Box
    is_enlarged: bool


def view(item: Item, *, resolution_px: int, base_stride_px: int, upscale: bool = False) -> View:
    """The crop view of one item, for a training at resolution_px on a base of that stride."""
    bucket = bucket_of(item.size_hw, resolution_px, base_stride_px=base_stride_px, upscale=upscale)
    cut = cut_for(item.size_hw, bucket, focus=item.focus)
    height, width = item.size_hw
    left, top, right, bottom = cut.box
    return View(bucket, (left / width, top / height, right / width, bottom / height), cut.scale > 1)


def focal_point(look: Look, picture: Image.Image) -> tuple[float, float]:
    """The point (x, y) that a crop should keep in view: the largest face, else the subject on its plain background, else what draws
    the eye.
    """
    if look.faces:
        left, top, right, bottom = look.faces[0].box
        return _clamped((left + right) / 2), _clamped((top + bottom) / 2)
    if look.subject:
        left, top, right, bottom = look.subject
        return (left + right) / 2, (top + bottom) / 2
    return _salient(picture)


def focus_on_subject(item: Item, look: Look, picture: Image.Image) -> Focus:
    """The edit that keeps the subject in view. picture: the item as edited, any size."""
    x, y = focal_point(look, picture)
    left, top, right, bottom = to_original(item, (x, y, x, y))
    return Focus(item.key, _clamped((left + right) / 2), _clamped((top + bottom) / 2))


def crop_to_subject(item: Item, look: Look, *, margin: float = 0.12) -> Crop | None:
    """The edit that cuts to the subject with some room around; None where the subject is not known, or fills the picture already."""
    if look.subject is None:
        return None
    left, top, right, bottom = look.subject
    box = (max(left - margin, 0.0), max(top - margin, 0.0), min(right + margin, 1.0), min(bottom + margin, 1.0))
    if (box[2] - box[0]) * (box[3] - box[1]) > 0.8:
        return None
    return Crop(item.key, to_original(item, box))


def centred_box(item: Item, ratio: float) -> Box:
    """The part of the original whose sides stand in at most `ratio`, around the focal point."""
    left, top, right, bottom = item.geometry.box
    width, height = (right - left) * item.width_px, (bottom - top) * item.height_px
    focus = item.geometry.focus or ((left + right) / 2, (top + bottom) / 2)
    if width > ratio * height:
        half = ratio * height / item.width_px / 2
        middle = min(max(focus[0], left + half), right - half)
        return middle - half, top, middle + half, bottom
    half = min(ratio * width / item.height_px / 2, (bottom - top) / 2)
    middle = min(max(focus[1], top + half), bottom - half)
    return left, middle - half, right, middle + half


def to_original(item: Item, box: Box) -> Box:
    """A box of the edited picture as a box of the upright original."""
    turned = {0: box, 90: (box[1], 1 - box[2], box[3], 1 - box[0]), 180: (1 - box[2], 1 - box[3], 1 - box[0], 1 - box[1])}
    turned[270] = (1 - box[3], box[0], 1 - box[1], box[2])
    left, top, right, bottom = turned[item.geometry.clockwise_deg]
    x0, y0, x1, y1 = item.geometry.box
    width, height = x1 - x0, y1 - y0
    return x0 + left * width, y0 + top * height, x0 + right * width, y0 + bottom * height


def _salient(picture: Image.Image) -> tuple[float, float]:
    """The middle of the square that smartcrop prefers (saturation, detail, skin)."""
    from smartcrop import SmartCrop

    small = picture.copy()
    small.thumbnail((256, 256), reducing_gap=2.0)
    side = min(small.size)
    if small.width == small.height:
        return 0.5, 0.5
    top = SmartCrop().crop(small, side, side, prescale=False)["top_crop"]
    return (top["x"] + top["width"] / 2) / small.width, (top["y"] + top["height"] / 2) / small.height


def _clamped(value: float) -> float:
    return min(max(value, 0.0), 1.0)
