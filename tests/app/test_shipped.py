"""A run that ships with a sample is small and shows the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.progress import read_progress
from app.projects import Project
from app.shipped import slim_run
from pipelines.errors import RunError
from pipelines.events import Finished, Picture, Started, Step
from tests.app.drawn import draw_picture
from training.runs import Job, create_run, open_run


def test_a_slim_run_shows_the_same_curve_and_previews(project: Project, tmp_path: Path):
    run = create_run(project.runs / "one", Job(kind="train", name="x", dataset="somewhere"))
    run.append(Started(2))
    run.append(Step(1, 0.5, 1e-3, 0.1))
    draw_picture(run.path / "previews" / "000001" / "00.png", 1, side_px=300)
    run.append(Picture("previews/000001/00.png", "a", 0, 1))
    (run.path / "checkpoints" / "000001").mkdir(parents=True)
    (run.path / "verdict.json").write_text("{}")
    with pytest.raises(RunError, match=r"interrupted|queued"):
        slim_run(run, tmp_path / "early")
    run.append(Finished("adapter.safetensors", 1.0))
    slim = open_run(slim_run(run, tmp_path / "slim"))
    progress = read_progress(slim.records()[0], slim.state(), now=0.0)
    assert (slim.state(), len(progress.curve), progress.pictures[0].path) == ("finished", 1, "previews/000001/00.webp")
    assert (slim.path / "previews/000001/00.webp").exists()
    assert not (slim.path / "checkpoints").exists()
    assert json.loads((slim.path / "job.json").read_text())["dataset"] == "../../pictures"
    with pytest.raises(RunError, match="exists already"):
        slim_run(run, tmp_path / "slim")
