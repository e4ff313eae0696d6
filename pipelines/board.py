"""Draws a board: checkpoint x strength x prompt on fixed seeds, the base in column 0; broken off and gone on with at any time.

In: a base, adapters by checkpoint, strengths, prompts, seeds and a folder. Out: events while it is drawn, and in the folder: cells/ (one picture each, named by
what made it), board.json, board.png and board.pdf (sheet.py), board.html (board_page.py). A cell whose recipe has not changed is never drawn again.
Does not judge the pictures (training/verdict.py does).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from pipelines.atomic import write_atomically
from pipelines.board_page import board_page
from pipelines.errors import ConfigError, RunError
from pipelines.events import Event, Phase, Picture
from pipelines.sheet import board_sheet, save_pdf, stacked

if TYPE_CHECKING:
    from pipelines.adapter import Adapter
    from pipelines.families.base import Base
    from pipelines.settings import DrawSettings

__all__ = ["Board", "Cell", "Table", "board_sheet", "draw_board", "read_board", "tables", "write_board"]
NAME = "board"  # of the adapter while a board is drawn


@dataclass(frozen=True)
class Cell:
    """One picture of a board. step 0 and strength 0: the base alone. path: relative to the board's folder."""

    step: int
    strength: float
    prompt: str
    seed: int
    path: str


@dataclass(frozen=True)
class Board:
    """What is on a board. cells: those drawn so far."""

    title: str
    steps: tuple[int, ...]
    strengths: tuple[float, ...]
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...]

    def cell(self, step: int, strength: float, prompt: str, seed: int) -> Cell | None:
        """The cell at a place, if it is drawn."""
        place = (step, strength, prompt, seed)
        return next((cell for cell in self.cells if (cell.step, cell.strength, cell.prompt, cell.seed) == place), None)


@dataclass(frozen=True)
class Table:
    """A grid to be shown: column 0 is the base. title: what all its cells share, or empty; corner: what the rows are."""

    title: str
    corner: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Cell | None, ...], ...]


def draw_board(
    base: Base,
    checkpoints: Mapping[int, Adapter | Path],
    settings: DrawSettings,
    *,
    strengths: Sequence[float],
    prompts: Sequence[str],
    seeds: Sequence[int],
    folder: Path,
    title: str = "Board",
) -> Iterator[Event]:
    """A Picture and a Phase event per cell, the base's first. settings: steps, guidance, size, scheduler, negative prompt and speed of every cell.

    checkpoints: adapters, or files that save_adapter wrote, by training step. Paths in the events are relative to folder. Nothing may be attached under
    the name "board". Raises ConfigError where something to vary is missing.
    """
    _refuse_empty(strengths=strengths, prompts=prompts, seeds=seeds)
    plan = Board(title, tuple(sorted(checkpoints)), tuple(sorted(strengths)), tuple(prompts), tuple(seeds), ())
    total = (1 + len(plan.steps) * len(plan.strengths)) * len(prompts) * len(seeds)
    cells: list[Cell] = []
    for step in (0, *plan.steps):
        for cell in _draw_checkpoint(base, checkpoints.get(step), settings, plan=plan, step=step, folder=folder):
            cells.append(cell)
            yield Picture(cell.path, cell.prompt, cell.seed, cell.step, cell.strength)
            yield Phase("board", len(cells), total)
        write_board(Board(title, plan.steps, plan.strengths, plan.prompts, plan.seeds, tuple(cells)), folder)


def _draw_checkpoint(
    base: Base, source: Adapter | Path | None, settings: DrawSettings, *, plan: Board, step: int, folder: Path
) -> Iterator[Cell]:
    """The cells of one checkpoint, or of the base (source None). The base is as before when this ends."""
    from pipelines import adapter

    if source is None:
        yield from _draw_cells(base, settings, plan=plan, step=step, strength=0.0, digest="", folder=folder)
        return
    taught = adapter.load_adapter(source) if isinstance(source, Path) else source
    digest = _digest(taught)
    adapter.attach(base, taught, name=NAME)
    try:
        for strength in plan.strengths:
            yield from _draw_cells(base, settings, plan=plan, step=step, strength=strength, digest=digest, folder=folder)
    finally:
        adapter.detach(base, NAME)


