"""A diffusers folder is told apart and checked before a weight is read."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines.errors import BaseModelError
from pipelines.families import load
from pipelines.families.base import load_base
from pipelines.families.folder import STEMS
from pipelines.families.load import locate

FAMILIES = {
    "tiny_sd1": ("sd1", "epsilon"),
    "tiny_sd2": ("sd2", "v_prediction"),
    "tiny_sdxl": ("sdxl", "epsilon"),
    "tiny_starter": ("sd1", "v_prediction"),
}


@pytest.fixture
def broken(tiny_sd1, tmp_path) -> Path:
    """A copy of the tiny SD 1 base, to be broken."""
    return Path(shutil.copytree(tiny_sd1, tmp_path / "base"))


def same(module, other) -> bool:
    ours, theirs = module.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


@pytest.mark.parametrize("name", FAMILIES)
def test_family_and_prediction_are_told_from_the_files(name, request):
    located = locate(str(request.getfixturevalue(name)))
    assert (located.family, located.prediction) == FAMILIES[name]


def test_modules_are_frozen_and_in_evaluation_mode(tiny_base):
    base = load_base(str(tiny_base))
    for module in (base.unet, base.vae, *base.text_encoders):
        assert not module.training
        assert not any(weight.requires_grad for weight in module.parameters())


def test_looking_needs_no_torch_and_loading_says_nothing(tiny_sdxl):
    program = f"""
import sys
from pipelines.families.load import locate
located = locate({str(tiny_sdxl)!r})
assert "torch" not in sys.modules and "diffusers" not in sys.modules
from pipelines.families.load import read_base
base = read_base(located)
base.pipeline()
base.token_count("a mug " * 200)
base.encode_prompts(["a mug " * 200])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parents[3], check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "lost",
    ["unet/config.json", "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors",
     "text_encoder/config.json", "scheduler/scheduler_config.json"],
)  # fmt: skip
def test_a_missing_file_is_named(broken, lost):
    (broken / lost).unlink()
    with pytest.raises(BaseModelError, match=lost) as caught:
        locate(str(broken))
    assert "Download" in caught.value.fix


def test_all_missing_files_are_named_at_once_and_unfinished_downloads_too(broken):
    shutil.rmtree(broken / "tokenizer")
    weights = broken / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_name(weights.name + ".incomplete"))
    with pytest.raises(BaseModelError) as caught:
        locate(str(broken))
    for part in (
        "vae/diffusion_pytorch_model.safetensors",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "diffusion_pytorch_model.safetensors.incomplete",
    ):
        assert part in caught.value.message


