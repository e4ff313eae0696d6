"""Lays pictures out as a contact sheet that can be printed or mailed: headings, wrapped labels, even gaps.

In: PIL pictures in rows and columns with their labels. Out: one PIL picture; PNG and PDF bytes. Pictures are shrunk to fit but never stretched or enlarged.
Colours and sizes are those of the page. Knows nothing of checkpoints.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

PAPER, INK, QUIET, LINE = "#fbfaf8", "#16181d", "#62656d", "#e3e0da"
TITLE_PX, SUBTITLE_PX, HEADING_PX, LABEL_PX = 28, 18, 16, 15
MARGIN_PX, GAP_PX, LABEL_WIDTH_PX, LABEL_GAP_PX, RADIUS_PX = 48, 12, 220, 24, 10
LARGEST_CELL_PX, SMALLEST_CELL_PX = 384, 96
SCALE = 4  # for smooth corners
PDF_DPI = 144


def board_sheet(
    cells: Sequence[Sequence[Image.Image | None]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    corner: str = "",
    title: str = "",
    subtitle: str = "",
    cell_px: int | None = None,
) -> Image.Image:
    """One sheet. cells: a picture per row and column, None where it is not drawn yet. cell_px: side of a cell; empty: the largest picture's, 96 to 384."""
    if len(cells) != len(rows) or any(len(row) != len(columns) for row in cells):
        raise ValueError(f"{len(rows)} rows and {len(columns)} columns do not fit the cells.")
    cell_px = cell_px or _usual_cell(cells)
    label_width_px = _label_width((corner, *rows))
    top_px = _head_height(title, subtitle) + (HEADING_PX * 2 if any(columns) else 0)
    left_px = MARGIN_PX + label_width_px
    width_px = left_px + len(columns) * (cell_px + GAP_PX) - GAP_PX + MARGIN_PX
    height_px = top_px + len(rows) * (cell_px + GAP_PX) - GAP_PX + MARGIN_PX
    sheet = Image.new("RGB", (width_px, height_px), PAPER)
    pen = ImageDraw.Draw(sheet)
    _draw_head(pen, title, subtitle, width_px=width_px)
    pen.text((MARGIN_PX, top_px - HEADING_PX * 1.7), corner, fill=QUIET, font=_font(LABEL_PX))
    for number, column in enumerate(columns):
        heading = _shortened(column, _font(HEADING_PX), cell_px)
        pen.text((left_px + number * (cell_px + GAP_PX), top_px - HEADING_PX * 1.7), heading, fill=INK, font=_font(HEADING_PX))
    for down, (label, row) in enumerate(zip(rows, cells, strict=True)):
        y_px = top_px + down * (cell_px + GAP_PX)
        _draw_label(pen, label, at=(MARGIN_PX, y_px), height_px=cell_px)
        for across, picture in enumerate(row):
            _draw_cell(sheet, picture, at=(left_px + across * (cell_px + GAP_PX), y_px), cell_px=cell_px)
    return sheet


def stacked(pages: Sequence[Image.Image]) -> bytes:
    """PNG bytes of the sheets under each other."""
    whole = Image.new("RGB", (max(page.width for page in pages), sum(page.height for page in pages)), PAPER)
    y_px = 0
    for page in pages:
        whole.paste(page, (0, y_px))
        y_px += page.height
    target = io.BytesIO()
    whole.save(target, "PNG", optimize=True)
    return target.getvalue()


def save_pdf(pages: Sequence[Image.Image], *, title: str = "") -> bytes:
    """PDF bytes, a page per sheet."""
    target = io.BytesIO()
    pages[0].save(
        target, "PDF", save_all=True, append_images=list(pages[1:]), resolution=PDF_DPI, title=title, producer="Brandprint", quality=92
    )
    return target.getvalue()


def wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: float) -> list[str]:
    """Lines no wider than width_px; a word that is wider alone is cut."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > width_px:
            lines.append(line)
            longer = word
        line = _shortened(longer, font, width_px)
    return [*lines, line] if line else lines


def _usual_cell(cells: Sequence[Sequence[Image.Image | None]]) -> int:
    sides = [max(picture.size) for row in cells for picture in row if picture is not None]
    return min(LARGEST_CELL_PX, max(SMALLEST_CELL_PX, *sides)) if sides else SMALLEST_CELL_PX


def _label_width(labels: Sequence[str]) -> int:
    longest_px = max(_font(LABEL_PX).getlength(label) for label in labels)
    return min(LABEL_WIDTH_PX, int(longest_px) + LABEL_GAP_PX) if longest_px else 0


def _head_height(title: str, subtitle: str) -> int:
    return MARGIN_PX + (int(TITLE_PX * 1.6) if title else 0) + (int(SUBTITLE_PX * 1.8) if subtitle else 0)


def _draw_head(pen: ImageDraw.ImageDraw, title: str, subtitle: str, *, width_px: int) -> None:
    y_px = MARGIN_PX - 8
    for text, size_px, colour in ((title, TITLE_PX, INK), (subtitle, SUBTITLE_PX, QUIET)):
        if text:
            pen.text((MARGIN_PX, y_px), _shortened(text, _font(size_px), width_px - 2 * MARGIN_PX), fill=colour, font=_font(size_px))
            y_px += int(size_px * 1.6)


def _draw_label(pen: ImageDraw.ImageDraw, label: str, *, at: tuple[int, int], height_px: int) -> None:
    font, step_px = _font(LABEL_PX), int(LABEL_PX * 1.4)
    lines = wrapped(label, font, LABEL_WIDTH_PX - LABEL_GAP_PX)
    fitting = max(1, height_px // step_px)
    if len(lines) > fitting:
        lines = [*lines[: fitting - 1], lines[fitting - 1] + " …"]
    for number, line in enumerate(lines):
        pen.text((at[0], at[1] + number * step_px), line, fill=INK, font=font)


def _draw_cell(sheet: Image.Image, picture: Image.Image | None, *, at: tuple[int, int], cell_px: int) -> None:
    """A picture in the middle of its cell; an empty frame where there is none yet."""
    if picture is None:
        ImageDraw.Draw(sheet).rounded_rectangle((*at, at[0] + cell_px - 1, at[1] + cell_px - 1), RADIUS_PX, outline=LINE)
        return
    shown = picture.convert("RGB")
    shown.thumbnail((cell_px, cell_px), Image.Resampling.LANCZOS)
    corner = at[0] + (cell_px - shown.width) // 2, at[1] + (cell_px - shown.height) // 2
    sheet.paste(shown, corner, _rounded(shown.size))


def _rounded(size: tuple[int, int]) -> Image.Image:
    """A mask with smooth round corners."""
    large = Image.new("L", (size[0] * SCALE, size[1] * SCALE), 0)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, large.width - 1, large.height - 1), RADIUS_PX * SCALE, fill=255)
    return large.resize(size, Image.Resampling.LANCZOS)


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: float) -> str:
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(text + "…") > width_px:
        text = text[:-1]
    return text.rstrip() + "…"


def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own typeface: the same on every machine."""
    return ImageFont.load_default(size_px)
