"""The number format: refused where the device lacks it, else measured once and remembered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pipelines.errors import ConfigError
from pipelines.families.base import Base, load_base
from pipelines.settings import AdapterSettings
from training import precision
from training.precision import choose_precision, set_precision, settled_precision

SHAPE = (2, 4, 8, 8)


@pytest.fixture
def base(tiny_sd1: Path):
    return load_base(str(tiny_sd1))


def choose(wanted: str, base: Base, folder: Path) -> str:
    with torch.no_grad():
        told = base.encode_prompts(["a mug"])
    return choose_precision(wanted, base, adapter=AdapterSettings(rank=2), latent_shape=SHAPE, conditioning=told, folder=folder)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without CUDA answers")
def test_fp16_on_a_cpu_is_refused(base, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a CUDA device"):
        choose("fp16", base, tmp_path)


def test_what_was_asked_for_is_taken(base, tmp_path: Path) -> None:
    assert choose("bf16", base, tmp_path) == "bf16"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="the trial is the CPU's")
def test_the_trial_is_made_once_and_leaves_the_base_alone(base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_multiplies_bf16", lambda: True)
    monkeypatch.setattr(precision, "FEWEST_CHANNELS", 0)
    before = {name: tensor.clone() for name, tensor in base.unet.state_dict().items()}
    chosen = choose("auto", base, tmp_path)
    (measured,) = json.loads((tmp_path / "precision.json").read_text()).values()
    assert chosen == measured["precision"] and measured["fp32_seconds"] > 0 and measured["bf16_seconds"] > 0
    after = base.unet.state_dict()
    assert base.dtype == torch.float32 and before.keys() == after.keys()
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items())
    assert not any(parameter.requires_grad for parameter in base.unet.parameters())
    monkeypatch.setattr(precision, "_seconds", lambda *_: pytest.fail("measured again"))
    assert choose("auto", base, tmp_path) == chosen


@pytest.mark.skipif(torch.cuda.is_available(), reason="the rule is the CPU's")
def test_a_narrow_base_needs_no_trial_and_the_reason_is_kept(base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_multiplies_bf16", lambda: True)
    monkeypatch.setattr(precision, "_seconds", lambda *_: pytest.fail("measured"))
    assert choose("auto", base, tmp_path) == "bf16-products"
    (kept,) = json.loads((tmp_path / "precision.json").read_text()).values()
    assert str(max(base.unet.config.block_out_channels)) in kept["why"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="the memory is the CPU's")
def test_a_damaged_memory_is_no_error(base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_multiplies_bf16", lambda: True)
    (tmp_path / "precision.json").write_text("{")
    assert choose("auto", base, tmp_path) == "bf16-products"
    assert json.loads((tmp_path / "precision.json").read_text())


@pytest.mark.parametrize(("plain", "half", "chosen"), [(3.0, 1.0, "bf16"), (1.0, 3.0, "fp32"), (1.05, 1.0, "fp32")])
def test_bf16_must_earn_its_rounding(base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: float, half: float, chosen: str) -> None:
    monkeypatch.setattr(precision, "cpu_multiplies_bf16", lambda: True)
    monkeypatch.setattr(precision, "FEWEST_CHANNELS", 0)
    monkeypatch.setattr(precision, "_seconds", lambda one, *_: plain if one.dtype == torch.float32 else half)
    assert choose("auto", base, tmp_path) == chosen


@pytest.mark.skipif(torch.cuda.is_available(), reason="the rule is the CPU's")
def test_a_processor_without_bf16_trains_in_fp32(base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_multiplies_bf16", lambda: False)
    assert choose("auto", base, tmp_path) == "fp32"


@pytest.mark.skipif(torch.cuda.is_available(), reason="the memory is the CPU's")
def test_an_answer_of_older_rules_is_not_taken(base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_multiplies_bf16", lambda: True)
    monkeypatch.setattr(precision, "EDITION", 1)
    choose("auto", base, tmp_path)
    path = tmp_path / "precision.json"
    path.write_text(path.read_text().replace("bf16-products", "fp32"))
    assert choose("auto", base, tmp_path) == "fp32"
    monkeypatch.setattr(precision, "EDITION", 2)
    assert choose("auto", base, tmp_path) == "bf16-products"


def test_products_in_bf16_leave_the_weights_in_float32(base) -> None:
    set_precision(base, "bf16-products")
    assert base.unet.dtype == base.text_encoders[0].dtype == base.dtype == torch.float32


def test_the_autoencoder_keeps_its_format(base) -> None:
    set_precision(base, "bf16")
    assert base.unet.dtype == base.text_encoders[0].dtype == base.dtype == torch.bfloat16
    assert base.vae.dtype == torch.float32


def test_what_the_wish_and_the_device_settle_needs_no_base() -> None:
    assert [settled_precision("auto", "mps"), settled_precision("fp32", "cuda"), settled_precision("bf16", "cpu")] == [
        "fp32",
        "fp32",
        "bf16",
    ]
    with pytest.raises(ConfigError, match="fp16"):
        settled_precision("fp16", "cpu")
