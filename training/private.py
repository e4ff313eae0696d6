"""Takes private metadata out of picture files without touching a pixel: place, serial numbers, names, edit history, embedded
thumbnails.

In: the bytes of a JPEG, PNG or WebP. Out: the same picture without EXIF, XMP, IPTC and comments; colour profile and orientation
stay, because without them it would look different. Other formats are written anew as PNG. Originals are never changed: only what
leaves is.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import ExifTags, Image

from pipelines.errors import DatasetError
from training.decode import open_image, read_header

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset(
    {
        b"IHDR",
        b"PLTE",
        b"IDAT",
        b"IEND",
        b"tRNS",
        b"iCCP",
        b"sRGB",
        b"gAMA",
        b"cHRM",
        b"cICP",
        b"sBIT",
        b"bKGD",
        b"pHYs",
        b"acTL",
        b"fcTL",
        b"fdAT",
    }
)
_SERIALS = {ExifTags.Base.BodySerialNumber: "camera serial number", ExifTags.Base.LensSerialNumber: "lens serial number"}
_NAMES = {
    ExifTags.Base.Artist: "photographer's name",
    ExifTags.Base.Copyright: "copyright name",
    ExifTags.Base.CameraOwnerName: "camera owner's name",
    ExifTags.Base.HostComputer: "computer's name",
    ExifTags.Base.XPAuthor: "author's name",
}


def private_facts(path: Path) -> tuple[str, ...]:
    """What the file tells beyond its pixels, in words: ("GPS position", "camera serial number"). Empty for a clean or unreadable file."""
    try:
        with Image.open(path) as image:
            exif = image.getexif() if image.format != "PNG" or "exif" in image.info else Image.Exif()
            camera = exif.get_ifd(ExifTags.IFD.Exif)
            found = ["GPS position"] if exif.get_ifd(ExifTags.IFD.GPSInfo) else []
            found += [words for tag, words in {**_SERIALS, **_NAMES}.items() if exif.get(tag) or camera.get(tag)]
            found += ["XMP record"] if image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") else []
            found += ["IPTC record"] if image.info.get("photoshop") else []
            found += ["comment"] if image.info.get("comment") else []
    except (OSError, ValueError, SyntaxError, struct.error):
        return ()
    return tuple(found)


def without_private(path: Path) -> tuple[bytes, str]:
    """(content, ending) of the picture without private metadata. Raises DatasetError for a file that is no picture."""
    header = read_header(path)
    content = path.read_bytes()
    if header.format in ("JPEG", "MPO"):
        return _clean_jpeg(content, path), ".jpg"
    if header.format == "PNG":
        return _clean_png(content), ".png"
    if header.format == "WEBP":
        return _clean_webp(content), ".webp"
    file = io.BytesIO()
    open_image(path).save(file, "PNG")
    return file.getvalue(), ".png"


def _orientation_of(content: bytes) -> int:
    with Image.open(io.BytesIO(content)) as image:
        if image.format == "PNG" and "exif" not in image.info:
            return 1
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))


def _bare_exif(orientation: int) -> bytes:
    """An EXIF block (TIFF, little endian) that holds the orientation and nothing else."""
    return b"II*\x00" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def _clean_jpeg(content: bytes, path: Path) -> bytes:
    """Drops the segments APP1 to APP15 and comments, keeping ICC (APP2) and Adobe's colour transform (APP14); ITU-T T.81, annex B."""
    orientation = _orientation_of(content)
    result = bytearray(b"\xff\xd8")
    if orientation != 1:
        block = b"Exif\x00\x00" + _bare_exif(orientation)
        result += b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    at = 2
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            raise DatasetError(f"{path.name} is not a well-formed JPEG (byte {at}).", fix="Save it again.")
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xDA:
            return bytes(result) + _until_end(content[at:])
        length = 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        segment = content[at : at + length]
        if not _is_private(marker, segment[4:]):
            result += segment
        at += length
    raise DatasetError(f"{path.name} ends before its pixels.", fix="Copy it again from where it came.")


def _is_private(marker: int, body: bytes) -> bool:
    if marker == 0xFE:
        return True
    if marker == 0xE2:
        return not body.startswith(b"ICC_PROFILE")
    return 0xE1 <= marker <= 0xEF and marker != 0xEE


def _until_end(scan: bytes) -> bytes:
    """The entropy-coded part up to its end mark: phones append films and depth maps behind it."""
    at = scan.find(b"\xff\xd9")
    return scan if at < 0 else scan[: at + 2]


def _clean_png(content: bytes) -> bytes:
    """Keeps the chunks that make the picture; PNG specification, section 11."""
    orientation = _orientation_of(content)
    result = bytearray(_PNG_START)
    for kind, body in _png_chunks(content):
        if kind == b"IDAT" and orientation != 1:
            result += _png_chunk(b"eXIf", _bare_exif(orientation))
            orientation = 1
        if kind in _PNG_KEPT:
            result += _png_chunk(kind, body)
    return bytes(result)


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_PNG_START)
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        yield content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        at += 12 + length


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _clean_webp(content: bytes) -> bytes:
    """Drops the chunks EXIF and XMP, and their flags in VP8X; WebP container specification."""
    orientation = _orientation_of(content)
    body = bytearray()
    at = 12
    while at + 8 <= len(content):
        kind, length = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        chunk = content[at : at + 8 + length + (length & 1)]
        if kind == b"VP8X":
            flags = (chunk[8] & ~0b00001100) | (0b00001000 if orientation != 1 else 0)
            body += chunk[:8] + bytes([flags]) + chunk[9:]
        elif kind not in (b"EXIF", b"XMP "):
            body += chunk
        at += len(chunk)
    if orientation != 1:
        block = _bare_exif(orientation)
        body += b"EXIF" + struct.pack("<I", len(block)) + block + b"\x00" * (len(block) & 1)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + bytes(body)
