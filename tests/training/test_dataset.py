"""Folders and zips of every layout; no file goes missing without a word."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import DatasetError
from training.archive import Limits, unpack, unpack_into
from training.dataset import load_dataset, with_edits
from training.edits import Caption, HoldOut, KeepOneOf, LeaveOut, Weight


def put(path: Path, *, colour=(10, 90, 160), size=(48, 32), caption: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    if caption is not None:
        path.with_suffix(".txt").write_text(caption, "utf-8")
    return path


def reasons(refused) -> dict[str, str]:
    return {entry.name: entry.reason for entry in refused}


def test_a_folder_with_sidecars_in_natural_order(tmp_path):
    for number in (10, 2, 1):
        put(tmp_path / f"{number}.png", caption=f"picture {number}\n")
    (tmp_path / "2.txt").unlink()
    (tmp_path / "2.caption").write_text("two", "utf-8")
    found = load_dataset(tmp_path)
    assert [(item.key, item.caption) for item in found.items] == [("1.png", "picture 1"), ("2.png", "two"), ("10.png", "picture 10")]
    assert found.rejected == found.ignored == ()
    assert found.items[0].content != found.items[0].key and len({item.content for item in found.items}) == 1


def test_nested_folders_may_repeat_names(tmp_path):
    put(tmp_path / "front" / "a.png", caption="front")
    put(tmp_path / "back" / "a.png", caption="back")
    assert {item.key: item.caption for item in load_dataset(tmp_path).items} == {"back/a.png": "back", "front/a.png": "front"}


@pytest.mark.parametrize("field", ["text", "caption", "prompt"])
def test_metadata_jsonl(tmp_path, field):
    put(tmp_path / "train" / "a.png")
    put(tmp_path / "train" / "deep" / "b.png")
    rows = [{"file_name": "a.png", field: "ein Glas, 日本語 🙂"}, {"file_name": "deep/b.png", field: "b"}]
    rows += [{"file_name": "../../etc/x.png", field: "x"}, {"file_name": "gone.png", field: "x"}]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (tmp_path / "train" / "metadata.jsonl").write_text("\n".join([*lines, "{torn"]), "utf-8")
    found = load_dataset(tmp_path)
    assert {item.key: item.caption for item in found.items} == {"train/a.png": "ein Glas, 日本語 🙂", "train/deep/b.png": "b"}
    refused = reasons(found.rejected)
    assert "leads outside" in refused["train/metadata.jsonl, line 3"]
    assert "not there" in refused["train/gone.png"]
    assert "no row" in refused["train/metadata.jsonl, line 5"]


def test_metadata_csv_and_a_sidecar_that_overrules_it(tmp_path):
    put(tmp_path / "a.png", caption="from the sidecar")
    put(tmp_path / "b.png")
    (tmp_path / "metadata.csv").write_text('file_name,text\na.png,"from, the table"\nb.png,"from, the table"\n')
    assert [item.caption for item in load_dataset(tmp_path).items] == ["from the sidecar", "from, the table"]


def test_a_csv_field_without_end_costs_only_its_row(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "b.png")
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png,fine\nb.png," + "x" * 200_000 + "\n")
    found = load_dataset(tmp_path)
    assert {item.key: item.caption for item in found.items} == {"a.png": "fine", "b.png": ""}
    assert [name.startswith("metadata.csv, line") for name in reasons(found.rejected)] == [True]


def test_half_an_emoji_in_a_table_or_an_edit_does_no_harm(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "b.png")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "nice \\ud83d"}\n{"file_name": "c\\ud83d.png", "text": "x"}')
    (tmp_path / "edits.json").write_text('{"edits": [{"id": 1, "kind": "caption", "key": "b.png", "text": "cut \\ud83d"}]}')
    found = load_dataset(tmp_path)
    assert [item.caption for item in found.items] == ["nice \ufffd", "cut \ufffd"]
    assert all(entry.name.encode("utf-8") for entry in found.rejected)


def test_kohya_folders_give_repeats_and_hints_and_class_pictures_stay_out(tmp_path):
    put(tmp_path / "img" / "10_fjordbottle bottle" / "a.png")
    put(tmp_path / "img" / "2_fjordbottle bottle" / "b.png")
    put(tmp_path / "reg" / "1_bottle" / "c.png")
    found = load_dataset(tmp_path)
    assert {item.key: item.repeats for item in found.items} == {"img/10_fjordbottle bottle/a.png": 10, "img/2_fjordbottle bottle/b.png": 2}
    assert (found.hints.trigger, found.hints.noun) == ("fjordbottle", "bottle")
    assert "class picture" in reasons(found.ignored)["reg/1_bottle/c.png"]


def test_ordinary_numbers_in_folder_names_are_no_repeats(tmp_path):
    put(tmp_path / "2024_summer" / "a.png")
    put(tmp_path / "01_front" / "b.png")
    assert {item.repeats for item in load_dataset(tmp_path).items} == {1}


def test_project_json_gives_hints(tmp_path):
    put(tmp_path / "a.png")
    (tmp_path / "project.json").write_text('{"name": "Fjord bottle", "intent": "product", "trigger": "fjordbottle", "noun": "bottle"}')
    found = load_dataset(tmp_path)
    assert (found.hints.trigger, found.hints.noun, found.hints.intent, found.hints.name) == (
        "fjordbottle",
        "bottle",
        "product",
        "Fjord bottle",
    )
    assert found.ignored == ()


def test_masks_find_their_pictures(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "a.mask.png", "b-masklabel.png", "mask/c.png", "lonely.mask.png"):
        put(tmp_path / name)
    found = load_dataset(tmp_path)
    assert {item.key: item.mask and item.mask.name for item in found.items} == {
        "a.jpg": "a.mask.png",
        "b.jpg": "b-masklabel.png",
        "c.jpg": "c.png",
        "d.jpg": None,
    }
    assert "mask without a picture" in reasons(found.ignored)["lonely.mask.png"]


def test_the_folder_of_the_issue_every_file_used_or_named(tmp_path):
    """Truncated, empty, huge, text, CMYK, 16 bit, rotated, transparent, animated, emoji: nothing crashes, nothing vanishes."""
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(file.getvalue()[: len(file.getvalue()) // 2])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "words.jpg").write_text("no picture at all")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    Image.new("CMYK", (64, 64), (9, 200, 90, 0)).save(tmp_path / "cmyk.jpg")
    Image.fromarray(np.zeros((64, 64), np.uint16)).save(tmp_path / "sixteen.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise).save(tmp_path / "phone.jpg", exif=exif)
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("P", (64, 64)).save(tmp_path / "moves.gif", save_all=True, append_images=[Image.new("P", (64, 64), 5)])
    put(tmp_path / "🦊 großer Fuchs 狐.png")
    (tmp_path / "logo.svg").write_text("<svg/>")
    (tmp_path / "more.zip").write_bytes(b"PK")
    (tmp_path / "notes.docx").write_bytes(b"x")
    (tmp_path / "alone.txt").write_text("a caption of nothing")
    for name in (".DS_Store", "Thumbs.db", "._a.jpg", "__MACOSX/x.jpg", ".hidden/x.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = load_dataset(tmp_path)
    used = {item.key: (item.width_px, item.height_px) for item in found.items}
    assert set(used) == {"cmyk.jpg", "sixteen.png", "phone.jpg", "clear.png", "moves.gif", "🦊 großer Fuchs 狐.png"}
    assert used["phone.jpg"] == (200, 300)
    refused = reasons(found.rejected)
    assert "cut off" in refused["cut.jpg"] and "0 bytes" in refused["empty.jpg"] and "text" in refused["words.jpg"]
    assert "400 megapixels" in refused["huge.png"] and len(refused) == 4
    ignored = reasons(found.ignored)
    assert set(ignored) == {"logo.svg", "more.zip", "notes.docx", "alone.txt"}
    assert "drawing" in ignored["logo.svg"] and "archive" in ignored["more.zip"] and "caption without" in ignored["alone.txt"]


def test_runs_among_the_pictures_are_not_learnt_from(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "job" / "b.png").with_name("job.json").write_text("{}")
    put(tmp_path / "runs" / "tinbot" / "previews" / "000200" / "0.png")
    for name in ("job.json", "events.jsonl"):
        (tmp_path / "runs" / "tinbot" / name).write_text("{}")
    found = load_dataset(tmp_path)
    assert [item.key for item in found.items] == ["a.png", "job/b.png"]
    assert "Brandprint made" in reasons(found.ignored)["runs/tinbot"]


def test_a_project_of_the_studio_gives_its_pictures_not_its_exports(tmp_path):
    put(tmp_path / "pictures" / "a.png")
    put(tmp_path / "exports" / "tinbot" / "preview.png")
    put(tmp_path / ".bin" / "pictures" / "old.png")
    (tmp_path / "project.json").write_text("{}")
    assert [item.key for item in load_dataset(tmp_path).items] == ["pictures/a.png"]


def test_links_are_followed_only_inside_the_folder(tmp_path):
    put(tmp_path / "outside.png")
    put(tmp_path / "set" / "a.png")
    (tmp_path / "set" / "inside.png").symlink_to(tmp_path / "set" / "a.png")
    (tmp_path / "set" / "secret.png").symlink_to(tmp_path / "outside.png")
    (tmp_path / "set" / "dead.png").symlink_to(tmp_path / "nothing.png")
    (tmp_path / "set" / "loop").symlink_to(tmp_path / "set")
    found = load_dataset(tmp_path / "set")
    assert [item.key for item in found.items] == ["a.png", "inside.png"]
    assert {"secret.png", "dead.png", "loop"} == set(reasons(found.rejected))


def test_a_name_that_cannot_be_spelled_is_named_all_the_same(tmp_path):
    put(tmp_path / "a.png")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.png")).write_bytes(b"x")
    except OSError:
        pytest.xfail("this file system takes no such names")
    assert [entry.name for entry in load_dataset(tmp_path).rejected] == ["bad\\udcff.png"]


def test_one_picture_is_a_dataset_too(tmp_path):
    put(tmp_path / "b.png")
    found = load_dataset(put(tmp_path / "a.png", caption="just me"))
    assert [(item.key, item.caption) for item in found.items] == [("a.png", "just me")]


@pytest.mark.parametrize("content", [None, "empty folder", "only text"])
def test_nothing_usable_is_an_error_with_a_reason(tmp_path, content):
    source = tmp_path / "set"
    if content:
        source.mkdir()
    if content == "only text":
        (source / "a.jpg").write_text("hello")
    with pytest.raises(DatasetError) as caught:
        load_dataset(source)
    assert caught.value.fix


def archive(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return path


def png(colour=(1, 2, 3)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (48, 32), colour).save(file, "PNG")
    return file.getvalue()


def test_a_zip_keeps_its_folders_and_is_unpacked_once(tmp_path):
    source = archive(tmp_path / "set.zip", {"10_tinbot robot/a.png": png(), "10_tinbot robot/a.txt": b"waving", "__MACOSX/._a.png": b"x"})
    found = load_dataset(source, workspace=tmp_path / "work")
    assert [(item.key, item.caption, item.repeats) for item in found.items] == [("10_tinbot robot/a.png", "waving", 10)]
    assert found.rejected == found.ignored == ()
    before = found.items[0].path.stat().st_mtime_ns
    assert load_dataset(source, workspace=tmp_path / "work").items[0].path.stat().st_mtime_ns == before


def test_a_zip_cannot_write_outside_its_folder(tmp_path):
    names = {"../evil.png": png(), "/abs.png": png(), "C:\\win.png": png(), "a\\..\\..\\b.png": png(), "ok.png": png(), "evil.png": png()}
    found = load_dataset(archive(tmp_path / "set.zip", names), workspace=tmp_path / "work")
    assert sorted(item.key for item in found.items) == ["abs.png", "b.png", "evil (2).png", "evil.png", "ok.png", "win.png"]
    outside = [path for path in tmp_path.rglob("*.png") if not path.is_relative_to(found.root)]
    assert outside == []


def test_links_passwords_and_archives_in_a_zip_are_refused_by_name(tmp_path):
    inner = archive(tmp_path / "inner.zip", {"b.png": png()}).read_bytes()
    source = archive(tmp_path / "set.zip", {"a.png": png(), "inner.zip": inner})
    with zipfile.ZipFile(source, "a") as file:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/passwd")
    refused = reasons(load_dataset(source, workspace=tmp_path / "work").rejected)
    assert set(refused) == {"link.png", "inner.zip"}


def test_a_zip_bomb_is_refused(tmp_path):
    source = archive(tmp_path / "set.zip", {"a.png": png(), "bomb.png": bytes(20 << 20)})
    _, refused = unpack(source, workspace=tmp_path / "work")
    assert "times its packed size" in reasons(refused)["bomb.png"]
    with pytest.raises(DatasetError, match=r"more than 1\."):
        unpack(source, workspace=tmp_path / "other", limits=Limits(entries=1))
    with pytest.raises(DatasetError, match="unpacks to"):
        unpack(source, workspace=tmp_path / "other", limits=Limits(total_bytes=1000))
    assert list((tmp_path / "other" / "unpacked").iterdir()) == []


def test_a_zip_whose_entry_is_damaged_says_which(tmp_path):
    content = archive(tmp_path / "set.zip", {"a.png": png(), "b.png": os.urandom(5000)}).read_bytes()
    at = content.index(b"b.png") + 600
    (tmp_path / "set.zip").write_bytes(content[:at] + b"\0\0\0\0" + content[at + 4 :])
    refused = reasons(load_dataset(tmp_path / "set.zip", workspace=tmp_path / "work").rejected)
    assert "damaged" in refused["b.png"]
    assert zlib.crc32(b"") == 0


def damaged_zip(path: Path, method: int) -> Path:
    """A zip whose entry b.png is packed by this method, with bytes in its middle overwritten."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.png", png())
        file.writestr("b.png", os.urandom(5000), compress_type=method)
    content = path.read_bytes()
    at = content.index(b"b.png") + 5
    path.write_bytes(content[:at] + bytes(400) + content[at + 400 :])
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_entry_of_any_method_is_refused_alone(tmp_path, method):
    folder, refused = unpack(damaged_zip(tmp_path / "set.zip", method), workspace=tmp_path / "work")
    assert "is damaged" in reasons(refused)["b.png"]
    assert sorted(path.name for path in folder.glob("*.png")) == ["a.png"]


