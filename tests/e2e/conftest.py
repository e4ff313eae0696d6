"""A real browser on a real server: Debian's Chromium through Playwright, the studio in a process of its own, a small workspace.

The server is started on a copy of the samples cut to a few pictures, with settings that train within seconds. Marked `e2e`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent.parent
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_SECONDS = float(os.environ.get("BRANDPRINT_E2E_PATIENCE", "240"))  # for jobs
CLICK_SECONDS = PATIENCE_SECONDS / 8  # for the page itself
RESULTS = ROOT / "test-results"
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
SERVE = "import sys; from pathlib import Path; from app.ui import serve; serve(Path(sys.argv[1]), port=int(sys.argv[2]), samples=Path(sys.argv[3]), devices=('cpu',))"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a browser; the whole way comes first, so that the others find something taught."""
    mine = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in mine:
        item.add_marker(pytest.mark.e2e)
    items[:] = [item for item in items if item not in mine] + sorted(mine, key=lambda item: "whole_way" not in item.path.name)


@dataclass
class Studio:
    """The server under test."""

    workspace: Path
    samples: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(default_factory=Path)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        with open(self.log, "ab") as log:
            arguments = [sys.executable, "-c", SERVE, str(self.workspace), str(self.port), str(self.samples)]
            self.process = subprocess.Popen(arguments, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        wait_until(self.answers, "the server answers")

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url, timeout=5) as response:
                return response.status == 200
        except OSError:
            return False

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def worker(self) -> int:
        """The detached worker's process id."""
        return int((self.workspace / ".jobs" / "workers" / "cpu.beat").read_text())

    def runs(self, project: str) -> list[dict[str, Any]]:
        """job.json of every run, oldest first."""
        return [
            json.loads(path.read_bytes()) | {"path": path.parent} for path in sorted((self.workspace / project / "runs").glob("*/job.json"))
        ]

    def end_workers(self) -> None:
        """Ends what this server's workers started, by their ids."""
        for path in self.workspace.glob("*/runs/*/heartbeat"):
            _end(path)
        for path in (self.workspace / ".jobs" / "workers").glob("*.beat"):
            _end(path)


def _end(path: Path) -> None:
    with contextlib.suppress(OSError, ValueError):  # it has ended already
        pid = int(path.read_text())
        if pid > 1:  # 0 is what a run that ended well leaves, and would mean our own group
            os.kill(pid, signal.SIGTERM)


def wait_until(is_so: Callable[[], bool], what: str, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Fails, saying what did not come, after a while."""
    limit = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < limit, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.2)


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped samples, a few pictures each, with settings that train within seconds (product) or long enough to be stopped (character)."""
    folder = tmp_path_factory.mktemp("samples")
    for name, overrides, count in (("product", SHORT, 12), ("character", LONG, 12), ("style", SHORT, 24)):
        source = ROOT / "sample_data" / name
        (folder / name).mkdir()
        for picture in sorted(source.glob("*.webp"))[:count]:
            shutil.copy(picture, folder / name)
            shutil.copy(picture.with_suffix(".txt"), folder / name)
        about = json.loads((source / "project.json").read_bytes()) | {"overrides": overrides}
        (folder / name / "project.json").write_text(json.dumps(about))
    return folder


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory, samples: Path) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    served = Studio(folder / "projects", samples, port, log=folder / "server.log")
    served.start()
    yield served
    served.stop()
    served.end_workers()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM}; set CHROMIUM")
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


def open_step(page: Page, studio: Studio, project: str, step: str, **more: str) -> None:
    """The page at a project's step, drawn."""
    query = "&".join(f"{key}={value}" for key, value in {"project": project, "step": step, **more}.items())
    page.goto(f"{studio.url}?{query}")
    page.wait_for_selector(f"#bp-{step} .page h1")
