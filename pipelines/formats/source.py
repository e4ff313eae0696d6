"""The raw content of a LoRA file or folder from elsewhere, opened without trust: safetensors only, checked before a tensor is read.

In: a path. Out: a `Source`: tensors by key, metadata, PEFT configurations. Raises AdapterError for pickles, truncated and hostile files.
Knows nothing of what the keys mean (read.py does).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from pipelines.errors import AdapterError
from pipelines.families.safetensors_header import MAX_HEADER_BYTES

PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")
PICKLE_MARKS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
LARGEST_CONFIG_BYTES = 4 * 1024**2
COMPONENTS = ("unet", "text_encoder", "text_encoder_2")
IN_FOLDER = ("adapter_model.safetensors", "pytorch_lora_weights.safetensors")


@dataclass(frozen=True)
class Source:
    """One file's content. tensors is lazy: `shapes` tells all that the header knows. config: a PEFT folder's adapter_config.json."""

    path: Path
    component: str  # told by the folder's name; "" where the keys must tell
    metadata: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]
    config: Mapping[str, Any] | None = None

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by key, on the CPU."""
        try:
            with safe_open(self.path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - the file is no dict and does not iterate
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise unreadable(self.path, error) from error


def open_source(path: Path) -> tuple[Source, ...]:
    """The file, or the files of a PEFT folder (one per component, or one alone)."""
    if path.is_dir():
        return _open_folder(path)
    _refuse_pickle(path)
    return (_open_file(path),)


def unreadable(path: Path, error: Exception) -> AdapterError:
    """The error for a file that is no whole safetensors file."""
    return AdapterError(f"{path.name} is not a complete .safetensors file: {error}.", fix="Download or copy it again.")


def read_json(text: str | bytes, *, where: str) -> dict[str, Any]:
    """A JSON object. Raises AdapterError for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AdapterError(f"{where} is not valid JSON: {error}.", fix="Download or copy the adapter again.") from error
    if not isinstance(value, dict):
        raise AdapterError(f"{where} holds a {type(value).__name__}, not settings by name.", fix="Download or copy the adapter again.")
    return value


def _open_folder(path: Path) -> tuple[Source, ...]:
    parts = [path / name for name in COMPONENTS if (path / name).is_dir()]
    if any(_weights_in(part) is not None for part in parts):
        return tuple(_open_part(part, part.name) for part in parts)  # raises where one of them is without
    return (_open_part(path, ""),)


def _open_part(folder: Path, component: str) -> Source:
    file = _weights_in(folder)
    if file is None:
        pickles = [entry.name for entry in sorted(folder.iterdir()) if entry.suffix in PICKLES]
        if pickles:
            _refuse_pickle(folder / pickles[0])
        several = ", ".join(sorted(entry.name for entry in folder.glob("*.safetensors")))
        raise AdapterError(
            f"{folder.name} holds {f'several files ({several})' if several else 'no LoRA weights'}.",
            fix=f"A PEFT folder holds {IN_FOLDER[0]}; or give the .safetensors file itself.",
        )
    config = folder / "adapter_config.json"
    return _open_file(file, component, _read_config(config) if config.is_file() else None)


def _weights_in(folder: Path) -> Path | None:
    if not folder.is_dir():
        return None
    known = [folder / name for name in IN_FOLDER if (folder / name).is_file()]
    every = sorted(folder.glob("*.safetensors"))
    return known[0] if known else every[0] if len(every) == 1 else None


def _read_config(path: Path) -> dict[str, Any]:
    if path.stat().st_size > LARGEST_CONFIG_BYTES:
        raise AdapterError(
            f"{path.name} is {path.stat().st_size} bytes long, which no adapter needs.", fix="Download or copy the adapter again."
        )
    return read_json(path.read_bytes(), where=path.name)


def _open_file(path: Path, component: str = "", config: Mapping[str, Any] | None = None) -> Source:
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 - the file is no dict and does not iterate
            return Source(path, component, file.metadata() or {}, shapes, config)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise unreadable(path, error) from error


def _refuse_pickle(path: Path) -> None:
    try:
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError as error:
        raise AdapterError(f"{path.name} cannot be opened: {error.strerror}.", fix="Check the path.") from error
    if path.suffix.lower() in PICKLES or (start.startswith(PICKLE_MARKS) and not _is_header(start)):
        raise AdapterError(
            f"{path.name} is a pickle, which can run code when it is opened.",
            fix="Get the .safetensors version, or convert it where it came from.",
        )


def _is_header(start: bytes) -> bool:
    """Whether these 9 bytes begin a safetensors file: a length, then JSON. Lengths of 640, 896, 1152 and 1408 look like a pickle's first bytes."""
    return int.from_bytes(start[:8], "little") <= MAX_HEADER_BYTES and start[8:] == b"{"
