"""Held-out loss: the same pictures, captions, timesteps and noise every time, so that two figures can be compared.

In: cached held-out pictures and a base. Out: one number, the plain loss (no weighting). Does not decide anything (verdict.py does).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby

import torch
from torch import Tensor

from pipelines import adapter as adapters
from pipelines.families.base import Base, Conditioning
from training.config import LoopSettings, LossSettings
from training.latents import CachedDataset, CachedPicture
from training.losses import picture_losses, target_of
from training.quick_adapters import QuickAdapters

Conditioner = Callable[[Sequence[str]], Conditioning]
Autocast = Callable[[], AbstractContextManager]

# Places in the noise range, as shares of the base's timesteps: from fine detail to composition, ends left out where losses say little.
PLACES = (0.1, 0.3, 0.5, 0.7, 0.9)
TIME_SHARE = 0.05  # of a run, all validations together
BATCH = 8


def sample_budget(*, training_samples: int, validations: int) -> int:
    """How many forward passes one validation may take: a training sample costs about two (forward, and backward through frozen weights; measured 1.9)."""
    return max(len(PLACES), int(TIME_SHARE * 2 * training_samples / max(1, validations)))


class HeldOut:
    """The held-out loss of one run as it goes on. losses: (step, loss) measured so far, oldest first."""

    def __init__(
        self, base: Base, cached: CachedDataset, loop: LoopSettings, quick: QuickAdapters, *, conditioning: Conditioner, autocast: Autocast
    ) -> None:
        self.base, self.cached, self.loop, self.quick, self.conditioning, self.autocast = base, cached, loop, quick, conditioning, autocast
        self.losses: list[tuple[int, float]] = []

    def of_base(self) -> float | None:
        """The loss without the adapter, or None where nothing is to be measured."""
        if not self.cached.held_out or not self.loop.validations:
            return None
        with adapters.bare(self.base):
            return self._loss()

    def measure(self, step: int) -> float:
        """The loss now, kept with its step."""
        self.losses.append((step, self._loss()))
        return self.losses[-1][1]

    def is_getting_worse(self) -> bool:
        """True if the loss rose three times in a row."""
        last = [loss for _, loss in self.losses[-4:]]
        return len(last) == 4 and last[0] < last[1] < last[2] < last[3]

    def _loss(self) -> float:
        loop = self.loop
        budget = sample_budget(training_samples=loop.steps * loop.batch * loop.accumulation, validations=loop.validations)
        return held_out_loss(
            self.base, self.cached, self.conditioning, seed=loop.seed, budget=budget, autocast=self.autocast, quick=self.quick
        )


@torch.no_grad()
def held_out_loss(
    base: Base,
    cached: CachedDataset,
    conditioning: Conditioner,
    *,
    seed: int,
    budget: int,
    autocast: Autocast,
    quick: QuickAdapters | None = None,
) -> float:
    """Mean squared error over held-out pictures x PLACES, at most `budget` samples. There must be at least one held-out picture.

    quick: what a training's steps are quick with; batches are then as large as its own, filled up where pictures are short.
    """
    samples = [(picture, place) for place in range(len(PLACES)) for picture in cached.held_out]
    stride = max(1, -(-len(samples) // budget))
    chosen = sorted(samples[::stride], key=lambda sample: sample[0].bucket)
    filled = quick.usual[0] if quick is not None and quick.at_usual else 0
    size = filled or BATCH
    losses: list[Tensor] = []
    for _, members in groupby(chosen, key=lambda sample: sample[0].bucket):
        alike = list(members)
        for start in range(0, len(alike), size):
            part = alike[start : start + size]
            full = part + part[-1:] * (filled - len(part))
            losses.append(_losses(base, cached, full, conditioning, seed=seed, autocast=autocast, quick=quick)[: len(part)])
    return torch.cat(losses).mean().item()


def _losses(
    base: Base,
    cached: CachedDataset,
    samples: Sequence[tuple[CachedPicture, int]],
    conditioning: Conditioner,
    *,
    seed: int,
    autocast: Autocast,
    quick: QuickAdapters | None,
) -> Tensor:
    batch = cached.batch([picture for picture, _ in samples], mirrored=[False] * len(samples))
    latents = batch.latents.to(base.device)
    timesteps = torch.tensor([int(PLACES[place] * len(base.alphas_cumprod)) for _, place in samples], device=base.device)
    noise = torch.stack([_noise(picture, place, seed, latents.shape[1:]) for picture, place in samples]).to(base.device)
    with autocast(), quick.at(latents.shape) if quick is not None else nullcontext():
        told = conditioning(batch.captions)
        output = base.predict(base.add_noise(latents, noise, timesteps), timesteps, told, frames=batch.frames)
    target = target_of(base.prediction, latents, noise, base.alphas_cumprod.to(base.device)[timesteps])
    return picture_losses(LossSettings(), output, target).cpu()


def _noise(picture: CachedPicture, place: int, seed: int, shape: torch.Size) -> Tensor:
    number = int.from_bytes(picture.latents[0].stem[:12].encode(), "big") % 2**31
    generator = torch.Generator().manual_seed((seed * 1_000_003 + number * 31 + place) % 2**63)
    return torch.randn(shape, generator=generator)
