"""The judges of concept and background, on vectors and plain colours."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from training.starter.compose import COLOURS
from training.starter.evaluate import contact_sheet, prompt_for, sheet_rows
from training.starter.judge import judge_background, on_white, retrieval_ranks


def unit(array: np.ndarray) -> np.ndarray:
    return array / np.linalg.norm(array, axis=-1, keepdims=True)


@pytest.fixture
def gallery() -> np.ndarray:
    """20 concepts x 4 styles: a concept's direction plus a style's."""
    rng = np.random.default_rng(0)
    return unit(rng.normal(size=(20, 1, 64)) + 0.8 * rng.normal(size=(1, 4, 64)) + 0.2 * rng.normal(size=(20, 4, 64))).astype(np.float32)


def test_the_same_picture_is_found_first(gallery):
    assert retrieval_ranks(gallery[:, 1], gallery, range(20)).tolist() == [0] * 20


def test_another_concept_ranks_lower(gallery):
    assert retrieval_ranks(gallery[:1, 0], gallery, [7])[0] > 0


def test_the_reserved_style_does_not_help_retrieval(gallery):
    alone = gallery.copy()
    alone[5, :3] = unit(-alone[5, :3])
    assert retrieval_ranks(gallery[5:6, 3], alone, [5])[0] > 0


@pytest.mark.parametrize("name", sorted(COLOURS))
def test_background_is_read_off_the_frame(name):
    picture = Image.new("RGB", (256, 256), COLOURS[name])
    picture.paste("magenta", (40, 40, 216, 216))
    assert judge_background(picture) == name


def test_gallery_pictures_are_centred_on_white(drawings):
    picture = np.asarray(on_white(drawings[0, 1]))
    assert picture[:20].min() == 255 and picture[128, 128].tolist() != [255, 255, 255]


def test_prompts_use_the_trained_wording(concepts):
    assert prompt_for(concepts[3], 1, background="teal") == "a flat design of a fox on a teal background"


def test_contact_sheet_stays_below_its_limit(tmp_path):
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)) for _ in range(12)]
    contact_sheet(sheet_rows(noise, columns=6), tmp_path / "sheet.png", limit_bytes=60_000)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size[0] == 3 * sheet.size[1] and (tmp_path / "sheet.png").stat().st_size < 60_000
