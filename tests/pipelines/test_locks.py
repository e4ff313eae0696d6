"""A lock has one holder, and a killed holder frees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.locks import hold

HOLDER = "import sys, time; from pathlib import Path; from pipelines.locks import hold\nwith hold(Path(sys.argv[1])) as mine: print(mine, flush=True); time.sleep(60)"


def test_the_second_finds_it_taken_until_the_first_is_done(tmp_path: Path) -> None:
    with hold(tmp_path / "lock") as first, hold(tmp_path / "lock") as second:
        assert (first, second) == (True, False)
    with hold(tmp_path / "lock") as again:
        assert again


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert other.stdout is not None and other.stdout.readline() == "True\n"
    with hold(tmp_path / "lock") as mine:
        assert not mine
    other.kill()
    other.communicate()
    with hold(tmp_path / "lock") as mine:
        assert mine


def test_a_folder_that_is_gone_stays_gone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), hold(tmp_path / "gone" / "lock"):
        pass
    assert not (tmp_path / "gone").exists()
