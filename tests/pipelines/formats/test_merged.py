"""Merged pipelines: exactly the weights that PEFT would merge, and a base that keeps its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft.tuners.lora import LoraLayer
from safetensors import safe_open

from pipelines.adapter import attach, attached, components, detach, factors
from pipelines.errors import AdapterError, ExportError
from pipelines.families.base import Base, load_base
from pipelines.formats.drawing import distance, draw_latents
from pipelines.formats.merged import merged_weight, write_merged
from tests.pipelines.formats.random_adapters import base_in, random_adapter


@pytest.fixture
def sd1(tiny_sd1: Path) -> Base:
    return base_in(tiny_sd1)


@pytest.mark.parametrize("kind", ["lora", "rslora", "dora"])
def test_weights_are_those_that_peft_merges(sd1: Base, kind: str) -> None:
    adapter = random_adapter(sd1, kind=kind, targets="all", alpha=3.0)
    attach(sd1, adapter, strength=0.7)
    shares = {share.path: share for share in factors(adapter)}
    seen = 0
    for path, layer in sd1.unet.named_modules():
        if isinstance(layer, LoraLayer) and path.startswith(("down_blocks.0", "mid_block")):
            own = layer.get_base_layer().weight
            wanted = merged_weight(own, shares[path], strength=0.7)
            before = own.data.clone()
            layer.merge(adapter_names=["adapter"])
            assert torch.allclose(own, wanted, atol=1e-6)
            layer.merged_adapters.clear()
            own.data = before
            seen += 1
    detach(sd1)
    assert seen > 20


def test_a_merged_dora_pipeline_draws_as_the_attached_adapter_and_the_base_stays(sd1: Base, tmp_path: Path) -> None:
    adapter = random_adapter(sd1, kind="dora", text_encoder=True)
    weights = {name: tensor.clone() for module in components(sd1).values() for name, tensor in module.state_dict().items()}
    write_merged(sd1, adapter, tmp_path / "merged", strength=0.5)
    assert all(torch.equal(tensor, weights[name]) for module in components(sd1).values() for name, tensor in module.state_dict().items())
    attach(sd1, adapter, strength=0.5)
    wanted = draw_latents(sd1, "a red mug", seed=0)
    detach(sd1)
    merged = draw_latents(load_base(str(tmp_path / "merged")), "a red mug", seed=0)
    assert distance(wanted, merged) < 1e-5 < distance(wanted, draw_latents(sd1, "a red mug", seed=0))


def test_older_programs_find_text_encoders_and_vocabularies(tiny_sdxl: Path, tmp_path: Path) -> None:
    base = base_in(tiny_sdxl)
    write_merged(base, random_adapter(base, text_encoder=True), tmp_path / "merged", precision="fp16")
    for encoder in ("text_encoder", "text_encoder_2"):
        with safe_open(tmp_path / "merged" / encoder / "model.safetensors", framework="pt") as file:
            keys = list(file.keys())
        assert keys and all(key.startswith("text_model.") or key == "text_projection.weight" for key in keys)
    for folder, tokenizer in zip(("tokenizer", "tokenizer_2"), base.tokenizers, strict=True):
        vocabulary = json.loads((tmp_path / "merged" / folder / "vocab.json").read_text(encoding="utf-8"))
        assert vocabulary == tokenizer.get_vocab()
        merges = (tmp_path / "merged" / folder / "merges.txt").read_text(encoding="utf-8").splitlines()
        assert merges[0].startswith("#version") and all(len(line.split(" ")) == 2 for line in merges[1:])
    again = load_base(str(tmp_path / "merged"))
    assert all(torch.isfinite(encoder.state_dict()[name]).all() for encoder in again.text_encoders for name in encoder.state_dict())


def test_other_adapters_on_the_base_stay_on_it_and_out_of_the_file(sd1: Base, tmp_path: Path) -> None:
    attach(sd1, random_adapter(sd1, seed=5, targets="attention"), name="other")
    shown = draw_latents(sd1, "a mug", seed=0)
    write_merged(sd1, random_adapter(sd1, targets="attention"), tmp_path / "merged", precision="fp16")
    assert attached(sd1) == ("other",)
    assert torch.equal(draw_latents(sd1, "a mug", seed=0), shown)
    detach(sd1, "other")
    loaded = load_base(str(tmp_path / "merged"))
    assert list(loaded.unet.state_dict()) == list(sd1.unet.state_dict())


def test_what_does_not_fit_or_overflows_leaves_no_folder(sd1: Base, tiny_sdxl: Path, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="does not fit"):
        write_merged(sd1, random_adapter(base_in(tiny_sdxl)), tmp_path / "merged")
    with pytest.raises(AdapterError, match="text_encoder_2"):
        write_merged(sd1, random_adapter(base_in(tiny_sdxl), text_encoder=True), tmp_path / "merged")
    with pytest.raises(ExportError, match="not finite"):
        write_merged(sd1, random_adapter(sd1), tmp_path / "merged", strength=1e9, precision="fp16")
    assert list(tmp_path.iterdir()) == []
