"""Takes the pictures of the page that README and docs show: `python -m tests.e2e.retake docs/pictures`.

In: the shipped samples, of which one is taught. Out: studio_pictures.png, studio_teach.png, studio_training.png, studio_compare.png. Trains and draws nothing.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.e2e.conftest import LOADED
from tests.e2e.served import CHROMIUM, FLAGS, PATIENCE_SECONDS, ROOT, Studio

VIEW = {"width": 1360, "height": 900}
SHOWN_WIDTH_PX = 1156


def retake(studio: Studio, page: Page, folder: Path) -> None:
    """One picture a step, of the product sample."""
    page.goto(studio.url)
    page.wait_for_selector(".home-card")
    assert page.locator(".home-card", has_text="Fjord bottle").get_by_text("taught").count(), "No sample is taught: see app/shipped.py."
    for name, step, ready in (
        ("pictures", "pictures", "brandprint.parts.pictures.view.is_fresh"),
        ("training", "teach", "document.querySelector('path.loss')"),
        ("teach", "teach", "document.querySelector('.plan-lines')"),
        ("compare", "compare", "document.querySelector('.slider img.over')?.complete"),
    ):
        page.goto(f"{studio.url}?project=fjord-bottle&step={step}")
        page.wait_for_function(f"window.brandprint?.parts.{step}?.view")
        if name == "teach":
            page.get_by_role("button", name="Teach again").click()
        page.wait_for_function(ready)
        page.wait_for_function(LOADED)
        path = folder / f"studio_{name}.png"
        page.screenshot(path=path)
        with Image.open(path) as taken:
            small = taken.convert("RGB").resize(
                (SHOWN_WIDTH_PX, round(VIEW["height"] * SHOWN_WIDTH_PX / VIEW["width"])), Image.Resampling.LANCZOS
            )
        small.quantize(256).save(path, optimize=True)


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        studio = Studio(Path(place) / "projects", ROOT / "sample_data", Path(place) / "server.log")
        studio.start()
        try:
            page = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS)).new_page(viewport=VIEW)  # type: ignore[arg-type]
            page.set_default_timeout(PATIENCE_SECONDS * 1000)
            retake(studio, page, folder)
        finally:
            studio.stop()
            studio.end_workers()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
