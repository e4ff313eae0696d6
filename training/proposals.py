"""Proposed captions: what each picture would say, beside what it says now. Nothing is changed here.

In: items and a text for each, from a captioner or a bulk edit. Out: `Proposal`s where something would change; and the edits of those that were taken.
Does not write captions (captioners.py, hub_captioners.py) and does not apply edits (edit_log.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from training.captions import mended, suffixed
from training.dataset import Item
from training.edits import Caption

Mode = Literal["empty", "replace", "behind"]


@dataclass(frozen=True)
class Proposal:
    """One picture's caption now and as proposed."""

    key: str
    old: str
    new: str


def proposals(items: Sequence[Item], texts: Iterable[str], *, mode: Mode = "empty") -> tuple[Proposal, ...]:
    """What would change. mode: "empty" writes only where nothing stands, "replace" everywhere, "behind" adds to what stands there. A text that says
    nothing changes nothing.
    """
    pairs = ((item, combined(item.caption, text, mode)) for item, text in zip(items, texts, strict=True))
    return tuple(Proposal(item.key, item.caption, new) for item, new in pairs if new != item.caption)


def combined(old: str, text: str, mode: Mode) -> str:
    """The caption that `text` makes of `old`."""
    text = " ".join(mended(text).split())
    if not text or (mode == "empty" and old.strip()):
        return old
    return suffixed([old], text)[0] if mode == "behind" else text


def as_edits(chosen: Iterable[Proposal]) -> tuple[Caption, ...]:
    """The edits that make it so."""
    return tuple(Caption(proposal.key, proposal.new) for proposal in chosen)
