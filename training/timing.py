"""Remembers how fast trainings went on this machine, so that the next forecast is a measurement.

In: a finished run's records, and the facts that its plan was made with. Out: `Speed` (forecast.py), kept beside the runs and found again for the same base,
device and kind of adapter. No torch, so that a plan may recall. Times nothing itself: the run's own steps were timed already.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from pipelines.atomic import write_atomically
from training.base_facts import BaseFacts
from training.config import TrainSettings
from training.device import DeviceFacts
from training.forecast import TRAINER_BYTES, Speed, batches_a_pass, guess_speed

FILE = "speed.json"
FEWEST_STEPS = 5  # the first ones lay out weights and fill caches
FEWEST_PICTURES = 4


def speed_of_run(
    records: Sequence[Mapping[str, Any]], settings: TrainSettings, *, base: BaseFacts, device: DeviceFacts, peak_bytes: int
) -> Speed | None:
    """The device's guessed speed, scaled to what the steps took; None where there were too few. records: of Run.records(), oldest first.

    One run has one batch size: how a step's time divides into a fixed part and a part per picture stays as guessed.
    """
    steps = [record for record in records if record.get("kind") == "step"]
    if len(steps) < FEWEST_STEPS:
        return None
    guess = guess_speed(settings, base, device)
    side_px = settings.pictures.resolution_px or base.native_size_px
    batches = settings.loop.accumulation * batches_a_pass(settings)
    ratio = _step_seconds(steps) / batches / guess.step_seconds(settings.loop.batch, side_px)
    return Speed(
        fixed_seconds=ratio * guess.fixed_seconds,
        seconds_per_picture=ratio * guess.seconds_per_picture,
        resolution_px=guess.resolution_px,
        forward_seconds=ratio * guess.forward_seconds,
        encode_seconds=_encode_seconds(records, side_px / guess.resolution_px) or ratio * guess.encode_seconds,
        load_seconds=guess.load_seconds,
        peak_bytes=int(peak_bytes - (TRAINER_BYTES if device.kind == "cpu" else 0)),
        peak_batch=settings.loop.batch,
        peak_px=side_px,
        is_checkpointed=settings.loop.gradient_checkpointing,
    )


def _step_seconds(steps: Sequence[Mapping[str, Any]]) -> float:
    """What a step took, as a rule: the middle of the times between steps, so that validations, checkpoints and pauses do not count as steps."""
    return median(later["at"] - sooner["at"] for sooner, later in pairwise(steps))


def peak_memory_bytes(device: str) -> int:
    """The most memory that this process has held on the device since it began."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_reserved()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def remember_speed(folder: Path, speed: Speed, *, base: BaseFacts, device: DeviceFacts, settings: TrainSettings) -> None:
    """Keep what was timed, for later plans of the same base, device and kind of adapter."""
    folder.mkdir(parents=True, exist_ok=True)
    known = {**_known(folder), _key(base, device, settings): asdict(speed)}
    write_atomically(folder / FILE, json.dumps(known, indent=1).encode())


def recall_speed(folder: Path, *, base: BaseFacts, device: DeviceFacts, settings: TrainSettings) -> Speed | None:
    """What was timed before, or None."""
    try:
        return Speed(**_known(folder)[_key(base, device, settings)])
    except (KeyError, TypeError):
        return None


def _encode_seconds(records: Sequence[Mapping[str, Any]], scale: float) -> float | None:
    """Seconds a picture at the timed resolution; None where too few were encoded to tell. scale: of the run's side over that resolution."""
    told = [record for record in records if record.get("kind") == "phase" and record.get("name") == "pictures"]
    if not told or told[-1]["total"] < FEWEST_PICTURES or told[-1]["done"] < told[-1]["total"]:
        return None
    begun = next(record for record in reversed(told) if record["done"] == 0)
    return (told[-1]["at"] - begun["at"]) / told[-1]["total"] / scale**2


def _known(folder: Path) -> dict[str, dict[str, Any]]:
    """Everything remembered; a damaged memory counts as none."""
    try:
        known = json.loads((folder / FILE).read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _key(base: BaseFacts, device: DeviceFacts, settings: TrainSettings) -> str:
    adapter = settings.adapter
    ways = f"{settings.loop.precision}{' checkpointing' if settings.loop.gradient_checkpointing else ''}"
    taught = f"{adapter.kind} {adapter.rank} {adapter.targets}{' text' if adapter.text_encoder else ''}"
    return f"{Path(base.source).name} {base.parameters} on {device.name} x{device.cores}: {taught} {ways}"
