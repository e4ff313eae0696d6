"""Losses against the papers' formulas."""

from __future__ import annotations

import pytest
import torch

from training.config import LossSettings
from training.losses import offset_noise, picture_losses, snr_of, target_of, timestep_weights

SNR = torch.tensor([0.0, 0.01, 1.0, 5.0, 100.0, 1e6])


def test_min_snr_for_epsilon_is_min_of_snr_and_gamma_over_snr() -> None:
    weights = timestep_weights(LossSettings(weighting="min_snr"), "epsilon", SNR)
    assert torch.allclose(weights[1:], torch.minimum(SNR[1:], torch.tensor(5.0)) / SNR[1:])
    assert weights[0] == 1


def test_min_snr_for_v_divides_by_snr_plus_one_and_survives_zero_terminal_snr() -> None:
    weights = timestep_weights(LossSettings(weighting="min_snr"), "v_prediction", SNR)
    assert torch.allclose(weights, torch.minimum(SNR, torch.tensor(5.0)) / (SNR + 1))
    assert weights[0] == 0


@pytest.mark.parametrize("weighting", ["none", "min_snr", "debiased"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_weights_are_finite_at_every_signal_to_noise_ratio(weighting: str, prediction: str) -> None:
    weights = timestep_weights(LossSettings(weighting=weighting), prediction, SNR)
    assert torch.isfinite(weights).all() and (weights >= 0).all()


def test_snr_is_zero_at_a_zero_terminal_step() -> None:
    alphas = torch.tensor([0.99, 0.5, 0.0])
    assert torch.allclose(snr_of(alphas, torch.tensor([0, 1, 2])), torch.tensor([99.0, 1.0, 0.0]), atol=1e-3)


def test_v_target_recovers_latents_and_noise() -> None:
    latents, noise, alpha = torch.randn(3, 4, 2, 2), torch.randn(3, 4, 2, 2), torch.tensor([0.9, 0.5, 0.0])
    v = target_of("v_prediction", latents, noise, alpha)
    shaped = alpha.view(3, 1, 1, 1)
    noisy = shaped.sqrt() * latents + (1 - shaped).sqrt() * noise
    assert torch.allclose(shaped.sqrt() * noisy - (1 - shaped).sqrt() * v, latents, atol=1e-5)
    assert target_of("epsilon", latents, noise, alpha) is noise


def test_masked_loss_counts_only_where_the_mask_is_white() -> None:
    output, target = torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 2, 2)
    target[..., 0] = 3.0
    mask = torch.zeros(1, 1, 2, 2)
    mask[..., 0] = 1.0
    assert picture_losses(LossSettings(), output, target, mask=mask).item() == pytest.approx(9.0)
    assert picture_losses(LossSettings(), output, target, mask=1 - mask).item() == 0
    assert picture_losses(LossSettings(), output, target).item() == pytest.approx(4.5)


def test_an_empty_mask_gives_no_loss_instead_of_not_a_number() -> None:
    assert picture_losses(LossSettings(), torch.ones(1, 4, 2, 2), torch.zeros(1, 4, 2, 2), mask=torch.zeros(1, 1, 2, 2)).item() == 0


def test_huber_is_quadratic_near_zero_and_linear_beyond_delta() -> None:
    settings = LossSettings(kind="huber", huber_delta=0.1)
    small = picture_losses(settings, torch.full((1, 1, 1, 1), 0.05), torch.zeros(1, 1, 1, 1))
    large = picture_losses(settings, torch.full((1, 1, 1, 1), 2.0), torch.zeros(1, 1, 1, 1))
    assert small.item() == pytest.approx(0.5 * 0.05**2)
    assert large.item() == pytest.approx(0.1 * (2.0 - 0.05))


def test_noise_offset_shifts_whole_channels() -> None:
    noise, offset = torch.zeros(2, 4, 3, 3), torch.randn(2, 4)
    assert torch.allclose(offset_noise(noise, offset, 0.1), 0.1 * offset.view(2, 4, 1, 1).expand(2, 4, 3, 3))
    assert offset_noise(noise, offset, 0.0) is noise
