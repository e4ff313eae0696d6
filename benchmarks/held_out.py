"""The loss of any LoRA file on pictures that it was not trained on, by Brandprint's own validation: the same timesteps and noise for everybody.

In: a file (ours, diffusers', kohya's), a base, a folder of captioned pictures. Out: one number. Leaves nothing attached.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from pipelines import adapter as adapters
from pipelines.families.base import Conditioning, load_base
from pipelines.formats.read import import_lora
from pipelines.settings import with_values
from training.config import TrainSettings
from training.dataset import load_dataset
from training.latents import CachedDataset, cache_dataset
from training.validation import PLACES, held_out_loss


def held_out_loss_of(file: Path, base_name: str, pictures: Path, *, cache: Path, side_px: int) -> float:
    """Mean squared error over all pictures and all of validation's timesteps."""
    base = load_base(base_name)
    squares = {("pictures", "resolution_px"): side_px, ("pictures", "buckets"): False, ("pictures", "held_out"): 0.0}
    cached = _finished(cache_dataset(load_dataset(pictures), base, with_values(TrainSettings(base=base_name), squares), folder=cache))
    cached = replace(cached, training=(), held_out=cached.training)
    adapters.attach(base, import_lora(file, base).adapter)

    def conditioning(captions: list[str]) -> Conditioning:
        return cached.conditioning(captions)

    return held_out_loss(base, cached, conditioning, seed=0, budget=len(PLACES) * len(cached.held_out), autocast=nullcontext)  # type: ignore[arg-type]


def _finished(work) -> CachedDataset:
    """What a generator returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value
