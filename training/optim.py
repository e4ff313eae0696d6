"""Optimizers and schedules by name.

In: settings and parameter groups. Out: a torch optimizer, and the rate at a step as a pure function, so that a resumed run needs no scheduler state.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import nn

from pipelines.errors import ConfigError
from pipelines.lean import uncompiled
from training.config import OptimSettings


class _AdamW(torch.optim.AdamW):
    """Torch's own, without its import of the compiler at each of these."""

    step = uncompiled()(torch.optim.AdamW.step)
    zero_grad = uncompiled()(torch.optim.AdamW.zero_grad)
    add_param_group = uncompiled()(torch.optim.AdamW.add_param_group)
    state_dict = uncompiled()(torch.optim.AdamW.state_dict)
    load_state_dict = uncompiled()(torch.optim.AdamW.load_state_dict)


def build_optimizer(
    settings: OptimSettings, *, denoiser: Sequence[nn.Parameter], text_encoder: Sequence[nn.Parameter]
) -> torch.optim.Optimizer:
    """The optimizer over the adapter's parameters, the text encoder's with their own rate. Raises ConfigError where it cannot run here."""
    groups = [{"params": list(denoiser), "lr": settings.learning_rate, "full_rate": settings.learning_rate}]
    if text_encoder:
        rate = settings.learning_rate if settings.optimizer == "prodigy" else settings.text_encoder_rate
        groups.append({"params": list(text_encoder), "lr": rate, "full_rate": rate})
    if settings.optimizer == "adamw":
        return _AdamW(groups, weight_decay=settings.weight_decay, fused=_can_fuse(denoiser))
    if settings.optimizer == "adafactor":
        from transformers.optimization import Adafactor

        return Adafactor(groups, weight_decay=settings.weight_decay, scale_parameter=False, relative_step=False, warmup_init=False)
    if settings.optimizer == "prodigy":
        from prodigyopt import Prodigy

        # bias correction and a safeguarded warm-up keep the found rate from overshooting (Mishchenko & Defazio 2023, arXiv 2306.06101)
        return Prodigy(groups, betas=(0.9, 0.99), weight_decay=settings.weight_decay, use_bias_correction=True, safeguard_warmup=True)
    return _adamw_8bit(groups, settings)


def rate_share(settings: OptimSettings, step: int, total_steps: int) -> float:
    """Share of the full rate at a step (0-based): a linear rise over the warm-up, then constant, cosine or linear to 0."""
    warmup_steps = round(settings.warmup * total_steps)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if settings.schedule == "constant":
        return 1.0
    done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * done)) if settings.schedule == "cosine" else 1 - done


def milestones(settings: OptimSettings, total_steps: int, count: int) -> list[int]:
    """`count` steps, the last one being the end, between which the rates sum up alike: each has as much more learnt as the one before. Where the rate has fallen
    nothing changes any more, so steps spread evenly would end in several copies of the same adapter. All steps where there are fewer than count.
    """
    count = min(count, total_steps)
    learnt = list(accumulate(rate_share(settings, step, total_steps) for step in range(total_steps)))
    chosen: list[int] = []
    for place in range(1, count + 1):
        step = bisect_left(learnt, learnt[-1] * place / count * (1 - 1e-9)) + 1
        chosen.append(min(max(step, chosen[-1] + 1 if chosen else 1), total_steps - count + place))
    return [*chosen[:-1], total_steps] if chosen else []


def set_rate(optimizer: torch.optim.Optimizer, share: float) -> None:
    """Give every group its share of its full rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["full_rate"] * share


def _can_fuse(parameters: Sequence[nn.Parameter]) -> bool:
    return all(parameter.device.type in ("cpu", "cuda") for parameter in parameters)


def _adamw_8bit(groups: list[dict], settings: OptimSettings) -> torch.optim.Optimizer:
    if not torch.cuda.is_available():
        raise ConfigError("8-bit AdamW needs a CUDA device; this machine has none.", fix="Choose adamw or adafactor.")
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise ConfigError(
            "8-bit AdamW needs the bitsandbytes package, which is not installed.", fix="pip install bitsandbytes, or choose adamw."
        ) from error
    return AdamW8bit(groups, weight_decay=settings.weight_decay)
