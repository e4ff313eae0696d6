"""One .safetensors file in the original layout is the same base as its diffusers folder, and everything else is told apart."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines.errors import BaseModelError
from pipelines.families.base import load_base
from pipelines.families.load import locate, read_base
from pipelines.families.single_file import SD2_PROBE
from tests.original_layout import copy_configs, write_single_file

V_BIAS = {SD2_PROBE: torch.tensor([0.15, -0.15] * 4)}


@pytest.fixture(scope="module")
def bases(tiny_sd1, tiny_sd2, tiny_sdxl):
    return {folder: load_base(str(folder)) for folder in (tiny_sd1, tiny_sd2, tiny_sdxl)}


def modules(base):
    return base.unet, base.vae, *base.text_encoders


def assert_same_weights(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


@pytest.mark.parametrize("name", ["tiny_sd1", "tiny_sd2", "tiny_sdxl"])
def test_a_single_file_predicts_encodes_and_decodes_as_its_folder(name, request, bases, tmp_path):
    folder = request.getfixturevalue(name)
    base = bases[folder]
    path = write_single_file(
        base, tmp_path / "base.safetensors", metadata={"modelspec.prediction_type": "v" if base.prediction == "v_prediction" else "epsilon"}
    )
    made = read_base(locate(str(path)), configs=copy_configs(folder, tmp_path / "configs", base.family))
    assert (made.family, made.prediction, made.stride_px) == (base.family, base.prediction, base.stride_px)
    for ours, theirs in zip(modules(made), modules(base), strict=True):
        assert_same_weights(ours.state_dict(), theirs.state_dict())
    images, steps, prompts = torch.rand(2, 3, 64, 64) * 2 - 1, torch.tensor([10, 900]), ["a red mug", ""]
    latents = base.encode_images(images)
    with torch.no_grad():
        ours = made.predict(made.encode_images(images), steps, made.encode_prompts(prompts))
        theirs = base.predict(latents, steps, base.encode_prompts(prompts))
    assert torch.allclose(ours, theirs, atol=1e-5), "the last bits differ with where a tensor lies in memory"
    assert torch.allclose(made.decode_latents(latents), base.decode_latents(latents), atol=1e-4)
    assert torch.equal(made.alphas_cumprod, base.alphas_cumprod)
    assert not any(weight.requires_grad for weight in made.unet.parameters())


def test_a_half_precision_file_loads_in_the_wanted_dtype(tiny_sd1, bases, tmp_path):
    base = bases[tiny_sd1]
    half = {name: tensor.half() for name, tensor in load_file(write_single_file(base, tmp_path / "whole.safetensors")).items()}
    save_file(half, str(tmp_path / "half.safetensors"))
    configs = copy_configs(tiny_sd1, tmp_path / "configs", "sd1")
    made = read_base(locate(str(tmp_path / "half.safetensors")), dtype=torch.bfloat16, configs=configs)
    assert made.unet.dtype == made.text_encoders[0].dtype == torch.bfloat16
    assert made.vae.dtype == torch.float32
    assert made.pipeline()("a mug", num_inference_steps=1, height=64, width=64).images[0].size == (64, 64)


def test_old_files_whose_text_encoder_has_one_level_less_load_too(tiny_sd1, bases, tmp_path):
    tensors = load_file(str(write_single_file(bases[tiny_sd1], tmp_path / "usual.safetensors")))
    save_file(
        {name.replace("transformer.text_model.", "transformer."): tensor for name, tensor in tensors.items()},
        str(tmp_path / "old.safetensors"),
    )
    made = read_base(locate(str(tmp_path / "old.safetensors")), configs=copy_configs(tiny_sd1, tmp_path / "configs", "sd1"))
    assert_same_weights(made.text_encoders[0].state_dict(), bases[tiny_sd1].text_encoders[0].state_dict())


@pytest.mark.parametrize(
    ("metadata", "extra", "prediction"),
    [
        ({"modelspec.prediction_type": "epsilon"}, V_BIAS, "epsilon"),
        ({"modelspec.prediction_type": "v"}, {}, "v_prediction"),
        ({}, V_BIAS, "v_prediction"),
        ({}, {name: tensor.bfloat16() for name, tensor in V_BIAS.items()}, "v_prediction"),
        ({}, {name: tensor.half() / 10 for name, tensor in V_BIAS.items()}, "epsilon"),
        ({}, {name: (tensor / 10).to(torch.float8_e4m3fn) for name, tensor in V_BIAS.items()}, "epsilon"),
        ({}, {name: (tensor / 10).to(torch.float8_e5m2) for name, tensor in V_BIAS.items()}, "epsilon"),
        ({}, {name: tensor.to(torch.float8_e4m3fn) for name, tensor in V_BIAS.items()}, "v_prediction"),
    ],
)
def test_sd2_prediction_is_what_the_metadata_says_else_what_the_weights_betray(metadata, extra, prediction, tiny_sd2, bases, tmp_path):
    path = write_single_file(bases[tiny_sd2], tmp_path / "sd2.safetensors", metadata=metadata, extra=extra)
    assert locate(str(path)).prediction == prediction


def test_marker_tensors_of_sdxl_set_v_prediction_and_zero_terminal_snr(tiny_sdxl, bases, tmp_path):
    path = write_single_file(bases[tiny_sdxl], tmp_path / "v.safetensors", extra={"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)})
    made = read_base(locate(str(path)), configs=copy_configs(tiny_sdxl, tmp_path / "configs", "sdxl"))
    assert made.prediction == "v_prediction"
    assert made.alphas_cumprod[-1] == 0
    assert made.pipeline()("a mug", num_inference_steps=1, height=64, width=64).images[0].size == (64, 64)


@pytest.mark.parametrize(
    ("without", "words"),
    [
        ("first_stage_model.", "lacks its autoencoder"),
        ("cond_stage_model.", "lacks its text encoder"),
        ("model.diffusion_model.", "an autoencoder"),
    ],
)
def test_a_file_that_lacks_a_part_says_which(without, words, tiny_sd1, bases, tmp_path):
    path = write_single_file(bases[tiny_sd1], tmp_path / "part.safetensors", without=without)
    with pytest.raises(BaseModelError, match=words):
        locate(str(path))


def test_a_missing_tensor_is_named(tiny_sd1, bases, tmp_path):
    path = write_single_file(bases[tiny_sd1], tmp_path / "gap.safetensors", without="model.diffusion_model.middle_block.1.norm")
    with pytest.raises(BaseModelError, match=r"lacks 2 tensors of its unet, such as mid_block.attentions.0.norm.bias"):
        read_base(locate(str(path)), configs=copy_configs(tiny_sd1, tmp_path / "configs", "sd1"))


def test_a_tensor_of_another_shape_is_refused_with_both_shapes(tiny_sd1, bases, tmp_path):
    name = "model.diffusion_model.middle_block.1.norm.weight"
    path = write_single_file(bases[tiny_sd1], tmp_path / "wide.safetensors", extra={name: torch.zeros(24)})
    with pytest.raises(
        BaseModelError, match=r"mid_block.attentions.0.norm.weight of the unet in wide.safetensors is \(24,\) instead of \(16,\)"
    ):
        read_base(locate(str(path)), configs=copy_configs(tiny_sd1, tmp_path / "configs", "sd1"))


def test_parts_of_two_families_are_refused(tiny_sd1, bases, tmp_path):
    wide = {"model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": torch.zeros(8, 1024)}
    path = write_single_file(bases[tiny_sd1], tmp_path / "mix.safetensors", extra=wide)
    with pytest.raises(BaseModelError, match=r"mixes a sd2 denoiser with the text encoder of sd1"):
        locate(str(path))


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (["lora_unet_mid_block_attentions_0_proj_in.lora_down.weight"], "adapter"),
        (["unet.mid_block.attentions.0.proj_in.lora_A.weight"], "adapter"),
        (["model.diffusion_model.joint_blocks.0.x"], "Stable Diffusion 3"),
        (["double_blocks.0.img_attn.proj.weight"], "Flux"),
        (["control_model.x"], "ControlNet"),
        (["down_blocks.0.resnets.0.conv1.weight"], "one part of a diffusers folder"),
        (["first_stage_model.encoder.conv_in.weight"], "autoencoder"),
        (["something.else"], "not a Stable Diffusion base"),
        (["model.diffusion_model.input_blocks.0.0.weight", "conditioner.embedders.0.model.ln_final.weight"], "refiner"),
    ],
)
def test_files_that_are_no_base_say_what_they_are(tensors, words, tmp_path):
    path = tmp_path / "file.safetensors"
    save_file({name: torch.zeros(2, 2) for name in tensors}, str(path))
    with pytest.raises(BaseModelError, match=words):
        locate(str(path))


def test_an_inpainting_file_is_refused(tiny_sd1, bases, tmp_path):
    path = write_single_file(
        bases[tiny_sd1], tmp_path / "inpaint.safetensors", extra={"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(8, 9, 3, 3)}
    )
    with pytest.raises(BaseModelError, match=r"9 channels"):
        locate(str(path))


@pytest.mark.parametrize(
    ("without", "extra"),
    [
        ("model.diffusion_model.out.2", {}),
        ("no such name", {"model.diffusion_model.out.2.weight": torch.zeros(8)}),
        ("no such name", {"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(8)}),
    ],
)
def test_a_file_without_its_first_or_last_convolution_names_it(without, extra, tiny_sd1, bases, tmp_path):
    path = write_single_file(bases[tiny_sd1], tmp_path / "base.safetensors", without=without, extra=extra)
    with pytest.raises(BaseModelError, match=r"lacks the convolution model.diffusion_model.(out.2|input_blocks.0.0).weight"):
        locate(str(path))


@pytest.mark.parametrize(
    "without",
    [
        "model.diffusion_model.time_embed",
        "first_stage_model.decoder.up.1.upsample.conv.bias",
        "first_stage_model.encoder.down.0.downsample.conv.bias",
        "cond_stage_model.transformer.text_model.e",
    ],
)
def test_a_file_that_lost_a_tensor_which_its_renaming_needs_names_the_part(without, tiny_sd1, bases, tmp_path):
    path = write_single_file(
        bases[tiny_sd1], tmp_path / "base.safetensors", without=without, extra={"cond_stage_model.transformer.x": torch.zeros(1)}
    )
    with pytest.raises(BaseModelError, match=r"(unet|vae|text_encoder).*(cannot be read|such as)|lacks .* (unet|vae|text_encoder)"):
        read_base(locate(str(path)), configs=copy_configs(tiny_sd1, tmp_path / "configs", "sd1"))


def test_a_file_that_safetensors_refuses_is_named(tiny_sd1, bases, tmp_path):
    path = write_single_file(bases[tiny_sd1], tmp_path / "base.safetensors")
    located, content = locate(str(path)), path.read_bytes()
    path.write_bytes(content.replace(b'"dtype":"F32"', b'"dtype":"F64"', 1))
    with pytest.raises(BaseModelError, match=r"base.safetensors cannot be read"):
        read_base(located, configs=copy_configs(tiny_sd1, tmp_path / "configs", "sd1"))


def test_a_torn_file_and_another_family_than_asked_for_are_refused(tiny_sd1, bases, tmp_path):
    path = write_single_file(bases[tiny_sd1], tmp_path / "base.safetensors")
    with pytest.raises(BaseModelError, match=r"sd1 family, not sdxl"):
        locate(str(path), family="sdxl")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BaseModelError, match=r"half there"):
        locate(str(path))
