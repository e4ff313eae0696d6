"""A workspace with one small project of drawn pictures."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.projects import Project, Workspace, open_workspace
from tests.app.drawn import draw_picture


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path / "studio")


@pytest.fixture
def project(workspace: Workspace) -> Project:
    made = workspace.create("Fjord bottle", trigger="fjordbottle", noun="bottle")
    for number in range(6):
        draw_picture(made.pictures / f"{number:02d}.png", number)
        (made.pictures / f"{number:02d}.txt").write_text(f"on a table, view {number}\n", "utf-8")
    return made


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """Processes that would have been started, as their argument lists; none is."""
    started: list[list[str]] = []

    class Quiet:
        def __init__(self, arguments: list[str], **_: object) -> None:
            started.append(arguments)

    monkeypatch.setattr("app.jobs.subprocess", SimpleNamespace(Popen=Quiet, PIPE=subprocess.PIPE, DEVNULL=subprocess.DEVNULL))
    yield started
