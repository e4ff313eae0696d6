"""A small fixed-seed drawing that shows whether two sets of weights act alike. Not for people to look at: three steps, no guidance.

In: a base with whatever is attached to it, a prompt, a seed. Out: latents, and how far two of them lie apart. generation.py makes real pictures.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipelines.families.base import Base

TIMES = (0.95, 0.65, 0.35)  # of the schedule; short of its end, where zero-terminal schedules hold no signal to divide by
LARGEST_SIDE = 32  # latents; the check needs the layers' work, not the picture's size


@torch.no_grad()
def draw_latents(base: Base, prompt: str, *, seed: int) -> Tensor:
    """Latents [1, C, h, w] after three DDIM steps (Song et al. 2021, arXiv 2010.02502, eq. 12, eta 0), float32 on the CPU."""
    side = max(8, min(base.native_size_px // base.stride_px, LARGEST_SIDE) // 8 * 8)
    channels = int(base.unet.config.in_channels)  # type: ignore[union-attr,arg-type]
    latents = torch.randn(1, channels, side, side, generator=torch.Generator().manual_seed(seed)).to(base.device)
    conditioning = base.encode_prompts([prompt])
    times = [int(share * len(base.alphas_cumprod)) for share in TIMES]
    for time, following in zip(times, [*times[1:], 0], strict=True):
        output = base.predict(latents, torch.tensor([time], device=base.device), conditioning).float()
        signal, noise = _rates(base, time)
        if base.prediction == "v_prediction":  # Salimans & Ho 2022, arXiv 2202.00512, appendix D
            picture, grain = signal * latents - noise * output, signal * output + noise * latents
        else:
            picture, grain = (latents - noise * output) / signal, output
        signal, noise = _rates(base, following)
        latents = signal * picture + noise * grain
    return latents.cpu()


def distance(one: Tensor, other: Tensor) -> float:
    """Root mean square difference, relative to the first."""
    return ((one - other).square().mean().sqrt() / one.square().mean().sqrt().clamp_min(1e-12)).item()


def picture_change(base: Base, one: Tensor, other: Tensor) -> float:
    """Largest difference of the two decoded pictures, in steps of 8-bit pictures (0-255)."""
    return ((base.decode_latents(one) - base.decode_latents(other)).abs().max() * 127.5).item()


def _rates(base: Base, time: int) -> tuple[Tensor, Tensor]:
    product = base.alphas_cumprod[time].float().to(base.device)
    return product.sqrt(), (1 - product).sqrt()
