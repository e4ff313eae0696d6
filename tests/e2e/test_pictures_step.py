"""Pictures in the browser: hundreds at once, captions that lose no letter, bulk edits, and text that stays text."""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Watched, fill_project, open_step
from tests.e2e.served import PATIENCE_SECONDS, Studio, wait_until

HOSTILE = "`${document.title='taken'}` <img src=x onerror=\"document.title='taken'\"> {{this}} \\u0041"


@pytest.fixture(scope="session")
def three_hundred(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """300 different files: 30 grainy pictures, each with ten remarks in its header."""
    folder = tmp_path_factory.mktemp("photos")
    chance = np.random.default_rng(0)
    paths = []
    for number in range(300):
        if number % 10 == 0:
            grain = chance.integers(0, 256, (384, 384, 3), dtype=np.uint8)
            file = BytesIO()
            Image.blend(Image.new("RGB", (384, 384), tuple(map(int, grain[0, 0]))), Image.fromarray(grain), 0.35).save(
                file, "JPEG", quality=82
            )
        remark = f"{number:03d}".encode()
        path = folder / f"photo_{number:03d}.jpg"
        path.write_bytes(b"\xff\xd8\xff\xfe" + (2 + len(remark)).to_bytes(2, "big") + remark + file.getvalue()[2:])
        paths.append(path)
    return paths


@pytest.fixture(scope="module")
def words(studio: Studio) -> str:
    """A project whose captions these tests change."""
    return fill_project(studio, "Words")


def kept(studio: Studio, project: str) -> str:
    """The edits in force, as they stand on the disk."""
    path = studio.workspace / project / "pictures" / "edits.json"
    return path.read_text("utf-8") if path.exists() else ""


def new_project(page: Page, studio: Studio, name: str) -> None:
    page.goto(f"{studio.url}?step=home")
    page.get_by_role("button", name="New project").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create").click()
    page.wait_for_selector("#bp-pictures .drop")


def test_a_table_of_captions_reaches_the_pictures_of_every_batch(page: Page, studio: Studio, watched: Watched, three_hundred: list[Path]):
    new_project(page, studio, "Tabled")
    rows = [json.dumps({"file_name": path.name, "text": f"photo {path.stem[-3:]}"}) + "\n" for path in three_hundred[:30]]
    table = three_hundred[0].with_name("metadata.jsonl")
    table.write_text("".join(rows), "utf-8")
    page.locator("#bp-pictures input[type=file]").first.set_input_files([*three_hundred[:30], table])
    expect(page.locator(".card")).to_have_count(30)
    expect(page.get_by_text("30 pictures added")).to_contain_text("30")
    folder = studio.workspace / "tabled" / "pictures"
    wait_until(lambda: len(list(folder.glob("*.txt"))) == 30, "every caption is on the disk")
    assert (folder / "photo_029.txt").read_text("utf-8") == "photo 029\n"
    assert watched.errors == []


def test_what_is_typed_is_saved_and_survives_a_reload_at_once(page: Page, studio: Studio, watched: Watched, words: str):
    open_step(page, studio, words, "pictures")
    box = page.locator(".card textarea").first
    box.click()
    box.press("Control+A")
    box.press_sequentially("seen from above, in warm light", delay=15)
    page.reload()
    page.wait_for_selector(".card textarea")
    expect(page.locator(".card textarea").first).to_have_value("seen from above, in warm light")
    wait_until(lambda: "seen from above, in warm light" in kept(studio, words), "the caption is on the disk")


def test_text_of_users_is_never_code(page: Page, studio: Studio, watched: Watched, words: str):
    open_step(page, studio, words, "pictures")
    box = page.locator(".card textarea").nth(1)
    box.fill(HOSTILE)
    box.blur()
    expect(page.locator(".card .state").nth(1)).to_have_attribute("data-state", "saved")
    page.reload()
    page.wait_for_selector(".card textarea")
    expect(page.locator(".card textarea").nth(1)).to_have_value(HOSTILE)
    assert "taken" not in page.title()
    assert watched.errors == []


def test_bulk_edit_of_selected_captions_and_its_undo(page: Page, studio: Studio, words: str):
    open_step(page, studio, words, "pictures")
    boxes = page.locator(".card .pick input")
    for number in (2, 3):
        boxes.nth(number).check(force=True)
    before = page.locator(".card textarea").nth(2).input_value()
    page.get_by_role("button", name="Edit captions").click()
    page.get_by_label("What to do").select_option("suffix")
    page.get_by_label("Words", exact=True).fill("soft light")
    page.get_by_role("button", name="Change 2 captions").click()
    expect(page.locator(".card textarea").nth(2)).to_have_value(f"{before}, soft light")
    page.locator("#bp-toasts").get_by_role("button", name="Undo").click()
    expect(page.locator(".card textarea").nth(2)).to_have_value(before)


def test_search_filter_and_leaving_out(page: Page, studio: Studio):
    id = fill_project(studio, "Left out", pictures=4)
    open_step(page, studio, id, "pictures")
    page.get_by_label("Search captions and names").fill("number 2")
    expect(page.locator(".card")).to_have_count(1)
    page.locator(".card .pick input").check(force=True)
    page.get_by_role("button", name="Leave out").click()
    page.get_by_label("Search captions and names").fill("")
    expect(page.locator(".card")).to_have_count(4)
    expect(page.locator(".card.out")).to_have_count(1)
    assert "02.png" in kept(studio, id)


def test_the_focal_point_is_dragged_and_the_crop_goes_with_it(page: Page, studio: Studio):
    id = fill_project(studio, "Wide", pictures=3)
    Image.effect_noise((640, 320), 60).save(studio.workspace / id / "pictures" / "00.png")
    open_step(page, studio, id, "pictures")
    page.locator(".card .shot").first.click()
    page.locator("#zoom .focus").wait_for()
    page.locator("#zoom .crop").wait_for()
    page.wait_for_function(
        "() => (img => img.complete && img.naturalWidth === 2 * img.naturalHeight)(document.querySelector('#zoom .inner img'))"
    )
    bounds = page.locator("#zoom .inner img").bounding_box()
    assert bounds is not None
    middle = bounds["y"] + bounds["height"] / 2
    page.mouse.move(bounds["x"] + bounds["width"] / 2, middle)
    page.mouse.down()
    left = page.locator("#zoom .crop").evaluate("crop => parseFloat(crop.style.left)")
    page.mouse.move(bounds["x"] + bounds["width"] * 0.9, middle, steps=8)
    expect(page.locator("#zoom .focus")).to_have_attribute("style", re.compile(r"left:\s*(89|90|91)"))
    assert page.locator("#zoom .crop").evaluate("crop => parseFloat(crop.style.left)") > left + 3  # it moves under the hand
    assert '"focus"' not in kept(studio, id)  # and is kept when the hand lets go
    page.mouse.up()
    wait_until(lambda: '"focus"' in kept(studio, id), "the point is kept")
    page.keyboard.press("Escape")
    expect(page.locator("#zoom")).not_to_be_visible()
    page.reload()
    page.locator(".card .shot").first.click()
    expect(page.locator("#zoom .focus")).to_have_attribute("style", re.compile(r"left:\s*(89|90|91)"))


def test_no_letter_is_lost_while_saves_and_refreshes_arrive(page: Page, studio: Studio, watched: Watched, words: str):
    open_step(page, studio, words, "pictures")
    page.evaluate(
        "() => { window.refresher = setInterval(async () => { await brandprint.parts.pictures.ask('look', {}, { quiet: true }); brandprint.parts.pictures.draw(); }, 60); }"
    )
    texts = ["beside a window with rain on the glass and a folded linen cloth", "on a shelf among books, seen from below"]
    for number, (text, delay_ms) in enumerate(zip(texts, (0, 25), strict=True), start=4):
        box = page.locator(".card textarea").nth(number)
        box.fill("")
        box.press_sequentially(text, delay=delay_ms)
        expect(box).to_have_value(text)
    page.evaluate("clearInterval(window.refresher)")
    wait_until(lambda: all(json.dumps(text) in kept(studio, words) for text in texts), "both captions are on the disk")
    for number, text in enumerate(texts, start=4):
        expect(page.locator(".card textarea").nth(number)).to_have_value(text)
    assert watched.errors == []


def test_three_hundred_pictures_arrive_with_percent_and_are_all_there(
    page: Page, studio: Studio, watched: Watched, three_hundred: list[Path]
):
    new_project(page, studio, "Three hundred")
    page.set_input_files("#add-files", three_hundred)
    page.locator("#bp-pictures [role=progressbar]").first.wait_for()
    expect(page.get_by_text("300 pictures added")).to_be_visible(timeout=PATIENCE_SECONDS * 1000)
    expect(page.locator(".card")).to_have_count(300)
    expect(page.locator("#bp-frame").get_by_text("300", exact=False).first).to_be_visible()
    page.wait_for_function("brandprint.parts.pictures.view.is_fresh", timeout=PATIENCE_SECONDS * 1000, polling=500)
    expect(page.locator(".doctor .ring .arc")).to_be_visible()
    assert page.locator(".card .badges .tag").count() > 200  # ten of each kind look alike
    assert watched.errors == []
