"""What a saved picture says about itself, read back from the file."""

from __future__ import annotations

import io
import struct
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from skimage import data

from pipelines.card import Card
from pipelines.errors import DatasetError, ExportError
from pipelines.generation import Drawn
from pipelines.provenance import TRAINED, parameters_text, parse_parameters, read_provenance, save_picture, source_type_of, xmp_packet
from pipelines.settings import DrawSettings

SETTINGS = DrawSettings(prompt="ignored", negative_prompt="grün, blurred", steps=12, guidance=4.5, scheduler="dpm++")


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    image = Image.fromarray(data.astronaut()).resize((320, 256))
    return Drawn(image, "tinbot, a robot \u2603 on a hill", 77, {"mine": 0.8, "off": 0.0}, SETTINGS)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_what_was_saved_is_read_back(drawn, tmp_path, suffix):
    path = save_picture(
        drawn,
        tmp_path / f"a{suffix}",
        base="/somewhere/deep/base.safetensors",
        cards={"mine": Card(name="Tin, bot")},
        hashes={"mine": "0123456789ab"},
    )
    found = read_provenance(path)
    assert found.prompt == "tinbot, a robot \u2603 on a hill <lora:Tin bot:0.8>"
    assert found.negative_prompt == "grün, blurred"
    assert found.settings["Sampler"] == "DPM++ 2M" and found.settings["Seed"] == "77" and found.settings["Size"] == "320x256"
    assert found.settings["Model"] == "base.safetensors" and found.settings["Lora hashes"] == "Tin bot: 0123456789ab"
    assert found.digital_source_type == TRAINED and found.says_generated
    assert b"somewhere" not in path.read_bytes()


def test_the_png_text_is_what_a1111_writes(drawn, tmp_path):
    with Image.open(save_picture(drawn, tmp_path / "a.png", base="starter")) as image:
        lines = image.info["parameters"].split("\n")
        assert image.convert("RGB").size == (320, 256)
    assert lines[1] == "Negative prompt: grün, blurred"
    assert lines[2] == "Steps: 12, Sampler: DPM++ 2M, CFG scale: 4.5, Seed: 77, Size: 320x256, Model: starter, Version: Brandprint"


def test_a_picture_without_marks_says_nothing_of_its_source(drawn, tmp_path):
    found = read_provenance(save_picture(drawn, tmp_path / "a.png", mark=False))
    assert found.digital_source_type == "" and not found.says_generated and found.settings["Steps"] == "12"
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image), np.asarray(drawn.image))


def test_a_foreign_picture_is_read_without_complaint(tmp_path):
    Image.new("RGB", (20, 20)).save(tmp_path / "plain.jpg")
    found = read_provenance(tmp_path / "plain.jpg")
    assert (found.prompt, found.settings, found.credentials, found.says_generated) == ("", {}, None, False)


def test_bad_files_and_bad_suffixes_are_named(drawn, tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(DatasetError, match=r"a\.png"):
        read_provenance(tmp_path / "a.png")
    with pytest.raises(ExportError, match=r"a\.gif"):
        save_picture(drawn, tmp_path / "a.gif")
    assert not (tmp_path / "a.gif").exists()


def test_a_damaged_or_huge_picture_is_named(drawn, tmp_path):
    png = bytearray(save_picture(drawn, tmp_path / "a.png").read_bytes())
    png[png.rindex(b"IDAT")] ^= 0x80  # the name of a chunk
    webp = save_picture(drawn, tmp_path / "a.webp").read_bytes().replace(b"MM\0*", b"MX\0*")  # the first letters of the EXIF
    huge = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + huge + struct.pack(">I", zlib.crc32(huge))
    for name, content in (("chunk.png", png), ("exif.webp", webp), ("huge.png", head)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DatasetError, match=name):
            read_provenance(tmp_path / name)


@pytest.mark.parametrize("letter", ["a", "&", "雪", "\U0001f916"])
def test_a_prompt_that_a_jpeg_cannot_hold_is_cut_and_the_settings_stay(drawn, tmp_path, letter):
    found = read_provenance(save_picture(Drawn(drawn.image, letter * 72_000, 1, {}, SETTINGS), tmp_path / "a.jpg"))
    assert found.settings["Steps"] == "12" and found.digital_source_type == TRAINED
    assert len(found.prompt) > 16_000 and set(found.prompt) == {letter}


def test_the_xmp_is_well_formed_whatever_the_prompt_holds():
    packet = xmp_packet("a\x0bb\ud800c\ufffe <&> \U0001f916")
    inner = packet.partition(b"?>")[2].rpartition(b"<?")[0]
    assert "abc <&> \U0001f916" in "".join(ElementTree.fromstring(inner).itertext())


@pytest.mark.parametrize("prompt", ["", "two\nlines, Steps: 4", "a: b, c", 'quotes " and \\'])
def test_any_prompt_survives_the_text(drawn, prompt):
    bare = Drawn(drawn.image, prompt, 1, {}, SETTINGS)
    assert parse_parameters(parameters_text(bare))[:2] == (prompt, "grün, blurred")


def test_the_source_type_is_found_as_attribute_and_as_element():
    element = b"<Iptc4xmpExt:DigitalSourceType> http://x/y </Iptc4xmpExt:DigitalSourceType>"
    assert source_type_of(element) == "http://x/y"
    assert source_type_of("nothing") == ""


def test_the_invisible_mark_outlives_jpeg_and_is_not_seen_in_others(drawn, tmp_path):
    pytest.importorskip("imwatermark")
    path = save_picture(drawn, tmp_path / "a.png")
    with Image.open(path) as image:
        stripped = io.BytesIO()
        image.convert("RGB").save(stripped, "JPEG", quality=75)
        change = np.abs(np.asarray(image, np.int16) - np.asarray(drawn.image, np.int16)).mean()
    (tmp_path / "b.jpg").write_bytes(stripped.getvalue())
    drawn.image.save(tmp_path / "c.png")
    assert read_provenance(tmp_path / "b.jpg").has_invisible_mark and read_provenance(tmp_path / "b.jpg").digital_source_type == ""
    assert read_provenance(tmp_path / "c.png").has_invisible_mark is False
    assert change < 5


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_signature_is_valid_until_a_byte_changes(drawn, tmp_path, suffix):
    pytest.importorskip("c2pa")
    from pipelines.credentials import make_credentials

    credentials = make_credentials(tmp_path / "keys", organisation="Test Studio")
    path = save_picture(drawn, tmp_path / f"a{suffix}", credentials=credentials)
    unsigned = save_picture(drawn, tmp_path / f"b{suffix}")
    assert path.stat().st_size - unsigned.stat().st_size < 30_000
    assert read_provenance(path).credentials == "Valid" and read_provenance(unsigned).credentials is None
    assert read_provenance(path, trust_anchors=(tmp_path / "keys" / "ca.pem").read_text()).credentials == "Trusted"
    assert read_provenance(path).prompt == drawn.prompt + " <lora:mine:0.8>"
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    assert _state(bytes(content), suffix) == "Invalid"


def _state(content: bytes, suffix: str) -> str | None:
    from pipelines.credentials import verify

    return verify(content, {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}[suffix])


def test_a_certificate_that_is_not_there_is_named(drawn, tmp_path):
    pytest.importorskip("c2pa")
    from pipelines.credentials import Credentials

    with pytest.raises(ExportError, match="could not be signed"):
        save_picture(drawn, tmp_path / "a.png", credentials=Credentials(tmp_path / "none.pem", tmp_path / "none.key"))
    assert not (tmp_path / "a.png").exists()
