"""Captions that stand in one table beside the pictures: metadata.jsonl or metadata.csv of the imagefolder layout.

In: a folder and the names of its tables. Out: caption per picture, and every line that could not be used with its reason.
File names in a table count from the table's own folder; names that lead out of the set are refused.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from training.captions import decoded, mended
from training.dataset import Rejected

METADATA = ("metadata.jsonl", "metadata.csv")
NAME_FIELDS = ("file_name", "image", "file", "path")
TEXT_FIELDS = ("text", "caption", "prompt", "description")


def read_metadata(root: Path, tables: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...], tuple[Rejected, ...]]:
    """(caption by picture name, tables that were read, lines that could not be used)."""
    captions: dict[str, str] = {}
    faults: list[Rejected] = []
    for table in tables:
        for line, row in _rows(root / table):
            problem = _take(row, PurePosixPath(table).parent, captions)
            if problem:
                faults.append(Rejected(f"{table}, line {line}", problem, "Correct the line, or remove it."))
    return captions, tuple(tables), tuple(faults)


def _rows(path: Path) -> Iterator[tuple[int, dict | None]]:
    """(line number, row); a row that cannot be parsed is None."""
    text = decoded(path.read_bytes())
    if path.suffix.lower() == ".csv":
        rows = csv.DictReader(io.StringIO(text))
        try:
            yield from enumerate(rows, start=2)
        except csv.Error:  # a field of more than 128 KiB
            yield rows.line_num, None
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            yield number, row if isinstance(row, dict) else None


def _take(row: dict | None, folder: PurePosixPath, captions: dict[str, str]) -> str:
    """Adds the row's caption; returns what is wrong with the row, or nothing."""
    if row is None:
        return "is no row of names and captions"
    name = mended(next((row[field] for field in NAME_FIELDS if isinstance(row.get(field), str)), ""))
    text = mended(next((row[field] for field in TEXT_FIELDS if isinstance(row.get(field), str)), ""))
    if not name:
        return f"names no file (none of {', '.join(NAME_FIELDS)})"
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        return f"names {name!r}, which leads outside the set"
    captions[str(folder / path)] = " ".join(text.split())
    return ""
