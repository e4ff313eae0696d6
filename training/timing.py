"""Times a few real steps on this device, and remembers what they said, so that a forecast is a measurement.

In: a loaded base, settings. Out: `Speed` (forecast.py). The base is left as it was. torch is imported only where steps are timed: the page may recall.
Does not train: the adapter it times with is thrown away.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.atomic import write_atomically
from training.base_facts import BaseFacts
from training.config import TrainSettings
from training.device import DeviceFacts
from training.forecast import Speed

if TYPE_CHECKING:
    from pipelines.families.base import Base

NAME = "timed"
FILE = "speed.json"
TIMED_STEPS = 3


def time_steps(base: Base, settings: TrainSettings, *, precision: str = "fp32", load_seconds: float = 5.0) -> Speed:
    """Forward, backward and optimizer step at batch 1 and at the settings' batch (2 where that is 1), the median of three each."""
    import torch

    from pipelines import adapter as adapters
    from training.optim import build_optimizer

    side_px = settings.pictures.resolution_px or base.native_size_px
    pixels = torch.rand(1, 3, side_px, side_px, device=base.device) * 2 - 1
    encode = _median(lambda: base.encode_images(pixels), base)
    latents = base.encode_images(pixels)
    told = base.encode_prompts(["a picture"])
    parameters = adapters.create(base, settings.adapter, seed=0, name=NAME)
    optimizer = build_optimizer(settings.optim, denoiser=parameters, text_encoder=[])
    if settings.loop.gradient_checkpointing:
        base.unet.enable_gradient_checkpointing()
    base.unet.train()
    try:
        with torch.autocast(base.device.type, torch.bfloat16, enabled=precision != "fp32"):
            batch = max(2, settings.loop.batch)
            one, many = (_median(partial(_step, base, latents, told, optimizer, count=count), base) for count in (1, batch))
            base.unet.eval()
            forward = _median(lambda: _forward(base, latents, told, count=batch), base) / batch
    finally:
        base.unet.eval()
        base.unet.disable_gradient_checkpointing()
        adapters.detach(base, NAME)
    each = max(0.0, (many - one) / (batch - 1))
    return Speed(
        fixed_seconds=max(0.0, one - each), seconds_per_picture=each, resolution_px=side_px, forward_seconds=forward, encode_seconds=encode + 0.01,
        load_seconds=load_seconds, peak_bytes=peak_memory_bytes(base.device.type), peak_batch=batch, is_checkpointed=settings.loop.gradient_checkpointing,
    )  # fmt: skip


def peak_memory_bytes(device: str) -> int:
    """The most memory that this process has held on the device since it began."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_reserved()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def remember_speed(folder: Path, speed: Speed, *, base: BaseFacts, device: DeviceFacts, settings: TrainSettings) -> None:
    """Keep what was timed, for later plans of the same base, device and kind of adapter."""
    path = folder / FILE
    known = json.loads(path.read_text()) if path.exists() else {}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps({**known, _key(base, device, settings): asdict(speed)}, indent=1).encode())


def recall_speed(folder: Path, *, base: BaseFacts, device: DeviceFacts, settings: TrainSettings) -> Speed | None:
    """What was timed before, or None."""
    path = folder / FILE
    try:
        entry = json.loads(path.read_text()).get(_key(base, device, settings))
        return Speed(**entry) if entry else None
    except (OSError, ValueError, TypeError):
        return None


def _key(base: BaseFacts, device: DeviceFacts, settings: TrainSettings) -> str:
    adapter = settings.adapter
    checkpointing = " checkpointing" if settings.loop.gradient_checkpointing else ""
    return f"{Path(base.source).name} {base.parameters} on {device.name} x{device.cores}: {adapter.kind} {adapter.rank} {adapter.targets}{checkpointing}"


def _step(base: Base, latents, told, optimizer, *, count: int) -> None:  # type: ignore[no-untyped-def]
    _forward_loss(base, latents, told, count=count).backward()
    optimizer.step()
    optimizer.zero_grad()


def _forward(base: Base, latents, told, *, count: int) -> None:  # type: ignore[no-untyped-def]
    import torch

    with torch.no_grad():
        _forward_loss(base, latents, told, count=count)


def _forward_loss(base: Base, latents, told, *, count: int):  # type: ignore[no-untyped-def]
    import torch

    from pipelines.families.base import Conditioning

    batch = latents.expand(count, *latents.shape[1:])
    timesteps = torch.full((count,), 500, device=base.device)
    wide = Conditioning(told.hidden.expand(count, -1, -1), None if told.pooled is None else told.pooled.expand(count, -1))
    return base.predict(batch, timesteps, wide).square().mean()


def _median(work: Callable[[], object], base: Base) -> float:
    """Seconds, the median of three after one to warm up."""
    import torch

    taken = []
    for _ in range(TIMED_STEPS + 1):
        start = time.perf_counter()
        work()
        if base.device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])
