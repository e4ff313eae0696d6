"""A base's name by content: changes whenever a weight does, and stays when the files move.

In: a `Located`. Out: 32 hex digits. Reads headers, lengths and samples of the data (64 pieces of 64 KiB per file), never the whole: a 7 GB base takes
well under a second. A change inside one tensor that touches none of the samples would be missed; trained or merged weights differ everywhere.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipelines.families.located import Located
from pipelines.families.safetensors_header import read_header

PIECES = 64
PIECE_BYTES = 64 * 1024


def fingerprint(located: Located) -> str:
    """sha256 over every weight file's header, length and samples, with the component's name and the prediction type; the first 32 digits."""
    digest = hashlib.sha256(f"{located.family} {located.prediction} {located.zero_terminal_snr}".encode())
    for component, path in located.weights:
        digest.update(component.encode())
        digest.update(_file_digest(path))
    return digest.hexdigest()[:32]


def _file_digest(path: Path) -> bytes:
    header = read_header(path)
    digest = hashlib.sha256(header.raw + header.size.to_bytes(8, "little"))
    span = header.size - header.data_start
    with path.open("rb") as file:
        for offset in sample_offsets(span):
            file.seek(header.data_start + offset)
            digest.update(file.read(PIECE_BYTES))
    return digest.digest()


def sample_offsets(span: int) -> list[int]:
    """Where the pieces of `span` bytes begin, first and last bytes included; all of it where it is short."""
    if span <= PIECES * PIECE_BYTES:
        return list(range(0, span, PIECE_BYTES))
    last = span - PIECE_BYTES
    return [last * number // (PIECES - 1) for number in range(PIECES)]
