"""Events of a run -> what the page shows: percent, seconds left, loss points, pictures by checkpoint, advice.

In: a run's records (dicts with `at` and `kind`) and its state. Out: a frozen `Progress`. Pure: reads no clock but the one it is given, writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.runs import RunState

Record = Mapping[str, Any]
PREPARED_PERCENT = 6.0  # where training begins: reading and encoding come before
TRAINED_PERCENT = 97.0  # where it ends: the verdict comes after
CURVE_POINTS = 160
SMOOTHING = 0.1  # weight of the newest loss in the drawn mean


@dataclass(frozen=True)
class Shown:
    """A preview. path: relative to the run."""

    path: str
    prompt: str
    seed: int
    step: int
    strength: float


@dataclass(frozen=True)
class Progress:
    """One look at a run. seconds_left: None while nothing can be said. curve: (step, smoothed loss); held_out: (step, loss)."""

    state: RunState
    percent: float
    phase: str
    phase_done: int
    phase_total: int
    step: int
    total_steps: int
    seconds_left: float | None
    sec_per_step: float | None
    device: str
    precision: str
    curve: tuple[tuple[int, float], ...]
    held_out: tuple[tuple[int, float], ...]
    base_loss: float | None
    saved_steps: tuple[int, ...]
    pictures: tuple[Shown, ...]
    advice: tuple[tuple[str, str, str], ...]  # code, message, fix
    error: tuple[str, str] | None  # message, fix
    is_closing: bool = False  # trained; the verdict is being made


def read_progress(records: Sequence[Record], state: RunState, *, now: float) -> Progress:
    """How a run stands. now: seconds since the epoch."""
    started = _last(records, "started")
    step = _last(records, "step")
    done = int(step["step"]) if step else int(started["first_step"]) if started else 0
    total = int(started["total_steps"]) if started else 0
    phase = _phase(records)
    held_out = _of(records, "validated")
    failed = _last(records, "failed") if state == "failed" else None
    return Progress(
        state=state,
        percent=_percent(records, state, done, total, phase),
        phase=str(phase["name"]) if phase else "",
        phase_done=int(phase["done"]) if phase else 0,
        phase_total=int(phase["total"]) if phase else 0,
        step=done,
        total_steps=total,
        seconds_left=_seconds_left(records, state, done, total, now) if total else None,
        sec_per_step=float(step["sec_per_step"]) if step else None,
        device=str(started["device"]) if started else "",
        precision=str(started["precision"]) if started else "",
        curve=thinned(smoothed([(int(record["step"]), float(record["loss"])) for record in _of(records, "step")]), CURVE_POINTS),
        held_out=tuple((int(record["step"]), float(record["loss"])) for record in held_out),
        base_loss=float(held_out[-1]["base_loss"]) if held_out else None,
        saved_steps=tuple(dict.fromkeys(int(record["step"]) for record in _of(records, "saved"))),
        pictures=_pictures(records),
        advice=tuple((str(record["code"]), str(record["message"]), str(record.get("fix", ""))) for record in _of(records, "advice")),
        error=(str(failed["message"]), str(failed.get("fix", ""))) if failed else None,
        is_closing=_is_closing(records, state),
    )


def smoothed(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Exponential mean with the start corrected (Kingma & Ba 2014, arXiv 1412.6980, section 3). A step taken again replaces its first try."""
    latest = dict(points)
    mean, weight, result = 0.0, 0.0, []
    for place in sorted(latest):
        mean += SMOOTHING * (latest[place] - mean)
        weight += SMOOTHING * (1.0 - weight)
        result.append((place, mean / weight))
    return result


def thinned(points: Sequence[tuple[int, float]], count: int) -> tuple[tuple[int, float], ...]:
    """At most `count` points, the first and the last among them."""
    if len(points) <= count:
        return tuple(points)
    places = {round(index * (len(points) - 1) / (count - 1)) for index in range(count)}
    return tuple(points[place] for place in sorted(places))


def _percent(records: Sequence[Record], state: RunState, done: int, total: int, phase: Record | None) -> float:
    """Never goes back within a run: preparation, steps and closing work have their own stretches."""
    if _is_closing(records, state):
        share = phase["done"] / max(1, phase["total"]) if phase and phase["name"] == "scoring" else 0.0
        return TRAINED_PERCENT + (100.0 - TRAINED_PERCENT) * share
    if state == "finished":
        return 100.0
    if total:
        return PREPARED_PERCENT + (TRAINED_PERCENT - PREPARED_PERCENT) * min(1.0, done / total)
    if phase:
        return 0.5 + (PREPARED_PERCENT - 1.0) * min(1.0, phase["done"] / max(1, phase["total"]))
    return 0.0


def _is_closing(records: Sequence[Record], state: RunState) -> bool:
    """True while the verdict is being made: the training has ended, and somebody still holds the run."""
    if state != "running":
        return False
    ended = max((index for index, record in enumerate(records) if record["kind"] in ("finished", "stopped")), default=-1)
    begun = max((index for index, record in enumerate(records) if record["kind"] == "started"), default=-1)
    return ended > begun


def _seconds_left(records: Sequence[Record], state: RunState, done: int, total: int, now: float) -> float | None:
    """Steps left at the pace of the wall clock since this start, so that previews and checks count; the step being taken counts as begun."""
    if state != "running" or done >= total:
        return None
    begin = max(index for index, record in enumerate(records) if record["kind"] == "started")
    steps = [record for record in records[begin:] if record["kind"] == "step"]
    if len(steps) < 3:
        return None
    pace = (steps[-1]["at"] - steps[0]["at"]) / (len(steps) - 1)
    return max(0.0, (total - done) * pace - min(pace, max(0.0, now - steps[-1]["at"])))


def _phase(records: Sequence[Record]) -> Record | None:
    """The phase at work: the last one, unless steps came after it."""
    for record in reversed(records):
        if record["kind"] == "step":
            return None
        if record["kind"] == "phase":
            return record
    return None


def _pictures(records: Sequence[Record]) -> tuple[Shown, ...]:
    """Every preview once, in the order in which they came."""
    found = {str(record["path"]): record for record in _of(records, "picture")}
    return tuple(
        Shown(path, str(record["prompt"]), int(record["seed"]), int(record.get("step", 0)), float(record.get("strength", 1.0)))
        for path, record in found.items()
    )


def _of(records: Sequence[Record], kind: str) -> list[Record]:
    return [record for record in records if record.get("kind") == kind]


def _last(records: Sequence[Record], kind: str) -> Record | None:
    return next((record for record in reversed(records) if record.get("kind") == kind), None)
