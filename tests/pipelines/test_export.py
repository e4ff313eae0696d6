"""Bundles: every file acts as the adapter in memory when diffusers loads it, and nothing unproven or unasked is ever handed over."""

from __future__ import annotations

import json
import math
import warnings
import zipfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from pipelines import export
from pipelines.adapter import Adapter, attach, attached, components, detach, mix
from pipelines.errors import ExportError
from pipelines.export import export_bundle, file_name, zip_bundle
from pipelines.families.base import Base
from pipelines.formats.container import tensor_hash
from pipelines.formats.drawing import draw_latents
from pipelines.formats.verify import DELTA_BOUND, Check
from tests.pipelines.formats.random_adapters import base_in, random_adapter

CASES = [
    ("attention", "fp16", {}),
    ("attention+ff", "fp32", {"alpha": 8.0}),
    ("all", "bf16", {"text_encoder": True, "kind": "rslora", "alpha": 2.0}),
]


@pytest.fixture
def sd1(tiny_sd1: Path) -> Base:
    return base_in(tiny_sd1)


def small(base: Base, **settings: object) -> Adapter:
    return random_adapter(base, **{"targets": "attention", **settings})


def metadata_of(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return file.metadata()


@pytest.mark.parametrize("fixture", ["tiny_sd1", "tiny_sd2", "tiny_sdxl"])
@pytest.mark.parametrize(("targets", "precision", "settings"), CASES)
def test_both_files_act_as_the_adapter(
    request: pytest.FixtureRequest, tmp_path: Path, fixture: str, targets: str, precision: str, settings: dict[str, object]
) -> None:
    base = base_in(request.getfixturevalue(fixture))
    bundle = export_bundle(base, random_adapter(base, targets=targets, **settings), tmp_path, precision=precision)
    for kind in ("kohya", "diffusers"):
        unmatched, delta, drawing = bundle.file(kind).verified
        assert unmatched.value == 0
        assert delta.value < DELTA_BOUND[precision]
        assert drawing.passed
    assert bundle.warnings == ()


def test_ranks_that_nearly_cancel_each_other_round_more_and_are_exported_all_the_same(sd1: Base, tmp_path: Path) -> None:
    whole = small(sd1)
    tensors = dict(whole.tensors)
    for key in [key for key in tensors if key.endswith("lora_A.weight")]:
        tensors[key] = tensors[key][:1].repeat(4, *[1] * (tensors[key].ndim - 1))  # all ranks read the same
        up = tensors[key.replace("lora_A", "lora_B")]
        up[:, 1] = -0.9 * up[:, 0]  # and the second takes most of the first away
        up[:, 2:] *= 0.01
    bundle = export_bundle(sd1, Adapter(tensors, whole.settings, whole.card), tmp_path)
    delta = next(check for check in bundle.file("kohya").verified if "delta" in check.name)
    assert DELTA_BOUND["fp16"] < delta.value <= delta.bound < 0.01


def test_mixed_ranks_and_text_in_fp16(tiny_sdxl: Path, tmp_path: Path) -> None:
    base = base_in(tiny_sdxl)
    one, two = small(base, text_encoder=True), small(base, seed=1, rank=2, alpha=3.0)
    two = Adapter({key: tensor for key, tensor in two.tensors.items() if "up_blocks" in key}, two.settings, two.card)
    bundle = export_bundle(base, mix([(one, 1.0), (two, 0.5)], card=one.card), tmp_path)
    assert all(check.passed for kind in ("kohya", "diffusers") for check in bundle.file(kind).verified)


def test_the_starters_kind_of_base_exports_too(tiny_starter: Path, tmp_path: Path) -> None:
    bundle = export_bundle(base_in(tiny_starter), small(base_in(tiny_starter)), tmp_path, formats=("kohya", "merged"))
    assert all(check.passed for kind in ("kohya", "merged") for check in bundle.file(kind).verified)


def test_an_adapter_of_a_few_steps_survives_fp16(sd1: Base, tmp_path: Path) -> None:
    bundle = export_bundle(sd1, small(sd1, size=1e-6), tmp_path, formats=("kohya",))
    assert bundle.file("kohya").verified[1].value < 1e-3


def test_the_base_comes_back_as_it_was_with_what_was_attached(sd1: Base, tmp_path: Path) -> None:
    attach(sd1, small(sd1, seed=4, text_encoder=True), name="other", strength=0.5)
    keys = {component: list(module.state_dict()) for component, module in components(sd1).items()}
    marks = {component: set(vars(module)) for component, module in components(sd1).items()}
    before = draw_latents(sd1, "a mug", seed=0)
    export_bundle(sd1, small(sd1, text_encoder=True), tmp_path)
    assert attached(sd1) == ("other",)
    assert keys == {component: list(module.state_dict()) for component, module in components(sd1).items()}
    assert marks == {component: set(vars(module)) for component, module in components(sd1).items()}
    assert torch.equal(draw_latents(sd1, "a mug", seed=0), before)
    detach(sd1, "other")


def test_nothing_appears_on_the_screen(sd1: Base, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export_bundle(sd1, small(sd1, text_encoder=True), tmp_path, formats=("kohya", "diffusers", "merged"))
    assert capfd.readouterr() == ("", "")


def test_dora_leaves_only_as_merged(sd1: Base, tmp_path: Path) -> None:
    adapter = small(sd1, kind="dora", text_encoder=True)
    for kind in ("kohya", "diffusers"):
        with pytest.raises(ExportError, match="DoRA"):
            export_bundle(sd1, adapter, tmp_path, formats=(kind,))
    bundle = export_bundle(sd1, adapter, tmp_path, formats=("merged",), strength=0.6)
    wrong, drawing = bundle.file("merged").verified
    assert wrong.value == 0 and drawing.passed
    assert (bundle.file("merged").path / "model_index.json").is_file()


def test_a_dead_adapter_is_called_dead(sd1: Base, tmp_path: Path) -> None:
    bundle = export_bundle(sd1, small(sd1, size=0.0), tmp_path, formats=("kohya",))
    assert bundle.effect_size == 0.0
    assert [advice.code for advice in bundle.warnings] == ["dead"]


def test_an_overgrown_adapter_and_a_strange_base_are_named(sd1: Base, tmp_path: Path) -> None:
    adapter = small(sd1, size=2.0)
    other = Adapter(adapter.tensors, adapter.settings, adapter.card.model_copy(update={"base_fingerprint": "another"}))
    bundle = export_bundle(sd1, other, tmp_path, formats=("kohya",))
    assert [advice.code for advice in bundle.warnings] == ["fried", "other-base"]


@pytest.mark.parametrize("fault", ["scale lost", "layer lost", "unreadable"])
def test_a_file_that_does_not_act_as_the_adapter_is_never_handed_over(
    sd1: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    adapter = small(sd1, alpha=2.0)
    (tmp_path / "Tin-Bot.safetensors").write_bytes(b"the previous export")
    rightly = export.to_kohya

    def wrongly(*args: object, **options: object) -> dict[str, torch.Tensor]:
        tensors = rightly(*args, **options)  # type: ignore[arg-type]
        if fault == "scale lost":
            return {key: tensor for key, tensor in tensors.items() if not key.endswith(".alpha")}
        if fault == "layer lost":
            return {key: tensor for key, tensor in tensors.items() if "mid_block" not in key}
        return {key.replace("lora_unet_", "lora_net_"): tensor for key, tensor in tensors.items()}

    monkeypatch.setattr(export, "to_kohya", wrongly)
    with pytest.raises(ExportError, match=r"Tin-Bot\.safetensors"):
        export_bundle(sd1, adapter, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["Tin-Bot.safetensors"]
    assert (tmp_path / "Tin-Bot.safetensors").read_bytes() == b"the previous export"


def test_hashes_are_those_of_the_file_and_no_path_is_inside(sd1: Base, tmp_path: Path) -> None:
    bundle = export_bundle(sd1, small(sd1), tmp_path)
    for kind in ("kohya", "diffusers"):
        file = bundle.file(kind)
        content = file.path.read_bytes()
        assert file.sha256 == sha256(content).hexdigest() and file.autov2 == file.sha256[:10]
        metadata = metadata_of(file.path)
        assert metadata["sshs_model_hash"] == tensor_hash(content) and file.autov3 == tensor_hash(content)[:12]
        assert str(tmp_path) not in json.dumps(metadata) and str(sd1.source) not in json.dumps(metadata)
        assert ("lora_adapter_metadata" in metadata) == (kind == "diffusers")
        assert "ss_tag_frequency" not in metadata


def test_side_files_are_there_for_the_programs_that_read_them(sd1: Base, tmp_path: Path) -> None:
    picture = BytesIO()
    Image.new("RGB", (300, 300), "teal").save(picture, "PNG")
    told: list[tuple[str, int, int]] = []
    bundle = export_bundle(
        sd1, small(sd1), tmp_path, thumbnail=picture.getvalue(), include_captions=["tinbot, sea"], name="My: Bot",
        progress=lambda what, done, total: told.append((what, done, total)),
    )  # fmt: skip
    assert {file.path.relative_to(tmp_path).as_posix() for file in bundle.files} == {
        "My-Bot.safetensors", "diffusers/pytorch_lora_weights.safetensors", "README.txt", "card.json", "My-Bot.json", "My-Bot.png",
    }  # fmt: skip
    assert all(file.path.is_file() for file in bundle.files)
    metadata = metadata_of(bundle.file("kohya").path)
    assert metadata["modelspec.thumbnail"].startswith("data:image/jpeg;base64,")
    assert "tinbot" in metadata["ss_tag_frequency"] and metadata["ss_output_name"] == "My-Bot"
    assert json.loads((tmp_path / "My-Bot.json").read_text())["preferred weight"] == 0.8
    assert json.loads((tmp_path / "card.json").read_text())["trigger"] == "tinbot"
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1] == ("done", 5, 5)


def test_the_same_adapter_gives_the_same_bytes_and_the_same_zip(sd1: Base, tmp_path: Path) -> None:
    bundles = [export_bundle(sd1, small(sd1), tmp_path / name, formats=("kohya",)) for name in ("one", "two")]
    zips = [zip_bundle(bundle, tmp_path / f"{number}.zip").read_bytes() for number, bundle in enumerate(bundles)]
    assert zips[0] == zips[1]
    with zipfile.ZipFile(tmp_path / "0.zip") as archive:
        assert set(archive.namelist()) == {"Tin-Bot/Tin-Bot.safetensors", "Tin-Bot/Tin-Bot.json", "Tin-Bot/README.txt", "Tin-Bot/card.json"}
        assert archive.read("Tin-Bot/Tin-Bot.safetensors") == bundles[0].file("kohya").path.read_bytes()


def test_requests_that_make_no_sense_are_refused_before_any_work(sd1: Base, tiny_sdxl: Path, tmp_path: Path) -> None:
    for options, said in (({"formats": ("onnx",)}, "onnx"), ({"formats": ()}, "not an export format"), ({"precision": "int8"}, "int8")):
        with pytest.raises(ExportError, match=said):
            export_bundle(sd1, small(sd1), tmp_path / "out", **options)
    with pytest.raises(ExportError, match="sd1; this base is sdxl"):
        export_bundle(base_in(tiny_sdxl), small(sd1), tmp_path / "out")
    with pytest.raises(ExportError, match=r"absent\.png"):
        export_bundle(sd1, small(sd1), tmp_path / "out", thumbnail=tmp_path / "absent.png")
    assert not (tmp_path / "out").exists()


def test_a_format_named_twice_is_written_once(sd1: Base, tmp_path: Path) -> None:
    bundle = export_bundle(sd1, small(sd1), tmp_path, formats=("kohya", "kohya"))
    assert [file.kind for file in bundle.files] == ["kohya", "notes", "card", "settings"]


def test_a_folder_that_is_a_file_is_named(sd1: Base, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    for folder in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(ExportError, match="No files can be written into"):
            export_bundle(sd1, small(sd1), folder)
    assert (tmp_path / "out").read_text() == "a file"


@pytest.mark.parametrize(
    ("check", "fix"),
    [
        (Check("largest delta difference", 0.1, 1e-3), "Export in fp32."),
        (Check("drawing difference", math.nan, 1e-3), "Report this"),
        (Check("unmatched modules", 2, 0), "Report this"),
        (Check("wrong weights", 2, 0), "Report this"),
    ],
)
def test_another_precision_is_advised_only_where_rounding_may_be_the_cause(check: Check, fix: str) -> None:
    with pytest.raises(ExportError) as refused:
        export._insist("a.safetensors", "kohya", [check], precision="fp16")
    assert refused.value.fix.startswith(fix)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Tin Bot", "Tin-Bot"),
        ("../../etc/x", "etc-x"),
        ("a:b<c>", "a-b-c"),
        ("", "adapter"),
        ("...", "adapter"),
        ("Zürich", "Zürich"),
        ("card", "card-lora"),
    ],
)
def test_any_name_becomes_a_safe_file_name(name: str, file: str) -> None:
    assert file_name(name) == file


def test_a_long_name_is_cut_to_what_file_systems_take() -> None:
    assert file_name("水" * 100) == "水" * 50
    assert file_name("a" * 149 + "水") == file_name("a" * 149 + "-b") == "a" * 149
