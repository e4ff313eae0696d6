"""kill -9 at twenty random moments, reading, caching and checkpoint writing included: each resume goes on, and the adapter is the very same."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from pipelines.adapter import load_adapter
from pipelines.families.base import load_base
from pipelines.settings import with_values
from training import execute as execution
from training.config import SubjectSettings, TrainSettings
from training.runs import Job, Run, create_run

KILLS = 20


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(10):
        Image.effect_noise((80, 64 + 16 * (number % 2)), 40 + number).convert("RGB").save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"in place {number}")
    return folder


def new_run(folder: Path, pictures: Path, base: Path) -> Run:
    plain = TrainSettings(base=str(base), subject=SubjectSettings(trigger="tinbot", noun="robot"))
    loop = {"steps": 8, "batch": 2, "checkpoints": 8, "validations": 4, "precision": "fp32"}
    settings = with_values(
        plain, {("loop", name): value for name, value in loop.items()} | {("optim", "learning_rate"): 1e-2, ("adapter", "dropout"): 0.1}
    )
    return create_run(folder / "run", Job(kind="train", name="run", dataset=str(pictures), settings=settings.model_dump(mode="json")))


def start(run: Run) -> int:
    """The run in a process of its own. Forked, so that torch need not be imported twenty times."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            execution.execute(run)
            code = 0
        finally:
            os._exit(code)
    return process


def killed_after(process: int, seconds: float) -> bool:
    """True if the kill came before the end."""
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status)


def finished(process: int) -> bool:
    _, status = os.waitpid(process, 0)
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0


def test_twenty_kills_cost_nothing(tmp_path: Path, tiny_sd1: Path, pictures: Path) -> None:
    load_base(str(tiny_sd1))  # imports everything once, before the forks
    torch.set_num_threads(1)
    unbroken = new_run(tmp_path / "unbroken", pictures, tiny_sd1)
    began = time.monotonic()
    assert finished(start(unbroken))
    seconds = time.monotonic() - began
    chance = random.Random(0)
    runs = [new_run(tmp_path / "0", pictures, tiny_sd1)]
    kills = 0
    while kills < KILLS:
        if killed_after(start(runs[-1]), chance.uniform(0.02, 0.6) * seconds):
            kills += 1
            assert runs[-1].state() in ("queued", "interrupted", "finished")
        else:
            runs.append(new_run(tmp_path / str(len(runs)), pictures, tiny_sd1))
    assert finished(start(runs[-1]))
    expected = load_adapter(unbroken.adapter_path).tensors
    for run in runs:
        tensors = load_adapter(run.adapter_path).tensors
        assert tensors.keys() == expected.keys()
        assert all(torch.equal(tensors[key], expected[key]) for key in expected), run.path.name
