"""What chance decides in a training, drawn from (seed, place) alone: a run that was killed goes on as if nothing had happened.

In: a seed, the place in the run, settings. Out: generators, and a `Draw` for each micro-batch. Drawn on the CPU, so that every device sees the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.config import TrainSettings
from training.losses import offset_noise


@dataclass(frozen=True)
class Draw:
    """What chance decides for one micro-batch. timesteps: [B]; noise: like the latents; dropped: [B] booleans, captions left out."""

    timesteps: Tensor
    noise: Tensor
    dropped: tuple[bool, ...]


def generator_of(seed: int, *places: int) -> torch.Generator:
    """A generator of its own for a place in the run."""
    return torch.Generator().manual_seed(mixed_seed(seed, *places))


def draw_for(shape: torch.Size, settings: TrainSettings, *, timesteps: int, generator: torch.Generator) -> Draw:
    """The draw for latents of this shape [B, C, H, W]; timesteps: how many the base has."""
    count, channels = shape[:2]
    steps = torch.randint(0, timesteps, (count,), generator=generator)
    noise = torch.randn(shape, generator=generator)
    offset = torch.randn(count, channels, generator=generator)
    dropped = torch.rand(count, generator=generator) < settings.pictures.caption_dropout
    return Draw(steps, offset_noise(noise, offset, settings.loss.noise_offset), tuple(dropped.tolist()))


def mixed_seed(seed: int, *places: int) -> int:
    """One 63-bit seed from several numbers (splitmix64 steps, Steele et al. 2014), so that neighbours share nothing."""
    value = seed
    for place in places:
        value = (value + 0x9E3779B97F4A7C15 * (place + 1)) % 2**64
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) % 2**64
        value ^= value >> 31
    return value % 2**63
