"""A run that ships with a sample is small and shows the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from app.answers import Ask
from app.progress import read_progress
from app.projects import Project, add_samples, open_workspace
from app.shipped import slim_run
from app.tabs import compare
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
    save_file({"a": np.full((4, 4), 0.1, np.float32)}, run.adapter_path, metadata={"brandprint": "{}"})
    with pytest.raises(RunError, match=r"interrupted|queued"):
        slim_run(run, tmp_path / "early")
    run.append(Finished("adapter.safetensors", 1.0))
    slim = open_run(slim_run(run, tmp_path / "slim"))
    progress = read_progress(slim.records()[0], slim.state(), now=0.0)
    assert (slim.state(), len(progress.curve), progress.pictures[0].path) == ("finished", 1, "previews/000001/00.webp")
    assert (slim.path / "previews/000001/00.webp").exists()
    assert not (slim.path / "checkpoints").exists()
    with safe_open(slim.adapter_path, framework="np") as file:
        assert (file.get_tensor("a").dtype, file.metadata()) == (np.float16, {"brandprint": "{}"})
    assert json.loads((slim.path / "job.json").read_text())["dataset"] == "../../pictures"
    with pytest.raises(RunError, match="exists already"):
        slim_run(run, tmp_path / "slim")


def test_what_would_make_the_tree_heavy_is_refused(project: Project, tmp_path: Path):
    run = create_run(project.runs / "one", Job(kind="train", name="x"))
    save_file({"a": np.zeros((2000, 1000), np.float32)}, run.adapter_path)
    run.append(Started(1))
    run.append(Finished("adapter.safetensors", 1.0))
    with pytest.raises(RunError, match=r"4.0 MB"):
        slim_run(run, tmp_path / "slim")
    assert not (tmp_path / "slim").exists()


def test_a_first_visit_finds_one_sample_taught_and_drawn(project: Project, tmp_path: Path, no_workers: list):
    samples = tmp_path / "samples"
    draw_picture(samples / "product" / "00.png", 1)
    (samples / "product" / "project.json").write_text('{"name": "Fjord bottle"}')
    for id, kind, settings in (
        ("one", "train", {"base": "starter"}),
        ("two", "preview", {"draw": {"prompt": "a bottle", "seed": 3, "pictures": 1, "width_px": 64, "height_px": 64}, "adapters": [{"path": "../one/adapter.safetensors", "strength": 1.0}], "step": 1, "taught": "one"}),
    ):  # fmt: skip
        run = create_run(project.runs / id, Job(kind=kind, name="x", settings=settings))  # type: ignore[arg-type]
        run.append(Started(1))
        if kind == "preview":
            for which in ("taught", "base"):
                draw_picture(run.path / "previews" / f"{which}_00.png", 1)
                run.append(Picture(f"previews/{which}_00.png", "a bottle", 3))
        else:
            save_file({"a": np.zeros(4, np.float32)}, run.adapter_path)
        run.append(Finished("", 1.0))
        slim_run(run, samples / "trained" / ("product" if kind == "train" else "product-drawn"))
    fresh = open_workspace(tmp_path / "fresh")
    (sample,) = add_samples(fresh, samples)
    view = compare.look(Ask(fresh, "look", {"project": sample.id}))
    assert view["chosen"]["run"] == "sample"
    (frame,) = view["film"]
    assert Path(frame["taught"]).exists()
    assert Path(frame["base"]).exists()
    drawn = open_run(sample.runs / "sample-drawn")
    assert (drawn.path / drawn.job.settings["adapters"][0]["path"]).resolve() == sample.runs / "sample" / "adapter.safetensors"
