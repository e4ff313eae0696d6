"""A newcomer's way in the browser: sample project, quick training, reload, compare, hand over, and the zip's LoRA in plain diffusers."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Watched
from tests.e2e.served import PATIENCE_SECONDS, ROOT, Studio, wait_until

LOADS = """
import sys
from diffusers import StableDiffusionPipeline
pipe = StableDiffusionPipeline.from_pretrained("pipelines/starter")
pipe.load_lora_weights(sys.argv[1], weight_name="pytorch_lora_weights.safetensors", adapter_name="brand")
print(sum(1 for name, _ in pipe.unet.named_parameters() if "lora_A.brand" in name))
"""


def test_from_the_first_visit_to_a_lora_that_loads_elsewhere(page: Page, studio: Studio, watched: Watched, tmp_path: Path):
    page.goto(studio.url)
    page.get_by_role("button", name="Open Fjord bottle").click()
    expect(page.get_by_role("heading", name="Fjord bottle", level=1)).to_be_visible()
    expect(page.locator(".card")).to_have_count(12)

    page.get_by_role("button", name="Teach this product").click()
    page.get_by_role("radio", name="Quick").check(force=True)
    expect(page.locator("#bp-teach .plan-lines")).to_be_visible()
    page.get_by_role("button", name="Start teaching").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible(timeout=PATIENCE_SECONDS * 1000)

    page.locator("#bp-teach svg.chart path.loss").wait_for(timeout=PATIENCE_SECONDS * 1000)
    first = page.locator("#bp-teach path.loss").get_attribute("d")
    wait_until(
        lambda: (
            page.locator("#bp-teach path.loss").get_attribute("d") != first or not page.get_by_role("button", name="Pause").is_visible()
        ),
        "the curve moves",
    )

    page.reload()
    expect(page.get_by_role("heading", name="Teaching Fjord bottle")).to_be_visible()
    expect(page.locator("#bp-teach .run-head .big")).to_have_text("Taught", timeout=PATIENCE_SECONDS * 1000)
    assert page.locator("#bp-teach .strip-row").count() == 2

    page.locator("#bp-teach").get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("button", name="Draw", exact=True).click()
    page.locator("#bp-compare .slider img.over").wait_for(timeout=PATIENCE_SECONDS * 1000)
    slider = page.get_by_role("slider", name="Slide between base and taught")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#bp-compare .slider")).to_have_attribute("style", re.compile(r"--at:\s*51%"))
    with page.expect_download() as downloaded:
        page.locator("#bp-compare").get_by_role("link", name="Download").click()
    assert b"parameters" in Path(downloaded.value.path()).read_bytes()[:4096]

    page.locator("#bp-compare").get_by_role("button", name="Hand over").click()
    page.get_by_label("Who owns them?").fill("Fjord Ltd")
    page.get_by_label("On what ground may you use them?").select_option("licence")
    page.get_by_label("In your words").fill("all media, until 2030")
    page.get_by_role("button", name="State it").click()
    expect(page.locator("#rights .ticks")).to_contain_text("Fjord Ltd")
    page.get_by_role("button", name="Make the files").click()
    page.get_by_role("link", name="Download everything").wait_for(timeout=PATIENCE_SECONDS * 1000)
    with page.expect_download() as downloaded:
        page.get_by_role("link", name="Download everything").click()
    archive = tmp_path / downloaded.value.suggested_filename
    downloaded.value.save_as(archive)
    with zipfile.ZipFile(archive) as bundle:
        bundle.extractall(tmp_path)
    weights = next(tmp_path.rglob("pytorch_lora_weights.safetensors"))
    for told in ("card.json", "README.txt"):
        assert "Fjord Ltd (licence: all media, until 2030)" in next(tmp_path.rglob(told)).read_text("utf-8")
    loaded = subprocess.run([sys.executable, "-W", "ignore", "-c", LOADS, str(weights.parent)], capture_output=True, text=True, cwd=ROOT)
    assert loaded.returncode == 0, loaded.stderr
    assert int(loaded.stdout.strip().splitlines()[-1]) > 50
    assert watched.errors == []
    assert watched.foreign == []
