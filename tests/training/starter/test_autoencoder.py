"""The autoencoder: shapes, folding, learning, resuming."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.starter import autoencoder
from training.starter.autoencoder import (
    AutoencoderPlan,
    Crops,
    build_autoencoder,
    fold_statistics,
    measure_psnr,
    reconstruction_loss,
    resume,
    train,
)

TINY = AutoencoderPlan(steps=2, batch=4, crop_px=32, late_crop_px=32, warmup_steps=1)


@pytest.fixture
def tiny(monkeypatch):
    """The same architecture, 8 channels wide."""
    small = lambda: build_autoencoder(width=8, encoder_blocks=(0, 0, 0, 0, 1), decoder_blocks=(1, 0, 0, 0, 0))  # noqa: E731
    monkeypatch.setattr(autoencoder, "build_autoencoder", small)
    return small


def test_256_px_become_16_by_16_latents(tiny):
    model = tiny()
    latents = model.encoder(torch.zeros(1, 3, 256, 256))
    assert latents.shape == (1, 16, 16, 16)
    assert model.decoder(latents).shape == (1, 3, 256, 256)


def test_crops_are_in_range_and_repeatable(drawings):
    crops = Crops(drawings, drawings[:, 0])
    first, second = (crops.batch(np.random.default_rng(4), 6, crop_px=48) for _ in range(2))
    assert first.shape == (6, 3, 48, 48) and torch.equal(first, second)
    assert first.min() >= -1 and first.max() <= 1 and first.std() > 0.05


def test_held_out_concepts_are_never_cropped(drawings):
    assert 0 not in Crops(drawings, drawings[:, 0]).rows


def test_folding_makes_latents_normal_and_keeps_the_picture(tiny):
    torch.manual_seed(0)
    model, pictures = tiny(), torch.rand(4, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        model.encoder.layers[-1].weight.mul_(0.05)  # small latents: the clamp is linear there, so the fold is exact
        inside = (slice(None), slice(None), slice(24, 40), slice(24, 40))
        before = model.decoder.layers[0](model.encoder(pictures))[..., 1:-1, 1:-1]
        fold_statistics(model, pictures)
        latents = model.encoder(pictures)
        after = model.decoder.layers[0](latents)[..., 1:-1, 1:-1]
    assert inside and torch.allclose(before, after, atol=1e-3)
    assert latents.mean((0, 2, 3)).abs().max() < 1e-3 and (latents.std((0, 2, 3)) - 1).abs().max() < 1e-3


def test_psnr_of_a_known_error(tiny):
    class Offset(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = torch.nn.Identity(), lambda pictures: pictures + 0.2  # 0.1 of the range: 20 dB

    assert measure_psnr(Offset(), torch.zeros(2, 3, 8, 8)) == pytest.approx(20, abs=1e-4)


def test_loss_is_zero_only_for_the_same_picture():
    pictures = torch.rand(2, 3, 8, 8)
    assert reconstruction_loss(pictures, pictures) == 0
    assert reconstruction_loss(pictures + 0.2, pictures) == pytest.approx(0.1 + 0.5 * 0.01, abs=1e-6)


def test_two_steps_change_weights_and_leave_a_state_to_resume(tiny, state_folder):
    train(state_folder, TINY)
    saved = state_folder / "autoencoder" / "last.pt"
    state = resume(saved, TINY, "cpu")
    torch.manual_seed(0)
    assert state.step == 2 and saved.exists()
    assert state.optimizer.state_dict()["state"]


def test_learning_on_one_batch_lowers_the_loss(tiny, drawings):
    torch.manual_seed(0)
    state = resume(__import__("pathlib").Path("none.pt"), AutoencoderPlan(learning_rate=5e-3), "cpu")
    pixels = Crops(drawings, drawings[:, 0]).batch(np.random.default_rng(0), 4, crop_px=32)
    losses = [autoencoder.train_step(state, pixels, noise=0.0) for _ in range(25)]
    assert losses[-1] < 0.7 * losses[0]


def test_decoder_only_leaves_the_encoder_alone(tiny, drawings, tmp_path):
    plan = AutoencoderPlan(decoder_only=True)
    state = resume(tmp_path / "none.pt", plan, "cpu")
    before = {name: weight.clone() for name, weight in state.model.state_dict().items()}
    autoencoder.train_step(state, torch.rand(2, 3, 32, 32), noise=0.1, decoder_only=True)
    changed = {name.split(".")[0] for name, weight in state.model.state_dict().items() if not torch.equal(weight, before[name])}
    assert changed == {"decoder"}
