"""A training that cannot be lost: pause and resume, a killed server, a killed worker, two tabs; and what waits for it in the queue."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from app import jobs
from app.projects import open_workspace
from tests.e2e.conftest import LONG, Watched, fill_project, open_step, watch
from tests.e2e.served import PATIENCE_SECONDS, Studio, wait_until

JOB_MS = PATIENCE_SECONDS * 1000


def steps_done(studio: Studio, project: str) -> int:
    runs = [run for run in studio.runs(project) if run["kind"] == "train"]
    events = runs[-1]["path"] / "events.jsonl" if runs else None
    return events.read_text("utf-8").count('"kind": "step"') if events and events.exists() else 0


@pytest.fixture(autouse=True)
def quiet_afterwards(studio: Studio) -> Iterator[None]:
    """Whatever becomes of a test, its trainings do not go on beside the next one's."""
    yield
    workspace = open_workspace(studio.workspace)

    def is_free() -> bool:
        busy = [ticket for ticket in (*jobs.waiting(workspace), *jobs.claimed(workspace)) if not ticket.name.startswith("0-")]
        for ticket in busy:
            jobs.cancel(workspace, ticket.run)
        return not busy

    wait_until(is_free, "the device is free")


def start_teaching(page: Page, studio: Studio, project: str) -> None:
    open_step(page, studio, project, "teach")
    page.get_by_role("button", name="Start teaching").click()


def pause(page: Page) -> None:
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#bp-teach .run-head .big")).to_have_text("Stopped", timeout=JOB_MS)


def test_pause_resume_restart_kill_and_two_tabs(page: Page, context: BrowserContext, studio: Studio, watched: Watched):
    id = fill_project(studio, "Long way", overrides=LONG)
    start_teaching(page, studio, id)
    wait_until(lambda: steps_done(studio, id) > 2, "it trains")

    pause(page)
    before = steps_done(studio, id)
    page.get_by_role("button", name="Resume").click()
    wait_until(lambda: steps_done(studio, id) > before, "it goes on")

    other = watch(context.new_page(), studio, watched)
    open_step(other, studio, id, "teach")
    expect(other.get_by_role("button", name="Pause")).to_be_visible(timeout=JOB_MS)

    worker = studio.worker()
    studio.stop()
    before = steps_done(studio, id)
    wait_until(lambda: steps_done(studio, id) > before + 2, "the training outlives the server")
    studio.start()
    assert studio.worker() == worker
    page.goto(studio.url)
    expect(page.get_by_role("heading", name="Teaching Long way")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_be_visible(timeout=JOB_MS)

    os.kill(worker, signal.SIGKILL)
    os.kill(int((studio.runs(id)[-1]["path"] / "heartbeat").read_text()), signal.SIGKILL)
    expect(page.get_by_text("Interrupted", exact=True)).to_be_visible(timeout=JOB_MS)
    before = steps_done(studio, id)
    page.get_by_role("button", name="Resume").click()
    wait_until(lambda: steps_done(studio, id) > before, "a new worker takes it up")
    pause(page)


def test_what_waits_for_a_training_says_so_and_can_be_cancelled_and_resumed(page: Page, context: BrowserContext, studio: Studio):
    first, second = (fill_project(studio, name, overrides=LONG) for name in ("First in turn", "Second in turn"))
    start_teaching(page, studio, first)
    wait_until(lambda: steps_done(studio, first) > 0, "it trains")

    other = context.new_page()
    open_step(other, studio, "taught-bottle", "compare")
    other.get_by_role("button", name="Draw", exact=True).click()
    stage = other.locator("#bp-compare .stage")
    expect(stage).to_contain_text("Waits for the training of First in turn")
    stage.get_by_role("button", name="Cancel").click()
    expect(other.locator("#bp-compare .slider img.over")).to_be_visible()  # the one that was drawn before

    start_teaching(other, studio, second)
    headline = other.locator("#bp-teach .run-head .big")
    expect(headline).to_have_text("Waits for the training of First in turn")
    other.locator("#bp-teach").get_by_role("button", name="Cancel").click()
    expect(headline).to_have_text("Stopped")
    other.get_by_role("button", name="Resume").click()
    expect(headline).to_have_text("Waits for the training of First in turn")
    pause(page)
    wait_until(lambda: steps_done(studio, second) > 0, "the second has its turn")
    pause(other)
