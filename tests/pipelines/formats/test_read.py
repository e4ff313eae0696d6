"""LoRA files from elsewhere: every dialect gives the deltas that its program means; everything else is refused by name, never half-read."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from diffusers.training_utils import _collate_lora_metadata
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save

from pipelines.adapter import HEADER, Adapter, attach, detach, factors, save_adapter
from pipelines.errors import AdapterError, BrandprintError
from pipelines.families.base import Base, load_base
from pipelines.formats.container import LENGTH_BYTES, data_start, pack, with_metadata
from pipelines.formats.diffusers import adapter_metadata, to_diffusers
from pipelines.formats.kohya import to_kohya
from pipelines.formats.read import detect_family, import_lora
from pipelines.formats.source import PICKLE_MARKS
from tests.pipelines.formats import foreign
from tests.pipelines.formats.random_adapters import base_in, deltas, largest_difference, random_adapter


@pytest.fixture
def sd1(tiny_sd1: Path) -> Base:
    return base_in(tiny_sd1)


@pytest.fixture
def sd2(tiny_sd2: Path) -> Base:
    return base_in(tiny_sd2)


@pytest.fixture
def sdxl(tiny_sdxl: Path) -> Base:
    return base_in(tiny_sdxl)


def full(base: Base) -> Adapter:
    return random_adapter(base, targets="all", text_encoder=True, alpha=3.0)


def small(base: Base) -> Adapter:
    return random_adapter(base, targets="attention", rank=2)


@pytest.mark.parametrize("alpha", foreign.ALPHAS)
def test_kohya_files_whatever_their_alpha(sd1: Base, tmp_path: Path, alpha: str) -> None:
    adapter = full(sd1)
    imported = import_lora(foreign.write(tmp_path / "a.safetensors", foreign.kohya(adapter, alpha=alpha)), sd1)
    assert largest_difference(adapter, imported.adapter) < 1e-5
    assert (imported.dialect, imported.matched, imported.unmatched) == ("kohya", len(deltas(adapter)), ())
    assert any("no alpha" in note for note in imported.notes) == (alpha in ("missing", "on some"))


def test_kohya_files_in_both_block_namings_and_both_text_prefixes(sd1: Base, sdxl: Base, tmp_path: Path) -> None:
    adapter = full(sdxl)
    for layout in (None, foreign.BLOCK):
        path = foreign.write(tmp_path / "xl.safetensors", foreign.kohya(adapter, layout=layout, text="lora_te1_"))
        assert largest_difference(adapter, import_lora(path, sdxl).adapter) < 1e-5
    adapter = full(sd1)
    path = foreign.write(tmp_path / "sd.safetensors", foreign.kohya(adapter, layout=foreign.SD_BLOCK, text="lora_te1_"))
    assert largest_difference(adapter, import_lora(path, sd1).adapter) < 1e-5


def test_diffusers_files_old_and_new(sdxl: Base, sd1: Base, tmp_path: Path) -> None:
    for base in (sd1, sdxl):
        adapter = full(base)
        for dialect, tensors in (("diffusers 0.2x", foreign.old_diffusers(adapter)), ("diffusers", foreign.new_diffusers(adapter))):
            imported = import_lora(foreign.write(tmp_path / "a.safetensors", tensors), base)
            assert imported.dialect == dialect
            assert largest_difference(adapter, imported.adapter) < 1e-5


def test_the_scale_in_diffusers_metadata_counts_with_its_patterns(sd1: Base, tmp_path: Path) -> None:
    adapter, special = small(sd1), "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    config = {"unet.r": 2, "unet.lora_alpha": 6, "unet.alpha_pattern": {f"^{special}": 10}, "unet.target_modules": ["to_q"]}
    path = foreign.write(tmp_path / "a.safetensors", foreign.new_diffusers(adapter, raw=True), foreign.diffusers_metadata(config))
    ours, theirs = deltas(adapter), deltas(import_lora(path, sd1).adapter)
    assert all(torch.allclose(theirs[key], ours[key] * (5 if key == f"unet.{special}" else 3), atol=1e-6) for key in ours)


def test_a_file_that_diffusers_itself_saved(sd1: Base, tmp_path: Path) -> None:
    adapter = random_adapter(sd1, text_encoder=True, alpha=7.0, kind="rslora")
    attach(sd1, adapter, name="default")
    encoder = sd1.text_encoders[0]
    StableDiffusionPipeline.save_lora_weights(
        tmp_path, unet_lora_layers=get_peft_model_state_dict(sd1.unet), text_encoder_lora_layers=get_peft_model_state_dict(encoder),
        **_collate_lora_metadata({"unet": sd1.unet, "text_encoder": encoder}),
    )  # fmt: skip
    detach(sd1, "default")
    assert largest_difference(adapter, import_lora(tmp_path / "pytorch_lora_weights.safetensors", sd1).adapter) < 1e-5
    assert largest_difference(adapter, import_lora(tmp_path, sd1).adapter) < 1e-5


def test_a_folder_that_peft_itself_saved(tiny_sd1: Path, sd1: Base, tmp_path: Path) -> None:
    unet = load_base(str(tiny_sd1)).unet
    wrapped = get_peft_model(
        unet,
        LoraConfig(r=4, lora_alpha=6, target_modules=["to_q", "to_out.0"], init_lora_weights=False, rank_pattern={"mid_block.*to_q": 2}),
    )
    wrapped.save_pretrained(tmp_path / "lora")
    imported = import_lora(tmp_path / "lora", sd1)
    assert imported.dialect == "peft"
    ours = deltas(imported.adapter)
    for path, layer in wrapped.base_model.model.named_modules():
        if hasattr(layer, "get_delta_weight"):
            assert torch.allclose(layer.get_delta_weight("default"), ours.pop(f"unet.{path}"), atol=1e-6)
    assert not ours


def test_peft_folders_of_several_components(sdxl: Base, tmp_path: Path) -> None:
    adapter = random_adapter(sdxl, text_encoder=True, targets="attention")
    for component in ("unet", "text_encoder", "text_encoder_2"):
        (tmp_path / component).mkdir()
        own = Adapter(
            {key: tensor for key, tensor in adapter.tensors.items() if key.startswith(f"{component}.")}, adapter.settings, adapter.card
        )
        tensors = foreign.new_diffusers(own, stem=lambda share: f"base_model.model.{share.path}", raw=True)
        foreign.write(tmp_path / component / "adapter_model.safetensors", tensors)
        (tmp_path / component / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 4}))
    assert largest_difference(adapter, import_lora(tmp_path, sdxl).adapter) < 1e-6
    assert largest_difference(own, import_lora(tmp_path / "text_encoder_2", sdxl).adapter) < 1e-6  # its width tells which encoder


def test_comfyui_names_in_the_original_layout(sdxl: Base, tmp_path: Path) -> None:
    adapter = random_adapter(sdxl, targets="all")
    tensors = foreign.new_diffusers(adapter, stem=lambda share: f"diffusion_model.{foreign.original_path(share.path, foreign.BLOCK)}")
    imported = import_lora(foreign.write(tmp_path / "a.safetensors", tensors), sdxl)
    assert imported.dialect == "comfyui"
    assert largest_difference(adapter, imported.adapter) < 1e-6


def test_a_convolution_split_in_three_multiplies_out_exactly(sd1: Base, tmp_path: Path) -> None:
    down, middle, up = torch.randn(3, 8, 1, 1), torch.randn(3, 3, 3, 3), torch.randn(8, 3, 1, 1)
    stem = "lora_unet_down_blocks_0_resnets_0_conv1"
    tensors = {
        f"{stem}.lora_down.weight": down,
        f"{stem}.lora_mid.weight": middle,
        f"{stem}.lora_up.weight": up,
        f"{stem}.alpha": torch.tensor(6.0),
    }
    (delta,) = deltas(import_lora(foreign.write(tmp_path / "a.safetensors", tensors), sd1).adapter).values()
    wanted = 2 * torch.einsum("op,pqkl,qi->oikl", up[:, :, 0, 0], middle, down[:, :, 0, 0])
    assert torch.allclose(delta, wanted, atol=1e-5)


def test_linear_layers_written_as_convolutions_and_the_other_way(sd2: Base, sd1: Base, tmp_path: Path) -> None:
    for base, reshape in ((sd2, lambda tensor: tensor[:, :, None, None]), (sd1, lambda tensor: tensor.flatten(1))):
        adapter = random_adapter(base)
        tensors = {
            key: reshape(tensor) if "proj_in" in key and "alpha" not in key else tensor for key, tensor in foreign.kohya(adapter).items()
        }
        assert largest_difference(adapter, import_lora(foreign.write(tmp_path / "a.safetensors", tensors), base).adapter) < 1e-5


@pytest.mark.parametrize("fixture", ["tiny_sd1", "tiny_sd2", "tiny_sdxl"])
def test_our_own_files_come_back(request: pytest.FixtureRequest, tmp_path: Path, fixture: str) -> None:
    base = base_in(request.getfixturevalue(fixture))
    adapter = full(base)
    for name, tensors, metadata in (
        (
            "kohya",
            to_kohya(adapter, base),
            {"modelspec.trigger_phrase": "tinbot robot", "modelspec.license": "CC0", "modelspec.resolution": "768x768"},
        ),
        ("diffusers", to_diffusers(adapter, base), adapter_metadata(adapter, base)),
    ):
        (tmp_path / name).write_bytes(with_metadata(pack(tensors), metadata))
        imported = import_lora(tmp_path / name, base)
        assert imported.dialect == name
        assert largest_difference(adapter, imported.adapter) < 1e-5
        if name == "kohya":
            card = imported.adapter.card
            assert (card.trigger, card.licence, card.resolution_px, card.base_family) == ("tinbot robot", "CC0", 768, base.family)
    save_adapter(adapter, tmp_path / "own.safetensors")
    imported = import_lora(tmp_path / "own.safetensors", base)
    assert (imported.dialect, imported.adapter.settings, imported.adapter.card) == ("brandprint", adapter.settings, adapter.card)


def test_our_own_dora_comes_back_and_acts_the_same(sd1: Base, tmp_path: Path) -> None:
    adapter = random_adapter(sd1, kind="dora", targets="attention")
    save_adapter(adapter, tmp_path / "own.safetensors")
    back = import_lora(tmp_path / "own.safetensors", sd1).adapter
    assert all(torch.equal(back.tensors[key], tensor) for key, tensor in adapter.tensors.items())


def test_an_imported_adapter_attaches_whatever_its_rank(sd1: Base, tmp_path: Path) -> None:
    adapter = random_adapter(sd1, targets="attention")
    wide = {
        key: torch.cat([tensor] * 80, dim=1 if ".lora_B." in key else 0) / (80 if ".lora_B." in key else 1)
        for key, tensor in adapter.tensors.items()
    }
    imported = import_lora(foreign.write(tmp_path / "a.safetensors", wide), sd1)
    assert any("rank of 320" in note for note in imported.notes)
    attach(sd1, imported.adapter)
    detach(sd1)
    assert largest_difference(adapter, imported.adapter) < 1e-5


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        ("oft_blocks", "OFT"), ("dora_scale", "DoRA"), ("lora_magnitude_vector", "DoRA"),
        ("diff", "diff"), ("w_norm", "norms"), ("a1.weight", "GLoRA"), ("on_input", "IA3"),
    ],
)  # fmt: skip
def test_kinds_that_are_no_plain_lora_are_refused_by_name(sd1: Base, tmp_path: Path, suffix: str, kind: str) -> None:
    tensors = foreign.kohya(small(sd1)) | {f"lora_unet_mid_block_attentions_0_proj_in.{suffix}": torch.ones(2, 2)}
    with pytest.raises(AdapterError, match=kind):
        import_lora(foreign.write(tmp_path / "a.safetensors", tensors), sd1)


def test_files_of_2022_and_of_other_architectures_are_refused_by_name(sd1: Base, tmp_path: Path) -> None:
    for key, said in (
        ("unet:0:up", "2022"),
        ("transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight", "FLUX"),
        ("lora_unet_double_blocks_0_x.lora_down.weight", "FLUX"),
        ("lora_unet_joint_blocks_0_context_block_attn_qkv.lora_down.weight", "SD 3"),
        ("base_model.model.transformer_blocks.0.attn.to_q.lora_A.weight", "SD 3"),
    ):
        with pytest.raises(AdapterError, match=said):
            import_lora(foreign.write(tmp_path / "a.safetensors", {key: torch.ones(2, 2)}), sd1)


@pytest.mark.parametrize(("config", "said"), [({"peft_type": "LOHA"}, "LOHA"), ({"peft_type": "LORA", "use_dora": True}, "DoRA")])
def test_peft_folders_of_other_kinds_are_refused_by_name(sd1: Base, tmp_path: Path, config: dict[str, object], said: str) -> None:
    foreign.write(tmp_path / "adapter_model.safetensors", foreign.new_diffusers(small(sd1)))
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(AdapterError, match=said):
        import_lora(tmp_path, sd1)


def test_bundled_embeddings_are_dropped_and_said(sd1: Base, tmp_path: Path) -> None:
    tensors = foreign.kohya(small(sd1)) | {"bundle_emb.tin.string_to_param.*": torch.ones(1, 32)}
    imported = import_lora(foreign.write(tmp_path / "a.safetensors", tensors), sd1)
    assert any("bundle_emb" in note for note in imported.notes) and not imported.unmatched


def test_keys_without_a_place_are_listed_and_refused_unless_allowed(sd1: Base, tmp_path: Path) -> None:
    adapter, strange = small(sd1), "lora_unet_down_blocks_7_proj_in.lora_down.weight"
    tensors = foreign.kohya(adapter) | {strange: torch.ones(2, 8), "what.is.this": torch.ones(1)}
    path = foreign.write(tmp_path / "a.safetensors", tensors)
    with pytest.raises(AdapterError, match="2 keys") as error:
        import_lora(path, sd1)
    assert strange in error.value.message and "what.is.this" in error.value.message
    imported = import_lora(path, sd1, allow_partial=True)
    assert set(imported.unmatched) == {strange, "what.is.this"}
    assert largest_difference(adapter, imported.adapter) < 1e-5


def test_half_a_module_counts_as_without_a_place(sd1: Base, tmp_path: Path) -> None:
    tensors = foreign.kohya(small(sd1))
    lost = next(key for key in tensors if ".lora_up." in key)
    with pytest.raises(AdapterError, match="2 keys"):  # its down and its alpha
        import_lora(foreign.write(tmp_path / "a.safetensors", {key: tensor for key, tensor in tensors.items() if key != lost}), sd1)


def test_a_layer_taught_under_two_names_is_refused(sd1: Base, tmp_path: Path) -> None:
    adapter = random_adapter(sd1, targets="attention", text_encoder=True)
    with pytest.raises(AdapterError, match="twice"):
        import_lora(foreign.write(tmp_path / "a.safetensors", foreign.kohya(adapter) | foreign.kohya(adapter, text="lora_te1_")), sd1)


def test_a_file_for_another_base_is_named(sd1: Base, sdxl: Base, tmp_path: Path) -> None:
    real = {
        f"lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_{part}.weight": torch.ones(shape)
        for part, shape in (("down", (4, 2048)), ("up", (640, 4)))
    }
    path = foreign.write(tmp_path / "xl.safetensors", real)
    assert detect_family(path) == "sdxl"
    with pytest.raises(AdapterError, match=r"made for SDXL; this base is SD 1\.x"):
        import_lora(path, sd1)
    tiny = foreign.write(tmp_path / "tiny.safetensors", foreign.kohya(small(sd1)), {"ss_base_model_version": "sd_v1"})
    assert detect_family(tiny) == "sd1"
    with pytest.raises(AdapterError, match="32 wide"):
        import_lora(tiny, sdxl)
    no_attention = {key: tensor for key, tensor in foreign.kohya(random_adapter(sd1)).items() if "attn" not in key}
    with pytest.raises(AdapterError, match=r"made for SD 1\.x; this base is SDXL"):
        import_lora(foreign.write(tmp_path / "ff.safetensors", no_attention, {"modelspec.architecture": "stable-diffusion-v1/lora"}), sdxl)
    save_adapter(random_adapter(sd1, targets="attention"), tmp_path / "own.safetensors")
    assert detect_family(tmp_path / "own.safetensors") == "sd1"
    with pytest.raises(AdapterError):
        import_lora(tmp_path / "own.safetensors", sdxl)


def test_pickles_are_refused_under_any_name(sd1: Base, tmp_path: Path) -> None:
    for name in ("lora.pt", "lora.safetensors"):
        torch.save({"lora_unet_x.alpha": torch.ones(1)}, tmp_path / name)
        with pytest.raises(AdapterError, match="pickle"):
            import_lora(tmp_path / name, sd1)
    (tmp_path / "folder").mkdir()
    torch.save({}, tmp_path / "folder" / "adapter_model.bin")
    with pytest.raises(AdapterError, match="pickle"):
        import_lora(tmp_path / "folder", sd1)


@pytest.mark.parametrize("length", [640, 896, 1152, 1408])
def test_a_header_whose_length_looks_like_a_pickle_is_read(sd1: Base, tmp_path: Path, length: int) -> None:
    few = dict(list(foreign.kohya(small(sd1)).items())[:3])  # one module
    plain = data_start(with_metadata(pack(few), {"": ""})) - LENGTH_BYTES
    content = with_metadata(pack(few), {"": "x" * (length - plain)})
    assert int.from_bytes(content[:8], "little") == length and content.startswith(PICKLE_MARKS)
    (tmp_path / "a.safetensors").write_bytes(content)
    assert import_lora(tmp_path / "a.safetensors", sd1).matched == 1


def test_a_peft_folder_never_loses_a_component_in_silence(sd1: Base, tmp_path: Path) -> None:
    adapter = random_adapter(sd1, text_encoder=True, targets="attention")
    for component in ("unet", "text_encoder"):
        (tmp_path / component).mkdir()
        (tmp_path / component / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 4}))
        own = {key.removeprefix(f"{component}."): tensor for key, tensor in adapter.tensors.items() if key.startswith(f"{component}.")}
        foreign.write(tmp_path / component / "adapter_model.safetensors", own)
    assert {share.component for share in factors(import_lora(tmp_path, sd1).adapter)} == {"unet", "text_encoder"}
    weights = tmp_path / "text_encoder" / "adapter_model.safetensors"
    for name, said in (("adapter_model.safetensors.incomplete", "text_encoder holds no LoRA"), ("adapter_model.bin", "pickle")):
        weights = weights.rename(weights.with_name(name))
        with pytest.raises(AdapterError, match=said):
            import_lora(tmp_path, sd1)
    for number in (1, 2):
        (tmp_path / "text_encoder" / f"a-{number}.safetensors").write_bytes(weights.read_bytes())
    weights.unlink()
    with pytest.raises(AdapterError, match=r"several files \(a-1.safetensors, a-2.safetensors\)"):
        import_lora(tmp_path, sd1)


def test_nothing_there_is_an_adapter_error(sd1: Base, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.safetensors"):
        with pytest.raises(AdapterError):
            import_lora(path, sd1)
    with pytest.raises(AdapterError, match="no LoRA weights"):
        import_lora(foreign.write(tmp_path / "model.safetensors", {"conv_in.weight": torch.ones(1)}), sd1, allow_partial=True)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x08", (2**63).to_bytes(8, "little"), (99).to_bytes(8, "little") + b"{}", (8).to_bytes(8, "little") + b"not json", (2).to_bytes(8, "little") + b"[]",
        (63).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[1000000],"data_offsets":[0,4000000]}}'[:63],
    ],
)  # fmt: skip
def test_hostile_headers_are_adapter_errors(sd1: Base, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(AdapterError, match=r"a\.safetensors"):
        import_lora(tmp_path / "a.safetensors", sd1)


@pytest.mark.parametrize(
    "said",
    [
        "no json",
        "[]",
        '{"unet.lora_alpha": "much"}',
        '{"unet.lora_alpha": NaN}',
        '{"unet.lora_alpha": 1, "unet.alpha_pattern": {"(a+)+$": 3}}',
    ],
)
def test_hostile_scales_are_adapter_errors(sd1: Base, tmp_path: Path, said: str) -> None:
    path = foreign.write(tmp_path / "a.safetensors", foreign.new_diffusers(small(sd1)), {"lora_adapter_metadata": said})
    with pytest.raises(AdapterError):
        import_lora(path, sd1)


def test_values_that_are_no_numbers_and_empty_factors_are_refused(sd1: Base, tmp_path: Path) -> None:
    tensors = foreign.kohya(small(sd1))
    for ending, spoiled in (
        (".lora_up.weight", torch.full((8, 2), float("nan"))),
        (".alpha", torch.tensor(float("inf"))),
        (".lora_down.weight", torch.ones(0, 8)),
    ):
        key = next(key for key in tensors if key.endswith(ending))
        with pytest.raises(AdapterError, match="NaN"):
            import_lora(foreign.write(tmp_path / "a.safetensors", tensors | {key: spoiled}), sd1)


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.complex64])
def test_factors_that_are_no_floating_numbers_are_refused_by_name(sd1: Base, tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = foreign.kohya(small(sd1))
    key = next(key for key in tensors if key.endswith(".lora_up.weight"))
    with pytest.raises(AdapterError, match=rf"{key.split('.')[0]} holds {dtype}"):
        import_lora(foreign.write(tmp_path / "a.safetensors", tensors | {key: tensors[key].to(dtype)}), sd1)


def test_numbers_that_torch_cannot_widen_are_refused_by_name(sd1: Base, tmp_path: Path) -> None:
    stem = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    header = {
        f"{stem}.lora_{part}.weight": {"dtype": "F4", "shape": shape, "data_offsets": span}
        for part, shape, span in (("down", [4, 32], [0, 64]), ("up", [8, 4], [64, 80]))
    }
    raw = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw + b"\1" * 80)
    with pytest.raises(AdapterError, match=r"a\.safetensors"):
        import_lora(tmp_path / "a.safetensors", sd1)


def test_our_own_file_with_numbers_of_no_use_is_refused(sd1: Base, tmp_path: Path) -> None:
    adapter = random_adapter(sd1, kind="dora", targets="attention")
    for part in ("lora_A", "lora_B", "lora_magnitude_vector"):
        key = next(key for key in adapter.tensors if f".{part}." in key)
        for spoiled in (torch.full_like(adapter.tensors[key], float("nan")), adapter.tensors[key].to(torch.int8)):
            save_adapter(Adapter({**adapter.tensors, key: spoiled}, adapter.settings, adapter.card), tmp_path / "own.safetensors")
            with pytest.raises(AdapterError, match=key.removesuffix(f".{part}.weight")):
                import_lora(tmp_path / "own.safetensors", sd1)


def test_our_own_header_nested_beyond_reason_is_refused(sd1: Base, tmp_path: Path) -> None:
    foreign.write(tmp_path / "own.safetensors", small(sd1).tensors, {HEADER: "[" * 200_000})
    with pytest.raises(AdapterError, match="damaged"):
        import_lora(tmp_path / "own.safetensors", sd1)


@cache
def _whole_file(folder: Path) -> bytes:
    return save(foreign.kohya(random_adapter(base_in(folder), targets="attention", rank=1)), {"modelspec.title": "tin"})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 1), flips=st.lists(st.tuples(st.integers(0, 60_000), st.integers(0, 255)), max_size=4))
def test_damaged_files_are_read_right_or_refused(
    sd1: Base, tiny_sd1: Path, tmp_path: Path, cut: float, flips: list[tuple[int, int]]
) -> None:
    content = bytearray(_whole_file(tiny_sd1))
    for place, value in flips:
        content[place % len(content)] = value
    (tmp_path / "a.safetensors").write_bytes(content[: int(len(content) * cut)] if cut < 0.9 else content)
    try:
        assert import_lora(tmp_path / "a.safetensors", sd1).matched == 128
    except BrandprintError as error:
        assert error.fix
