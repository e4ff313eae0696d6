"""Looks on disk, keyed by content; survives a kill at any moment.

In: a folder, looks. Out: looks.jsonl (append-only, one line per look; a torn last line is passed over).
Does not measure anything.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from training.faces import Face
from training.lettering import Lettering
from training.looks import Look
from training.measures import Background, Light


class LookCache:
    """The cache in one folder; with None it holds nothing and forgets everything."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        if folder:
            folder.mkdir(parents=True, exist_ok=True)

    def read(self, ids: set[str]) -> dict[str, Look]:
        """The kept looks among these."""
        path = self._folder and self._folder / "looks.jsonl"
        if not path or not path.exists():
            return {}
        found: dict[str, Look] = {}
        with path.open("rb") as file:
            for line in file:
                look = _parsed(line, ids)
                if look:
                    found[look.id] = look
        return found

    def append(self, looks: Iterable[Look]) -> None:
        """Keeps looks; whole lines at once, so that two writers do not mix."""
        if not self._folder:
            return
        lines = b"".join(json.dumps(_record(look)).encode() + b"\n" for look in looks)
        with (self._folder / "looks.jsonl").open("ab") as file:
            file.write(lines)


def _record(look: Look) -> dict[str, Any]:
    values = {name: getattr(look, name) for name in look.__dataclass_fields__ if name != "features"}
    values |= {name: asdict(getattr(look, name)) for name in ("light", "ground", "letters")}
    values["faces"] = [asdict(face) for face in look.faces]
    values["features"] = None if look.features is None else base64.b64encode(look.features.tobytes()).decode()
    return values


def _parsed(line: bytes, ids: set[str]) -> Look | None:
    if not line.endswith(b"\n") or line[8 : line.find(b'"', 8)].decode("ascii", "replace") not in ids:
        return None  # torn, or of a picture that is not asked for: the id stands first in the line
    try:
        values = json.loads(line)
        features = values["features"]
        return Look(
            **{name: values[name] for name in ("id", "sharpness", "blockiness", "quality", "flat", "transparent", "phash", "colours")},
            size_hw=tuple(values["size_hw"]),
            light=Light(**values["light"]),
            inner=_box(values["inner"]),
            ground=Background(tuple(values["ground"]["colour"]), values["ground"]["plain"], tuple(values["ground"]["rim"])),
            subject=_box(values["subject"]),
            faces=tuple(Face(_box(face["box"]) or (0, 0, 1, 1), face["score"], face["is_cut"]) for face in values["faces"]),
            letters=Lettering(values["letters"]["lines"], _box(values["letters"]["box"]) or (0, 0, 0, 0)),
            features=None if features is None else np.frombuffer(base64.b64decode(features), np.float16),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _box(values: list[float] | None) -> tuple[float, float, float, float] | None:
    return None if values is None else (values[0], values[1], values[2], values[3])