@pytest.mark.parametrize("kept", [0.5, 0.001, 0])
def test_a_half_downloaded_file_is_named_with_its_sizes(broken, kept):
    weights = broken / "unet" / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(BaseModelError, match=r"diffusion_pytorch_model.safetensors is only half there.*bytes"):
        locate(str(broken))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "Git LFS"),
        (b"<!DOCTYPE html><html></html>" * 9, "not a safetensors|half there"),
    ],
)
def test_what_is_not_weights_is_told(broken, content, words):
    (broken / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(content)
    with pytest.raises(BaseModelError, match=words):
        locate(str(broken))


def test_weights_that_are_only_there_as_pickle_are_refused(broken):
    weights = broken / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(BaseModelError, match=r"diffusion_pytorch_model.bin.*pickle"):
        locate(str(broken))


@pytest.mark.parametrize("name", ["model.ckpt", "model.pt", "model.bin"])
def test_pickled_files_are_refused_even_before_they_exist(name, tmp_path):
    with pytest.raises(BaseModelError, match=r"pickle.*safetensors"):
        locate(str(tmp_path / name))


def test_the_fp16_variant_serves_where_there_is_no_other(broken, tiny_sd1):
    for weights in broken.rglob("*.safetensors"):
        weights.rename(weights.with_name(weights.name.replace(".safetensors", ".fp16.safetensors")))
    assert dict(locate(str(broken)).variants) == {"unet": "fp16", "vae": "fp16", "text_encoder": "fp16"}
    made, plain = load_base(str(broken)), load_base(str(tiny_sd1))
    for ours, theirs in ((made.unet, plain.unet), (made.vae, plain.vae), (made.text_encoders[0], plain.text_encoders[0])):
        assert same(ours, theirs)


def test_shards_are_read_and_a_missing_shard_is_named(broken):
    unet = load_base(str(broken)).unet
    (broken / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    unet.save_pretrained(str(broken / "unet"), max_shard_size="150KB")
    shards = sorted((broken / "unet").glob("*.safetensors"))
    assert len(shards) > 2
    again = load_base(str(broken)).unet
    assert same(unet, again)
    shards[1].unlink()
    with pytest.raises(BaseModelError, match=rf"Missing: unet/{shards[1].name}"):
        locate(str(broken))


def rewrite(path: Path, change) -> None:
    save_file(change(load_file(str(path))), str(path), {"format": "pt"})


def without(*names: str):
    return lambda tensors: {name: tensor for name, tensor in tensors.items() if not name.startswith(names)}


WEIGHTS = {part: f"{part}/{stem}.safetensors" for part, stem in STEMS.items()}


@pytest.mark.parametrize(
    ("component", "change", "words"),
    [
        ("text_encoder", without("encoder.layers.1."), "lacks 16 tensors, such as encoder.layers.1.layer_norm1.bias"),
        ("text_encoder", without("encoder.layers.0.layer_norm2.weight"), "lacks 1 tensors, such as encoder.layers.0.layer_norm2.weight"),
        ("text_encoder", lambda tensors: {f"foo.{name}": tensor for name, tensor in tensors.items()}, "lacks 52 tensors"),
        ("unet", without("conv_out.weight"), "lacks 1 tensors, such as conv_out.weight"),
        ("vae", without("decoder.conv_in.bias"), "lacks 1 tensors, such as decoder.conv_in.bias"),
        ("unet", lambda tensors: tensors | {"conv_in.bias": torch.zeros(3)}, r"is \(3,\) instead of \(8,\)"),
        ("vae", lambda tensors: tensors | {"decoder.conv_in.bias": torch.zeros(3)}, r"is \(3,\) instead of \(8,\)"),
        ("text_encoder", lambda tensors: tensors | {"final_layer_norm.bias": torch.zeros(3)}, r"is \(3,\) instead of \(32,\)"),
    ],
)
def test_a_component_whose_weights_are_not_whole_never_loads(broken, component, change, words):
    rewrite(broken / WEIGHTS[component], change)
    with pytest.raises(BaseModelError, match=rf"{component} .*{words}|of the {component} {words}") as caught:
        load_base(str(broken))
    assert "ownload" in caught.value.fix


def test_a_second_text_encoder_without_its_projection_never_loads(tiny_sdxl, tmp_path):
    folder = Path(shutil.copytree(tiny_sdxl, tmp_path / "base"))
    rewrite(folder / WEIGHTS["text_encoder_2"], without("text_projection.weight"))
    with pytest.raises(BaseModelError, match=r"text_encoder_2 .*lacks 1 tensors, such as text_projection.weight"):
        load_base(str(folder))


def test_a_text_encoder_as_the_hub_has_it_is_whole(broken):
    spelled = {"text_model.embeddings.position_ids": torch.arange(77)[None]}
    rewrite(broken / WEIGHTS["text_encoder"], lambda tensors: spelled | {f"text_model.{name}": tensor for name, tensor in tensors.items()})
    assert load_base(str(broken)).family == "sd1"


def test_an_autoencoder_with_the_attention_names_of_old_is_whole(broken, tiny_sd1):
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def old(name: str) -> str:
        return next((name.replace(new, was) for new, was in names.items() if new in name), name)

    rewrite(broken / WEIGHTS["vae"], lambda tensors: {old(name): tensor for name, tensor in tensors.items()})
    assert same(load_base(str(broken)).vae, load_base(str(tiny_sd1)).vae)


def test_shards_that_hold_less_than_their_index_says_are_refused(broken):
    unet = load_base(str(broken)).unet
    (broken / WEIGHTS["unet"]).unlink()
    unet.save_pretrained(str(broken / "unet"), max_shard_size="150KB")
    for shard in (broken / "unet").glob("*.safetensors"):
        rewrite(shard, without("conv_out.weight"))
    with pytest.raises(BaseModelError, match=r"unet .*lacks 1 tensors, such as conv_out.weight"):
        load_base(str(broken))


@pytest.mark.parametrize("lost", ["text_encoder/config.json", "vae/config.json", "unet/config.json", "scheduler/scheduler_config.json"])
@pytest.mark.parametrize("content", ["{bad", "[1]", "[" * 200_000])
def test_a_damaged_configuration_is_named_before_weights_load(broken, lost, content):
    (broken / lost).write_text(content)
    with pytest.raises(BaseModelError, match=lost):
        locate(str(broken))


def test_a_configuration_that_no_model_has_is_named(broken):
    change(broken / "text_encoder" / "config.json", hidden_size="wide")
    with pytest.raises(BaseModelError, match=r"text_encoder of the base cannot be read"):
        load_base(str(broken))


def test_a_damaged_tokenizer_is_named(broken):
    (broken / "tokenizer" / "tokenizer.json").write_text("{bad")
    with pytest.raises(BaseModelError, match=r"tokenizer of the base cannot be read"):
        load_base(str(broken))


def test_bytes_behind_the_weights_are_refused(broken):
    with (broken / WEIGHTS["vae"]).open("ab") as file:
        file.write(bytes(32))
    with pytest.raises(BaseModelError, match=r"vae/diffusion_pytorch_model.safetensors is damaged: it holds 32 bytes more"):
        locate(str(broken))


@pytest.mark.parametrize("content", ["{}", '{"weight_map": []}', '{"weight_map": {}}', '{"weight_map": {"a": 1}}'])
def test_an_index_that_names_no_files_is_refused(broken, content):
    (broken / WEIGHTS["unet"]).unlink()
    (broken / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(content)
    with pytest.raises(BaseModelError, match=r"unet/diffusion_pytorch_model.safetensors.index.json does not say"):
        locate(str(broken))


def test_shards_of_a_variant_are_taken_only_under_the_index_that_loads(broken):
    unet = load_base(str(broken)).unet
    (broken / WEIGHTS["unet"]).unlink()
    unet.save_pretrained(str(broken / "unet"), max_shard_size="150KB", variant="fp16")
    assert same(unet, load_base(str(broken)).unet)
    index = broken / "unet" / "diffusion_pytorch_model.safetensors.index.fp16.json"
    index.rename(index.with_name("diffusion_pytorch_model.fp16.safetensors.index.json"))
    with pytest.raises(BaseModelError, match=r"Missing: unet/diffusion_pytorch_model.safetensors"):
        locate(str(broken))


def test_another_family_than_asked_for_is_refused(tiny_sdxl):
    with pytest.raises(BaseModelError, match=r"sdxl family, not sd1"):
        locate(str(tiny_sdxl), family="sd1")
    assert locate(str(tiny_sdxl), family="sdxl").family == "sdxl"


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_models_that_cannot_be_taught_are_told_apart(broken):
    change(broken / "unet" / "config.json", in_channels=9)
    with pytest.raises(BaseModelError, match=r"9 channels.*inpainting"):
        locate(str(broken))
    change(broken / "model_index.json", _class_name="FluxPipeline")
    with pytest.raises(BaseModelError, match=r"FluxPipeline"):
        locate(str(broken))


@pytest.mark.parametrize("name", ["FluxPipeline", "StableDiffusion3Pipeline"])
def test_a_pipeline_without_a_unet_is_told_by_its_index(broken, name):
    shutil.rmtree(broken / "unet")
    (broken / "model_index.json").write_text(json.dumps({"_class_name": name, "transformer": ["diffusers", "X"]}))
    with pytest.raises(BaseModelError, match=rf"This is a {name}, not Stable Diffusion 1, 2 or XL"):
        locate(str(broken))


def test_a_refiner_is_told_apart(tiny_sdxl, tmp_path):
    folder = Path(shutil.copytree(tiny_sdxl, tmp_path / "refiner"))
    change(folder / "model_index.json", text_encoder=[None, None])
    with pytest.raises(BaseModelError, match=r"refiner"):
        locate(str(folder))


def test_a_prediction_that_cannot_be_taught_is_refused(broken):
    change(broken / "scheduler" / "scheduler_config.json", prediction_type="sample")
    with pytest.raises(BaseModelError, match=r'"sample"'):
        locate(str(broken))


def test_a_folder_that_holds_an_adapter_is_told_apart(tmp_path):
    save_file({"unet.x.lora_A.weight": torch.zeros(1)}, str(tmp_path / "pytorch_lora_weights.safetensors"))
    with pytest.raises(BaseModelError, match=r"adapter.*not a base"):
        locate(str(tmp_path))


def test_a_folder_of_single_files_says_which_one_to_give(tmp_path):
    save_file({"x": torch.zeros(1)}, str(tmp_path / "dream.safetensors"))
    with pytest.raises(BaseModelError, match=r"model_index.json.*dream.safetensors"):
        locate(str(tmp_path))


@pytest.mark.parametrize("source", ["no/such/folder", "./nothing", "nothing.safetensors", "nothing", ""])
def test_a_place_that_does_not_exist_is_refused_with_the_choices(source):
    with pytest.raises(BaseModelError, match=r"There is no base"):
        locate(source)


def test_a_starter_that_was_not_installed_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(load, "STARTER", tmp_path)
    with pytest.raises(BaseModelError, match=r"starter.*not installed"):
        locate("starter")


def test_the_starter_is_a_folder_like_any_other(monkeypatch, tiny_starter):
    monkeypatch.setattr(load, "STARTER", tiny_starter)
    base = load_base("starter")
    assert (base.source, base.stride_px, base.unet.config.in_channels) == ("starter", 16, 16)
