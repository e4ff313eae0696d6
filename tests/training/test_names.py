"""Names from other machines can be written on this one."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from training.names import safe_part


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", "a.png"),
        ("a\x00<b>.png", "a__b_.png"),
        ("...", ""),
        (" a. ", " a"),
        ("😀 ü.png", "😀 ü.png"),
        ("half \ud83d.png", "half _.png"),
    ],
)
def test_a_name_keeps_what_a_file_system_takes(name: str, expected: str):
    assert safe_part(name) == expected


def test_a_long_name_is_cut_by_bytes_and_stays_with_its_caption(tmp_path: Path):
    picture, caption, other = (safe_part("写" * 100 + ending) for ending in (".png", ".txt", "x.png"))
    (tmp_path / picture).write_bytes(b"x")
    assert PurePosixPath(picture).with_suffix(".txt") == PurePosixPath(caption)
    assert picture != other
