"""How fast the page answers, in a real browser on a real server: `python -m benchmarks.studio [open upload scroll type draw]`.

In: the tree and Chromium (CHROMIUM names another). Out: one line a figure: wall seconds, and the CPU seconds that server, workers and browser took together,
which a busy machine inflates less. Makes everything it needs in a temporary folder. The browser draws in software, as on a machine without a GPU.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

from app.projects import open_workspace
from app.shelf import read_shelf
from app.tabs.teach import plan_for
from benchmarks.picture_set import write_set
from tests.e2e.served import CHROMIUM, FLAGS, PATIENCE_SECONDS, ROOT, Studio, wait_until
from training.runs import Job, create_run

PICTURES, CARDS = 300, 500
PHOTO_PX = 1136  # 300 of them are 120 MB
SENTENCE = "seen from above in warm evening light, beside a window with rain on the glass and a folded linen cloth "
QUICK = {
    "loop.steps": 4,
    "loop.batch": 1,
    "loop.accumulation": 1,
    "loop.checkpoints": 1,
    "loop.validations": 1,
    "pictures.resolution_px": 128,
    "loop.preview_prompts": [],
}
FIRST_CONTROL = """new MutationObserver((_, seen) => { if (document.querySelector("SELECTOR")) { window.usable ??= performance.now(); seen.disconnect(); } })
    .observe(document, { childList: true, subtree: true });"""
FRAMES = """async (down) => { const gaps = [], end = performance.now() + 4000; let last = performance.now(), way = down;
    while (performance.now() < end) { scrollBy(0, way); if (scrollY <= 0 || scrollY + innerHeight >= document.documentElement.scrollHeight - 2) way = -way;
        await new Promise(requestAnimationFrame); const now = performance.now(); gaps.push(now - last); last = now; }
    return gaps.sort((a, b) => a - b); }"""


def measure_open(page: Page, studio: Studio) -> None:
    """Navigation to the first control that can be clicked, on a warm server: the projects, and a project's pictures."""
    opened(page, studio, "fjord-bottle", "pictures")
    page.wait_for_function("brandprint.parts.pictures.view.is_fresh")  # the doctor is done: nothing else is at work
    for step, selector in (("home", ".home-card .home-open"), ("pictures", ".card textarea")):
        seconds, cpu = [], 0.0
        for number in range(6):
            cpu = cpu_seconds() if number == 1 else cpu  # the first fills the browser's cache
            fresh = page.context.new_page()
            fresh.add_init_script(FIRST_CONTROL.replace("SELECTOR", selector))
            fresh.goto(f"{studio.url}?project=fjord-bottle&step={step}")
            fresh.wait_for_selector(selector)
            seconds.append(fresh.evaluate("window.usable") / 1000)
            fresh.close()
        figure = f"{statistics.median(seconds[1:]):.2f} s (median of 5; slowest {max(seconds[1:]):.2f} s; {(cpu_seconds() - cpu) / 5:.1f} CPU s each)"
        told(f"open {step}: first control", figure, "1.5 s")


def measure_upload(page: Page, studio: Studio) -> None:
    """300 pictures from the drop to cards, to the first badges, and to the doctor's whole report."""
    folder = write_set(studio.workspace.parent / "photos", PICTURES, side_px=PHOTO_PX)
    photos = sorted(folder.glob("*.jpg"))
    megabytes = sum(path.stat().st_size for path in photos) / 1e6
    project = open_workspace(studio.workspace).create("Three hundred", trigger="shapes", noun="shape")
    opened(page, studio, project.id, "pictures")
    began, cpu = time.monotonic(), cpu_seconds()
    page.set_input_files("#add-files", photos)
    for what, bar, is_so in (
        ("first card", "", "document.querySelector('.card .shot img')?.complete"),
        ("all cards", "", f"document.querySelectorAll('.card').length === {PICTURES} && brandprint.parts.pictures.ui.upload.finished"),
        ("first badge", "", "document.querySelector('.card .badges .tag, .ring .arc')"),
        ("badges of all", "20 s", "brandprint.parts.pictures.view.is_fresh && document.querySelector('.ring .arc')"),
    ):
        page.wait_for_function(
            is_so, timeout=PATIENCE_SECONDS * 1000, polling=100
        )  # not at every frame, which would draw the page on and on
        told(f"{PICTURES} pictures, {megabytes:.0f} MB: {what}", f"{time.monotonic() - began:.1f} s, {cpu_seconds() - cpu:.0f} CPU s", bar)


