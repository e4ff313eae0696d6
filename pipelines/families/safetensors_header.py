"""Reads what a .safetensors file says about itself, and tells a whole file from a torn one, without torch and without its large tensors.

In: a path. Out: a frozen `Header`; `read_values` for one small tensor. The format: 8 bytes little-endian length, that much JSON, then the tensors' bytes.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import BaseModelError

MAX_HEADER_BYTES = 100_000_000  # the format's own limit
LFS_POINTER = b"version https://git-lfs"


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


def read_header(path: Path) -> Header:
    """The header of a whole file. Raises BaseModelError where the file is torn, empty, a Git LFS pointer or another format."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) == 8 and LFS_POINTER.startswith(start):
            raise BaseModelError(
                f"{path.name} is a Git LFS pointer, not the weights.", fix="Run `git lfs pull` in that folder, or download the file itself."
            )
        length = int.from_bytes(start, "little")
        if len(start) < 8 or size < 8 + min(length, MAX_HEADER_BYTES):
            raise _torn(path, f"it ends after {size} bytes, inside its own header")
        raw = file.read(length) if length <= MAX_HEADER_BYTES else b""
    entries = _parse(raw, path)
    metadata = entries.pop("__metadata__", {})
    spans = {name: (entry["data_offsets"][0], entry["data_offsets"][1]) for name, entry in entries.items()}
    expected = 8 + length + max((end for _, end in spans.values()), default=0)
    if size < expected:
        raise _torn(path, f"{size} of {expected} bytes are there")
    shapes = {name: tuple(entry["shape"]) for name, entry in entries.items()}
    kinds = {name: str(entry.get("dtype", "")) for name, entry in entries.items()}
    return Header(shapes, kinds, spans, metadata, 8 + length, size, raw)


def read_values(path: Path, header: Header, name: str) -> tuple[float, ...]:
    """All values of one small tensor. Raises KeyError where it is absent or not of a floating kind."""
    begin, end = header.spans[name]
    letter, width = {"F32": ("f", 4), "F16": ("e", 2), "BF16": ("f", 2), "F64": ("d", 8)}[header.kinds[name]]
    with path.open("rb") as file:
        file.seek(header.data_start + begin)
        raw = file.read(end - begin)
    if header.kinds[name] == "BF16":  # the upper half of a float32
        raw = b"".join(b"\0\0" + raw[at : at + 2] for at in range(0, len(raw), 2))
        width = 4
    return struct.unpack(f"<{len(raw) // width}{letter}", raw)


def _parse(raw: bytes, path: Path) -> dict:
    try:
        entries = json.loads(raw)
        if all("data_offsets" in entry and "shape" in entry for name, entry in entries.items() if name != "__metadata__"):
            return entries
    except (ValueError, AttributeError, TypeError):
        pass
    raise BaseModelError(
        f"{path.name} is not a safetensors file.", fix="Download it again; an error page saved under that name looks like this."
    )


def _torn(path: Path, what: str) -> BaseModelError:
    return BaseModelError(f"{path.name} is only half there: {what}.", fix="Delete it and download it again.")
