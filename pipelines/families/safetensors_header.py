"""Reads what a .safetensors file says about itself, and tells a whole file from a torn one, without torch and without its large tensors.

In: a path. Out: a frozen `Header`; `read_values` for one small tensor. The format: 8 bytes little-endian length, that much JSON, then the tensors' bytes.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from pipelines.errors import BaseModelError

MAX_HEADER_BYTES = 100_000_000  # the format's own limit
LFS_POINTER = b"version https://git-lfs"
FLOATS = {  # kind -> struct's letter, bytes per number, zero bytes that make it as wide as the letter means
    "F64": ("d", 8, 0),
    "F32": ("f", 4, 0),
    "F16": ("e", 2, 0),
    "BF16": ("f", 2, 2),
    "F8_E5M2": ("e", 1, 1),
}


@dataclass(frozen=True)
class Header:
    """shapes: tensor name -> shape. data_start: where the tensors' bytes begin. size: of the file, in bytes."""

    shapes: dict[str, tuple[int, ...]]
    kinds: dict[str, str]  # tensor name -> "F32", "F16", "BF16", ...
    spans: dict[str, tuple[int, int]]  # tensor name -> first and last byte behind data_start
    metadata: dict[str, str]
    data_start: int
    size: int
    raw: bytes


def read_header(path: Path, *, name: str = "") -> Header:
    """The header of a whole file. Raises BaseModelError where the file is torn, empty, a Git LFS pointer or another format. name: for messages."""
    size, name = path.stat().st_size, name or path.name
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) == 8 and LFS_POINTER.startswith(start):
            raise BaseModelError(
                f"{name} is a Git LFS pointer, not the weights.", fix="Run `git lfs pull` in that folder, or download the file itself."
            )
        length = int.from_bytes(start, "little")
        if len(start) < 8 or size < 8 + min(length, MAX_HEADER_BYTES):
            raise _torn(f"{name} is only half there: it ends after {size} bytes, inside its own header")
        raw = file.read(length) if length <= MAX_HEADER_BYTES else b""
    entries = _parse(raw, name)
    metadata = entries.pop("__metadata__", None) or {}
    spans = {tensor: (entry["data_offsets"][0], entry["data_offsets"][1]) for tensor, entry in entries.items()}
    expected = 8 + length + max((end for _, end in spans.values()), default=0)
    if size < expected:
        raise _torn(f"{name} is only half there: {size} of {expected} bytes")
    if size > expected:
        raise _torn(f"{name} is damaged: it holds {size - expected} bytes more than its {expected}")
    shapes = {tensor: tuple(entry["shape"]) for tensor, entry in entries.items()}
    kinds = {tensor: str(entry.get("dtype", "")) for tensor, entry in entries.items()}
    return Header(shapes, kinds, spans, metadata, 8 + length, size, raw)


def read_values(path: Path, header: Header, name: str) -> tuple[float, ...]:
    """All values of one small tensor. Raises KeyError where it is absent, BaseModelError where it holds no finite floating numbers."""
    begin, end = header.spans[name]
    with path.open("rb") as file:
        file.seek(header.data_start + begin)
        values = _decode(file.read(end - begin), header.kinds[name])
    if not values or not all(map(math.isfinite, values)):
        raise BaseModelError(
            f"{path.name} holds no numbers that can be read in {name} ({header.kinds[name]}).", fix="Give a diffusers folder."
        )
    return values


def _decode(raw: bytes, kind: str) -> tuple[float, ...]:
    """The numbers; none where the kind is not a floating one or the bytes are not whole numbers of it."""
    if kind == "F8_E4M3":  # as a float16, whose exponent's bias is larger by 8
        halves = struct.pack(f"<{len(raw)}H", *((byte & 0x80) << 8 | (byte & 0x7F) << 7 for byte in raw))
        return tuple(256 * value for value in struct.unpack(f"<{len(raw)}e", halves))
    letter, width, padding = FLOATS.get(kind, ("", 1, 0))
    if not letter or len(raw) % width:
        return ()
    wide = b"".join(bytes(padding) + raw[at : at + width] for at in range(0, len(raw), width))
    return struct.unpack(f"<{len(raw) // width}{letter}", wide)


def _parse(raw: bytes, name: str) -> dict:
    try:
        entries = json.loads(raw)
        if _is_text(entries.get("__metadata__")) and all(_is_entry(entry) for key, entry in entries.items() if key != "__metadata__"):
            return entries
    except (ValueError, AttributeError, RecursionError):
        pass
    raise BaseModelError(
        f"{name} is not a safetensors file.", fix="Download it again; an error page saved under that name looks like this."
    )


def _is_text(metadata: object) -> bool:
    return metadata is None or (isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values()))


def _is_entry(entry: dict) -> bool:
    span = entry.get("data_offsets")
    return _are_sizes(entry.get("shape")) and _are_sizes(span) and len(span) == 2


def _are_sizes(numbers: Any) -> TypeGuard[list[int]]:
    return isinstance(numbers, list) and all(type(number) is int and number >= 0 for number in numbers)


def _torn(what: str) -> BaseModelError:
    return BaseModelError(f"{what}.", fix="Delete it and download it again.")
