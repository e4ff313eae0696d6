"""Statements about rights are kept with the project; private metadata does not leave."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pipelines.errors import DatasetError
from training.dataset import load_dataset
from training.images import open_item
from training.report import _figure
from training.rights import Batch, keep_rights, read_rights, state_rights, stated_line, withdraw_rights

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>Erika Mustermann</rdf:RDF></x:xmpmeta>'


def test_a_statement_is_kept_with_its_proof(tmp_path):
    proof = tmp_path / "release form.pdf"
    proof.write_bytes(b"%PDF signed")
    rights = state_rights(tmp_path / "project", Batch(owner="Nord GmbH", ground="release", note="all media, 2026"), files=[proof])
    kept = read_rights(tmp_path / "project")
    assert kept == rights
    assert (tmp_path / "project" / kept.batches[0].proofs[0].path).read_bytes() == b"%PDF signed"
    assert kept.line() == "Nord GmbH (release: all media, 2026)" and kept.batches[0].stated_at
    assert withdraw_rights(tmp_path / "project", 0).batches == ()


def test_pictures_without_a_statement_are_named(tmp_path):
    for name in ("studio/a.png", "agency/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 64)).save(tmp_path / name)
    rights = state_rights(tmp_path / "project", Batch(owner="us", ground="own work", pictures=("studio/*",)))
    assert rights.uncovered(load_dataset(tmp_path)) == ("agency/b.png",)


def test_statements_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="owner"):
        state_rights(tmp_path, Batch(owner=" ", ground="licence"))
    with pytest.raises(DatasetError, match="no file"):
        state_rights(tmp_path, Batch(owner="us", ground="licence"), files=[tmp_path / "none.pdf"])
    with pytest.raises(DatasetError, match="no statement number 4"):
        withdraw_rights(tmp_path, 3)
    (tmp_path / "rights.json").write_text('{"batches": [{"owner": 3}]}')
    with pytest.raises(DatasetError):
        read_rights(tmp_path)


def telling_exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x013B] = "Erika Mustermann"
    exif.get_ifd(0x8769)[0xA431] = "SERIAL-4711"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 0.0)
    return exif


def telling_picture(path, orientation: int) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8))
    options: dict = {"exif": telling_exif(orientation), "icc_profile": _profile(), "quality": 90}
    if path.suffix == ".png":
        notes = PngImagePlugin.PngInfo()
        notes.add_text("Author", "Erika Mustermann")
        notes.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options |= {"pnginfo": notes}
    else:
        options |= {"xmp": XMP, "comment": b"by Erika Mustermann"} if path.suffix == ".jpg" else {"xmp": XMP}
    picture.save(path, **options)


def _profile() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_what_a_report_shows_of_a_picture_carries_no_metadata(tmp_path, suffix):
    telling_picture(tmp_path / f"in{suffix}", 6)
    assert b"Mustermann" in (tmp_path / f"in{suffix}").read_bytes()
    figure = _figure(open_item(load_dataset(tmp_path).items[0]), "", alt="")
    content = base64.b64decode(figure.partition("base64,")[2].partition('"')[0])
    assert Image.open(io.BytesIO(content)).size == (40, 60)
    for secret in (b"Mustermann", b"4711", b"xmpmeta"):
        assert secret not in content


def test_a_proof_that_lies_with_the_pictures_is_no_picture_of_the_set(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    (tmp_path / "rights").mkdir()
    Image.new("RGB", (64, 64), (9, 9, 9)).save(tmp_path / "rights" / "statue of rights.png")
    Image.new("RGB", (64, 64), (255, 255, 255)).save(tmp_path.parent / "scan.png")
    state_rights(tmp_path, Batch(owner="us", ground="release"), files=[tmp_path.parent / "scan.png"])
    dataset = load_dataset(tmp_path)
    assert [item.key for item in dataset.items] == ["a.png", "rights/statue of rights.png"]
    assert dataset.ignored == dataset.rejected == ()


def test_the_card_is_told_what_is_stated_beside_the_pictures_or_one_folder_up(tmp_path):
    pictures = tmp_path / "project" / "pictures"
    pictures.mkdir(parents=True)
    assert stated_line(pictures) == ""
    state_rights(tmp_path / "project", Batch(owner="Nord GmbH", ground="licence"))
    assert stated_line(pictures) == "Nord GmbH (licence)"
    state_rights(pictures, Batch(owner="us", ground="own work"))
    assert stated_line(pictures) == "us (own work)"


def test_a_copy_of_a_project_keeps_statements_and_proofs(tmp_path):
    proof = tmp_path / "release.pdf"
    proof.write_bytes(b"signed")
    state_rights(tmp_path / "a", Batch(owner="us", ground="release"), files=[proof])
    (tmp_path / "b").mkdir()
    keep_rights(tmp_path / "a", tmp_path / "b")
    (batch,) = read_rights(tmp_path / "b").batches
    assert (tmp_path / "b" / batch.proofs[0].path).read_bytes() == b"signed"
