"""Captions by the hundred in the browser: proposals before changes, words of every script, what a fix would change."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Watched, open_step
from tests.e2e.served import Studio

FOREIGN = ("赤いボトル、雪の上 ❄️", "从上方看，放在木桌上", "زجاجة على طاولة 🙂")


def test_proposals_are_seen_edited_and_unticked_before_one_undoable_change(page: Page, studio: Studio, watched: Watched):
    open_step(page, studio, "sprigli", "pictures")
    box = page.locator(".card textarea")
    before = [box.nth(number).input_value() for number in range(4)]
    for number in range(4):
        page.locator(".card .pick input").nth(number).check(force=True)
    page.get_by_role("button", name="Write captions").click()
    page.get_by_label("Where from").select_option("template")
    page.get_by_role("textbox", name="Template").fill("{caption}, on a shelf")
    page.get_by_label("Which captions").select_option("replace")
    rows = page.locator("#write .proposal")
    expect(rows).to_have_count(4)
    expect(rows.nth(3).locator("textarea")).to_have_value(f"{before[3]}, on a shelf")
    for number, text in enumerate(FOREIGN):
        rows.nth(number).locator("textarea").fill(text)
    rows.nth(3).locator("input").uncheck()
    page.get_by_role("button", name="Use 3 captions").click()
    for number, text in enumerate((*FOREIGN, before[3])):
        expect(box.nth(number)).to_have_value(text)
    page.reload()
    page.wait_for_selector(".card textarea")
    for number, text in enumerate((*FOREIGN, before[3])):
        expect(box.nth(number)).to_have_value(text)
    page.get_by_role("button", name="Undo last: written captions").click()
    for number, text in enumerate(before):
        expect(box.nth(number)).to_have_value(text)
    assert watched.errors == []


def test_a_model_is_downloaded_only_after_a_tick(page: Page, studio: Studio, watched: Watched):
    open_step(page, studio, "twemoji-graphics", "pictures")
    page.get_by_role("button", name="Write captions").click()
    page.get_by_label("Where from").select_option("florence-2")
    expect(page.locator("#write").get_by_text("licence MIT")).to_be_visible()
    start = page.locator("#write").get_by_role("button", name="Write", exact=True)
    expect(start).to_be_disabled()
    page.get_by_label("Yes, download and write").check()
    expect(start).to_be_enabled()
    assert watched.errors == [] and watched.foreign == []


def test_words_lead_to_their_pictures_and_what_varies_is_asked_for(page: Page, studio: Studio, watched: Watched):
    open_step(page, studio, "twemoji-graphics", "pictures")
    page.get_by_text("Words in the captions").click()
    first = page.locator(".wordbar").nth(1)
    first.wait_for()
    count = int(first.locator(".num").inner_text())
    first.click()
    expect(page.locator(".card")).to_have_count(count)
    page.get_by_role("button", name="view", exact=True).click()
    page.locator(".words-drawer").get_by_text("about view").first.wait_for()
    assert watched.errors == []


def test_every_change_has_its_own_undo(page: Page, studio: Studio, watched: Watched):
    open_step(page, studio, "sprigli", "pictures")
    for number in (5, 6):
        page.locator(".card .pick input").nth(number).check(force=True)
    page.get_by_role("button", name="Keep for checking").click()
    page.locator(".doctor").get_by_role("button", name="All").click()
    rows = page.locator("#changes .proposal")
    expect(rows.first).to_contain_text("kept for checking")
    before = rows.count()
    rows.first.get_by_role("button").click()
    expect(rows).to_have_count(before - 1)
    page.keyboard.press("Escape")
    page.locator("select[data-onchange=filter]").select_option("-held")
    expect(page.locator(".card")).to_have_count(1)
    page.locator(".card .pick input").check(force=True)
    page.get_by_role("button", name="Teach again").click()
    expect(page.locator(".card .tag", has_text="kept for checking")).to_have_count(0)
    assert watched.errors == []
