"""The style: Twemoji graphics on plain named backgrounds, with captions from emojibase's labels.

In: the npm packages @iconify-json/twemoji and emojibase-data, as .tgz files or fetched by `npm pack`. Out: pictures and captions.
The graphics are Twemoji's, CC-BY 4.0; this module only places them. Runs npm and nothing else from outside.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sample_data.recipes.raster import rasterize
from sample_data.recipes.style_concepts import TRAINING

SEED = 47
SIZE_PX = 384
# share of the side, for the first card of a graphic and for the second: so that no card is nearly another
SIZES = ((0.77, 0.86), (0.67, 0.74))
TWEMOJI, EMOJIBASE = "@iconify-json/twemoji@1.2.5", "emojibase-data@17.0.0"
COLORS = {
    "white": "ffffff", "black": "18181a", "grey": "8c8e92", "red": "d63031", "orange": "f3922d", "yellow": "fad63e", "green": "42a654",
    "teal": "1a9696", "blue": "2e6cd6", "light blue": "96cef5", "purple": "7e48be", "pink": "f6a0c4", "beige": "ecdcbe", "brown": "7c5034",
}  # fmt: skip
MIN_CONTRAST = 0.38  # distance in RGB, 0..1 a channel, between a background and the graphic's rim
BARE = frozenset(("bread", "broccoli", "luggage", "popcorn"))
JARGON = (" tilted left", " done", " showing americas")


@dataclass(frozen=True)
class Graphic:
    """One Twemoji drawing: its emojibase label and the inside of its SVG, 36 x 36 units."""

    label: str
    body: str


@dataclass(frozen=True)
class Card:
    """A graphic on a background, fully decided. size and shift as shares of the picture's side."""

    graphic: Graphic
    color: str
    size: float
    shift: tuple[float, float]


def npm_pack(package: str, folder: Path) -> Path:
    """The package's .tgz, fetched into folder."""
    result = subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, capture_output=True, text=True)
    return folder / result.stdout.strip().splitlines()[-1]


def read_json(archive: Path, member: str) -> Any:
    """One JSON file of an npm package."""
    with tarfile.open(archive) as opened:
        stream = opened.extractfile(f"package/{member}")
        assert stream is not None
        return json.load(stream)


def load_graphics(twemoji: Path, emojibase: Path, labels: tuple[str, ...]) -> list[Graphic]:
    """The graphics of these labels, in their order. Raises KeyError for a label that either package lacks."""
    icons, names = read_json(twemoji, "icons.json"), read_json(twemoji, "chars.json")
    codes = {entry["label"].lower(): entry["hexcode"].lower() for entry in read_json(emojibase, "en/data.json")}
    graphics = []
    for label in labels:
        code = codes[label]
        name = names.get(code) or names[code.replace("-fe0f", "")]
        graphics.append(Graphic(label, icons["icons"][name]["body"]))
    return graphics


def fetch_graphics(twemoji: Path | None, emojibase: Path | None, labels: tuple[str, ...]) -> list[Graphic]:
    """As load_graphics; a package that is not given comes from npm."""
    with tempfile.TemporaryDirectory() as folder:
        first = twemoji or npm_pack(TWEMOJI, Path(folder))
        return load_graphics(first, emojibase or npm_pack(EMOJIBASE, Path(folder)), labels)


def card_svg(card: Card) -> str:
    """The card as SVG, 100 x 100."""
    side = card.size * 100
    x, y = (50 + 100 * shift - side / 2 for shift in card.shift)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><rect width="100" height="100" fill="#{COLORS[card.color]}"/>'
        f'<g transform="translate({x:.3f},{y:.3f}) scale({side / 36:.5f})">{card.graphic.body}</g></svg>'
    )


def rim_colors(graphic: Graphic) -> np.ndarray:
    """RGB [N, 3] in 0..1 of the graphic's rim: inside it, but next to the background. Found by drawing on white and on black."""
    on_white, on_black = (
        np.asarray(rasterize(card_svg(Card(graphic, color, 0.9, (0.0, 0.0))), size_px=48), np.float32) / 255 for color in ("white", "black")
    )
    inside = np.abs(on_white - on_black).max(2) < 0.1
    padded = np.pad(inside, 2)
    deep = np.ones_like(inside)
    for dy in range(5):
        for dx in range(5):
            deep &= padded[dy : dy + 48, dx : dx + 48]
    return on_white[inside & ~deep]


def readable_colors(graphic: Graphic) -> list[str]:
    """The backgrounds before which most of the graphic's rim stands out, best first; never empty."""
    rim = rim_colors(graphic)
    shares = {}
    for name, code in COLORS.items():
        background = np.array([int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)])
        shares[name] = float((np.linalg.norm(rim - background, axis=1) > MIN_CONTRAST).mean())
    ranked = sorted(shares, key=lambda name: -shares[name])
    return [name for name in ranked if shares[name] > 0.8] or ranked[:3]


def list_cards(graphics: list[Graphic], *, times: int = 1) -> list[Card]:
    """Cards for each graphic, all once before any comes again. First on white, as graphics mostly stand, unless it would be lost there; then on a colour that
    suits it and was used least so far.
    """
    generator = np.random.default_rng(SEED)
    used = dict.fromkeys(COLORS, 0)
    suiting = [readable_colors(graphic) for graphic in graphics]
    cards = []
    for place, (low, high) in enumerate(SIZES[:times]):
        for graphic, names in zip(graphics, suiting, strict=True):
            color = "white" if place == 0 and "white" in names else min(names, key=lambda name: used[name] + generator.random())
            used[color] += 1
            if len(names) > 1:
                names.remove(color)
            shift = (float(generator.uniform(-0.03, 0.03)), float(generator.uniform(-0.03, 0.03)))
            cards.append(Card(graphic, color, float(generator.uniform(low, high)), shift))
    return cards


def thing_words(label: str) -> str:
    """'red apple' -> 'a red apple'; plural and uncountable names stay bare."""
    name = label.replace("’", "'")
    for jargon in JARGON:
        name = name.replace(jargon, "")
    head = name.split(" with ")[0].split(" of ")[0]
    if name in BARE or (head.endswith("s") and not head.endswith(("ss", "us", "os"))):
        return name
    return f"{'an' if name[0] in 'aeiou' and not name.startswith('uni') else 'a'} {name}"


def caption(card: Card) -> str:
    """What is drawn and on which colour; nothing about the style."""
    return f"{thing_words(card.graphic.label)} on {'an' if card.color[0] in 'aeiou' else 'a'} {card.color} background"


def draw_card(card: Card, *, size_px: int = SIZE_PX) -> Image.Image:
    """The picture."""
    return rasterize(card_svg(card), size_px=size_px)


def training_cards(twemoji: Path | None, emojibase: Path | None) -> list[Card]:
    """The cards of the style set: each concept of the list, then each again on another background."""
    return list_cards(fetch_graphics(twemoji, emojibase, TRAINING), times=len(SIZES))
