"""Statements about rights are kept with the project; private metadata does not leave."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pipelines.errors import DatasetError
from training.dataset import load_dataset
from training.decode import open_image
from training.private import private_facts, without_private
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


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_private_metadata_is_gone_and_no_pixel_changes(tmp_path, suffix, orientation):
    source = tmp_path / f"in{suffix}"
    telling_picture(source, orientation)
    before = source.read_bytes()
    assert {"GPS position", "camera serial number", "photographer's name"} <= set(private_facts(source))
    content, ending = without_private(source)
    (tmp_path / f"out{ending}").write_bytes(content)
    assert ending == suffix and source.read_bytes() == before
    assert private_facts(tmp_path / f"out{ending}") == ()
    for secret in (b"Mustermann", b"4711", b"xmpmeta"):
        assert secret in before and secret not in content
    assert open_image(tmp_path / f"out{ending}").tobytes() == open_image(source).tobytes()
    assert open_image(source).size == ((40, 60) if orientation == 6 else (60, 40))
    assert Image.open(tmp_path / f"out{ending}").info["icc_profile"]


def test_what_a_phone_appends_behind_the_picture_is_cut(tmp_path):
    telling_picture(tmp_path / "in.jpg", 1)
    (tmp_path / "in.jpg").write_bytes((tmp_path / "in.jpg").read_bytes() + b"ftypmp42 a film with voices")
    content, _ = without_private(tmp_path / "in.jpg")
    assert b"voices" not in content


def test_other_formats_leave_as_png(tmp_path):
    Image.new("RGB", (32, 32), (9, 8, 7)).save(tmp_path / "a.tif", exif=telling_exif(1))
    content, ending = without_private(tmp_path / "a.tif")
    (tmp_path / "b.png").write_bytes(content)
    assert ending == ".png" and open_image(tmp_path / "b.png").getpixel((3, 3)) == (9, 8, 7) and b"Mustermann" not in content


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
