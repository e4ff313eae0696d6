"""The number format: refused where the device lacks it, else measured once and remembered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pipelines.errors import ConfigError
from pipelines.families.base import load_base
from training import precision
from training.precision import choose_precision, set_precision

SHAPE = (2, 4, 8, 8)


@pytest.fixture
def base(tiny_sd1: Path):
    return load_base(str(tiny_sd1))


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without CUDA answers")
def test_fp16_on_a_cpu_is_refused(base, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a CUDA device"):
        choose_precision("fp16", base, latent_shape=SHAPE, conditioning=base.encode_prompts(["a mug"]), folder=tmp_path)


def test_what_was_asked_for_is_taken(base, tmp_path: Path) -> None:
    assert choose_precision("bf16", base, latent_shape=SHAPE, conditioning=base.encode_prompts(["a mug"]), folder=tmp_path) == "bf16"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="the trial is the CPU's")
def test_the_trial_is_made_once_and_leaves_the_base_alone(base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_cpu_has_bf16", lambda: True)
    told = base.encode_prompts(["a mug"])
    before = {name: tensor.clone() for name, tensor in base.unet.state_dict().items()}
    chosen = choose_precision("auto", base, latent_shape=SHAPE, conditioning=told, folder=tmp_path)
    (measured,) = json.loads((tmp_path / "precision.json").read_text()).values()
    assert chosen == measured["precision"] and measured["fp32_seconds"] > 0 and measured["bf16_seconds"] > 0
    assert base.dtype == torch.float32 and all(torch.equal(before[name], tensor) for name, tensor in base.unet.state_dict().items())
    monkeypatch.setattr(precision, "_seconds", lambda *_: pytest.fail("measured again"))
    assert choose_precision("auto", base, latent_shape=SHAPE, conditioning=told, folder=tmp_path) == chosen


def test_the_autoencoder_keeps_its_format(base) -> None:
    set_precision(base, "bf16")
    assert base.unet.dtype == base.text_encoders[0].dtype == base.dtype == torch.bfloat16
    assert base.vae.dtype == torch.float32
