"""Diffusers files: PEFT names, the scale folded in, and no more metadata than every version reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import DiffusionPipeline

from pipelines.adapter import Adapter, mix
from pipelines.families.base import Base
from pipelines.formats.container import pack, with_metadata
from pipelines.formats.diffusers import METADATA_KEY, adapter_metadata, to_diffusers
from pipelines.formats.kohya import to_kohya
from tests.pipelines.formats.random_adapters import base_in, deltas, random_adapter


@pytest.fixture
def sdxl(tiny_sdxl: Path) -> Base:
    return base_in(tiny_sdxl)


def test_text_names_hold_text_model_and_the_scale_is_folded_in(sdxl: Base) -> None:
    adapter = random_adapter(sdxl, alpha=1.5, text_encoder=True)
    tensors = to_diffusers(adapter, sdxl)
    text = [key for key in tensors if key.startswith("text_encoder")]
    assert {key.split(".")[0] for key in text} == {"text_encoder", "text_encoder_2"}
    assert all(key.split(".")[1:3] == ["text_model", "encoder"] for key in text)
    for name, wanted in deltas(adapter).items():
        component, path = name.split(".", 1)
        stem = name if component == "unet" else f"{component}.text_model.{path}"
        applied = tensors[f"{stem}.lora_B.weight"].flatten(1) @ tensors[f"{stem}.lora_A.weight"].flatten(1)
        assert (applied.view(wanted.shape) - wanted).abs().max() < 1e-6


def test_metadata_is_minimal_and_names_unusual_ranks(sdxl: Base) -> None:
    one, two = random_adapter(sdxl, text_encoder=True), random_adapter(sdxl, seed=1, rank=2, targets="attention")
    some = {key: tensor for key, tensor in two.tensors.items() if ".attn1." in key}
    config = json.loads(
        adapter_metadata(mix([(one, 1.0), (Adapter(some, two.settings, two.card), 1.0)], card=one.card), sdxl)[METADATA_KEY]
    )
    assert {key.split(".", 1)[1] for key in config} == {"r", "lora_alpha", "rank_pattern", "alpha_pattern", "target_modules"}
    assert config["unet.r"] == config["unet.lora_alpha"] == 4
    assert set(config["unet.rank_pattern"].values()) == {6}
    assert all(".attn1." in path for path in config["unet.rank_pattern"])
    assert {"to_q", "to_out.0", "net.2"} <= set(config["unet.target_modules"])
    assert config["text_encoder_2.target_modules"] == ["fc1", "fc2", "k_proj", "out_proj", "q_proj", "v_proj"]


def test_target_names_never_reach_layers_that_were_not_taught(sdxl: Base) -> None:
    adapter = random_adapter(sdxl, targets="attention")
    some = {key: tensor for key, tensor in adapter.tensors.items() if "down_blocks" in key}
    config = json.loads(adapter_metadata(Adapter(some, adapter.settings, adapter.card), sdxl)[METADATA_KEY])
    assert config["unet.target_modules"] and all(name.startswith("down_blocks.") for name in config["unet.target_modules"])


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`")
@pytest.mark.parametrize("fixture", ["tiny_sd1", "tiny_sd2", "tiny_sdxl"])
def test_both_formats_together_weighted_and_fused_are_the_weighted_sum(
    request: pytest.FixtureRequest, tmp_path: Path, fixture: str
) -> None:
    base = base_in(request.getfixturevalue(fixture))
    one, two = random_adapter(base, targets="all", alpha=3.0), random_adapter(base, seed=1, rank=2, targets="attention")
    (tmp_path / "one.safetensors").write_bytes(pack(to_kohya(one, base)))
    (tmp_path / "two.safetensors").write_bytes(with_metadata(pack(to_diffusers(two, base)), adapter_metadata(two, base)))
    pipe = DiffusionPipeline.from_pretrained(request.getfixturevalue(fixture))
    before = {path: parameter.detach().clone() for path, parameter in pipe.unet.named_parameters()}
    for name in ("one", "two"):
        pipe.load_lora_weights(str(tmp_path), weight_name=f"{name}.safetensors", adapter_name=name)
    pipe.set_adapters(["one", "two"], [0.7, -0.4])
    pipe.fuse_lora(adapter_names=["one", "two"])
    ours, theirs = deltas(one), deltas(two)
    after = {path.replace(".base_layer", ""): parameter for path, parameter in pipe.unet.named_parameters() if ".lora_" not in path}
    assert after.keys() == before.keys()
    for path, parameter in after.items():
        name = f"unet.{path.removesuffix('.weight')}"
        wanted = before[path] + 0.7 * ours.get(name, torch.tensor(0.0)) - 0.4 * theirs.get(name, torch.tensor(0.0))
        assert torch.allclose(parameter, wanted, atol=1e-5), path
