"""The .safetensors container: bytes that are the same for the same content, and the hashes by which other tools know a file.

In: tensors and metadata. Out: bytes and hex digests. Knows no LoRA names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from safetensors.torch import save
from torch import Tensor

LENGTH_BYTES = 8  # the header's length, little-endian, stands before it
ALIGNMENT = 8


@dataclass(frozen=True)
class Hashes:
    """How others name a file. sha256: of the whole file; tensors: of all bytes after the header, which metadata does not change."""

    sha256: str
    tensors: str

    @property
    def autov2(self) -> str:
        """Civitai's AutoV2."""
        return self.sha256[:10]

    @property
    def autov3(self) -> str:
        """Civitai's AutoV3, which is also the hash in A1111's and Forge's prompts."""
        return self.tensors[:12]


def pack(tensors: Mapping[str, Tensor]) -> bytes:
    """The tensors as a file without metadata."""
    return save(dict(tensors))


def with_metadata(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """The same file with this metadata, sorted, so that equal content gives equal bytes (the library writes metadata in any order)."""
    start = data_start(content)
    header = {"__metadata__": dict(sorted(metadata.items())), **_entries(content)} if metadata else _entries(content)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(LENGTH_BYTES, "little") + text + content[start:]


def data_start(content: bytes) -> int:
    """Where the tensors' bytes begin."""
    return LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")


def tensor_hash(content: bytes) -> str:
    """SHA-256 of all bytes after the header: kohya's sshs_model_hash."""
    return sha256(memoryview(content)[data_start(content) :]).hexdigest()


def legacy_hash(content: bytes) -> str:
    """kohya's sshs_legacy_hash: 8 digits of the SHA-256 of 64 KiB at 1 MiB. content: the file with nothing but ss_* metadata."""
    return sha256(content[0x100000:0x110000]).hexdigest()[:8]


def hashes_of(content: bytes) -> Hashes:
    """Both hashes of a file."""
    return Hashes(sha256(content).hexdigest(), tensor_hash(content))


def _entries(content: bytes) -> dict[str, object]:
    header = json.loads(content[LENGTH_BYTES : data_start(content)])
    header.pop("__metadata__", None)
    return header
