"""A file's name from another machine -> a name that every file system takes, or nothing where it was only dots and spaces.

In: one part of a path, as a zip or a browser says it. Out: one part. Names that differ may become the same: the caller sees to that.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath

MOST_BYTES = 200  # file systems take 255; " (2)" and the ending of a partial file must fit behind it
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\/\ud800-\udfff]')


def safe_part(part: str) -> str:
    """The name without control letters, reserved ones, half letters and dots at its end, at most 200 bytes. "" where nothing is left.

    A name that is too long is cut and gets a mark made of its stem: a picture and its caption are cut to the same stem.
    """
    clean = _UNSAFE.sub("_", part).rstrip(" .")
    if len(clean.encode("utf-8")) <= MOST_BYTES:
        return clean
    path = PurePosixPath(clean)
    start = path.stem.encode("utf-8")[:120].decode("utf-8", "ignore")
    return f"{start}-{hashlib.sha256(path.stem.encode('utf-8')).hexdigest()[:8]}{path.suffix[:20]}"
