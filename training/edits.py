"""The changes a user can ask for, as frozen values; originals are never touched.

In: edits, from the doctor's fixes or from the page. Out: their records (JSON) and what they mean for one picture (`Geometry`).
All boxes and points are fractions of the upright original, whatever else was edited: so any edit can be undone alone, in any order.
Does not write files (edit_log.py does) and does not open pictures (images.py does).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from pipelines.errors import DatasetError
from training.captions import mended

Box = tuple[float, float, float, float]  # left, top, right, bottom; fractions of the upright original
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Rotate:
    """Turn a picture clockwise."""

    key: str
    clockwise_deg: Literal[90, 180, 270]


@dataclass(frozen=True)
class Crop:
    """Keep only a part, to show the subject better."""

    key: str
    box: Box


@dataclass(frozen=True)
class Trim:
    """Cut a border, letterbox or frame away."""

    key: str
    box: Box


@dataclass(frozen=True)
class Flatten:
    """Lay a colour under a transparent picture. background: "#rrggbb"."""

    key: str
    background: str


@dataclass(frozen=True)
class Focus:
    """The point that every crop keeps in view."""

    key: str
    x: float
    y: float


@dataclass(frozen=True)
class LeaveOut:
    """Do not train on this picture."""

    key: str
    why: str = ""


@dataclass(frozen=True)
class KeepOneOf:
    """Of pictures that show the same, keep one and leave the others out."""

    keep: str
    others: tuple[str, ...]


@dataclass(frozen=True)
class HoldOut:
    """Keep this picture for checking: never trained on."""

    key: str


@dataclass(frozen=True)
class Weight:
    """How often a picture is shown per round."""

    key: str
    repeats: int


@dataclass(frozen=True)
class Caption:
    """Say something else about this picture."""

    key: str
    text: str


@dataclass(frozen=True)
class Dismiss:
    """The doctor's finding `code` is no fault in these pictures: do not report it again."""

    code: str
    keys: tuple[str, ...]


Edit = Rotate | Crop | Trim | Flatten | Focus | LeaveOut | KeepOneOf | HoldOut | Weight | Caption | Dismiss
KINDS: dict[str, type] = {
    "rotate": Rotate,
    "crop": Crop,
    "trim": Trim,
    "flatten": Flatten,
    "focus": Focus,
    "leave_out": LeaveOut,
    "keep_one_of": KeepOneOf,
    "hold_out": HoldOut,
    "weight": Weight,
    "caption": Caption,
    "dismiss": Dismiss,
}
_NAMES = {kind: name for name, kind in KINDS.items()}


def edit_kind(edit: Edit) -> str:
    """The stable name of an edit's type, as it stands in files."""
    return _NAMES[type(edit)]


def edited_keys(edit: Edit) -> tuple[str, ...]:
    """The pictures that an edit concerns."""
    if isinstance(edit, KeepOneOf):
        return (edit.keep, *edit.others)
    if isinstance(edit, Dismiss):
        return edit.keys
    return (edit.key,)


def to_record(edit: Edit) -> dict[str, Any]:
    """The edit as a JSON-ready dict with its `kind`."""
    values = asdict(edit).items()
    return {"kind": edit_kind(edit), **{name: list(value) if isinstance(value, tuple) else value for name, value in values}}


def from_record(record: dict[str, Any]) -> Edit:
    """The edit of a record. Raises DatasetError for an unknown kind, a missing field or a value out of range."""
    kind = KINDS.get(str(record.get("kind")))
    if kind is None:
        message = f"An edit of the unknown kind {record.get('kind')!r} stands in the edit list."
        raise DatasetError(message, fix="Update Brandprint, or remove that edit.")
    names = {field.name for field in fields(kind)}
    values = {name: _value(value) for name, value in record.items() if name in names}
    try:
        return check(kind(**values))
    except TypeError as error:
        raise DatasetError(f"The edit {record!r} is incomplete.", fix="Remove it from the edit list.") from error


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return mended(value)
    return tuple(value) if isinstance(value, list) else value


def check(edit: Edit) -> Edit:
    """The edit itself, if its values make sense; raises DatasetError otherwise."""
    wrong = _what_is_wrong(edit)
    if wrong:
        raise DatasetError(f"{edit_kind(edit)} of {edited_keys(edit)[0]}: {wrong}.", fix="Choose other values.")
    return edit


