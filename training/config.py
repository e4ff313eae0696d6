"""The settings tree of one training, frozen: built once, passed down, never changed.

In: values from the plan, flags or the page. Out: `TrainSettings`. Every field carries help, unit, range and level; the page's controls and the
command line's flags derive from them. Does not compute advice (plan.py does).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ValidationError, model_validator

from pipelines.card import Intent
from pipelines.errors import ConfigError
from pipelines.settings import AdapterSettings, Settings, option, with_values

FieldPath = tuple[str, ...]


class SubjectSettings(Settings):
    """What is taught, and what it is called."""

    intent: Intent = option("product", "What is taught: a style, a character or a product.", level="basic")
    trigger: str = option("", "The word that calls it up in a prompt. A rare word works best.", level="basic")
    noun: str = option("", "The kind of thing it is: bottle, robot, illustration.", level="basic")


class PictureSettings(Settings):
    """How pictures reach the denoiser."""

    resolution_px: int | None = option(None, "Training size. Empty: the base's own.", unit="px", ge=64, le=2048, multiple_of=8)
    buckets: bool = option(True, "Keep each picture's shape (aspect buckets) instead of cutting squares.")
    upscale: bool = option(False, "Also enlarge pictures that are smaller than the training size.")
    background: str = option("#ffffff", "Colour laid under transparent pictures.", pattern=r"^#[0-9a-fA-F]{6}$")
    flip: bool = option(False, "Also train on mirrored pictures. Never with text, logos or asymmetric products.")
    caption_dropout: float = option(
        0.05, "Share of pictures shown without their caption, so that guidance keeps working (arXiv 2207.12598).", ge=0, le=1
    )
    masked_loss: bool = option(False, "Learn only where the mask (name.mask.png, or the alpha channel) is white.")
    held_out: float = option(0.05, "Share of pictures never trained on, to see whether it learns or copies.", ge=0, le=0.5)


class LossSettings(Settings):
    """What counts as an error."""

    kind: Literal["mse", "huber"] = option("mse", "Squared error, or Huber: squared near zero, linear beyond delta.")
    huber_delta: float = option(0.1, "Where Huber turns linear.", gt=0, le=10)
    weighting: Literal["none", "min_snr", "debiased"] = option(
        "min_snr", "Weight per timestep: min-SNR (arXiv 2303.09556) or debiased (arXiv 2310.08442)."
    )
    min_snr_gamma: float = option(5.0, "Ceiling of the signal-to-noise weight.", gt=0, le=100)
    noise_offset: float = option(
        0.0, "Adds a little constant noise per picture, for deeper darks and lights. 0.03-0.1 is usual.", ge=0, le=1
    )
    prior_weight: float = option(
        0.0, "Weight of class pictures that keep the noun free (DreamBooth, arXiv 2208.12242). 0 = off.", ge=0, le=10
    )
    prior_pictures: int = option(50, "How many class pictures; missing ones are drawn by the base first.", ge=1, le=2000)
    prior_folder: str = option("", "Folder of class pictures. Empty: the base draws them.")


class OptimSettings(Settings):
    """How fast and by which rule the adapter changes."""

    optimizer: Literal["adamw", "adamw8bit", "prodigy", "adafactor"] = option(
        "adamw", "AdamW; its 8-bit form (CUDA only); Prodigy finds its own rate (set the rate to 1); Adafactor saves memory."
    )
    learning_rate: float = option(1e-4, "Rate for the denoiser's adapter.", gt=0, le=10)
    text_encoder_rate: float = option(1e-5, "Rate for the text encoder's adapter, where it is taught.", gt=0, le=10)
    schedule: Literal["constant", "cosine", "linear"] = option("cosine", "How the rate falls over the run.")
    warmup: float = option(0.05, "Share of the steps over which the rate rises.", ge=0, le=0.5)
    weight_decay: float = option(0.01, "Pull of the adapter towards zero.", ge=0, le=1)
    clip_norm: float = option(1.0, "Longest allowed gradient. 0 = off.", ge=0, le=100)
    ema_decay: float = option(0.0, "Averages the adapter over steps. 0 = off; 0.99-0.999 is usual.", ge=0, lt=1)


class LoopSettings(Settings):
    """How long, how much at once, and what is kept."""

    steps: int = option(1000, "Optimizer steps.", ge=1, le=1_000_000, level="basic")
    batch: int = option(4, "Pictures per step and device.", ge=1, le=256)
    accumulation: int = option(1, "Micro-batches added up before a step; the effective batch is batch x accumulation.", ge=1, le=256)
    gradient_checkpointing: bool = option(False, "Less memory, a quarter more time.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "auto", "auto: a short measured trial on this device picks the fastest that is safe."
    )
    seed: int = option(0, "Everything random comes from this and the step.", ge=0, le=2**32 - 1)
    checkpoints: int = option(10, "How many checkpoints over the run.", ge=1, le=200)
    validations: int = option(10, "How many times the held-out loss is measured. 0 = never.", ge=0, le=200)
    early_stop: bool = option(False, "Stop when the held-out loss has risen three times in a row.")
    preview_prompts: tuple[str, ...] = option((), "Drawn at every checkpoint, always with the same seeds.")


class TrainSettings(Settings):
    """Everything that a training needs to know besides its pictures."""

    base: str = option("starter", "The model to teach: starter, a hub id, a diffusers folder or a .safetensors file.", level="basic")
    subject: SubjectSettings = SubjectSettings()
    pictures: PictureSettings = PictureSettings()
    adapter: AdapterSettings = AdapterSettings()
    loss: LossSettings = LossSettings()
    optim: OptimSettings = OptimSettings()
    loop: LoopSettings = LoopSettings()

    @model_validator(mode="after")
    def _agree(self) -> TrainSettings:
        if self.optim.optimizer == "prodigy" and self.optim.learning_rate < 0.1:
            raise ValueError(f"Prodigy scales its own rate: set learning_rate to 1, not {self.optim.learning_rate:g}.")
        if self.loss.prior_weight > 0 and not self.subject.noun:
            raise ValueError("Class pictures need a noun: say what kind of thing it is (bottle, robot).")
        return self


def checked(settings: TrainSettings, values: Mapping[FieldPath, Any]) -> TrainSettings:
    """The settings with values replaced. Raises ConfigError naming the field and what it takes."""
    for path in values:
        value_at(settings, path)
    try:
        return with_values(settings, dict(values))
    except ValidationError as problem:
        first = problem.errors()[0]
        if not first["loc"]:
            raise ConfigError(_plain(first["msg"]) + ".", fix="Change one of the two.") from problem
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{name} cannot be {first.get('input')!r}: {_plain(first['msg'])}.", fix="Choose a value within its range."
        ) from problem


def value_at(settings: TrainSettings, path: FieldPath) -> Any:
    """The leaf at a path. Raises ConfigError where there is none."""
    value: Any = settings
    for name in path:
        if name not in getattr(type(value), "model_fields", {}):
            raise ConfigError(f"There is no setting named {'.'.join(path)}.", fix="`brandprint train --help` lists them all.")
        value = getattr(value, name)
    return value


def _plain(message: str) -> str:
    return re.sub(r"^(Value error, )?", "", message).rstrip(".")
