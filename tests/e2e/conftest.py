"""A real browser on a real server: Debian's Chromium through Playwright, the studio in a process of its own, a small workspace.

The server is started on a copy of the samples cut to a few pictures, with settings that train within seconds. Marked `e2e`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from app.projects import open_workspace
from tests.app.drawn import draw_picture
from tests.e2e.served import CHROMIUM, FLAGS, PATIENCE_SECONDS, ROOT, Studio

CLICK_SECONDS = PATIENCE_SECONDS / 5  # for the page itself
RESULTS = Path(os.environ.get("BRANDPRINT_SHOTS", ROOT / "test-results"))
LOADED = """() => [...document.images].every((image) => image.complete || image.getBoundingClientRect().top > innerHeight || !image.checkVisibility())"""
SHORT = {
    "loop.steps": 6,
    "loop.batch": 2,
    "loop.accumulation": 1,
    "loop.checkpoints": 2,
    "loop.validations": 2,
    "pictures.resolution_px": 128,
    "loop.preview_prompts": ["fjordbottle bottle on a table"],
    "loop.precision": "fp32",
}
LONG = {**SHORT, "loop.steps": 3000, "loop.checkpoints": 100, "loop.preview_prompts": []}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here shares one server and one browser, so one process (`--dist loadgroup`); it takes longest, so it begins first."""
    mine = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in mine:
        item.add_marker(pytest.mark.e2e)
        item.add_marker(pytest.mark.xdist_group("e2e"))
    items.sort(key=lambda item: item not in mine)


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped samples, a few pictures each, with settings that train within seconds (product) or long enough to be stopped (character).
    A fourth, "Taught bottle", comes with the training and the drawing that are shipped, so that no test needs another's.
    """
    folder = tmp_path_factory.mktemp("samples")
    for name, of, overrides, count in (
        ("taught", "product", SHORT, 12),
        ("product", "product", SHORT, 12),
        ("character", "character", LONG, 12),
        ("style", "style", SHORT, 24),
    ):
        source = ROOT / "sample_data" / of
        (folder / name).mkdir()
        for picture in sorted(source.glob("*.webp"))[:count]:
            shutil.copy(picture, folder / name)
            shutil.copy(picture.with_suffix(".txt"), folder / name)
        about = json.loads((source / "project.json").read_bytes()) | {"overrides": overrides}
        about |= {"name": "Taught bottle"} if name == "taught" else {}
        (folder / name / "project.json").write_text(json.dumps(about))
    for run in ("", "-drawn"):
        shutil.copytree(ROOT / "sample_data" / "trained" / f"product{run}", folder / "trained" / f"taught{run}")
    return folder


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory, samples: Path) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    served = Studio(folder / "projects", samples, folder / "server.log")
    served.start()
    yield served
    served.stop()
    served.end_workers()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    assert Path(CHROMIUM).exists(), f"no browser at {CHROMIUM}: install Debian's chromium, or name one in CHROMIUM"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


@dataclass
class Watched:
    """What a page said on its console, and which other machines it asked."""

    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


@pytest.fixture
def context(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1360, "height": 900}, accept_downloads=True)
    made.set_default_timeout(CLICK_SECONDS * 1000)
    expect.set_options(timeout=CLICK_SECONDS * 1000)
    failed_before = request.session.testsfailed
    yield made
    if request.session.testsfailed > failed_before:
        RESULTS.mkdir(exist_ok=True)
        for number, page in enumerate(made.pages):
            page.screenshot(path=RESULTS / f"{request.node.name}_{number}.png")
    made.close()


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def page(context: BrowserContext, studio: Studio, watched: Watched) -> Page:
    """A page whose console errors and foreign requests are kept."""
    return watch(context.new_page(), studio, watched)


def watch(page: Page, studio: Studio, watched: Watched) -> Page:
    def hear(message: ConsoleMessage) -> None:
        if message.type == "error":
            watched.errors.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.on(
        "request",
        lambda request: watched.foreign.append(request.url) if not request.url.startswith((studio.url, "data:", "blob:")) else None,
    )
    return page


def fill_project(studio: Studio, name: str, *, pictures: int = 8, **about: object) -> str:
    """A project of drawn pictures with captions, made beside the page as another tab would; returns its id."""
    project = open_workspace(studio.workspace).create(name, trigger="shapes", noun="shape", **about)
    for number in range(pictures):
        draw_picture(project.pictures / f"{number:02d}.png", number)
        (project.pictures / f"{number:02d}.txt").write_text(f"a round shape, number {number}\n", "utf-8")
    return project.id


def open_step(page: Page, studio: Studio, project: str, step: str, **more: str) -> None:
    """The page at a project's step, drawn from the server's answer, its pictures loaded."""
    query = "&".join(f"{key}={value}" for key, value in {"project": project, "step": step, **more}.items())
    page.goto(f"{studio.url}?{query}")
    page.wait_for_function("step => window.brandprint?.parts[step]?.view && brandprint.parts.frame?.view", arg=step)
    page.wait_for_function(LOADED)