def _what_is_wrong(edit: Edit) -> str:
    if isinstance(edit, Rotate) and edit.clockwise_deg not in (90, 180, 270):
        return f"turns by {edit.clockwise_deg} degrees; 90, 180 and 270 are possible"
    if isinstance(edit, Crop | Trim):
        left, top, right, bottom = edit.box
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            return f"the box {edit.box} is not inside the picture"
    if isinstance(edit, Focus) and not (0 <= edit.x <= 1 and 0 <= edit.y <= 1):
        return f"the point ({edit.x}, {edit.y}) is not inside the picture"
    if isinstance(edit, Weight) and not 1 <= edit.repeats <= 100:
        return f"{edit.repeats} repeats; 1 to 100 are possible"
    return ""


def in_words(edit: Edit) -> str:
    """What the edit does to its picture, for lists of changes: "turned by 90°"."""
    if isinstance(edit, Rotate):
        return f"turned by {edit.clockwise_deg}°"
    if isinstance(edit, Caption):
        return f"says: {edit.text}" if edit.text else "caption taken away"
    if isinstance(edit, LeaveOut):
        return f"left out: {edit.why}" if edit.why else "left out"
    if isinstance(edit, KeepOneOf):
        return f"stays; {len(edit.others)} like it left out"
    if isinstance(edit, Weight):
        return f"shown {edit.repeats} times a round"
    if isinstance(edit, Flatten):
        return f"laid on {edit.background}"
    if isinstance(edit, Dismiss):
        return f"no fault: {edit.code.replace('_', ' ')}"
    return {Crop: "cropped", Trim: "border cut away", Focus: "focal point set", HoldOut: "kept for checking"}[type(edit)]


@dataclass(frozen=True)
class Geometry:
    """What the edits of one picture do to its pixels: cut `box` out of the upright original, then turn it."""

    box: Box = WHOLE
    clockwise_deg: int = 0
    focus: tuple[float, float] | None = None  # in the upright original
    background: str | None = None

    def size_hw(self, width_px: int, height_px: int) -> tuple[int, int]:
        """(height, width) of the picture after the edits, for an upright original of this size."""
        left, top, right, bottom = self.pixels(width_px, height_px)
        width, height = right - left, bottom - top
        return (width, height) if self.clockwise_deg in (90, 270) else (height, width)

    def pixels(self, width_px: int, height_px: int) -> tuple[int, int, int, int]:
        """The box in whole pixels, at least one pixel wide and high."""
        left, top, right, bottom = self.box
        x0, y0 = min(round(left * width_px), width_px - 1), min(round(top * height_px), height_px - 1)
        return x0, y0, max(x0 + 1, round(right * width_px)), max(y0 + 1, round(bottom * height_px))

    def seen_focus(self) -> tuple[float, float]:
        """The focal point as fractions of the edited picture; its middle where none was chosen."""
        if self.focus is None:
            return 0.5, 0.5
        left, top, right, bottom = self.box
        x = min(max((self.focus[0] - left) / (right - left), 0.0), 1.0)
        y = min(max((self.focus[1] - top) / (bottom - top), 0.0), 1.0)
        return {0: (x, y), 90: (1 - y, x), 180: (1 - x, 1 - y), 270: (y, 1 - x)}[self.clockwise_deg]


def geometry(edits: Sequence[Edit]) -> Geometry:
    """All edits of one picture together: turns add up, boxes intersect, the last focus and colour count."""
    turn = sum(edit.clockwise_deg for edit in edits if isinstance(edit, Rotate)) % 360
    focus = [(edit.x, edit.y) for edit in edits if isinstance(edit, Focus)]
    colours = [edit.background for edit in edits if isinstance(edit, Flatten)]
    box = _intersection(edit.box for edit in edits if isinstance(edit, Crop | Trim))
    return Geometry(box, turn, focus[-1] if focus else None, colours[-1] if colours else None)


def _intersection(boxes: Iterable[Box]) -> Box:
    result = WHOLE
    for box in boxes:
        common = (max(result[0], box[0]), max(result[1], box[1]), min(result[2], box[2]), min(result[3], box[3]))
        result = common if common[0] < common[2] and common[1] < common[3] else box  # two that do not touch: the later one counts
    return result
