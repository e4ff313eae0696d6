"""The original-layout mapper against diffusers' own: it must be its exact inverse, for any set of layers."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from diffusers.loaders.lora_conversion_utils import _convert_unet_lora_key, _maybe_map_sgm_blocks_to_diffusers
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from diffusers.utils import convert_unet_state_dict_to_peft
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pipelines.errors import ExportError
from pipelines.formats.paths import flat, layout_of, original_path, with_level, without_level
from tests.tiny import tiny_unet


@cache
def unet(family: str):
    return tiny_unet(family)


@cache
def taught_paths(family: str) -> tuple[str, ...]:
    """Every layer of the blocks that an adapter can sit on."""
    inside = ("down_blocks.", "mid_block.", "up_blocks.")
    return tuple(
        path for path, layer in unet(family).named_modules() if isinstance(layer, nn.Linear | nn.Conv2d) and path.startswith(inside)
    )


@given(chosen=st.sets(st.sampled_from(taught_paths("sdxl")), min_size=1))
def test_diffusers_maps_any_set_of_sdxl_names_back(chosen: set[str]) -> None:
    layout = layout_of(unet("sdxl"))
    keys = {f"lora_unet_{flat(original_path(path, layout))}.lora_down.weight": path for path in chosen}
    assert len(keys) == len(chosen)
    mapped = _maybe_map_sgm_blocks_to_diffusers(dict(keys), unet("sdxl").config)
    back = convert_unet_state_dict_to_peft({_convert_unet_lora_key(key): path for key, path in mapped.items()})
    assert back == {f"{path}.lora_A.weight": path for path in chosen}


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_diffusers_converts_a_whole_checkpoint_under_these_names(family: str) -> None:
    model, layout = unet(family), layout_of(unet(family))
    names = {path: original_path(path, layout) for path, layer in model.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}
    numbered = {path: torch.tensor(float(number)) for number, path in enumerate(names)}
    checkpoint = {f"model.diffusion_model.{name}.{part}": numbered[path] for path, name in names.items() for part in ("weight", "bias")}
    checkpoint |= {f"model.diffusion_model.out.0.{part}": torch.tensor(-1.0) for part in ("weight", "bias")}
    converted = convert_ldm_unet_checkpoint(checkpoint, dict(model.config))
    assert len(set(names.values())) == len(names)
    assert {path: converted[f"{path}.weight"].item() for path in names} == {path: number.item() for path, number in numbered.items()}


def test_a_layer_without_an_original_name_is_refused() -> None:
    for path in ("down_blocks.0.motion_modules.0.proj", "mid_block.attentions.1.proj_in", "down_blocks.0.resnets.0.norm1", "nowhere"):
        with pytest.raises(ExportError):
            original_path(path, layout_of(unet("sdxl")))


def test_text_level_is_added_once_and_taken_off_once() -> None:
    assert with_level("encoder.layers.0") == with_level("text_model.encoder.layers.0") == "text_model.encoder.layers.0"
    assert without_level("text_model.encoder.layers.0") == without_level("encoder.layers.0") == "encoder.layers.0"