def _draw_cells(
    base: Base, settings: DrawSettings, *, plan: Board, step: int, strength: float, digest: str, folder: Path
) -> Iterator[Cell]:
    """All prompts and seeds at one checkpoint and strength, drawn together; those that are there already are not drawn."""
    from pipelines.generation import Wish, draw, with_size
    from pipelines.provenance import save_picture

    sized = with_size(base, settings)
    places = [(prompt, seed) for prompt in plan.prompts for seed in plan.seeds]
    cells = []
    for prompt, seed in places:
        recipe = _recipe(sized, base=base.fingerprint, adapter=digest, strength=strength, prompt=prompt, seed=seed)
        number = plan.prompts.index(prompt) + 1
        cells.append(Cell(step, strength, prompt, seed, f"cells/{step:06d}_{strength:g}_p{number:02d}_s{seed}_{recipe}.webp"))
    missing = [cell for cell in cells if not (folder / cell.path).exists()]
    wishes = [Wish(cell.prompt, settings.negative_prompt, cell.seed) for cell in missing]
    drawn = draw(base, sized, wishes, strengths={NAME: strength} if strength else {})
    for cell in cells:
        if cell in missing:
            save_picture(next(drawn), folder / cell.path, base=base.source)
        yield cell


def _recipe(settings: DrawSettings, *, base: str, adapter: str, strength: float, prompt: str, seed: int) -> str:
    """10 hex digits that change with anything that changes the picture."""
    how = settings.model_dump(exclude={"prompt", "seed", "pictures"})
    everything = json.dumps([how, base, adapter, f"{strength:g}", prompt, seed], sort_keys=True)
    return hashlib.sha256(everything.encode()).hexdigest()[:10]


def _digest(taught: Adapter) -> str:
    """The adapter by content: weights and scale."""
    digest = hashlib.sha256(taught.settings.model_dump_json().encode())
    for key in sorted(taught.tensors):
        digest.update(key.encode())
        digest.update(taught.tensors[key].contiguous().numpy().tobytes())
    return digest.hexdigest()


def _refuse_empty(**lists: Sequence[object]) -> None:
    for name, values in lists.items():
        if not values:
            raise ConfigError(f"A board needs {name}; none are given.", fix=f"Give at least one of the {name}.")
        if len(set(values)) < len(values):
            raise ConfigError(f"The {name} hold a value twice: {', '.join(map(str, values))}.", fix="Give each one once.")


def tables(board: Board) -> tuple[Table, ...]:
    """The board as grids. Where only checkpoints or only strengths vary: one grid, a row per prompt. Otherwise a grid per prompt: checkpoints x strengths."""
    if len(board.steps) > 1 and len(board.strengths) > 1:
        return tuple(_prompt_table(board, prompt, seed) for prompt in board.prompts for seed in board.seeds)
    varied = [(step, strength) for step in board.steps for strength in board.strengths]
    headings = [f"{step}" if len(board.steps) > 1 else f"strength {strength:g}" for step, strength in varied]
    places = [(prompt, seed) for prompt in board.prompts for seed in board.seeds]
    rows = tuple(_row_name(prompt, seed, board.seeds) for prompt, seed in places)
    cells = tuple(tuple(board.cell(step, strength, *place) for step, strength in ((0, 0.0), *varied)) for place in places)
    return (Table("", "prompt", rows, ("base", *headings), cells),)


def _prompt_table(board: Board, prompt: str, seed: int) -> Table:
    columns = ("base", *(f"strength {strength:g}" for strength in board.strengths))
    base = board.cell(0, 0.0, prompt, seed)
    cells = tuple((base, *(board.cell(step, strength, prompt, seed) for strength in board.strengths)) for step in board.steps)
    return Table(_row_name(prompt, seed, board.seeds), "checkpoint", tuple(f"{step}" for step in board.steps), columns, cells)


def _row_name(prompt: str, seed: int, seeds: Sequence[int]) -> str:
    return f"{prompt} (seed {seed})" if len(seeds) > 1 else prompt


def write_board(board: Board, folder: Path) -> None:
    """board.json, board.html, board.png and board.pdf from the cells drawn so far."""
    write_atomically(folder / "board.json", json.dumps(asdict(board), ensure_ascii=False, indent=1).encode())
    write_atomically(folder / "board.html", board_page(board.title, tables(board)).encode())
    pages = [_page(table, folder, title=board.title) for table in tables(board)]
    write_atomically(folder / "board.png", stacked(pages))
    write_atomically(folder / "board.pdf", save_pdf(pages, title=board.title))


def read_board(folder: Path) -> Board:
    """The board that write_board left in folder. Raises RunError where there is none."""
    try:
        record = json.loads((folder / "board.json").read_text(encoding="utf-8"))
        cells = tuple(Cell(**cell) for cell in record.pop("cells"))
        fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}
        return Board(**fields, cells=cells)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"There is no readable board in {folder.name}: {error}.", fix="Draw it: brandprint board RUN.") from error


def _page(table: Table, folder: Path, *, title: str) -> Image.Image:
    pictures = [[_opened(folder / cell.path) if cell else None for cell in row] for row in table.cells]
    return board_sheet(pictures, rows=table.rows, columns=table.columns, corner=table.corner, title=title, subtitle=table.title)


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")
