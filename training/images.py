"""Pictures as the trainer sees them: cut, turned and resized to a bucket, never stretched.

In: items of a dataset, or opened pictures. Out: upright sRGB pictures of the size asked for, with the `Frame` that says how they were cut.
Does not decode files (decode.py does), and makes no tensors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pipelines.errors import DatasetError
from pipelines.families.base import Frame
from training.dataset import Item
from training.decode import open_alpha, open_image, read_header

__all__ = [
    "Frame",
    "Size",
    "bucket_of",
    "bucket_stride",
    "choose_buckets",
    "frame",
    "mask_for",
    "nearest_bucket",
    "open_image",
    "open_item",
    "read_header",
]

Size = tuple[int, int]  # (height, width) in px

# Shapes that pictures come in, as (width, height): the ladder of diffusers.training_utils.generate_aspect_ratio_buckets.
SHAPES = ((1, 1), (4, 5), (5, 4), (2, 3), (3, 2), (3, 4), (4, 3), (9, 16), (16, 9), (1, 2), (2, 1))
WHITE = "#ffffff"


def open_item(item: Item, *, background: str = WHITE, at_least_px: int | None = None) -> Image.Image:
    """The picture with its edits: upright sRGB, 8 bit RGB. at_least_px: as in open_image. Raises DatasetError for a bad file."""
    edits = item.geometry
    return _edited(open_image(item.path, background=edits.background or background, at_least_px=at_least_px), item)


def _edited(image: Image.Image, item: Item) -> Image.Image:
    edits = item.geometry
    box = edits.pixels(*image.size)
    if box != (0, 0, *image.size):
        image = image.crop(box)
    turns = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
    return image.transpose(turns[edits.clockwise_deg]) if edits.clockwise_deg else image


def choose_buckets(resolution_px: int, *, stride_px: int = 64, shapes: Sequence[tuple[int, int]] = SHAPES) -> tuple[Size, ...]:
    """Training sizes of about resolution_px² pixels, one per shape, sides rounded to multiples of stride_px.

    Same ladder as diffusers.training_utils.generate_aspect_ratio_buckets, which cannot be used here: it loads torch.
    """
    buckets: dict[Size, None] = {}
    for wide, high in shapes:
        height = resolution_px / math.sqrt(wide / high)
        buckets[_rounded(height, stride_px), _rounded(height * wide / high, stride_px)] = None
    return tuple(buckets)


def bucket_stride(resolution_px: int, stride_px: int) -> int:
    """What sides of buckets are multiples of: 64 px as everywhere, less for small resolutions, never below the base's own stride."""
    return max(stride_px, min(64, resolution_px // 8) // stride_px * stride_px)


def _rounded(length: float, stride_px: int) -> int:
    return max(stride_px, round(length / stride_px) * stride_px)


def nearest_bucket(size_hw: Size, buckets: Sequence[Size], *, stride_px: int = 64, upscale: bool = False) -> Size:
    """The bucket whose shape is nearest to a picture's, by the logarithm of the aspect ratio.

    A picture smaller than its bucket gets one of the same shape at 7/8, 6/8 ... 1/8 of the size, so that nothing is
    enlarged; with upscale=True it gets the full bucket. Smallest result: one stride, which enlarges what is smaller still.
    """
    aspect = math.log(size_hw[0] / size_hw[1])
    best = min(buckets, key=lambda bucket: abs(math.log(bucket[0] / bucket[1]) - aspect))
    if upscale or _fits(size_hw, best):
        return best
    smaller = (_shrunk(best, eighths, stride_px) for eighths in range(7, 0, -1))
    return next((bucket for bucket in smaller if _fits(size_hw, bucket)), (stride_px, stride_px))


def bucket_of(size_hw: Size, resolution_px: int, *, base_stride_px: int, is_square: bool = False, upscale: bool = False) -> Size:
    """The size that a picture is trained in. is_square: every picture is cut to the same square."""
    stride_px = bucket_stride(resolution_px, base_stride_px)
    buckets = ((resolution_px, resolution_px),) if is_square else choose_buckets(resolution_px, stride_px=stride_px)
    return nearest_bucket(size_hw, buckets, stride_px=stride_px, upscale=upscale)


def _fits(size_hw: Size, bucket: Size) -> bool:
    return size_hw[0] >= bucket[0] and size_hw[1] >= bucket[1]


def _shrunk(bucket: Size, eighths: int, stride_px: int) -> Size:
    height, width = (max(stride_px, side * eighths // 8 // stride_px * stride_px) for side in bucket)
    return height, width


@dataclass(frozen=True)
class Cut:
    """Where a picture is cut before it is resized. box: (left, top, right, bottom) in px of the picture, of exactly the target's shape."""

    box: tuple[float, float, float, float]
    scale: float  # target px per picture px; above 1 the picture is enlarged


def cut_for(image_hw: Size, size_hw: Size, *, focus: tuple[float, float] = (0.5, 0.5)) -> Cut:
    """The largest part of the target's shape, as near to the focal point (x, y in fractions) as the edges allow."""
    scale = max(size_hw[0] / image_hw[0], size_hw[1] / image_hw[1])
    width, height = size_hw[1] / scale, size_hw[0] / scale
    left = min(max(focus[0] * image_hw[1] - width / 2, 0.0), max(image_hw[1] - width, 0.0))
    top = min(max(focus[1] * image_hw[0] - height / 2, 0.0), max(image_hw[0] - height, 0.0))
    return Cut((left, top, min(left + width, image_hw[1]), min(top + height, image_hw[0])), scale)


def frame(image: Image.Image, size_hw: Size, *, focus: tuple[float, float] = (0.5, 0.5)) -> tuple[Image.Image, Frame]:
    """The picture cut around its focal point and resized to size_hw with antialiasing; never stretched.

    focus: (x, y) as fractions of the picture. The Frame holds sizes and offsets as SDXL wants them: the offset in px of the
    resized picture.
    """
    cut = cut_for((image.height, image.width), size_hw, focus=focus)
    kernel = Image.Resampling.LANCZOS if cut.scale <= 1 else Image.Resampling.BICUBIC
    result = image.resize((size_hw[1], size_hw[0]), kernel, box=cut.box, reducing_gap=3.0)
    offset = (round(cut.box[1] * cut.scale), round(cut.box[0] * cut.scale))
    return result, Frame(original_hw=(image.height, image.width), crop_yx=offset, target_hw=size_hw)


def mask_for(item: Item, size_hw: Size, *, focus: tuple[float, float] | None = None) -> Image.Image | None:
    """Where to learn, as an 8 bit grey picture of size_hw cut like the picture itself: white = learn. None: no mask and no transparency.

    From the item's mask file, else from the picture's own alpha. Raises DatasetError if the mask has another shape than its picture.
    """
    mask = _read_mask(item.mask, item) if item.mask else open_alpha(item.path)
    if mask is None:
        return None
    return frame(_edited(mask, item), size_hw, focus=focus or item.focus)[0]


def _read_mask(path: Path, item: Item) -> Image.Image:
    mask = open_image(path, background="#000000").convert("L")
    if abs(math.log(mask.width / mask.height) - math.log(item.width_px / item.height_px)) > 0.02:
        sizes = f"{mask.width} x {mask.height} px, its picture {item.width_px} x {item.height_px} px"
        raise DatasetError(f"The mask {path.name} is {sizes}.", fix="Give the mask the picture's shape.")
    return mask.resize((item.width_px, item.height_px), Image.Resampling.BILINEAR)
