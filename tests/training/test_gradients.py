"""A recorded training is, to the bit, the one without recording, also across a stop; where steps are not alike nothing is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from pipelines.adapter import load_adapter
from pipelines.events import Event, Step
from pipelines.settings import with_values
from training import gradients
from training.config import TrainSettings
from training.execute import execute
from training.recording import Recorded
from training.runs import Job, Run, create_run, open_run

STEPS = 14


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(12):
        Image.new("RGB", (64, 64), (number * 20, 80, 255 - number * 20)).save(folder / f"{number:02d}.png")
        (folder / f"{number:02d}.txt").write_text(f"on a blue background {number}")
    return folder


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each step that was run from a recording."""
    seen: list[int] = []
    call = Recorded.__call__

    def counted(self: Recorded, *inputs: torch.Tensor | None) -> object:
        seen.extend([1] * self.is_sure)
        return call(self, *inputs)

    monkeypatch.setattr(Recorded, "__call__", counted)
    return seen


def _run(folder: Path, base: Path, pictures: Path, **changes: object) -> Run:
    loop = {"steps": STEPS, "batch": 2, "checkpoints": 2, "validations": 2, "precision": "auto"}
    values = {("loop", name): value for name, value in loop.items()} | {("optim", "learning_rate"): 1e-2}
    settings = with_values(TrainSettings(base=str(base)), values | {tuple(path.split("__")): value for path, value in changes.items()})
    return create_run(folder, Job(kind="train", name=folder.name, dataset=str(pictures), settings=settings.model_dump(mode="json")))


def _weights(run: Run) -> dict[str, torch.Tensor]:
    return dict(load_adapter(run.adapter_path).tensors)


def _are_equal(one: Run, other: Run) -> bool:
    first, second = _weights(one), _weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"adapter__targets": "all", "adapter__kind": "rslora"},
        {"adapter__kind": "dora"},
        {"loop__precision": "fp32", "loss__kind": "huber"},
        {"loop__accumulation": 2, "optim__ema_decay": 0.9},
        {"loss__noise_offset": 0.1, "loss__weighting": "debiased", "pictures__flip": True},
    ],
    ids=str,
)
def test_a_recorded_training_is_the_one_without(
    tmp_path: Path, tiny_sd1: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, replays: list[int], changes: dict
) -> None:
    recorded, plain = (_run(tmp_path / name, tiny_sd1, pictures, **changes) for name in ("recorded", "plain"))
    execute(recorded)
    assert len(replays) >= STEPS // 2
    monkeypatch.setattr(gradients, "WORTH_RECORDING", 10**9)
    execute(plain)
    assert _are_equal(recorded, plain)


@pytest.mark.parametrize("stop_after", [1, 2, 9])
def test_a_stop_among_recorded_steps_changes_nothing(tmp_path: Path, tiny_sd1: Path, pictures: Path, stop_after: int) -> None:
    unbroken, broken = (_run(tmp_path / name, tiny_sd1, pictures) for name in ("unbroken", "broken"))
    execute(unbroken)

    def stop(event: Event) -> None:
        if isinstance(event, Step) and event.step == stop_after:
            broken.ask_to_stop()

    execute(broken, watch=stop)
    execute(open_run(broken.path))
    assert _are_equal(unbroken, broken)


@pytest.mark.parametrize(
    "changes",
    [{"adapter__dropout": 0.2}, {"adapter__text_encoder": True}, {"loop__gradient_checkpointing": True}, {"loop__steps": 6}],
    ids=str,
)
def test_steps_that_are_not_alike_or_too_few_are_run_as_they_are(
    tmp_path: Path, tiny_sd1: Path, pictures: Path, replays: list[int], changes: dict
) -> None:
    execute(_run(tmp_path / "run", tiny_sd1, pictures, **changes))
    assert replays == []
