"""What one micro-batch asks of the adapter: its weighted loss, forward and back.

In: the base with its adapter, cached pictures, what was drawn at random for them. Out: gradients, added to those that are there. Chooses no pictures and takes no step (trainer.py).
Where a step is small and the same every time, it is recorded (recording.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from pipelines.families.base import Base, Conditioning, Frame
from training.chance import Draw
from training.config import TrainSettings
from training.latents import Batch, CachedDataset
from training.losses import picture_losses, snr_of, target_of, timestep_weights
from training.precision import is_narrow
from training.quick_adapters import QuickAdapters
from training.recording import Recorded

WORTH_RECORDING = (
    8  # micro-batches of a run; recording costs as much as some twenty of them save, but the forecast of a long run is made from short ones
)


class Gradients:
    """Of micro-batches, for one run. parameters: those that learn."""

    def __init__(
        self, base: Base, parameters: Sequence[nn.Parameter], settings: TrainSettings, quick: QuickAdapters, accelerator: Accelerator
    ) -> None:
        self.base, self.parameters, self.settings, self.quick, self.accelerator = base, parameters, settings, quick, accelerator
        self.recorded = Recorded(self._of) if self._is_flat() else None
        if settings.loop.gradient_checkpointing:
            self.checkpoint()

    def add(self, cached: CachedDataset, batch: Batch, draw: Draw, *, weight: float) -> float:
        """Add what the pictures ask for; returns the sum of their losses, times weight."""
        device = self.base.device
        captions = ["" if dropped else caption for caption, dropped in zip(batch.captions, draw.dropped, strict=True)]
        latents, noise, timesteps = batch.latents.to(device), draw.noise.to(device), draw.timesteps.to(device)
        mask = None if batch.mask is None else batch.mask.to(device)
        if self.recorded is not None and latents.shape == self.quick.usual:
            loss, *gradients = self.recorded(
                latents, noise, timesteps, mask, self.conditioning(cached, captions).hidden, torch.tensor(weight)
            )
            assert loss is not None
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
            return loss.item()
        with self.quick.at(latents.shape):
            with self.accelerator.autocast():
                told = self.conditioning(cached, captions)
                losses = self._losses(latents, noise, timesteps, mask, told, frames=batch.frames)
            whole = losses.sum() * weight
            self.accelerator.backward(whole)
        return whole.item()

    def checkpoint(self) -> None:
        """Keep less for the way back and compute it again (Chen et al. 2016, arXiv 1604.06174)."""
        self.recorded = None
        self.base.unet.enable_gradient_checkpointing()

    def conditioning(self, cached: CachedDataset, captions: Sequence[str]) -> Conditioning:
        """Cached embeddings; live ones where the text encoder is taught."""
        if self.settings.adapter.text_encoder:
            return self.base.encode_prompts(captions)
        told = cached.conditioning(captions)
        return Conditioning(told.hidden.to(self.base.device), None if told.pooled is None else told.pooled.to(self.base.device))

    def _is_flat(self) -> bool:
        """True where a step is the same operations on tensors every time, and so small that what stands between them counts."""
        base, loop = self.base, self.settings.loop
        is_plain = base.device.type == "cpu" and base.dtype == torch.float32 and self.accelerator.num_processes == 1
        is_same = base.family != "sdxl" and not self.settings.adapter.text_encoder
        return is_plain and is_same and is_narrow(base) and loop.steps * loop.accumulation >= WORTH_RECORDING

    def _of(
        self, latents: Tensor, noise: Tensor, timesteps: Tensor, mask: Tensor | None, hidden: Tensor, weight: Tensor
    ) -> list[Tensor | None]:
        """The weighted loss, and what it asks of each parameter. Operations on tensors and nothing else, so that they can be recorded."""
        before = [parameter.grad for parameter in self.parameters]
        for parameter in self.parameters:
            parameter.grad = None
        with self.quick.at(latents.shape):
            loss = self._losses(latents, noise, timesteps, mask, Conditioning(hidden)).sum() * weight
            loss.backward()
        results = [loss.detach(), *(parameter.grad for parameter in self.parameters)]
        for parameter, gradient in zip(self.parameters, before, strict=True):
            parameter.grad = gradient
        return results

    def _losses(
        self,
        latents: Tensor,
        noise: Tensor,
        timesteps: Tensor,
        mask: Tensor | None,
        told: Conditioning,
        *,
        frames: Sequence[Frame] | None = None,
    ) -> Tensor:
        """Weighted loss per picture. Returns [B]."""
        base = self.base
        alpha = base.alphas_cumprod.to(base.device)
        output = base.predict(base.add_noise(latents, noise, timesteps), timesteps, told, frames=frames)
        target = target_of(base.prediction, latents, noise, alpha[timesteps])
        weights = timestep_weights(self.settings.loss, base.prediction, snr_of(alpha, timesteps))
        return picture_losses(self.settings.loss, output, target, mask=mask) * weights
