"""Files are whole or not there, however many write them at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.atomic import fill_atomically, fill_folder_atomically, sweep_partials, write_atomically


def test_threads_that_write_the_same_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    contents = [bytes([65 + number]) * 4096 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda content: [write_atomically(tmp_path / "one.json", content) for _ in range(20)], contents))
    assert (tmp_path / "one.json").read_bytes() in contents
    assert [path.name for path in tmp_path.iterdir()] == ["one.json"]


def test_a_file_that_could_not_be_filled_leaves_the_old_one(tmp_path: Path) -> None:
    write_atomically(tmp_path / "one", b"old")

    def fill(partial: Path) -> None:
        partial.write_bytes(b"ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fill_atomically(tmp_path / "one", fill)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("one", b"old")]


def test_what_killed_writers_left_is_swept(tmp_path: Path) -> None:
    seen: list[str] = []

    def fill(partial: Path) -> None:
        seen.append(partial.name)
        (partial / "weights").write_bytes(b"x")

    fill_folder_atomically(tmp_path / "000200", fill)
    (tmp_path / seen[0]).mkdir()
    (tmp_path / seen[0] / "weights").write_bytes(b"x")
    sweep_partials(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["000200"]
