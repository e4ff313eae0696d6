"""From noise to latents: the scheduler, the noise of a seed, and the loop of denoising steps.

In: a `Base`, `DrawSettings`, conditioning and noise. Out: latents, float32. Attaches nothing and decodes nothing (generation.py does), and never asks
which family it serves: the scheduler's configuration carries v-prediction, zero-terminal SNR and timestep spacing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Literal

import torch
from torch import Tensor

from pipelines.deep_features import DeepFeatures, deep_features
from pipelines.families.base import Base, Conditioning
from pipelines.settings import DrawSettings

Pass = Literal["guided", "held", "plain"]  # both halves; the prompt's half with the last difference; the prompt's half alone
SCHEDULERS = {
    "ddim": "DDIMScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler_a": "EulerAncestralDiscreteScheduler",
    "dpm++": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
}
# Below this noise level guidance does nothing any more (arXiv 2404.07724, section 4.3, the value for SDXL). Their upper bound is not kept: it makes other
# pictures (6 to 14 of 255 away from the exact ones, without it 1 to 5, measured with the starter), and saves one pass in ten.
GUIDED_FROM_SIGMA = 0.28
FEWEST_REUSING_STEPS = 10  # with fewer, neighbouring steps differ too much to share deep features
StepReport = Callable[[int, int], None]


def build_scheduler(base: Base, name: str) -> Any:
    """The named diffusers scheduler on the base's own schedule. Latents are never clipped, unless the base's configuration asks for it."""
    import diffusers

    config = {"clip_sample": False, **base.scheduler_config}
    return getattr(diffusers, SCHEDULERS[name]).from_config(config)


def generator_for(seed: int) -> torch.Generator:
    """The stream that everything random in one picture comes from: on the CPU, so that a seed means the same on every device."""
    return torch.Generator("cpu").manual_seed(seed)


def noise_for(base: Base, generators: Sequence[torch.Generator], *, width_px: int, height_px: int) -> Tensor:
    """One noise per generator, [B, C, h, w] float32 on the base's device, drawn as StableDiffusionPipeline draws it (in the base's own dtype)."""
    shape = (1, base.unet.config.in_channels, height_px // base.stride_px, width_px // base.stride_px)
    drawn = [torch.randn(shape, generator=generator, dtype=base.dtype) for generator in generators]
    return torch.cat(drawn).to(base.device).float()


def passes(scheduler: Any, settings: DrawSettings) -> list[Pass]:
    """What the denoiser is asked at each step. exact: both halves at all steps. fast: from GUIDED_FROM_SIGMA upwards, every second time.

    In between, the last difference of the halves is used again: it changes slowly from step to step (arXiv 2410.19355, section 3.3).
    """
    steps = len(scheduler.timesteps)
    if settings.guidance == 1:
        return ["plain"] * steps
    if settings.speed == "exact":
        return ["guided"] * steps
    products = scheduler.alphas_cumprod
    plan: list[Pass] = []
    for timestep in scheduler.timesteps:
        alpha = float(products[min(int(timestep), len(products) - 1)])
        if 1 - alpha <= GUIDED_FROM_SIGMA**2 * alpha:
            plan.append("plain")
        else:
            plan.append("held" if plan and plan[-1] == "guided" else "guided")
    return plan


def reuses(plan: Sequence[Pass], settings: DrawSettings) -> list[bool]:
    """Which steps use the deep features of the step before again: in "fast", every second one at most, and none that is guided."""
    reused = [False] * len(plan)
    if settings.speed == "fast" and len(plan) >= FEWEST_REUSING_STEPS:
        for step in range(1, len(plan)):
            reused[step] = plan[step] != "guided" and not reused[step - 1]
    return reused


def sample(
    base: Base,
    settings: DrawSettings,
    *,
    positive: Conditioning,
    negative: Conditioning,
    generators: Sequence[torch.Generator],
    on_step: StepReport | None = None,
) -> Tensor:
    """Latents [B, C, h, w], float32. One conditioning and one generator per picture; settings say size, steps, guidance, scheduler and speed."""
    if settings.width_px is None or settings.height_px is None:
        raise ValueError("sample() needs a size: take it from generation.with_size.")
    scheduler = build_scheduler(base, settings.scheduler)
    scheduler.set_timesteps(settings.steps, device=base.device)
    both = _joined(negative, positive)
    latents = noise_for(base, generators, width_px=settings.width_px, height_px=settings.height_px) * scheduler.init_noise_sigma
    if base.device.type == "cpu":
        latents = latents.contiguous(memory_format=torch.channels_last)
    extra = {"generator": list(generators)} if "generator" in inspect.signature(scheduler.step).parameters else {}
    difference: Tensor | None = None
    plan = passes(scheduler, settings)
    reused = reuses(plan, settings)
    with deep_features(base.unet) if any(reused) else nullcontext(DeepFeatures()) as deep:
        for done, (timestep, kind) in enumerate(zip(scheduler.timesteps, plan, strict=True), start=1):
            deep.is_reused = reused[done - 1]
            noisy = scheduler.scale_model_input(latents, timestep)
            if kind == "guided":
                without, output = base.predict(torch.cat([noisy, noisy]), timestep.expand(2 * len(noisy)), both).chunk(2)
                difference = output - without
                deep.keep_second_half()
            else:
                output = base.predict(noisy, timestep.expand(len(noisy)), positive)
            if kind != "plain" and difference is not None:
                output = output + (settings.guidance - 1) * difference  # = without + guidance x difference (arXiv 2207.12598, eq. 6)
            latents = scheduler.step(output, timestep, latents, **extra).prev_sample
            if on_step is not None:
                on_step(done, settings.steps)
    return latents


def _joined(first: Conditioning, second: Conditioning) -> Conditioning:
    pooled = None if first.pooled is None or second.pooled is None else torch.cat([first.pooled, second.pooled])
    return Conditioning(torch.cat([first.hidden, second.hidden]), pooled)
