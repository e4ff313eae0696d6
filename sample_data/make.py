"""Makes the sample sets: `python -m sample_data.make product | character | style | all`.

In: which set, and for the style the npm packages (given as .tgz files, or fetched with `npm pack`).
Out: the folders product/, character/ and style/ beside this file; the same pictures every time.
Does not train anything.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from sample_data.files import ROOT, Project, Sample, write_project, write_samples
from sample_data.recipes import mascot_scenes, product_scenes, style_graphics
from sample_data.recipes.style_concepts import HELD_OUT

SETS = ("product", "character", "style")
OWN_WORK = "Brandprint contributors, drawn by sample_data/make.py"
TWEMOJI_CREDIT = "Twemoji, copyright Twitter, Inc. and other contributors, by way of @iconify-json/twemoji; placed on plain backgrounds"
PROJECTS = {
    "product": Project("Fjord bottle", "product", "fjordbottle", "bottle", "CC0-1.0", OWN_WORK),
    "character": Project("Sprigli", "character", "sprigli", "creature", "CC0-1.0", OWN_WORK),
    "style": Project("Twemoji graphics", "style", "twemo", "style", "CC-BY-4.0", TWEMOJI_CREDIT),
}
WEBP_QUALITY = {"product": 92, "character": 92, "style": 100}  # 100 is lossless: flat colours pack small


def product_samples() -> Iterator[Sample]:
    """The product's photographs."""
    for number, shot in enumerate(product_scenes.list_shots(), start=1):
        yield Sample(f"{number:03d}", product_scenes.draw_shot(shot), product_scenes.caption(shot))


def character_samples() -> Iterator[Sample]:
    """The character's drawings."""
    for number, drawing in enumerate(mascot_scenes.list_drawings(), start=1):
        yield Sample(f"{number:03d}", mascot_scenes.draw(drawing), mascot_scenes.caption(drawing))


def style_samples(twemoji: Path | None, emojibase: Path | None) -> Iterator[Sample]:
    """The style's graphics."""
    for number, card in enumerate(style_graphics.training_cards(twemoji, emojibase), start=1):
        yield Sample(f"{number:03d}", style_graphics.draw_card(card), style_graphics.caption(card))


def make(name: str, samples: Iterator[Sample]) -> int:
    """How many pictures the set of this name now holds."""
    write_project(ROOT / name, PROJECTS[name])
    return write_samples(ROOT / name, samples, quality=WEBP_QUALITY[name])


def write_held_out() -> None:
    """style_heldout.txt: a concept a line, none of them in style/."""
    (ROOT / "style_heldout.txt").write_text("\n".join(HELD_OUT) + "\n", encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m sample_data.make", description="Make the sample pictures again.")
    parser.add_argument("sets", choices=(*SETS, "all"))
    parser.add_argument("--twemoji", type=Path, help="the .tgz of @iconify-json/twemoji; without it npm fetches one")
    parser.add_argument("--emojibase", type=Path, help="the .tgz of emojibase-data; without it npm fetches one")
    arguments = parser.parse_args()
    for name in SETS if arguments.sets == "all" else (arguments.sets,):
        if name == "product":
            samples = product_samples()
        elif name == "character":
            samples = character_samples()
        else:
            samples = style_samples(arguments.twemoji, arguments.emojibase)
            write_held_out()
        print(f"{name}: {make(name, samples)} pictures in {ROOT.name}/{name}")


if __name__ == "__main__":
    main()
