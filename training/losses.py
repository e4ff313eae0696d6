"""What counts as an error: pure functions from tensors to tensors.

In: the denoiser's output, latents, noise, timesteps. Out: a loss per picture. Never asks which family it serves; draws nothing random.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from pipelines.families.base import Prediction
from training.config import LossSettings


def snr_of(alphas_cumprod: Tensor, timesteps: Tensor) -> Tensor:
    """Signal-to-noise ratio a / (1 - a) per picture, 0 at a zero-terminal last step (Kingma et al. 2021, arXiv 2107.00630). Returns [B]."""
    alpha = alphas_cumprod.to(timesteps.device)[timesteps].float()
    return alpha / (1 - alpha)


def target_of(prediction: Prediction, latents: Tensor, noise: Tensor, alpha: Tensor) -> Tensor:
    """What the denoiser should have said: the noise, or v = sqrt(a) e - sqrt(1 - a) x (Salimans & Ho 2022, arXiv 2202.00512). alpha: [B]."""
    if prediction == "epsilon":
        return noise
    alpha = alpha.view(-1, *[1] * (latents.ndim - 1)).to(latents.dtype)
    return alpha.sqrt() * noise - (1 - alpha).sqrt() * latents


def timestep_weights(settings: LossSettings, prediction: Prediction, snr: Tensor) -> Tensor:
    """Weight per picture. snr: [B], may hold zeros. Returns [B], finite.

    min_snr: min(snr, gamma) / snr for epsilon, min(snr, gamma) / (snr + 1) for v (Hang et al. 2023, arXiv 2303.09556, section 3.4).
    debiased: 1 / sqrt(snr) for epsilon, 1 / (snr + 1) for v, snr cut at 1000 (Yu et al. 2023, arXiv 2310.08442).
    """
    if settings.weighting == "none":
        return torch.ones_like(snr)
    if settings.weighting == "min_snr":
        gamma = settings.min_snr_gamma
        # min(snr, gamma) / snr is 1 below gamma: written so that snr = 0 divides nothing
        return gamma / snr.clamp(min=gamma) if prediction == "epsilon" else snr.clamp(max=gamma) / (snr + 1)
    capped = snr.clamp(max=1000.0)
    return capped.clamp(min=1e-4).rsqrt() if prediction == "epsilon" else 1 / (capped + 1)


def offset_noise(noise: Tensor, offset: Tensor, amount: float) -> Tensor:
    """Noise with a constant added per picture and channel. offset: [B, C], standard normal."""
    return noise + amount * offset.view(*offset.shape, *[1] * (noise.ndim - 2)) if amount else noise


def picture_losses(settings: LossSettings, output: Tensor, target: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Mean error per picture, in float32. output, target: [B, C, h, w]; mask: [B, 1, h, w] in [0, 1], the mean taken where it is white. Returns [B]."""
    output, target = output.float(), target.float()
    if settings.kind == "huber":
        errors = functional.huber_loss(output, target, reduction="none", delta=settings.huber_delta)
    else:
        errors = (output - target).square()
    if mask is None:
        return errors.flatten(1).mean(1)
    mask = mask.float().expand_as(errors)
    return (errors * mask).flatten(1).sum(1) / mask.flatten(1).sum(1).clamp_min(1e-6)
