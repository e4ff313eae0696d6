"""Boards of a tiny base: what is drawn, what is kept, and what the sheet and the page show."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch
from PIL import Image

from pipelines import adapter, generation
from pipelines.board import Board, Cell, board_sheet, draw_board, read_board, tables, write_board
from pipelines.board_page import board_page
from pipelines.card import Card
from pipelines.errors import ConfigError, RunError
from pipelines.events import Picture
from pipelines.families.base import load_base
from pipelines.provenance import read_provenance
from pipelines.settings import AdapterSettings, DrawSettings
from pipelines.sheet import PAPER, stacked, wrapped

SETTINGS = DrawSettings(steps=2, guidance=3.0)
PROMPTS = ("a red mug", 'a <b>blue</b> "robot"')


@pytest.fixture(scope="module")
def base(tiny_starter):
    return load_base(str(tiny_starter))


@pytest.fixture(scope="module")
def checkpoints(base, tmp_path_factory):
    """Two adapters, one of them as a file."""
    made = {}
    for step in (20, 10):
        adapter.create(base, AdapterSettings(rank=2), seed=step, name="new")
        read = adapter.read(base, AdapterSettings(rank=2), Card(), name="new")
        adapter.detach(base, "new")
        noise = torch.Generator().manual_seed(step)
        made[step] = adapter.Adapter(
            {key: torch.randn(value.shape, generator=noise) for key, value in read.tensors.items()}, read.settings, read.card
        )
    path = tmp_path_factory.mktemp("run") / "adapter.safetensors"
    adapter.save_adapter(made[10], path)
    return {20: made[20], 10: path}


def events_of(base, checkpoints, folder, **changes):
    options = {"strengths": (0.5, 1.0), "prompts": PROMPTS, "seeds": (3,), **changes}
    return list(draw_board(base, checkpoints, SETTINGS, folder=folder, title="Tin & bot", **options))


@pytest.fixture(scope="module")
def drawn(base, checkpoints, tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    return folder, events_of(base, checkpoints, folder)


def test_every_place_is_drawn_the_base_first(drawn):
    folder, events = drawn
    pictures = [event for event in events if isinstance(event, Picture)]
    assert [(event.step, event.strength) for event in pictures[::2]] == [(0, 0.0), (10, 0.5), (10, 1.0), (20, 0.5), (20, 1.0)]
    assert all((folder / event.path).exists() for event in pictures)
    assert (events[-1].done, events[-1].total) == (10, 10)
    board = read_board(folder)
    assert len(board.cells) == 10 and board.prompts == PROMPTS
    found = read_provenance(folder / pictures[-1].path)
    assert found.prompt.startswith(PROMPTS[1]) and found.settings["Seed"] == "3" and found.says_generated


def test_nothing_is_left_on_the_base(drawn, base):
    assert adapter.attached(base) == ()


def test_a_board_goes_on_where_it_was_broken_off(base, checkpoints, drawn, tmp_path, monkeypatch):
    begun = draw_board(base, checkpoints, SETTINGS, strengths=(0.5, 1.0), prompts=PROMPTS, seeds=(3,), folder=tmp_path, title="Tin & bot")
    for _ in range(9):
        next(begun)
    begun.close()
    assert adapter.attached(base) == ()
    there = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()}
    assert 4 <= len(there) < 10
    events_of(base, checkpoints, tmp_path)
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()}
    assert len(after) == 10 and all(after[name] == when for name, when in there.items())
    monkeypatch.setattr(generation, "sample", lambda *a, **b: pytest.fail("a finished cell was drawn again"))
    assert events_of(base, checkpoints, tmp_path) == drawn[1]


def test_other_settings_or_weights_are_other_cells(base, checkpoints, drawn, tmp_path):
    folder, events = tmp_path / "copy", drawn[1]
    shutil.copytree(drawn[0], folder)
    swapped = {10: checkpoints[20], 20: checkpoints[10]}
    paths = {event.path for event in events if isinstance(event, Picture)}
    again = {event.path for event in events_of(base, swapped, folder, prompts=PROMPTS[:1]) if isinstance(event, Picture)}
    assert len(again & paths) == 1  # the base's


def test_a_board_with_nothing_to_vary_is_refused(base, tmp_path):
    with pytest.raises(ConfigError, match="strengths"):
        events_of(base, {}, tmp_path, strengths=())
    with pytest.raises(ConfigError, match="twice"):
        events_of(base, {}, tmp_path, seeds=(1, 1))
    with pytest.raises(RunError, match="no readable board"):
        read_board(tmp_path)


def some_board(steps=(10, 20), strengths=(0.5, 1.0), seeds=(3,)) -> Board:
    places = [(0, 0.0), *((step, strength) for step in steps for strength in strengths)]
    cells = tuple(
        Cell(*place, prompt, seed, f"cells/{place[0]}_{place[1]}_{n}_{seed}.webp")
        for place in places
        for n, prompt in enumerate(PROMPTS)
        for seed in seeds
    )
    return Board("Tin & bot", steps, strengths, PROMPTS, seeds, cells)


def test_checkpoints_against_strengths_make_a_grid_per_prompt():
    grids = tables(some_board())
    assert [grid.title for grid in grids] == list(PROMPTS)
    assert grids[0].rows == ("10", "20") and grids[0].columns == ("base", "strength 0.5", "strength 1")
    assert [(cell.step, cell.strength) for cell in grids[0].cells[1]] == [(0, 0.0), (20, 0.5), (20, 1.0)]


def test_where_one_thing_varies_there_is_one_grid_with_a_row_per_prompt():
    (progress,) = tables(some_board(strengths=(1.0,)))
    assert progress.columns == ("base", "10", "20") and progress.rows == PROMPTS
    (doses,) = tables(some_board(steps=(20,), seeds=(3, 4)))
    assert doses.columns == ("base", "strength 0.5", "strength 1") and len(doses.rows) == 4 and "seed 4" in doses.rows[1]


def test_a_cell_that_is_not_drawn_yet_is_empty():
    whole = some_board()
    part = Board(whole.title, whole.steps, whole.strengths, whole.prompts, whole.seeds, whole.cells[:4])
    assert tables(part)[0].cells[1][2] is None
    assert "not drawn yet" in board_page(part.title, tables(part))


def test_the_page_is_safe_whole_and_asks_nothing_from_outside(drawn):
    folder, _ = drawn
    page = (folder / "board.html").read_text(encoding="utf-8")
    assert "<b>blue</b>" not in page and "&lt;b&gt;blue&lt;/b&gt;" in page and "<title>Tin &amp; bot</title>" in page
    assert not re.search(r"https?://", page) and "{{" not in page
    sources = re.findall(r'<img loading="lazy" src="([^"]+)"', page)
    assert len(sources) == 10 and all((folder / source).exists() for source in sources)
    facts = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S).group(1))
    assert len(facts["cells"]) == 10 and facts["cells"][-1]["prompt"] == PROMPTS[1]


def test_a_page_with_its_pictures_inside_needs_no_folder(drawn):
    folder, _ = drawn
    board = read_board(folder)
    page = board_page(board.title, tables(board), embed_from=folder)
    assert page.count('src="data:image/webp;base64,') == 10 and "cells/" not in page


def test_sheet_and_pdf_are_written(drawn):
    folder, _ = drawn
    with Image.open(folder / "board.png") as sheet:
        assert sheet.width > 3 * 96 and sheet.getpixel((2, 2)) == Image.new("RGB", (1, 1), PAPER).getpixel((0, 0))
    pdf = (folder / "board.pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and pdf.count(b"/Type /Page\n") == 2


def test_a_sheet_keeps_shapes_and_never_enlarges():
    wide = Image.new("RGB", (200, 100), "red")
    small = Image.new("RGB", (40, 40), "blue")
    sheet = board_sheet([[wide, small, None]], rows=["a very long prompt " * 20], columns=["base", "10", "20"], title="T" * 300)
    colours = {colour: count for count, colour in sheet.getcolors(100000)}
    assert colours[(0, 0, 255)] == pytest.approx(40 * 40, abs=200) and colours[(255, 0, 0)] == pytest.approx(200 * 100, abs=200)


def test_rows_that_do_not_fit_the_cells_are_our_own_mistake():
    with pytest.raises(ValueError, match="2 columns"):
        board_sheet([[None]], rows=["a"], columns=["a", "b"])


def test_lines_are_wrapped_within_the_width():
    from PIL import ImageFont

    font = ImageFont.load_default(15)
    lines = wrapped("one two three " * 5 + "x" * 200, font, 100)
    assert all(font.getlength(line) <= 100 for line in lines) and len(lines) > 4
    assert stacked([Image.new("RGB", (4, 4))]).startswith(b"\x89PNG")


def test_a_board_written_twice_is_the_same(drawn):
    folder, _ = drawn
    before = {name: (folder / name).read_bytes() for name in ("board.json", "board.html", "board.png")}
    write_board(read_board(folder), folder)
    assert all((folder / name).read_bytes() == content for name, content in before.items())
