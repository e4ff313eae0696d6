"""The README's commands, run as they are written, in a checkout and on a small set of pictures."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every shell line of the README, comments cut off."""
    return [
        line.split("#")[0].strip()
        for language, block in BLOCKS
        if not language
        for line in block.splitlines()
        if re.match(r"(make|brandprint) ", line)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with my_pictures: a dozen of the sample product."""
    place = tmp_path / "my_pictures"
    place.mkdir()
    for number in range(1, 13):
        for suffix in (".webp", ".txt"):
            shutil.copy(ROOT / "sample_data" / "product" / f"{number * 16:03d}{suffix}", place)
    return tmp_path


def run(command: str, *, folder: Path, **environment: str) -> None:
    """The command through a shell, `brandprint` being the one of this environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, env={**os.environ, "PATH": path, **environment})
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_the_first_command_stands_within_25_lines() -> None:
    assert any(line.startswith("make demo") for line in README.splitlines()[:25])


def test_the_readme_shows_pictures_that_exist() -> None:
    missing = [path for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README) if not (ROOT / path).exists()]
    assert missing == []


@pytest.mark.slow
def test_the_commands_for_own_pictures_work_as_written(folder: Path) -> None:
    """Those on my_pictures, in order; import and the machine's own commands have tests of their own."""
    chosen = [command for command in commands() if "my_pictures" in command]
    assert [command.split()[1] for command in chosen] == ["check", "caption", "rights", "train", "preview", "board", "export"]
    for command in chosen:
        run(command, folder=folder)
    assert (folder / "runs" / "my_pictures" / "board" / "board.html").exists()
    assert list((folder / "runs" / "my_pictures").glob("*.zip"))


@pytest.mark.slow
def test_the_python_example_works_as_written(folder: Path) -> None:
    (code,) = (block for language, block in BLOCKS if language == "python")
    run(f"{sys.executable} - <<'END'\n{code}\nEND", folder=folder, PYTHONPATH=str(ROOT))
    assert (folder / "bottle.png").exists()
    assert (folder / "export" / "bottle.safetensors").exists()


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".venv" / "ready").exists(), reason="make would install into the checkout; run through make test")
def test_make_demo_works_as_written(tmp_path: Path) -> None:
    """In a copy of the tree that shares the environment; DIAL=quick is the environment's, the command is the README's."""
    tree = tmp_path / "checkout"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".git", ".venv", ".starter", "demo", "runs", "projects", "__pycache__"))
    (tree / ".venv").symlink_to(ROOT / ".venv")
    assert "make demo" in commands() or "make demo" in README
    run("make demo", folder=tree, DIAL="quick", PYTHONPATH=str(tree))
    for name in ("index.html", "contact_sheet.png", "export"):
        assert (tree / "demo" / name).exists()
