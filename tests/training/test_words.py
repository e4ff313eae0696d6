"""Languages, offline captions and templates."""

from __future__ import annotations

import pytest
from PIL import Image

from pipelines.errors import DatasetError
from training.aspects import silent
from training.captioners import (
    ByFunction,
    Offline,
    colour_name,
    embedded_description,
    from_file_name,
    from_folder_name,
    from_template,
    offline_captioner,
)
from training.dataset import Item
from training.hub_captioners import HUB_MODELS, HubCaptioner
from training.languages import language
from training.looks import measure
from training.proposals import combined, proposals
from training.tagger import prepared


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("standing on a table, seen from above, warm light from the left", "en"),
        ("a red apple", "en"),
        ("eine Flasche auf einem Tisch, von oben gesehen", "de"),
        ("vue de dessus, sur une table en bois", "fr"),
        ("visto desde arriba, sobre una mesa de madera", "es"),
        ("木のテーブルの上、上から見た", "ja"),
        ("从上方看,放在木桌上", "zh"),
        ("زجاجة على طاولة خشبية", "ar"),
        ("вид сверху, на деревянном столе", "ru"),
        ("fjordbottle", ""),
        ("🙂🙂", ""),
        ("", ""),
        ("an apple in a café, à la carte", "en"),
    ],
)
def test_languages(text, code):
    assert language(text) == code


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("red_bottle-on-snow_03.jpg", "red bottle on snow"),
        ("IMG_2041.JPG", ""),
        ("DSC00012.jpg", ""),
        ("deep/RedBottleOnSnow.png", "Red Bottle On Snow"),
        ("雪の上のボトル.png", "雪の上のボトル"),
        ("8f3a9c2e.png", ""),
    ],
)
def test_file_names_as_words(key, words):
    assert from_file_name(key) == words


def test_folder_names_lose_kohyas_repeats():
    assert from_folder_name("img/10_snowy mountain/a.png") == "snowy mountain"


def item(path, **values) -> Item:
    return Item(**{"key": path.name, "path": path, "caption": "", "width_px": 64, "height_px": 64, "content": "0", **values})


def test_embedded_descriptions_are_read(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "a bottle beside a river"
    Image.new("RGB", (64, 64)).save(tmp_path / "exif.jpg", exif=exif)
    xmp = "<x:xmpmeta><dc:description><rdf:Alt><rdf:li xml:lang='x-default'>snow &amp; ice, 雪</rdf:li></rdf:Alt></dc:description></x:xmpmeta>"
    Image.new("RGB", (64, 64)).save(tmp_path / "xmp.webp", xmp=xmp.encode())
    exif[0x010E] = "OLYMPUS DIGITAL CAMERA"
    Image.new("RGB", (64, 64)).save(tmp_path / "camera.jpg", exif=exif)
    found = [embedded_description(item(tmp_path / name)) for name in ("exif.jpg", "xmp.webp", "camera.jpg")]
    assert found == ["a bottle beside a river", "snow & ice, 雪", ""]


def test_offline_captions_say_name_and_background(tmp_path):
    picture = Image.new("RGB", (256, 256), (250, 250, 250))
    picture.paste((200, 30, 30), (90, 90, 170, 170))
    picture.save(tmp_path / "waving_hello.png")
    look = measure(picture, id="x", size_hw=(256, 256))
    described = item(tmp_path / "waving_hello.png")
    assert list(Offline({"waving_hello.png": look}).caption([described])) == ["waving hello, on a white background"]
    assert list(ByFunction("names", lambda one: from_file_name(one.key)).caption([described])) == ["waving hello"]


def test_only_what_is_sure_is_seen(tmp_path):
    picture = Image.new("RGB", (256, 256), (250, 250, 250))
    picture.paste((200, 30, 30), (100, 100, 150, 150))
    look = measure(picture, id="x", size_hw=(256, 256))
    seen = offline_captioner("seen", looks={"a.png": look})
    assert list(seen.caption([item(tmp_path / "a.png"), item(tmp_path / "unseen.png")])) == ["on a white background", ""]


def test_an_unknown_source_is_named_with_those_that_exist():
    with pytest.raises(DatasetError, match="oracle") as caught:
        offline_captioner("oracle")
    assert "names" in caught.value.fix


@pytest.mark.parametrize(("mode", "made"), [("empty", ["new", "雪"]), ("replace", ["new", "new"]), ("behind", ["new", "雪, new"])])
def test_proposals_change_nothing_that_was_not_asked_for(tmp_path, mode, made):
    items = [item(tmp_path / "a.png"), item(tmp_path / "b.png", caption="雪")]
    assert [combined(one.caption, "new", mode) for one in items] == made
    assert [one.new for one in proposals(items, ["new", "new"], mode=mode)] == [text for text in made if "new" in text]
    assert proposals(items, ["", " "], mode=mode) == ()


def test_captions_that_say_nothing_of_an_aspect():
    assert silent(["seen from above", "on snow", "", "雪の上", "a close-up"], "view") == (1, 2)
    assert silent(["warm light", "at night", "on snow"], "light") == (2,)


def test_colours_have_everyday_names():
    assert [colour_name(lab) for lab in ((100, 0, 0), (5, 1, 0), (53, 80, 67), (32, 79, -108), (88, -22, 7))] == [
        "white",
        "black",
        "red",
        "blue",
        "mint",
    ]


def test_templates_fill_and_refuse(tmp_path):
    fill = from_template("{folder}, {name}, {caption}")
    assert fill(item(tmp_path / "x.png", key="winter/on_ice.png", caption="雪")) == "winter, on ice, 雪"
    assert fill(item(tmp_path / "x.png", key="IMG_1.png", caption="")) == ""
    with pytest.raises(DatasetError, match="mood"):
        from_template("{mood}")


@pytest.mark.parametrize("name", HUB_MODELS)
def test_a_hub_that_cannot_be_reached_is_said_plainly(tmp_path, monkeypatch, name):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    captioner = HubCaptioner(name)
    assert captioner.needs_hub and list(captioner.caption([])) == []
    with pytest.raises(DatasetError, match="cannot be loaded") as caught:
        next(captioner.caption([item(tmp_path / "a.png")]))
    assert "internet" in caught.value.fix or "pip install" in caught.value.fix


def test_taggers_get_bgr_on_a_white_square():
    pixels = prepared(Image.new("RGB", (40, 20), (255, 0, 10)), 40)
    assert pixels.shape == (1, 40, 40, 3)
    assert pixels[0, 20, 20].tolist() == [10, 0, 255] and pixels[0, 2, 20].tolist() == [255, 255, 255]
