"""The board as one HTML page that opens anywhere: sticky headings, zoom, stars and blind votes kept in the browser. It asks nothing from any network.

In: grids of cells (board.py). Out: the page's text; pictures beside it by relative path, or inside it. The page's look and behaviour stand in assets/board.html.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from pipelines.board import Cell, Table

TEMPLATE = Path(__file__).parent / "assets" / "board.html"
MIME_TYPES = {".webp": "image/webp", ".png": "image/png", ".jpg": "image/jpeg"}


def board_page(title: str, tables: Sequence[Table], *, embed_from: Path | None = None) -> str:
    """The page. embed_from: the board's folder, to put the pictures into the page; empty: it lies in that folder beside cells/."""
    cells = list(dict.fromkeys(cell for table in tables for row in table.cells for cell in row if cell is not None))
    facts = [{"step": cell.step, "strength": cell.strength, "prompt": cell.prompt, "seed": cell.seed} for cell in cells]
    identity = hashlib.sha256("".join([title, *(cell.path for cell in cells)]).encode()).hexdigest()[:12]
    parts = {
        "title": escape(title),
        "summary": _summary(cells),
        "tables": "\n".join(_table(table, cells, embed_from=embed_from) for table in tables),
        "data": json.dumps({"id": identity, "cells": facts}, ensure_ascii=False).replace("<", "\\u003c"),
    }
    before, *rest = TEMPLATE.read_text(encoding="utf-8").split("{{")
    return before + "".join(parts[name] + after for name, after in (piece.split("}}", 1) for piece in rest))


def _summary(cells: Sequence[Cell]) -> str:
    taught = [cell for cell in cells if cell.step]
    counts = (
        (len({cell.step for cell in taught}), "checkpoint"),
        (len({cell.strength for cell in taught}), "strength"),
        (len({cell.prompt for cell in cells}), "prompt"),
        (len({cell.seed for cell in cells}), "seed"),
    )
    return " × ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts) + f": {len(cells)} pictures"


def _table(table: Table, cells: Sequence[Cell], *, embed_from: Path | None) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    shares_base = len(table.rows) > 1 and len({row[0] for row in table.cells}) == 1
    body = []
    for number, (name, row) in enumerate(zip(table.rows, table.cells, strict=True)):
        boxes = [_box(cell, cells, embed_from=embed_from) for cell in row]
        if shares_base:  # one base for all rows, that stays in sight
            first = f'<td class="tall" rowspan="{len(table.rows)}">{boxes[0]}</td>' if number == 0 else ""
        else:
            first = f"<td>{boxes[0]}</td>"
        body.append(f'<tr><th scope="row">{escape(name)}</th>{first}{"".join(f"<td>{box}</td>" for box in boxes[1:])}</tr>')
    title = f"<h2>{escape(table.title)}</h2>" if table.title else ""
    return f'<section>{title}<div class="grid"><table><thead><tr><th>{escape(table.corner)}</th>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div></section>'


def _box(cell: Cell | None, cells: Sequence[Cell], *, embed_from: Path | None) -> str:
    if cell is None:
        return '<div class="cell empty">not drawn yet</div>'
    what = "base" if cell.step == 0 else f"checkpoint {cell.step}, strength {cell.strength:g}"
    alt = escape(f"{what}: {cell.prompt}, seed {cell.seed}", quote=True)
    star = f'<button class="star" type="button" aria-pressed="false" aria-label="Star {escape(what)}">☆</button>' if cell.step else ""
    picture = f'<button class="zoom" type="button" aria-label="Enlarge {alt}"><img loading="lazy" src="{_source(cell, embed_from)}" alt="{alt}"></button>'
    return f'<div class="cell" data-cell="{cells.index(cell)}">{picture}{star}</div>'


def _source(cell: Cell, embed_from: Path | None) -> str:
    if embed_from is None:
        return quote(cell.path)
    path = embed_from / cell.path
    return f"data:{MIME_TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"