def measure_scroll(page: Page, studio: Studio) -> None:
    """500 cards: the longest time between two frames while they scroll, and what one whole drawing of the step costs."""
    project = open_workspace(studio.workspace).create("Five hundred")
    write_set(project.pictures, CARDS // 10, side_px=256)
    for path in list(project.pictures.glob("*.jpg")):
        for copy in range(9):
            shutil.copy(path, path.with_stem(f"{path.stem}_{copy}"))
    opened(page, studio, project.id, "pictures")
    page.wait_for_function(
        "brandprint.parts.pictures.view.items.every((item) => item.has_thumb || brandprint.parts.pictures.ui.made.has(item.key))"
    )
    page.wait_for_function("brandprint.parts.pictures.view.is_fresh")
    gaps = page.evaluate(FRAMES, 300)
    figure = f"{gaps[-1]:.0f} ms (median {statistics.median(gaps):.0f} ms, {len(gaps)} frames in 4 s)"
    told(f"{CARDS} cards scrolled: longest frame", figure, "100 ms")
    draws = page.evaluate(
        "() => Array.from({ length: 9 }, () => { const began = performance.now(); brandprint.parts.pictures.draw(); return performance.now() - began; })"
    )
    told(f"{CARDS} cards drawn anew", f"{statistics.median(draws):.0f} ms", "")


def measure_typing(page: Page, studio: Studio) -> None:
    """Letters lost while saves and refreshes arrive as fast as they can."""
    opened(page, studio, "sprigli", "pictures")
    page.evaluate(
        "() => { window.refreshed = 0; (async () => { while (!window.stopped) { await brandprint.parts.pictures.ask('look', {}, { quiet: true }); brandprint.parts.pictures.draw(); refreshed++; await new Promise((go) => setTimeout(go, 40)); } })(); }"
    )
    boxes, began, lost = page.locator(".card textarea"), time.monotonic(), 0
    texts = [f"{number}: {SENTENCE}".strip() for number in range(3)]
    for number, text in enumerate(texts):
        boxes.nth(number).fill("")
        boxes.nth(number).press_sequentially(text, delay=number * 12)  # as fast as it goes, fast, and with pauses in which saves come
        lost += boxes.nth(number).input_value() != text
    refreshed = page.evaluate("window.stopped = true, window.refreshed")
    seconds, letters = time.monotonic() - began, sum(map(len, texts))
    kept = studio.workspace / "sprigli" / "pictures" / "edits.json"
    wait_until(lambda: kept.exists() and all(json.dumps(text) in kept.read_text("utf-8") for text in texts), "the captions are on the disk")
    opened(page, studio, "sprigli", "pictures")
    lost += sum(page.locator(".card textarea").nth(number).input_value() != text for number, text in enumerate(texts))
    told("typing: captions that lost a letter", f"{lost} of 3 ({letters / seconds:.0f} letters a second, {refreshed} refreshes)", "0")


def measure_draw(page: Page, studio: Studio) -> None:
    """From the click on Draw to the starter's picture on the page, its base warm."""
    project = open_workspace(studio.workspace).create("Drawn", trigger="fjordbottle", noun="bottle", dial="quick", overrides=QUICK)
    for path in sorted((ROOT / "sample_data" / "product").glob("0[01]*.*")):
        shutil.copy(path, project.pictures)
    settings = plan_for(project, read_shelf(project)).settings.model_dump(mode="json")
    run = create_run(project.runs / "taught", Job(kind="train", name="Drawn", dataset="../../pictures", settings=settings))
    subprocess.run([sys.executable, "-m", "app.worker", "--leave-verdict", str(run.path)], cwd=ROOT, check=True)
    opened(page, studio, project.id, "compare")
    for number in range(5):
        page.get_by_label("Seed", exact=True).fill(str(100 + number))
        before, began, cpu = page.locator(".film figure img").count(), time.monotonic(), cpu_seconds()
        page.get_by_role("button", name="Draw", exact=True).click()
        page.wait_for_function(
            f"document.querySelectorAll('.film figure img').length > {before} && document.querySelector('.slider img.over')?.complete",
            timeout=PATIENCE_SECONDS * 1000,
        )
        figure = f"{time.monotonic() - began:.1f} s, {cpu_seconds() - cpu:.1f} CPU s"
        told(f"picture of the starter, {'warm' if number else 'perhaps cold'}", figure, "3 s" if number else "")
        page.wait_for_function("brandprint.parts.compare.view.film[0].base")  # the base's, drawn after it


def opened(page: Page, studio: Studio, project: str, step: str) -> None:
    page.goto(f"{studio.url}?project={project}&step={step}")
    page.wait_for_function(f"window.brandprint?.parts.{step}?.view")


def cpu_seconds() -> float:
    """Of this process and all that came from it: browser, server, workers, the doctor."""
    total = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.Error:
            continue  # it ended just now; whoever waited for it holds its time
    return total


def told(what: str, figure: str, bar: str) -> None:
    print(f"{what:46} {figure}{f'   (bar: {bar})' if bar else ''}", flush=True)


MEASURES: dict[str, Callable[[Page, Studio], None]] = {
    "open": measure_open,
    "type": measure_typing,
    "scroll": measure_scroll,
    "draw": measure_draw,
    "upload": measure_upload,
}


def main(names: list[str]) -> None:
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        studio = Studio(Path(folder) / "projects", ROOT / "sample_data", Path(folder) / "server.log")
        studio.start()
        try:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            context = browser.new_context(viewport={"width": 1360, "height": 900})
            for name in names or list(MEASURES):
                page = context.new_page()
                page.set_default_timeout(PATIENCE_SECONDS * 1000)
                MEASURES[name](page, studio)
                page.close()
        finally:
            studio.stop()
            studio.end_workers()


if __name__ == "__main__":
    main(sys.argv[1:])
