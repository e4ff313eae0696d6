"""A training that cannot be lost: pause and resume, a killed server, a killed worker, two tabs."""

from __future__ import annotations

import os
import signal

from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.conftest import Watched, open_step, watch
from tests.e2e.served import PATIENCE_SECONDS, Studio, wait_until

LONG = PATIENCE_SECONDS * 1000


def steps_done(studio: Studio) -> int:
    runs = studio.runs("sprigli")
    events = runs[-1]["path"] / "events.jsonl" if runs else None
    return events.read_text("utf-8").count('"kind": "step"') if events and events.exists() else 0


def test_pause_resume_restart_kill_and_two_tabs(page: Page, context: BrowserContext, studio: Studio, watched: Watched):
    open_step(page, studio, "sprigli", "teach")
    page.get_by_role("button", name="Start teaching").click()
    wait_until(lambda: steps_done(studio) > 2, "it trains")

    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#bp-teach .run-head .big")).to_have_text("Stopped", timeout=LONG)
    before = steps_done(studio)
    page.get_by_role("button", name="Resume").click()
    wait_until(lambda: steps_done(studio) > before, "it goes on")

    other = watch(context.new_page(), studio, watched)
    open_step(other, studio, "sprigli", "teach")
    expect(other.get_by_role("button", name="Pause")).to_be_visible()

    worker = studio.worker()
    studio.stop()
    before = steps_done(studio)
    wait_until(lambda: steps_done(studio) > before + 2, "the training outlives the server")
    studio.start()
    assert studio.worker() == worker
    page.goto(f"{studio.url}")
    expect(page.get_by_role("heading", name="Teaching Sprigli")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()

    os.kill(worker, signal.SIGKILL)
    os.kill(int((studio.runs("sprigli")[-1]["path"] / "heartbeat").read_text()), signal.SIGKILL)
    expect(page.get_by_text("Interrupted", exact=True)).to_be_visible(timeout=LONG)
    before = steps_done(studio)
    page.get_by_role("button", name="Resume").click()
    wait_until(lambda: steps_done(studio) > before, "a new worker takes it up")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#bp-teach .run-head .big")).to_have_text("Stopped", timeout=LONG)


def test_a_waiting_drawing_says_what_it_waits_for(page: Page, studio: Studio):
    open_step(page, studio, "sprigli", "compare")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.locator("#bp-compare .slider img.over, #bp-compare .stage").first.wait_for()
