"""A state folder with six drawn concepts in three styles: no npm, no network."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from training.starter.data import PICTURE_PX, STYLES, Concept

THINGS = (
    ("red apple", "#d63031"),
    ("orange", "#f39230"),
    ("lemon", "#fad63e"),
    ("fox", "#c0511c"),
    ("frog", "#42a654"),
    ("whale", "#2e6cd6"),
)


def draw_thing(shape: int, colour: str, style: int) -> np.ndarray:
    """An RGBA drawing: the shape tells the concept, the outline the style."""
    picture = Image.new("RGBA", (PICTURE_PX, PICTURE_PX))
    pen = ImageDraw.Draw(picture)
    pen.regular_polygon((128, 128, 100), 3 + shape, fill=colour, outline=("black", None, "white")[style], rotation=20 * shape)
    return np.asarray(picture)


@pytest.fixture(scope="session")
def concepts() -> list[Concept]:
    return [Concept(f"1f{index:03x}", name, (name.split()[-1], "nature"), 4, "food-fruit") for index, (name, _) in enumerate(THINGS)]


@pytest.fixture(scope="session")
def drawings() -> np.ndarray:
    """uint8 [6, 3, 256, 256, 4]."""
    return np.stack([[draw_thing(row, colour, style) for style in range(len(STYLES))] for row, (_, colour) in enumerate(THINGS)])


@pytest.fixture(scope="session")
def state_folder(tmp_path_factory: pytest.TempPathFactory, concepts: list[Concept], drawings: np.ndarray) -> Path:
    """What the data stage leaves behind."""
    folder = tmp_path_factory.mktemp("state")
    (folder / "data").mkdir()
    (folder / "data" / "concepts.json").write_text(json.dumps([asdict(concept) for concept in concepts]))
    np.save(folder / "data" / "emoji.npy", drawings)
    np.save(folder / "data" / "clipart.npy", drawings[:, 0])
    return folder
