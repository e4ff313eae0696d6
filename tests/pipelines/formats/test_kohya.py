"""Kohya files by the letter: names, one alpha per component, the scale's variation in up, precision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipelines.adapter import Adapter, mix
from pipelines.errors import ExportError
from pipelines.families.base import Base
from pipelines.formats.diffusers import to_diffusers
from pipelines.formats.factors import evened
from pipelines.formats.kohya import to_kohya
from tests.pipelines.formats.random_adapters import base_in, deltas, random_adapter


@pytest.fixture(params=["tiny_sd1", "tiny_sd2", "tiny_sdxl"])
def base(request: pytest.FixtureRequest) -> Base:
    return base_in(request.getfixturevalue(request.param))


@pytest.fixture
def sd1(tiny_sd1: Path) -> Base:
    return base_in(tiny_sd1)


def stems(tensors: dict[str, torch.Tensor]) -> set[str]:
    return {key.split(".")[0] for key in tensors}


def test_names_are_those_that_kohya_reads(base: Base) -> None:
    names = stems(to_kohya(random_adapter(base, targets="all", text_encoder=True), base))
    prefixes = {name[: name.index("_", 5) + 1] for name in names}
    if base.family == "sdxl":
        assert prefixes == {"lora_unet_", "lora_te1_", "lora_te2_"}
        assert "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k" in names
        assert {"lora_unet_input_blocks_3_0_op", "lora_unet_output_blocks_2_2_conv", "lora_unet_middle_block_1_proj_in"} <= names
        assert not any("down_blocks" in name or "up_blocks" in name or "mid_block" in name for name in names)
    else:
        assert prefixes == {"lora_unet_", "lora_te_"}
        assert {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", "lora_unet_up_blocks_0_upsamplers_0_conv"} <= names
    text = {name for name in names if name.startswith("lora_te")}
    assert all("_text_model_encoder_layers_" in name for name in text)
    for layer in ("q_proj", "k_proj", "v_proj", "out_proj"):
        assert any(name.endswith(f"_0_self_attn_{layer}") for name in text)


@pytest.mark.parametrize("settings", [{}, {"alpha": 2.5}, {"alpha": 3.0, "kind": "rslora"}])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_one_alpha_per_component_and_one_dtype_give_the_same_deltas(sd1: Base, settings: dict[str, object], precision: str) -> None:
    adapter = random_adapter(sd1, text_encoder=True, targets="all", **settings)
    tensors = to_kohya(adapter, sd1, precision=precision)
    assert len({tensor.dtype for tensor in tensors.values()}) == 1
    assert all(tensor.is_contiguous() for tensor in tensors.values())
    for prefix in ("lora_unet_", "lora_te_"):
        assert len({tensor.item() for key, tensor in tensors.items() if key.startswith(prefix) and key.endswith(".alpha")}) == 1
    bound = {"fp32": 1e-6, "fp16": 1e-3, "bf16": 8e-3}[precision]
    for name, wanted in deltas(adapter).items():
        component, path = name.split(".", 1)
        stem = "lora_unet_" + path.replace(".", "_") if component == "unet" else "lora_te_text_model_" + path.replace(".", "_")
        down, up, alpha = (tensors[f"{stem}.{part}"].float() for part in ("lora_down.weight", "lora_up.weight", "alpha"))
        applied = (alpha / down.shape[0] * up.flatten(1) @ down.flatten(1)).view(wanted.shape)
        assert (applied - wanted).abs().max() <= bound * wanted.abs().max()


def test_mixed_ranks_still_share_one_alpha(sd1: Base) -> None:
    mixed = mix(
        [(random_adapter(sd1, seed=1), 1.0), (random_adapter(sd1, seed=2, rank=2, targets="attention"), 0.5)], card=random_adapter(sd1).card
    )
    tensors = to_kohya(mixed, sd1)
    assert len({tensor.shape[0] for key, tensor in tensors.items() if ".lora_down." in key}) == 2
    assert len({tensor.item() for key, tensor in tensors.items() if key.endswith(".alpha")}) == 1


def test_convolutions_keep_their_kernel_below_and_one_pixel_above(sd1: Base) -> None:
    tensors = to_kohya(random_adapter(sd1, targets="all"), sd1)
    stem = "lora_unet_down_blocks_0_resnets_0_conv1"
    assert tensors[f"{stem}.lora_down.weight"].shape[2:] == (3, 3)
    assert tensors[f"{stem}.lora_up.weight"].shape[2:] == (1, 1)
    assert tensors[f"{stem}.alpha"].shape == ()


def test_the_text_projection_is_refused_with_the_format_that_holds_it(tiny_sdxl: Path) -> None:
    sdxl, stem = base_in(tiny_sdxl), "text_encoder_2.text_projection"
    adapter, (out_width, in_width) = random_adapter(sdxl), sdxl.text_encoders[1].text_projection.weight.shape
    pair = {f"{stem}.lora_A.weight": torch.ones(4, in_width), f"{stem}.lora_B.weight": torch.ones(out_width, 4)}
    wider = Adapter({**adapter.tensors, **pair}, adapter.settings, adapter.card)
    with pytest.raises(ExportError, match=stem) as error:
        to_kohya(wider, sdxl)
    assert "diffusers format" in error.value.fix
    assert pair.keys() <= to_diffusers(wider, sdxl).keys()


def test_dora_is_refused_with_the_reason(sd1: Base) -> None:
    with pytest.raises(ExportError, match="DoRA") as error:
        to_kohya(random_adapter(sd1, kind="dora"), sd1)
    assert "merged" in error.value.fix


def test_an_empty_adapter_is_refused(sd1: Base) -> None:
    with pytest.raises(ExportError, match="no weights"):
        to_kohya(replace(random_adapter(sd1), tensors={}), sd1)


@pytest.mark.parametrize(("value", "said"), [(float("nan"), "NaN"), (1e6, "too large for fp16")])
def test_values_that_do_not_fit_are_refused(sd1: Base, value: float, said: str) -> None:
    adapter = random_adapter(sd1)
    key = next(key for key in adapter.tensors if ".lora_B." in key)
    spoiled = Adapter({**adapter.tensors, key: torch.full_like(adapter.tensors[key], value)}, adapter.settings, adapter.card)
    with pytest.raises(ExportError, match=said):
        to_kohya(spoiled, sd1, precision="fp16")


def test_faint_factors_survive_fp16() -> None:
    generator = torch.Generator().manual_seed(0)
    down, up = torch.randn(4, 64, generator=generator) / 8, torch.randn(64, 4, generator=generator) * 1e-6
    even_down, even_up = evened(down, up, precision="fp16")
    assert torch.equal(even_up @ even_down, up @ down)
    rounded = even_up.half().float() @ even_down.half().float()
    assert (rounded - up @ down).abs().max() < 1e-3 * (up @ down).abs().max()
    assert (up.half().float() @ down.half().float() - up @ down).abs().max() > 1e-2 * (up @ down).abs().max()
