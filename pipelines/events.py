"""What long work reports while it goes on: small frozen values, one JSON line each.

In: nothing. Out: the event types and their two-way mapping to plain records. Does not write files (training/runs.py does) and does not
compute percent or time left (app/progress.py does).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Started:
    """A run began, or went on from `first_step` after a stop."""

    total_steps: int
    first_step: int = 0
    device: str = "cpu"
    precision: str = "fp32"


@dataclass(frozen=True)
class Phase:
    """`done` of `total` pieces of preparatory or closing work: reading, encoding, drawing, exporting."""

    name: str
    done: int
    total: int


@dataclass(frozen=True)
class Step:
    """One optimizer step. `loss` is the step's mean; `sec_per_step` a running mean of the steps alone."""

    step: int
    loss: float
    learning_rate: float
    sec_per_step: float


@dataclass(frozen=True)
class Validated:
    """Held-out loss after `step` steps, at fixed timesteps and noise. `base_loss`: the same without the adapter."""

    step: int
    loss: float
    base_loss: float


@dataclass(frozen=True)
class Saved:
    """A checkpoint stands on disk. `path` is relative to the run folder."""

    step: int
    path: str


@dataclass(frozen=True)
class Picture:
    """One picture is ready. `path` is relative to the run folder; strength 0 is the base alone."""

    path: str
    prompt: str
    seed: int
    step: int = 0
    strength: float = 1.0


@dataclass(frozen=True)
class Advice:
    """Something the user should know while the run goes on. `code` is stable, for buttons and tests."""

    code: str
    message: str
    fix: str = ""


@dataclass(frozen=True)
class Stopped:
    """The run ended early on request; it can be resumed from `step`."""

    step: int


@dataclass(frozen=True)
class Finished:
    """The run is complete. `path`: the result, relative to the run folder."""

    path: str
    seconds: float


@dataclass(frozen=True)
class Failed:
    """The run ended with an error. The traceback stands in log.txt."""

    message: str
    fix: str = ""


Event = Started | Phase | Step | Validated | Saved | Picture | Advice | Stopped | Finished | Failed
KINDS: dict[str, type] = {
    kind.__name__.lower(): kind for kind in (Started, Phase, Step, Validated, Saved, Picture, Advice, Stopped, Finished, Failed)
}


def to_record(event: Event) -> dict[str, Any]:
    """The event as a JSON-ready dict with its `kind`."""
    return {"kind": type(event).__name__.lower(), **asdict(event)}


def from_record(record: dict[str, Any]) -> Event | None:
    """The event of a record; None for a kind that this version does not know. Unknown fields are ignored."""
    kind = KINDS.get(record.get("kind", ""))
    if kind is None:
        return None
    known = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in record.items() if name in known})
