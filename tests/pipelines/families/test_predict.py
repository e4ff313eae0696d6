"""The denoiser is asked exactly what the diffusers pipeline asks it, and noise follows the schedule that it was trained on."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler

from pipelines.families.base import Conditioning, Frame, load_base


def pipeline_call(base, **options):
    """(noisy, timestep, output) of the denoiser's only call in a one-step drawing."""
    seen = []
    hook = base.unet.register_forward_hook(lambda _, args, kwargs, output: seen.append((args[0], args[1], output[0])), with_kwargs=True)
    base.pipeline()(
        "a red mug",
        num_inference_steps=1,
        guidance_scale=1.0,
        height=64,
        width=64,
        output_type="latent",
        generator=torch.Generator().manual_seed(1),
        **options,
    )
    hook.remove()
    return seen[0]


def test_predict_is_what_the_pipeline_predicts(tiny_base):
    base = load_base(str(tiny_base))
    noisy, timestep, expected = pipeline_call(base)
    with torch.no_grad():
        made = base.predict(noisy, timestep.reshape(1).long(), base.encode_prompts(["a red mug"]))
    assert torch.equal(made, expected)


def test_sdxl_tells_the_denoiser_how_the_picture_was_cut(tiny_sdxl):
    base = load_base(str(tiny_sdxl))
    frame = Frame((333, 1777), (3, 50), (64, 80))
    noisy, timestep, expected = pipeline_call(
        base, original_size=frame.original_hw, crops_coords_top_left=frame.crop_yx, target_size=frame.target_hw
    )
    conditioning = base.encode_prompts(["a red mug"])
    with torch.no_grad():
        made = base.predict(noisy, timestep.reshape(1).long(), conditioning, frames=[frame])
        uncropped = base.predict(noisy, timestep.reshape(1).long(), conditioning)
    assert torch.equal(made, expected)
    assert not torch.allclose(made, uncropped)


def test_sdxl_without_pooled_text_is_refused(tiny_sdxl):
    base = load_base(str(tiny_sdxl))
    with pytest.raises(ValueError, match=r"pooled"):
        base.predict(torch.zeros(1, 4, 8, 8), torch.tensor([1]), Conditioning(torch.zeros(1, 77, 40)))


def test_noise_follows_the_schedulers_own_schedule(tiny_base):
    base = load_base(str(tiny_base))
    wanted = {key: base.scheduler_config.get(key) for key in ("beta_start", "beta_end", "beta_schedule")}
    scheduler = DDPMScheduler(**wanted, rescale_betas_zero_snr=base.scheduler_config.get("rescale_betas_zero_snr", False))
    clean, noise, steps = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 8, 8), torch.tensor([0, 500, 999])
    assert torch.allclose(base.add_noise(clean, noise, steps), scheduler.add_noise(clean, noise, steps), atol=1e-6)


def test_zero_terminal_snr_leaves_no_picture_at_the_last_step(tiny_starter, tiny_sd1):
    assert load_base(str(tiny_starter)).alphas_cumprod[-1] == 0
    assert load_base(str(tiny_sd1)).alphas_cumprod[-1] > 0