def test_a_file_in_the_place_of_a_folder_refuses_what_stands_below_it(tmp_path):
    source = archive(tmp_path / "set.zip", {"a": b"x", "a/b.png": png(), "a/c/d.png": png(), "e.png": png()})
    folder, refused = unpack(source, workspace=tmp_path / "work")
    assert set(reasons(refused)) == {"a/b.png", "a/c/d.png"}
    assert "name of a file" in reasons(refused)["a/b.png"] and (folder / "e.png").exists()


def test_a_path_that_is_too_long_is_refused_alone(tmp_path):
    long = "/".join(["folder" * 20] * 60) + "/b.png"
    _, refused = unpack(archive(tmp_path / "set.zip", {"a.png": png(), long: png()}), workspace=tmp_path / "work")
    assert "too long" in reasons(refused)[long]


def test_a_zip_of_a_later_kind_is_an_error_in_words(tmp_path):
    content = bytearray(archive(tmp_path / "set.zip", {"a.png": png()}).read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 99  # version needed to extract: 9.9
    (tmp_path / "set.zip").write_bytes(content)
    with pytest.raises(DatasetError, match=r"damaged zip .*9\.9"):
        unpack(tmp_path / "set.zip", workspace=tmp_path / "work")


def test_only_a_full_disk_is_called_full(tmp_path, monkeypatch):
    source = archive(tmp_path / "set.zip", {"a.png": png()})

    def refuse(*_: object, **__: object) -> None:
        raise OSError(refuse.code, os.strerror(refuse.code))

    monkeypatch.setattr(Path, "open", refuse)
    refuse.code = errno.EACCES
    assert "denied" in unpack_into(tmp_path, source)[0].reason
    refuse.code = errno.ENOSPC
    with pytest.raises(DatasetError, match="No space left") as caught:
        unpack_into(tmp_path, source)
    assert "Make room" in caught.value.fix


def test_other_archives_say_what_to_do(tmp_path):
    (tmp_path / "set.rar").write_bytes(b"Rar!")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 nothing more")
    for name in ("set.rar", "broken.zip"):
        with pytest.raises(DatasetError, match="Unpack it"):
            load_dataset(tmp_path / name)


def test_edits_change_the_dataset_and_come_off_again(tmp_path):
    for number in range(5):
        put(tmp_path / f"{number}.png", caption=f"picture {number}")
    plain = load_dataset(tmp_path)
    edits = (LeaveOut("0.png", "blurred"), KeepOneOf("1.png", ("2.png",)), HoldOut("3.png"), Weight("4.png", 3), Caption("4.png", "new"))
    edited = with_edits(plain, edits)
    assert [item.key for item in edited.items] == ["1.png", "3.png", "4.png"]
    assert [item.key for item in edited.left_out] == ["0.png", "2.png"]
    assert edited.by_key["3.png"].held_out and edited.by_key["4.png"].repeats == 3 and edited.by_key["4.png"].caption == "new"
    assert with_edits(edited, ()).items == plain.items


def test_three_hundred_headers_are_read_quickly(tmp_path):
    import time

    noise = np.random.default_rng(0).integers(0, 255, (900, 1200, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "000.jpg", quality=85)
    for number in range(1, 300):
        os.link(tmp_path / "000.jpg", tmp_path / f"{number:03}.jpg")
    start = time.process_time()
    assert len(load_dataset(tmp_path)) == 300
    assert time.process_time() - start < 5
