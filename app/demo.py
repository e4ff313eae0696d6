"""The whole way on sample pictures: check, teach, compare, hand over; ends with a page and a contact sheet that a person can judge.

In: a folder of pictures (the shipped product if none is given). Out: in one folder the run, base/adapter pairs on fixed seeds, verified LoRA files,
contact_sheet.png and index.html. It calls the same functions as every other command.
"""

from __future__ import annotations

import html
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.commands.check import look, show_report
from app.commands.teach import follow, plan_run
from app.terminal import say
from pipelines.atomic import write_atomically
from pipelines.card import Card
from pipelines.errors import DatasetError
from pipelines.settings import DrawSettings

if TYPE_CHECKING:
    from PIL import Image

    from pipelines.export import Bundle

SAMPLES = Path(__file__).parents[1] / "sample_data"
SEEDS = (11, 12)
SCENES = 4


@dataclass(frozen=True)
class Pair:
    """The same prompt and seed without and with the adapter."""

    prompt: str
    seed: int
    plain: Image.Image
    adapted: Image.Image


def run_demo(pictures: Path | None, out: Path, *, dial: str) -> Path:
    """Do everything; returns the page. A demo that was broken off goes on where it stopped."""
    began = time.monotonic()
    folder = pictures or SAMPLES / "product"
    if not folder.exists():
        raise DatasetError(
            f"There are no pictures at {folder.name}.", fix="Run the demo in a checkout of the project, or give a folder of pictures."
        )
    say(folder.name, lead="1 Check")
    show_report(*look(folder, base_size_px=256))
    say("", lead="2 Teach")
    run = _teach(folder, out, dial=dial)
    say("the base and what it was taught, on the same seeds", lead="3 Compare")
    pairs, card, training = _compare(run, folder)
    _write_sheet(pairs, card, out / "contact_sheet.png")
    say("LoRA files, each loaded back and compared", lead="4 Hand over")
    bundle = _hand_over(run, out)
    page = _write_page(out, card, pairs, bundle, training, minutes=(time.monotonic() - began) / 60)
    say(f"Done in {(time.monotonic() - began) / 60:.1f} minutes.")
    return page


def _teach(folder: Path, out: Path, *, dial: str):
    from training.runs import open_run

    place = out / "runs" / folder.name
    run = open_run(place) if (place / "job.json").exists() else plan_run(folder, name=folder.name, dial=dial, runs=out / "runs", values={})
    if run.state() == "finished":
        say(f"{run.path.name} has been taught already; delete {out} to start anew.")
    else:
        follow(run, as_json=False)
    return run


