"""Folder -> train -> files -> diffusers, for every family and target set: no key is lost and the effect is the adapter's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from pipelines.adapter import load_adapter
from pipelines.export import export_bundle
from pipelines.families.base import load_base
from pipelines.settings import with_values
from training.config import SubjectSettings, TrainSettings
from training.execute import execute
from training.runs import Job, create_run


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(4):
        Image.effect_noise((72, 72), 40 + number).convert("RGB").save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("targets", ["attention", "attention+ff", "all"])
@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_two_steps_exported_and_loaded_back(
    tmp_path: Path, request: pytest.FixtureRequest, pictures: Path, family: str, targets: str
) -> None:
    source = request.getfixturevalue(f"tiny_{family}")
    plain = TrainSettings(base=str(source), subject=SubjectSettings(trigger="tinbot", noun="robot"))
    changes = {
        ("loop", "steps"): 2, ("loop", "batch"): 2, ("loop", "checkpoints"): 1, ("loop", "precision"): "fp32", ("optim", "learning_rate"): 3e-2,
        ("adapter", "targets"): targets, ("adapter", "rank"): 4, ("adapter", "alpha"): 8.0, ("adapter", "text_encoder"): targets == "attention",
    }  # fmt: skip
    settings = with_values(plain, changes)
    run = create_run(tmp_path / "run", Job(kind="train", name="tinbot", dataset=str(pictures), settings=settings.model_dump(mode="json")))
    execute(run)
    base, adapter = load_base(str(source)), load_adapter(run.adapter_path)
    before = {name: tensor.clone() for name, tensor in base.unet.state_dict().items()}
    bundle = export_bundle(base, adapter, tmp_path / "export")
    checks = {(file.kind, check.name): check for file in bundle.files for check in file.verified}
    assert {kind for kind, _ in checks} >= {"kohya", "diffusers"}
    for (kind, name), check in checks.items():
        assert check.passed, (kind, name, check)
    assert bundle.effect_size > 0
    after = base.unet.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
