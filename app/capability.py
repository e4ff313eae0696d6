"""What this machine can do: device, precision, memory, disk, and which bases will fit for training and for drawing.

In: nothing. Out: a frozen `Capability`. Measures nothing longer than a fraction of a second and downloads nothing.
"""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipelines.families.base import FamilyName
from training.base_facts import BaseFacts, family_facts, read_base_facts
from training.config import TrainSettings
from training.device import DeviceFacts, find_device
from training.forecast import duration, make_forecast, size

FAMILIES: tuple[tuple[str, FamilyName], ...] = (("SD 1.5", "sd1"), ("SD 2.1", "sd2"), ("SDXL", "sdxl"))
LIBRARIES = ("torch", "diffusers", "transformers", "peft", "accelerate", "gradio")
HALF_BYTES = 2
DRAWING_SLACK = 1.3  # activations and the autoencoder over the weights


@dataclass(frozen=True)
class Fit:
    """How one base fits. training, drawing: "yes" with figures, or "no"."""

    base: str
    training: str
    drawing: str
    note: str = ""


@dataclass(frozen=True)
class Capability:
    """Facts as (name, value) rows, and a row for each base."""

    facts: tuple[tuple[str, str], ...]
    bases: tuple[Fit, ...]

    def record(self) -> dict[str, Any]:
        return {"facts": dict(self.facts), "bases": [asdict(fit) for fit in self.bases]}


def examine() -> Capability:
    """This machine, as it is now."""
    device = find_device()
    disk = shutil.disk_usage(Path.cwd())
    facts = (
        ("device", f"{device.words}: {device.name}" if device.kind == "cpu" else device.name),
        ("precision", "bf16" if device.bf16 else "fp32, or bf16 where it is faster" if device.kind == "cpu" else "fp16"),
        ("memory", f"{size(device.free_bytes)} free of {size(device.memory_bytes)}"),
        ("disk", f"{size(disk.free)} free"),
        ("python", f"{sys.version.split()[0]} on {platform.system()} {platform.machine()}"),
        *((name, _version(name)) for name in LIBRARIES),
    )
    bases = (read_base_facts("starter"), *(family_facts(label, family) for label, family in FAMILIES))
    return Capability(facts, tuple(_fit(base, device) for base in bases))


def _fit(base: BaseFacts, device: DeviceFacts) -> Fit:
    """A usual training: 1000 steps of batch 1 with checkpointing, which is the least that teaches anything."""
    light = TrainSettings.model_validate(
        {
            "loop": {"steps": 1000, "batch": 4 if base.is_starter else 1, "gradient_checkpointing": not base.is_starter},
            "pictures": {"resolution_px": base.native_size_px},
        }
    )
    forecast = make_forecast(light, base, device, pictures=200, held_out=10)
    training = (
        f"yes, about {duration(forecast.seconds)} for 1000 steps, {size(forecast.memory_bytes)}"
        if forecast.fits
        else f"no, needs {size(forecast.memory_bytes)}"
    )
    drawing_bytes = base.parameters * (4 if device.kind == "cpu" else HALF_BYTES) * DRAWING_SLACK
    drawing = f"yes, {size(drawing_bytes)}" if drawing_bytes < 0.9 * device.memory_bytes else f"no, needs {size(drawing_bytes)}"
    slow = forecast.fits and forecast.seconds > 6 * 3600
    return Fit(base.source, training, drawing, "very slow here: a GPU is advised" if slow else "")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
