"""The configurations and the CLIP table that ship, so that a single file needs no network."""

from __future__ import annotations

import pytest

from pipelines.families import original_layout
from pipelines.families.clip_tokenizer import clip_tokenizer
from pipelines.families.located import CONFIGS, Located

MILLIONS = {  # parameters of the published models
    "sd1": {"unet": 859.52, "vae": 83.65, "text_encoder": 123.06},
    "sd2": {"unet": 865.91, "vae": 83.65, "text_encoder": 340.39},
    "sdxl": {"unet": 2567.46, "vae": 83.65, "text_encoder": 123.06, "text_encoder_2": 694.66},
}


@pytest.mark.parametrize("family", MILLIONS)
def test_each_configuration_builds_a_module_of_the_published_size(family, tmp_path):
    located = Located("x", tmp_path, "file", family, "epsilon", ())
    for component, millions in MILLIONS[family].items():
        module = original_layout._empty(component, original_layout.component_config(located, CONFIGS, component))
        assert sum(weight.numel() for weight in module.parameters()) / 1e6 == pytest.approx(millions, abs=0.006)


def test_sd2_with_v_prediction_is_the_768_px_one(tmp_path):
    sizes = {
        kind: original_layout.component_config(Located("x", tmp_path, "file", "sd2", kind, ()), CONFIGS, "unet")["sample_size"]
        for kind in ("epsilon", "v_prediction")
    }
    assert sizes == {"epsilon": 64, "v_prediction": 96}


def test_the_clip_table_gives_clips_own_ids():
    tokenizer = clip_tokenizer()
    assert tokenizer("a photo of a red mug").input_ids == [49406, 320, 1125, 539, 320, 736, 9722, 49407]
    assert len(tokenizer) == 49408


def test_each_family_pads_as_it_was_trained():
    padded = [clip_tokenizer(pad)("mug", padding="max_length", max_length=6).input_ids for pad in ("<|endoftext|>", "!")]
    assert padded == [[49406, 9722, 49407, 49407, 49407, 49407], [49406, 9722, 49407, 0, 0, 0]]


@pytest.mark.parametrize(("family", "pads"), [("sd1", [49407]), ("sd2", [0]), ("sdxl", [49407, 0])])
def test_the_shipped_tokenizers_carry_the_familys_padding(family, pads, tmp_path):
    located = Located("x", tmp_path, "file", family, "epsilon", ())
    tokenizers = original_layout.read_tokenizers(located, CONFIGS, read_folder=pytest.fail)
    assert [tokenizer.pad_token_id for tokenizer in tokenizers] == pads
    assert {tokenizer.model_max_length for tokenizer in tokenizers} == {77}
