"""How long a training will take, how much memory and disk it will need: a model with few figures, each measured, and its error afterwards.

In: settings, facts of base and device, and, where steps were timed on this device, their `Speed` (timing.py). Out: `Forecast`; after the run
`ForecastError`. No torch. Does not choose settings (plan.py does).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pipelines.atomic import write_atomically
from pipelines.events import Advice, Event, Finished, Step
from training.base_facts import BaseFacts
from training.config import TrainSettings
from training.device import DeviceFacts

# Work of one training step over one forward pass: forward 1, backward under 1 (frozen weights need no gradient). Measured on the starter: 1.8 to 1.9.
STEP_WORK = 1.9
CHECKPOINTING_WORK = 1.35  # the forward pass is done twice
SECONDS_PER_LAYER = {
    "cpu": 130e-6,
    "cuda": 90e-6,
    "mps": 150e-6,
}  # cost of a layer whatever the batch, forward, backward and optimizer; CPU: measured
# Bytes that backward keeps per output number of a layer, over its own width: norms, activations and attention keep copies. Measured; see docs/verdict.md.
KEPT_PER_FLOAT = 3.65
CHECKPOINTING_KEEPS = 0.2
PROCESS_BYTES = {
    "cpu": 440e6,
    "cuda": 600e6,
    "mps": 700e6,
}  # python, torch, diffusers, peft; on a GPU the context and the allocator's slack
TRAINER_BYTES = 80e6  # what the trainer itself adds to the process that steps were timed in: measured, 81 MB
# Of the whole, for every doubling of the shapes: an allocator that serves several fits none, and oneDNN keeps something for each. Measured with the starter, batch 8,
# 40 steps: 1,031 MB with one shape, 1,117 with 2, 1,174 with 4, 1,189 with 8, and 1,425 after 90 steps.
SHAPES_COST = {"cpu": 0.08, "cuda": 0.0, "mps": 0.0}
ENCODE_WORK = 0.35  # autoencoder and files of one picture, in forward passes of the denoiser
PREVIEW_STEPS = 20
FAST_SHARE = 0.6  # of an exact preview's time; on a CPU a training draws fast ones (trainer.py)
TOGETHER_SHARE = 0.5  # and four at once where they are small: the starter's take 1.7 instead of 5.7 s
TOGETHER_PIXELS = 256  # of a latent
SAVE_SECONDS = 0.3
# What the first three steps take more than others: weights are laid out and, where steps are small, recorded. Measured with the starter: 0.8 (attention) to 1.6 (all layers).
BEGIN_SECONDS = {"cpu": 1.2, "cuda": 0.0, "mps": 0.0}
FILE = "forecast.json"
CACHED_BYTES = 1.05  # a cache entry's file over its tensor


@dataclass(frozen=True)
class Speed:
    """What timed steps on this device said. The step took fixed + batch x each seconds; peak_bytes were used at most."""

    fixed_seconds: float
    seconds_per_picture: float
    resolution_px: int
    forward_seconds: float  # one picture through the denoiser without gradients
    encode_seconds: float  # one picture read and encoded
    load_seconds: float = 5.0
    peak_bytes: int = 0
    peak_batch: int = 1
    peak_px: int = 0  # side at which the peak was seen; 0: resolution_px
    is_checkpointed: bool = False

    def step_seconds(self, batch: float, resolution_px: int) -> float:
        """One micro-batch. Scales with the pixels from the resolution that was timed."""
        return self.fixed_seconds + batch * self.seconds_per_picture * (resolution_px / self.resolution_px) ** 2


@dataclass(frozen=True)
class Forecast:
    """Seconds by part, bytes at the peak, bytes on disk. is_measured: from timed steps, not from the device's class."""

    load_seconds: float
    prepare_seconds: float
    train_seconds: float
    validate_seconds: float
    preview_seconds: float
    sec_per_step: float
    memory_bytes: int
    device_memory_bytes: int
    disk_bytes: int
    is_measured: bool

    @property
    def seconds(self) -> float:
        return self.load_seconds + self.prepare_seconds + self.train_seconds + self.validate_seconds + self.preview_seconds

    @property
    def fits(self) -> bool:
        """True if the peak leaves a tenth of the device's memory free."""
        return self.memory_bytes <= 0.9 * self.device_memory_bytes

    @property
    def words(self) -> str:
        """One line for people."""
        source = "timed on this device" if self.is_measured else "estimated from the device's class; exact after the first steps"
        return f"About {duration(self.seconds)} ({source}); {size(self.memory_bytes)} of {size(self.device_memory_bytes)} memory; {size(self.disk_bytes)} on disk."


@dataclass(frozen=True)
class ForecastError:
    """Share by which the forecast missed: 0.1 = it took 10 % longer (or more memory) than said."""

    seconds: float
    memory: float | None = None

    @property
    def words(self) -> str:
        """One line for the end of a run."""
        parts = [f"Time was {_missed(self.seconds)}"]
        if self.memory is not None:
            parts.append(f"memory {_missed(self.memory)}")
        return ", ".join(parts) + " than forecast."


