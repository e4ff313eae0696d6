"""The shipped folder: plain diffusers loads it; its LoRA fits SD 1.5's names; it stays small."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from transformers import CLIPModel

from pipelines.errors import ExportError
from training.starter.package import FILE_LIMIT_BYTES, PARTS, STARTER_FOLDER, TOTAL_LIMIT_BYTES, check_sizes

# diffusers annotates StableDiffusionPipeline's vae as AutoencoderKL and logs this for every AutoencoderTiny (0.42); it loads and works all the same.
KNOWN_LOG_LINE = "Expected types for vae"


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    return StableDiffusionPipeline.from_pretrained(STARTER_FOLDER, local_files_only=True)


def test_it_loads_offline_without_a_warning():
    script = (
        "import warnings, sys; warnings.simplefilter('always');"
        "from diffusers import StableDiffusionPipeline as P;"
        "import diffusers, transformers; diffusers.utils.logging.disable_progress_bar(); transformers.utils.logging.disable_progress_bar();"
        "print('start', file=sys.stderr); P.from_pretrained(sys.argv[1]); print('end', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(STARTER_FOLDER)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    said = done.stderr.split("start\n")[1].split("end\n")[0].splitlines()
    assert [line for line in said if line.strip() and KNOWN_LOG_LINE not in line and "it/s]" not in line] == []


def test_parts_are_float32_in_memory_and_have_the_promised_shapes(pipeline):
    assert {part.dtype for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder)} == {torch.float32}
    assert pipeline.unet.config.in_channels == 16 and pipeline.vae_scale_factor == 16
    assert (
        pipeline.tokenizer.model_max_length == 77 and pipeline.text_encoder.config.hidden_size == pipeline.unet.config.cross_attention_dim
    )
    assert pipeline.safety_checker is None and not pipeline.config.requires_safety_checker


def test_a_prompt_gives_a_256_px_picture(pipeline):
    pipeline.set_progress_bar_config(disable=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = pipeline("a 3d render of a fox", num_inference_steps=2, generator=torch.Generator().manual_seed(0)).images[0]
    assert picture.size == (256, 256) and len(picture.getcolors(256 * 256)) > 50


def lora_keys(unet: UNet2DConditionModel) -> set[str]:
    unet.add_adapter(
        LoraConfig(
            r=1, target_modules=["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2"]
        )
    )
    return set(get_peft_model_state_dict(unet))


def test_a_lora_of_the_starter_has_sd_15s_keys():
    ours = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(STARTER_FOLDER / "unet"))
    sd15 = UNet2DConditionModel(
        block_out_channels=(32, 64, 96, 96), cross_attention_dim=8, norm_num_groups=8
    )  # diffusers' defaults are SD 1.5's blocks
    assert lora_keys(ours) == lora_keys(sd15)


def test_the_text_image_encoder_shares_the_text_towers_weights(pipeline):
    model, report = CLIPModel.from_pretrained(str(STARTER_FOLDER / "image_encoder"), output_loading_info=True, local_files_only=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    ours = pipeline.text_encoder.state_dict()
    assert all(torch.equal(weight, ours[name]) for name, weight in model.text_model.state_dict().items())


def test_sizes_stay_below_the_limits():
    assert check_sizes(STARTER_FOLDER) <= TOTAL_LIMIT_BYTES
    assert {path.suffix for part in PARTS for path in (STARTER_FOLDER / part).rglob("*") if path.is_file()} <= {
        ".json",
        ".safetensors",
        ".txt",
    }


def test_a_file_that_is_too_large_is_refused(tmp_path: Path):
    (tmp_path / "unet").mkdir()
    with (tmp_path / "unet" / "weights.safetensors").open("wb") as sparse:
        sparse.truncate(FILE_LIMIT_BYTES + 1)
    with pytest.raises(ExportError, match=r"weights\.safetensors has 48,000,001 bytes"):
        check_sizes(tmp_path)
