"""The denoiser's structure, its training step and its pool."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from training.starter import autoencoder, denoiser, text_image
from training.starter.autoencoder import AutoencoderPlan, build_autoencoder
from training.starter.denoiser import (
    DenoiserPlan,
    Pool,
    average_weights,
    build_denoiser,
    build_scheduler,
    learning_rate,
    load_frozen,
    loss_weights,
    resume,
    train,
    train_step,
)
from training.starter.text_image import TextImagePlan

# Block structure of Stable Diffusion 1.5's denoiser; the widths do not matter to the names of its modules.
SD15_BLOCKS = {
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 2,
}
TINY = DenoiserPlan(steps=2, batch=4, pool=64, first_fill=32, fresh_per_step=2)


def tiny_denoiser() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=16,
        out_channels=16,
        block_out_channels=(8, 8, 8, 8),
        cross_attention_dim=256,
        attention_head_dim=1,
        norm_num_groups=4,
    )


@pytest.fixture(scope="module")
def trained_parts(state_folder):
    """Two-step autoencoder and text-image encoder in the state folder."""
    small = lambda: build_autoencoder(width=8, encoder_blocks=(0,) * 5, decoder_blocks=(0,) * 5)  # noqa: E731
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autoencoder, "build_autoencoder", small)
        patch.setattr(denoiser, "build_autoencoder", small)
        patch.setattr(denoiser, "build_denoiser", tiny_denoiser)
        patch.setattr(text_image, "measure_retrieval", lambda *_, **__: (0.0, 0.0))
        for stage in ("autoencoder", "text_image"):
            (state_folder / stage / "last.pt").unlink(missing_ok=True)
        autoencoder.train(state_folder, AutoencoderPlan(steps=1, batch=2, crop_px=32, late_crop_px=32))
        text_image.train(state_folder, TextImagePlan(steps=1, batch=2))
        yield state_folder


def test_modules_are_named_as_in_sd_15():
    with torch.device("meta"):
        ours = build_denoiser()
        theirs = UNet2DConditionModel(block_out_channels=(32, 64, 96, 96), cross_attention_dim=8, norm_num_groups=8, **SD15_BLOCKS)
    assert {name for name, _ in ours.named_modules()} == {name for name, _ in theirs.named_modules()}


def test_the_denoiser_fits_a_file_of_48_mb():
    with torch.device("meta"):
        bytes_half = sum(weight.numel() * 2 for weight in build_denoiser().parameters())
    assert 40_000_000 < bytes_half < 48_000_000


def test_the_last_timestep_is_pure_noise():
    scheduler = build_scheduler()
    assert scheduler.alphas_cumprod[-1] < 1e-8
    scheduler.set_timesteps(20)
    assert scheduler.timesteps[0] == 999


def test_weights_are_whole_in_noise_and_fall_where_little_is_left():
    weights = loss_weights(torch.tensor([0.0, 1.0, 5.0, 50.0]))
    assert weights.tolist() == pytest.approx([1, 1, 1, 0.1])


def test_schedule_warms_up_stays_and_falls():
    plan = DenoiserPlan(steps=1000, learning_rate=1.0, warmup_steps=10, decay_share=0.25)
    rates = [learning_rate(step, plan) for step in range(1000)]
    assert rates[0] < 0.2 and rates[10] == rates[740] == 1.0 and rates[-1] < 0.05
    assert np.diff(rates[10:]).max() <= 0


def test_pool_is_a_ring():
    pool = Pool(4)
    for value in range(3):
        pool.add(torch.full((2, 16, 16, 16), value).half(), torch.full((2, 77, 256), value).half())
    assert pool.filled == 4 and pool.latents[:, 0, 0, 0].tolist() == [2, 2, 1, 1]
    latents, states = pool.take(np.random.default_rng(0), 8)
    assert torch.equal(latents[:, 0, 0, 0], states[:, 0, 0]) and set(latents[:, 0, 0, 0].tolist()) == {1, 2}


def test_one_step_learns_and_repeats_exactly(trained_parts, tmp_path):
    latents, states = torch.randn(4, 16, 16, 16), torch.randn(4, 77, 256)
    losses = []
    for _ in range(2):
        torch.manual_seed(0)
        state = resume(tmp_path / "none.pt", TINY)
        run = [train_step(state, build_scheduler(), latents, states, seed=1) for _ in range(8)]
        losses.append(run)
    assert losses[0] == losses[1] and losses[0][-1] < losses[0][0]


def test_average_lags_behind(trained_parts, tmp_path):
    state = resume(tmp_path / "none.pt", TINY)
    state.step = 10_000
    name = "conv_in.weight"
    before = state.average[name].clone()
    with torch.no_grad():
        state.model.conv_in.weight.add_(1.0)
    average_weights(state, 0.9)
    assert torch.allclose(state.average[name], before + 0.1, atol=1e-5)


def test_training_stops_saves_and_goes_on(trained_parts):
    train(trained_parts, TINY)
    saved = torch.load(trained_parts / "denoiser" / "last.pt", weights_only=True)
    assert saved["step"] == 2 and (trained_parts / "denoiser" / "pool.pt").exists()
    train(trained_parts, DenoiserPlan(steps=3, batch=4, pool=64, first_fill=32, fresh_per_step=2))
    again = torch.load(trained_parts / "denoiser" / "last.pt", weights_only=True)
    assert again["step"] == 3 and not torch.equal(again["model"]["conv_in.weight"], saved["model"]["conv_in.weight"])


def test_text_tower_is_the_encoders_own(trained_parts):
    tower = load_frozen(trained_parts).text
    saved = torch.load(trained_parts / "text_image" / "last.pt", weights_only=True)["model"]
    assert torch.equal(tower.final_layer_norm.weight, saved["text_model.final_layer_norm.weight"])
    assert not any(weight.requires_grad for weight in tower.parameters())