def make_forecast(
    settings: TrainSettings, base: BaseFacts, device: DeviceFacts, *, pictures: int, held_out: int, batches: float = 0, speed: Speed | None = None, shapes: int = 1
) -> Forecast:  # fmt: skip
    """The forecast of a whole run. pictures: to train on; held_out: beside them; batches: for one look at each (0: of one shape); shapes: how many."""
    speed = speed or guess_speed(settings, base, device)
    loop = settings.loop
    resolution = settings.pictures.resolution_px or base.native_size_px
    forward = speed.forward_seconds * (resolution / speed.resolution_px) ** 2
    mean_batch = pictures / batches if batches else _mean_batch(loop.batch, pictures)
    per_step = loop.accumulation * batches_a_pass(settings) * speed.step_seconds(mean_batch, resolution)
    train = loop.steps * per_step
    entries = (pictures + held_out) * (2 if settings.pictures.flip else 1)
    drawn = len(loop.preview_prompts) * loop.checkpoints if loop.steps else 0
    class_pictures = settings.loss.prior_pictures if settings.loss.prior_weight else 0
    return Forecast(
        load_seconds=speed.load_seconds,
        prepare_seconds=entries * speed.encode_seconds * (resolution / speed.resolution_px) ** 2
        + class_pictures * 2 * PREVIEW_STEPS * forward * _together_share(base, device),
        train_seconds=BEGIN_SECONDS[device.kind] + train + loop.checkpoints * SAVE_SECONDS,
        validate_seconds=_validation_passes(settings, held_out) * forward,
        preview_seconds=drawn * 2 * PREVIEW_STEPS * forward * _together_share(base, device) * (FAST_SHARE if device.kind == "cpu" else 1),
        sec_per_step=per_step,
        memory_bytes=memory_bytes(settings, base, device, speed=speed if speed.peak_bytes else None, shapes=shapes),
        device_memory_bytes=device.memory_bytes,
        disk_bytes=disk_bytes(settings, base, pictures=entries),
        is_measured=speed.peak_bytes > 0,
    )


def _together_share(base: BaseFacts, device: DeviceFacts) -> float:
    """Of the time that a picture takes alone."""
    is_small = (base.native_size_px / base.stride_px) ** 2 <= TOGETHER_PIXELS
    return TOGETHER_SHARE if device.kind == "cpu" and is_small else 1.0


def _mean_batch(batch: int, pictures: int) -> float:
    """Pictures a batch: the last one of an epoch holds what is left."""
    return pictures / math.ceil(pictures / batch) if pictures else batch


def batches_a_pass(settings: TrainSettings) -> int:
    """Class pictures are a batch of their own beside each one of the user's."""
    return 2 if settings.loss.prior_weight else 1


def guess_speed(settings: TrainSettings, base: BaseFacts, device: DeviceFacts) -> Speed:
    """The speed that the device's class promises, before anything was timed."""
    native = base.native_size_px
    forward = (base.denoiser.flops + base.denoiser.attention_flops) / device.flops
    work = STEP_WORK * (CHECKPOINTING_WORK if settings.loop.gradient_checkpointing else 1)
    fixed = base.denoiser.layers * SECONDS_PER_LAYER[device.kind] * (3 if settings.adapter.targets == "all" else 2.5)
    loading = 3 + 2 * base.parameters / 1e9 + (2 if device.kind == "cuda" else 0)
    return Speed(
        fixed, work * forward, native, forward, ENCODE_WORK * forward + 0.01, loading, is_checkpointed=settings.loop.gradient_checkpointing
    )


def memory_bytes(settings: TrainSettings, base: BaseFacts, device: DeviceFacts, *, speed: Speed | None = None, shapes: int = 1) -> int:
    """Peak memory: the process, the frozen base, the adapter with gradient and optimizer state, and what a micro-batch keeps for backward.

    speed: timed steps; its peak is then scaled by the activations alone. shapes: different ones that the pictures are trained in.
    """
    kept = activation_bytes(settings, base, device)
    if speed is not None:
        timed = settings.model_copy(update={
            "loop": settings.loop.model_copy(update={"batch": speed.peak_batch, "gradient_checkpointing": speed.is_checkpointed}),
            "pictures": settings.pictures.model_copy(update={"resolution_px": speed.peak_px or speed.resolution_px}),
        })  # fmt: skip
        beside = TRAINER_BYTES if device.kind == "cpu" else 0
        return int(speed.peak_bytes + beside + kept - activation_bytes(timed, base, device))
    width = 4 if _is_full_width(settings, device) else 2
    frozen = (base.denoiser.parameters + base.text_parameters) * width + base.vae_parameters * 4
    adapter = base.adapter_parameters(
        rank=settings.adapter.rank, targets=settings.adapter.targets, text_encoder=settings.adapter.text_encoder
    )
    state = {"adamw": 8, "adamw8bit": 2, "prodigy": 16, "adafactor": 0.5}[settings.optim.optimizer] + (4 if settings.optim.ema_decay else 0)
    read = base.parameters * (4 if device.kind == "cpu" else 2)  # a CPU reads the base as float32 first
    whole = PROCESS_BYTES[device.kind] + max(read, frozen + adapter * (8 + state) + kept)
    return int(whole * (1 + SHAPES_COST[device.kind] * math.log2(shapes)))


