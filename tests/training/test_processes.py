"""Two processes under torchrun learn what one process learns from two micro-batches a step."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pipelines.adapter import load_adapter
from pipelines.events import Step
from pipelines.settings import with_values
from training.config import SubjectSettings, TrainSettings
from training.execute import execute
from training.runs import Job, Run, create_run

ROOT = Path(__file__).parents[2]


def new_run(folder: Path, pictures: Path, base: Path, *, accumulation: int) -> Run:
    plain = TrainSettings(base=str(base), subject=SubjectSettings(trigger="tinbot", noun="robot"))
    loop = {"steps": 3, "batch": 1, "checkpoints": 1, "validations": 1, "precision": "fp32", "accumulation": accumulation}
    settings = with_values(plain, {("loop", name): value for name, value in loop.items()} | {("optim", "learning_rate"): 1e-2})
    return create_run(folder, Job(kind="train", name=folder.name, dataset=str(pictures), settings=settings.model_dump(mode="json")))


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path: Path, tiny_sd1: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(9):
        Image.effect_noise((64, 64), 40 + number).convert("RGB").save(pictures / f"{number}.png")
    alone = new_run(tmp_path / "alone" / "run", pictures, tiny_sd1, accumulation=2)
    execute(alone)
    together = new_run(tmp_path / "together" / "run", pictures, tiny_sd1, accumulation=1)
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        "2",
        "-m",
        "app.worker",
        str(together.path),
    ]
    done = subprocess.run(launch, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "ACCELERATE_USE_CPU": "true"})
    assert together.adapter_path.exists(), done.stderr[-3000:]
    assert [event.step for event in together.events() if isinstance(event, Step)] == [1, 2, 3]
    one, other = load_adapter(alone.adapter_path).tensors, load_adapter(together.adapter_path).tensors
    # Adam divides by the gradient's own size, so a number whose gradient is all rounding may go either way: modules are compared, not numbers.
    assert max(((one[key] - other[key]).norm() / one[key].norm()).item() for key in one) < 1e-3
