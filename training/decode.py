"""One picture file -> an upright sRGB picture, 8 bit RGB; or an error that says what is wrong with the file.

In: a path to JPEG, PNG, WebP, AVIF, HEIC, TIFF, GIF or BMP, in any mode and colour space. Out: a header (size, without
decoding), the picture, or its alpha. The size is read before any pixel is, so a decompression bomb does no harm.
Does not know datasets or edits.
"""

from __future__ import annotations

import io
import logging
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION, TiffImageFile

from pipelines.errors import DatasetError

log = logging.getLogger(__name__)

MAX_PIXELS = 100_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "GIF", "BMP")  # a JPEG of several pictures reports itself as MPO
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".avif", ".heic", ".heif", ".hif", ".tif", ".tiff", ".gif", ".bmp"}
)
# What Pillow and the libraries under it raise on damaged files; libavif's errors arrive as RuntimeError.
_BROKEN = (OSError, ValueError, SyntaxError, struct.error, EOFError, IndexError, TypeError, KeyError, RuntimeError)
_STANDARD_LUMINANCE_SUM = 3688  # of the 64 entries of table K.1
_TURNED = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
_TURNS = {  # EXIF orientation -> what makes it upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Header:
    """What a file says about itself. width_px, height_px: upright."""

    format: str
    width_px: int
    height_px: int
    has_alpha: bool


def read_header(path: Path, *, max_pixels: int = MAX_PIXELS) -> Header:
    """Format and upright size, without decoding pixels. Raises DatasetError for a file that is empty, cut off, no picture, or too large."""
    with _opened(path, max_pixels) as image:
        width, height = image.size
        if _orientation(image) in _TURNED:
            width, height = height, width
        return Header(image.format or "", width, height, image.has_transparency_data)


def open_image(path: Path, *, background: str = "#ffffff", at_least_px: int | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture: upright, sRGB, 8 bit RGB, alpha laid over `background`; the first frame of an animation.

    at_least_px: the caller needs no more than this on the shorter side; JPEGs are then decoded faster at 1/2, 1/4 or 1/8
    size, never below it.
    Raises DatasetError for a file that cannot be read whole.
    """
    with _opened(path, max_pixels) as image:
        if at_least_px and image.format in ("JPEG", "MPO"):
            image.draft(None, _draft_size(image.size, at_least_px))
        orientation = _orientation(image)
        return _upright(_to_srgb(_loaded(image, path), background), orientation)


def open_alpha(path: Path, *, max_pixels: int = MAX_PIXELS) -> Image.Image | None:
    """The picture's transparency, upright, 8 bit grey; None where nothing is transparent."""
    with _opened(path, max_pixels) as image:
        if not image.has_transparency_data:
            return None
        orientation = _orientation(image)
        alpha = _eight_bit(_loaded(image, path)).convert("RGBA").getchannel("A")
        return None if _is_opaque(alpha) else _upright(alpha, orientation)


def check_whole(path: Path, header: Header) -> None:
    """Raises DatasetError if the file was cut off. Looks at its end; only where that is not as it should be, decodes everything."""
    if not _ends_well(path, header.format):
        open_image(path)


def _ends_well(path: Path, format: str) -> bool:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(32)
        file.seek(max(0, size - 4096))
        end = file.read()
        if format in ("JPEG", "MPO"):
            return b"\xff\xd9" in end
        if format == "PNG":
            return b"IEND" in end
        if format == "WEBP":
            return size >= int.from_bytes(start[4:8], "little") + 8
        if format == "GIF":
            return end.rstrip(b"\0").endswith(b"\x3b")
        if format in ("AVIF", "HEIF"):
            return _boxes_are_whole(file, size)
    return False


def _boxes_are_whole(file: BinaryIO, size: int) -> bool:
    """True if the top-level boxes (ISO 14496-12, section 4.2) end exactly with the file."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        length = int.from_bytes(head[8:16], "big") if length == 1 else length
        if length == 0:
            return True
        if length < 8:
            return False
        at += length
    return at == size


def jpeg_quality(path: Path) -> int | None:
    """The quality (1-100) with which a JPEG was saved, told from its quantization table 0; None where there is none, as in other files.

    Inverts the IJG scaling of the standard luminance table (ITU-T T.81, annex K.1; libjpeg's jpeg_set_quality).
    """
    try:
        with _opened(path, MAX_PIXELS) as image:
            table = getattr(image, "quantization", {}).get(0)
    except DatasetError:
        return None
    if not table:
        return None
    scale = 100 * sum(table) / _STANDARD_LUMINANCE_SUM
    return max(1, min(100, round((200 - scale) / 2 if scale <= 100 else 5000 / scale)))


def _is_in_boxes(path: Path) -> bool:
    """True for HEIC, AVIF and their kin (ISO 14496-12, section 4.3)."""
    with path.open("rb") as file:
        return file.read(8)[4:] == b"ftyp"


@cache
def _register_heif() -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()


@contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """The file opened by its content, not by its name, with header errors and size limits put into words."""
    fix = "Save it again as JPEG or PNG, or leave it out."
    try:
        if path.stat().st_size == 0:
            raise DatasetError(f"{path.name} is empty (0 bytes).", fix="Copy it again from where it came.")
        if _is_in_boxes(path):  # the only sort that needs libheif, 5 MB
            _register_heif()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(path, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise _too_large(path, int(re.findall(r"\d+", str(error))[0]), max_pixels) from error
    except UnidentifiedImageError as error:
        raise DatasetError(f"{path.name} {_what_it_is(path)}.", fix=fix) from error
    except _BROKEN as error:
        raise DatasetError(f"{path.name} cannot be read: {error}.", fix=fix) from error
    with image:
        if image.width * image.height > max_pixels:
            raise _too_large(path, image.width * image.height, max_pixels)
        if image.width < 1 or image.height < 1:
            raise DatasetError(f"{path.name} has no pixels ({image.width} x {image.height}).", fix=fix)
        yield image


def _too_large(path: Path, pixels: int, limit: int) -> DatasetError:
    message = f"{path.name} holds {pixels / 1e6:.0f} megapixels, more than {limit / 1e6:.0f}."
    return DatasetError(message, fix="Scale it down; training needs 4 at most.")


def _what_it_is(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(512)
    if start.strip(b"\x00") == b"":
        return "holds only zeros: a copy that broke off"
    if start.startswith((b"\x00\x00\x00\x0cJXL ", b"\xff\x0a")):
        return "is a JPEG XL picture, which cannot be read here"
    try:
        start[:500].decode("utf-8")
        return "is text, not a picture"
    except UnicodeDecodeError:
        return "is not a picture that can be read"


def _loaded(image: Image.Image, path: Path) -> Image.Image:
    """Decodes every pixel. Pillow's verify() passes on a half-cut JPEG; only load() tells."""
    if isinstance(image, TiffImageFile):
        image.filename = ""  # a file with a name is mapped to memory, by its upright size: wrong for a turned one
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
    except (*_BROKEN, MemoryError) as error:
        reason = "is cut off or damaged" if "truncat" in str(error) or "broken" in str(error) else f"cannot be decoded ({error})"
        raise DatasetError(f"{path.name} {reason}.", fix="Copy it again from where it came, or leave it out.") from error
    return image


def _draft_size(size: tuple[int, int], at_least_px: int) -> tuple[int, int]:
    factor = min(size) / at_least_px
    return (max(1, int(size[0] / factor)), max(1, int(size[1] / factor))) if factor > 1 else size


def _orientation(image: Image.Image) -> int:
    """The turn that is left to do, as EXIF counts them."""
    if image.format == "TIFF":
        return 1  # Pillow turns these while loading, and gives their upright size before
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode the whole file to look for a late eXIf chunk
    try:
        return int(image.getexif().get(0x0112, 1))
    except _BROKEN:
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    image = image if turn is None else image.transpose(turn)
    image.info.clear()
    return image


def _to_srgb(image: Image.Image, background: str) -> Image.Image:
    """8 bit RGB in sRGB, alpha laid over `background`."""
    profile = image.info.get("icc_profile")
    pixels = _eight_bit(image)
    alpha = None
    if pixels.has_transparency_data:
        pixels = pixels.convert("RGBA")
        alpha = pixels.getchannel("A")
        pixels = pixels.convert("RGB")
    elif pixels.mode not in ("RGB", "CMYK", "L", "LAB"):
        pixels = pixels.convert("RGB")
    pixels = _managed(pixels, profile)
    if alpha is not None and not _is_opaque(alpha):
        ground = Image.new("RGB", pixels.size, background)
        ground.paste(pixels, mask=alpha)
        return ground
    return pixels


def _is_opaque(alpha: Image.Image) -> bool:
    return sum(alpha.histogram()[:255]) == 0


def _eight_bit(image: Image.Image) -> Image.Image:
    """The same picture with at most 8 bits per channel.

    16 bit grey spans 0-65535; other whole numbers span 0-255, 0-65535 or 0-2³¹, the first that holds them all; floats span 0-1 unless they go beyond.
    """
    if image.mode.startswith("I"):
        values = np.asarray(image)
        tops = (255, 65535, 2**31 - 1) if image.mode == "I" else (65535,)
        shares = values.astype(np.float32) / next(top for top in tops if values.max(initial=0) <= top)
        if isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0:
            shares = 1 - shares  # counts down from white; Pillow turns only 8 bit grey round
        grey = Image.fromarray(np.clip(shares * 255 + 0.5, 0, 255).astype(np.uint8))
        if "transparency" not in image.info:
            return grey
        return Image.merge("LA", (grey, Image.fromarray(np.where(values == image.info["transparency"], 0, 255).astype(np.uint8))))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        top = 1.0 if values.max(initial=0) <= 1 else 255.0 if values.max() <= 255 else 65535.0
        return Image.fromarray(np.clip(values * (255.0 / top) + 0.5, 0, 255).astype(np.uint8))
    return image


def _managed(pixels: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB in sRGB. A profile that is broken, or that does not belong to the mode, is passed over."""
    if pixels.mode == "LAB":
        return _applied(_lab_to_srgb(), pixels)
    if profile:
        try:
            transform = _to_srgb_transform(profile, pixels.mode)
            return pixels.convert("RGB") if transform is None else _applied(transform, pixels)
        except (ImageCms.PyCMSError, OSError, ValueError) as error:
            log.info("colour profile passed over: %s", error)
    return pixels.convert("RGB")


def _applied(transform: ImageCms.ImageCmsTransform, pixels: Image.Image) -> Image.Image:
    result = Image.new("RGB", pixels.size)
    transform.apply(pixels, result)
    return result


@lru_cache(maxsize=32)
def _to_srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The way from an embedded profile to sRGB; None where it is sRGB already."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if mode == "RGB" and "srgb" in (ImageCms.getProfileDescription(source) or "").lower():
        return None
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    return ImageCms.buildTransform(source, _srgb(), mode, "RGB", renderingIntent=intent, flags=ImageCms.Flags.BLACKPOINTCOMPENSATION)


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@cache
def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), _srgb(), "LAB", "RGB")