def activation_bytes(settings: TrainSettings, base: BaseFacts, device: DeviceFacts) -> float:
    """What one micro-batch keeps between forward and backward."""
    resolution = settings.pictures.resolution_px or base.native_size_px
    pixels = (resolution / base.native_size_px) ** 2
    width = 4 if _is_full_width(settings, device) else 2
    share = CHECKPOINTING_KEEPS if settings.loop.gradient_checkpointing else 1
    return settings.loop.batch * pixels * base.denoiser.activation_floats * KEPT_PER_FLOAT * width * share


def disk_bytes(settings: TrainSettings, base: BaseFacts, *, pictures: int) -> int:
    """Cache, checkpoints (adapter and optimizer state, newest only keeps the latter) and the adapter, the previews."""
    resolution = settings.pictures.resolution_px or base.native_size_px
    latents = pictures * base.latent_channels * (resolution / base.stride_px) ** 2 * 4 * CACHED_BYTES
    text = pictures * 77 * (2048 if base.family == "sdxl" else 768) * 4
    adapter = (
        base.adapter_parameters(rank=settings.adapter.rank, targets=settings.adapter.targets, text_encoder=settings.adapter.text_encoder)
        * 4
    )
    drawn = len(settings.loop.preview_prompts) * settings.loop.checkpoints * resolution**2 * 1.5
    return int(latents + text + adapter * (settings.loop.checkpoints + 3) + drawn)


def forecast_error(forecast: Forecast, events: Iterable[Event], *, peak_bytes: int | None = None) -> ForecastError | None:
    """By how much a finished run missed its forecast; None if it did not finish."""
    finished = next((event for event in reversed(list(events)) if isinstance(event, Finished)), None)
    if finished is None:
        return None
    memory = peak_bytes / forecast.memory_bytes - 1 if peak_bytes else None
    return ForecastError(finished.seconds / forecast.seconds - 1, memory)


def refine(forecast: Forecast, events: Sequence[Event]) -> Forecast:
    """The forecast with the step time that the run itself reports."""
    steps = [event for event in events if isinstance(event, Step)]
    if not steps or forecast.sec_per_step <= 0:
        return forecast
    ratio = steps[-1].sec_per_step / forecast.sec_per_step
    return replace(
        forecast, train_seconds=forecast.train_seconds * ratio, validate_seconds=forecast.validate_seconds * ratio,
        preview_seconds=forecast.preview_seconds * ratio, sec_per_step=steps[-1].sec_per_step, is_measured=True,
    )  # fmt: skip


def _validation_passes(settings: TrainSettings, held_out: int) -> float:
    """Forward passes that all validations take together: 5 fixed timesteps a picture, never above 5 % of the training (validation.py)."""
    loop = settings.loop
    if not loop.validations or not held_out:
        return 0
    one = min(held_out * 5, 0.05 * 3 * loop.steps * loop.batch * loop.accumulation / loop.validations)
    return loop.validations * one


def _is_full_width(settings: TrainSettings, device: DeviceFacts) -> bool:
    return settings.loop.precision == "fp32" or (settings.loop.precision == "auto" and device.kind != "cuda")


def _missed(share: float) -> str:
    return f"{abs(share):.0%} {'more' if share >= 0 else 'less'}"


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would use."""
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    if seconds < 5400:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 2 * 86400 else f"{seconds / 86400:.0f} days"


def size(count: float) -> str:
    """Bytes in the unit that a person would use."""
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{max(1, round(count / 2**20))} MB"


def write_forecast(run_folder: Path, forecast: Forecast) -> None:
    """Keep the forecast beside the run, so that its error can be told afterwards."""
    write_atomically(run_folder / FILE, json.dumps(asdict(forecast), indent=1).encode())


def read_forecast(run_folder: Path) -> Forecast | None:
    """The forecast that a run began with, or None."""
    try:
        return Forecast(**json.loads((run_folder / FILE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def closing_advice(run_folder: Path, events: Iterable[Event], *, peak_bytes: int | None = None) -> Advice | None:
    """What the end of a run says about its forecast; None without a forecast or an end."""
    forecast = read_forecast(run_folder)
    missed = forecast_error(forecast, events, peak_bytes=peak_bytes) if forecast else None
    return Advice("forecast", missed.words) if missed else None