def _compare(run, folder: Path) -> tuple[list[Pair], Card, list[Path]]:
    """Pairs on prompts from the run's own preview prompts, the card, and a few of the pictures that were taught."""
    from pipelines.adapter import attach, detach, load_adapter
    from pipelines.families.base import load_base
    from pipelines.generation import compare
    from training.dataset import load_dataset

    base = load_base(run.job.settings["base"])
    adapter = load_adapter(run.adapter_path)
    attach(base, adapter)
    prompts = list(dict.fromkeys((*run.job.settings["loop"]["preview_prompts"], adapter.card.trigger_phrase)))[:SCENES]
    pairs = [
        Pair(prompt, seed, plain.image, adapted.image)
        for prompt in prompts
        for seed in SEEDS
        for plain, adapted in compare(
            base, DrawSettings(prompt=prompt, seed=seed), strengths={"adapter": adapter.card.recommended_strength}
        )
    ]
    detach(base)
    items = load_dataset(folder).items
    return pairs, adapter.card, [item.path for item in items[:: max(1, len(items) // 8)]][:8]


def _write_sheet(pairs: Sequence[Pair], card: Card, path: Path) -> None:
    from pipelines.sheet import board_sheet, stacked

    rows: dict[str, list[Image.Image]] = {}
    for pair in pairs:
        rows.setdefault(pair.prompt, []).extend([pair.plain, pair.adapted])
    columns = [label for seed in SEEDS for label in (f"base, seed {seed}", f"with {card.name}, seed {seed}")]
    sheet = board_sheet(
        list(rows.values()),
        rows=list(rows),
        columns=columns,
        title=f"{card.name}: before and after",
        subtitle=f"trigger: {card.trigger_phrase}",
    )
    write_atomically(path, stacked([sheet]))


def _hand_over(run, out: Path) -> Bundle:
    from pipelines.adapter import load_adapter
    from pipelines.export import export_bundle, zip_bundle
    from pipelines.families.base import load_base

    previews = sorted(run.path.glob("previews/*/*.png"))
    bundle = export_bundle(
        load_base(run.job.settings["base"]), load_adapter(run.adapter_path), out / "export", thumbnail=previews[-1] if previews else None
    )
    zip_bundle(bundle, out / f"{bundle.name}.zip")
    for file in bundle.files:
        say(f"  {file.path.name}  {'; '.join(str(check) for check in file.verified)}")
    for warning in bundle.warnings:
        say(f"{warning.message} {warning.fix}", style="yellow")
    return bundle


def _write_page(out: Path, card: Card, pairs: Sequence[Pair], bundle: Bundle, taught: Sequence[Path], *, minutes: float) -> Path:
    """index.html, its pictures beside it; opens without Brandprint."""
    import shutil

    place = out / "pictures"
    place.mkdir(parents=True, exist_ok=True)
    figures = []
    for number, pair in enumerate(pairs):
        for kind, picture in (("base", pair.plain), ("adapter", pair.adapted)):
            picture.save(place / f"{number:02d}-{kind}.png")
        figures.append(PAIR.format(number=number, prompt=html.escape(pair.prompt), seed=pair.seed))
    shown = [shutil.copy(path, place / f"taught-{path.name}") for path in taught]
    values: Mapping[str, object] = {
        "name": html.escape(card.name),
        "trigger": html.escape(card.trigger_phrase),
        "pictures": card.pictures,
        "steps": card.steps,
        "minutes": f"{minutes:.1f}",
        "taught": "".join(f'<img src="pictures/{html.escape(Path(path).name)}" alt="a picture that was taught">' for path in shown),
        "pairs": "".join(figures),
        "files": "".join(
            f"<li><b>{html.escape(file.path.name)}</b> {html.escape('; '.join(str(check) for check in file.verified))}</li>"
            for file in bundle.files
        ),
        "strength": f"{card.recommended_strength:g}",
    }
    write_atomically(out / "index.html", PAGE.format(**values).encode())
    return out / "index.html"


PAIR = """<figure><div><img src="pictures/{number:02d}-base.png" alt="the base alone"><img src="pictures/{number:02d}-adapter.png" alt="with the adapter"></div>
<figcaption>{prompt}<span>seed {seed}</span></figcaption></figure>
"""

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{name}</title>
<style>
:root {{ color-scheme: light dark; --ink: #16181d; --paper: #fbfaf8; --line: #dedbd4; --quiet: #5d6068 }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e9e7e2; --paper: #15171b; --line: #33363d; --quiet: #a3a5ab }} }}
body {{ font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1080px; margin: 48px auto; padding: 0 20px }}
h1 {{ font-size: 24px; margin: 0 }} h2 {{ font-size: 18px; margin: 40px 0 12px }} p, li, figcaption {{ color: var(--quiet) }} b {{ color: var(--ink) }}
.strip {{ display: grid; grid-template-columns: repeat(8, 1fr); gap: 8px }} img {{ width: 100%; border-radius: 10px; display: block; background: var(--line) }}
.pairs {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); gap: 24px }}
figure {{ margin: 0 }} figure div {{ display: grid; grid-template-columns: 1fr 1fr; gap: 4px }} figcaption {{ display: flex; justify-content: space-between; gap: 12px; margin-top: 6px; font-size: 13px }}
</style>
<h1>{name}</h1>
<p>Taught from {pictures} pictures in {steps} steps, {minutes} minutes in all. In a prompt, say <b>{trigger}</b>. Recommended strength {strength}.</p>
<h2>Some of the pictures it was taught from</h2><div class="strip">{taught}</div>
<h2>The same prompt and seed: base on the left, with the adapter on the right</h2><div class="pairs">{pairs}</div>
<h2>Files, each loaded back and compared</h2><ul>{files}</ul>
</html>
"""
