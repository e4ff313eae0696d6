"""Which layers an adapter may change, with PEFT around them or not."""

from __future__ import annotations

import pytest
from peft import LoraConfig, inject_adapter_in_model

from pipelines.errors import ConfigError
from pipelines.families.base import load_base

NEVER = ("conv_in", "conv_out", "time_embedding", "add_embedding", "norm", "text_projection")


@pytest.mark.parametrize("targets", ["attention", "attention+ff", "all"])
def test_peft_takes_every_target_and_the_paths_stay_right_once_it_has(tiny_base, targets):
    base = load_base(str(tiny_base))
    paths, text_paths = base.unet_targets(targets), base.text_targets()
    base.unet.add_adapter(LoraConfig(r=2, target_modules=list(paths)))
    assert {name.rpartition(".lora_A")[0] for name, _ in base.unet.named_modules() if name.endswith(".lora_A")} == set(paths)
    assert base.unet_targets(targets) == paths
    for encoder, own in zip(base.text_encoders, text_paths, strict=True):
        inject_adapter_in_model(
            LoraConfig(r=2, target_modules=list(own)), encoder
        )  # transformers 5.24's own way wants a PEFT that is not out yet
    assert base.text_targets() == text_paths


def test_wider_sets_contain_the_narrower_ones_and_leave_out_what_other_tools_drop(tiny_base):
    base = load_base(str(tiny_base))
    narrow, wider, widest = (set(base.unet_targets(name)) for name in ("attention", "attention+ff", "all"))
    assert narrow < wider < widest
    assert not [path for path in widest if path.startswith(NEVER) or ".norm" in path]
    assert "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0" in narrow
    assert "down_blocks.0.downsamplers.0.conv" in widest


def test_text_targets_are_six_per_layer_under_the_encoders_own_names(tiny_sdxl):
    first, second = load_base(str(tiny_sdxl)).text_targets()
    assert len(first) == len(second) == 3 * 6
    assert "encoder.layers.0.self_attn.q_proj" in first
    assert "text_model.encoder.layers.2.mlp.fc2" in second


def test_an_unknown_set_is_refused_by_name(tiny_sd1):
    with pytest.raises(ConfigError, match=r'"attn".*attention'):
        load_base(str(tiny_sd1)).unet_targets("attn")
