"""What the files say: everything that some tool reads, nothing that the user did not ask for, no path of this machine."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from pipelines.card import Card
from pipelines.errors import ExportError
from pipelines.families.base import Base
from pipelines.formats.beside import card_record, embedded_thumbnail, install_notes, preview_picture, webui_record
from pipelines.formats.container import pack, tensor_hash
from pipelines.formats.kohya import to_kohya
from pipelines.formats.metadata import hash_fields, kohya_fields, modelspec_fields, without_path
from tests.pipelines.formats.random_adapters import base_in, random_adapter


@pytest.fixture
def sd1(tiny_sd1: Path) -> Base:
    return base_in(tiny_sd1)


def picture(width: int = 800, height: int = 400) -> bytes:
    out = BytesIO()
    Image.new("RGB", (width, height), "red").save(out, "JPEG", comment=b"secret")
    return out.getvalue()


@pytest.mark.parametrize(
    ("fixture", "architecture", "version", "v2"),
    [
        ("tiny_sd1", "stable-diffusion-v1/lora", "sd_v1", "False"),
        ("tiny_sd2", "stable-diffusion-v2-768-v/lora", "sd_v2_v", "True"),
        ("tiny_sdxl", "stable-diffusion-xl-v1-base/lora", "sdxl_base_v1-0", "False"),
    ],
)
def test_the_base_is_named_in_both_standards(
    request: pytest.FixtureRequest, fixture: str, architecture: str, version: str, v2: str
) -> None:
    base = base_in(request.getfixturevalue(fixture))
    adapter = random_adapter(base, targets="attention", alpha=2.0)
    spec, fields = modelspec_fields(adapter.card, base, name="tin"), kohya_fields(adapter, base, name="tin")
    assert (spec["modelspec.architecture"], fields["ss_base_model_version"], fields["ss_v2"]) == (architecture, version, v2)
    assert {"modelspec.sai_model_spec", "modelspec.implementation", "modelspec.title"} <= spec.keys()
    assert (fields["ss_network_dim"], fields["ss_network_alpha"], fields["ss_network_module"], fields["ss_network_args"]) == (
        "4",
        "2.0",
        "networks.lora",
        "{}",
    )
    assert all(isinstance(value, str) for value in (spec | fields).values())


def test_trigger_strength_and_rights_are_in_the_file(sd1: Base) -> None:
    spec = modelspec_fields(random_adapter(sd1).card, sd1, name="tin")
    assert spec["modelspec.trigger_phrase"] == "tinbot robot"
    assert "0.8" in spec["modelspec.usage_hint"]
    assert (spec["modelspec.license"], spec["modelspec.author"], spec["modelspec.resolution"]) == ("CC-BY-4.0", "Acme", "64x64")


def test_unknown_facts_are_left_out(sd1: Base) -> None:
    spec = modelspec_fields(Card(), sd1, name="tin")
    assert all(spec.values()) and "modelspec.trigger_phrase" not in spec
    fields = kohya_fields(replace(random_adapter(sd1), card=Card()), sd1, name="tin")
    assert not {"ss_steps", "ss_seed", "ss_sd_model_name", "ss_training_started_at"} & fields.keys()


def test_training_settings_become_kohya_fields(sd1: Base) -> None:
    fields = kohya_fields(random_adapter(sd1, targets="all"), sd1, name="tin")
    assert (fields["ss_optimizer"], fields["ss_learning_rate"], fields["ss_text_encoder_lr"]) == ("adamw", "0.0001", "None")
    assert float(fields["ss_training_started_at"]) == 1795406400.0
    assert json.loads(fields["ss_network_args"]) == {"conv_dim": "4", "conv_alpha": "4.0"}


def test_captions_are_counted_only_when_handed_over(sd1: Base) -> None:
    adapter = random_adapter(sd1, targets="attention")
    assert "ss_tag_frequency" not in kohya_fields(adapter, sd1, name="tin")
    fields = kohya_fields(adapter, sd1, name="tin", captions=["tinbot, red hat", "tinbot, sea"])
    assert json.loads(fields["ss_tag_frequency"]) == {"1_tinbot robot": {"tinbot": 2, "red hat": 1, "sea": 1}}


def test_the_model_hash_is_never_the_hash_of_nothing(sd1: Base) -> None:
    packed = pack(to_kohya(random_adapter(sd1, targets="attention"), sd1))
    fields = hash_fields(packed, {})
    assert fields["sshs_model_hash"] == tensor_hash(packed) != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert fields["modelspec.hash_sha256"] == "0x" + fields["sshs_model_hash"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("/home/anna/models/base.safetensors", "base.safetensors"),
        (r"C:\Users\Anna\base", "base"),
        ("~/secret/base", "base"),
        ("org/model", "org/model"),
        ("", ""),
    ],
)
def test_paths_of_this_machine_stay_here(text: str, kept: str) -> None:
    assert without_path(text) == kept
    card = Card(base=text, settings={"base": text, "deep": [{"folder": text}]})
    record = json.loads(card_record(card))
    assert (record["base"], record["settings"]) == (kept, {"base": kept, "deep": [{"folder": kept}]})


def test_thumbnails_are_small_and_carry_no_metadata() -> None:
    url = embedded_thumbnail(picture())
    assert url.startswith("data:image/jpeg;base64,")
    embedded = b64decode(url.partition(",")[2])
    assert Image.open(BytesIO(embedded)).size == (256, 128)
    assert b"secret" not in embedded
    preview = Image.open(BytesIO(preview_picture(picture())))
    assert (preview.format, preview.size) == ("PNG", (512, 256))


def test_a_preview_that_is_no_picture_is_refused() -> None:
    with pytest.raises(ExportError, match="preview picture"):
        preview_picture(b"not a picture")


def test_web_interfaces_get_trigger_and_strength() -> None:
    record = json.loads(webui_record(Card(trigger="tinbot", noun="robot", recommended_strength=0.7), "sdxl"))
    assert (record["activation text"], record["preferred weight"], record["sd version"]) == ("tinbot robot", 0.7, "SDXL")


def test_notes_name_only_the_files_that_are_there() -> None:
    notes = install_notes(Card(licence="CC0"), "tin", family="sd1", kinds=("kohya",))
    assert "tin.safetensors" in notes and "<lora:tin:1>" in notes and "CC0" in notes
    assert "pytorch_lora_weights" not in notes and "merged" not in notes
    everything = install_notes(Card(), "tin", family="sd1", kinds=("kohya", "diffusers", "merged"))
    assert "pytorch_lora_weights" in everything and "merged/" in everything
