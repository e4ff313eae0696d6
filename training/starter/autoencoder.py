"""Train the autoencoder: diffusers' AutoencoderTiny with 16x downsampling and 16 latent channels.

In: rendered drawings and clip art from data.py. Out: `autoencoder/last.pt` (weights, optimizer, step) in the state folder, from which package.py writes `vae/`.
The full-resolution levels hold a single convolution each: measured at 128 px, a step costs 36 ms a crop instead of 122 ms.
It does not touch captions and does not write the shipped files.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from PIL import Image
from torch import Tensor

from training.starter.compose import draw_scene, draw_texture, paste_thing, sample_scene
from training.starter.muon import Muon

log = logging.getLogger(__name__)

LATENT_CHANNELS = 16
HELD_OUT_EVERY = 25  # every 25th concept is never shown to the autoencoder


@dataclass(frozen=True)
class AutoencoderPlan:
    """Length and shape of the training. Shares are of `steps`."""

    steps: int = 4000
    batch: int = 16
    crop_px: int = 96
    late_crop_px: int = 160  # for the last fifth, at a third of the batch: fewer borders, as at 256 px
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    fold_at: tuple[float, ...] = (0.2, 0.4)
    noise_from: float = 0.4
    noise: float = 0.2
    decoder_only: bool = False


def build_autoencoder(
    *, width: int = 64, encoder_blocks: tuple[int, ...] = (0, 0, 2, 3, 4), decoder_blocks: tuple[int, ...] = (4, 4, 2, 1, 0)
) -> AutoencoderTiny:
    """Untrained; 256 px pictures become [16, 16, 16] latents."""
    model = AutoencoderTiny(
        encoder_block_out_channels=(width,) * 5,
        decoder_block_out_channels=(width,) * 5,
        num_encoder_blocks=encoder_blocks,
        num_decoder_blocks=decoder_blocks,
        latent_channels=LATENT_CHANNELS,
        scaling_factor=1.0,
    )
    for layer in (*model.encoder.layers, *model.decoder.layers):
        if isinstance(layer, torch.nn.Conv2d):  # no norm layers here: torch's default shrinks the signal by 0.58 at each plain convolution
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            if layer.bias is not None:
                torch.nn.init.zeros_(layer.bias)
    return model


class Crops:
    """Random training crops: three quarters composed scenes, one quarter clip art on textures and colours.

    drawings: uint8 [concepts, styles, 256, 256, 4]; clipart: uint8 [n, 256, 256, 4].
    """

    def __init__(self, drawings: np.ndarray, clipart: np.ndarray) -> None:
        self.drawings, self.clipart = drawings, clipart
        self.rows = np.array([row for row in range(len(drawings)) if row % HELD_OUT_EVERY])

    def picture(self, rng: np.random.Generator) -> np.ndarray:
        """uint8 [256, 256, 3]."""
        if rng.random() < 0.75:
            return draw_scene(rng, sample_scene(rng, self.rows, pair_share=0.2, default_share=0.2), self.drawings)
        ground = draw_texture(rng) if rng.random() < 0.7 else np.full((256, 256, 3), rng.integers(0, 256, 3), np.uint8)
        canvas = Image.fromarray(ground)
        for _ in range(rng.integers(0, 3)):
            paste_thing(
                canvas, self.clipart[rng.integers(len(self.clipart))], side=rng.uniform(0.5, 1.2), centre=tuple(rng.uniform(0.3, 0.7, 2))
            )
        return np.asarray(canvas)

    def batch(self, rng: np.random.Generator, count: int, *, crop_px: int) -> Tensor:
        """[count, 3, crop_px, crop_px] in [-1, 1]; two crops of each picture."""
        crops: list[np.ndarray] = []
        while len(crops) < count:
            picture = self.picture(rng)
            if rng.random() < 0.15:
                picture = picture[..., rng.permutation(3)]
            for _ in range(2):
                top, left = rng.integers(0, picture.shape[0] - crop_px + 1, 2)
                crop = picture[top : top + crop_px, left : left + crop_px]
                crops.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
        pixels = torch.from_numpy(np.stack(crops[:count])).permute(0, 3, 1, 2)
        return pixels.float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)


def reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 + 0.5 MSE in units of [0, 1]."""
    error = (output.float() - target) / 2
    return error.abs().mean() + 0.5 * error.square().mean()


def learning_rate(step: int, plan: AutoencoderPlan) -> float:
    """Linear warm-up, then a cosine to 2 %."""
    if step < plan.warmup_steps:
        return plan.learning_rate * (step + 1) / plan.warmup_steps
    share = (step - plan.warmup_steps) / max(1, plan.steps - plan.warmup_steps)
    return plan.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


@torch.no_grad()
def fold_statistics(model: AutoencoderTiny, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Move the latents' mean and deviation into the last encoder and first decoder convolution, so that latents are about N(0, 1).

    pictures: [B, 3, H, W] in [-1, 1]. Returns the mean and deviation that were folded, [16] each. The decoder clamps with tanh(x / 3) * 3
    before its first convolution, so the fold is exact only near zero: train on after it.
    """
    latents = model.encoder(pictures)
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    last, first = model.encoder.layers[-1], model.decoder.layers[0]
    last.weight.div_(deviation[:, None, None, None])
    last.bias.sub_(mean).div_(deviation)
    # zero padding of the decoder's first convolution stands for latents of zero: the mean's share is exact inside, nearly so at the border
    first.bias.add_((first.weight * mean[None, :, None, None]).sum((1, 2, 3)))
    first.weight.mul_(deviation[None, :, None, None])
    return mean, deviation


@torch.no_grad()
def measure_psnr(model: AutoencoderTiny, pictures: Tensor) -> float:
    """Mean over pictures of the peak signal-to-noise ratio, dB. pictures: [B, 3, H, W] in [-1, 1]."""
    values = []
    for picture in pictures.split(4):
        output = model.decoder(model.encoder(picture)).clamp(-1, 1)
        values.append(-10 * torch.log10(((output - picture) / 2).square().mean((1, 2, 3))))
    return float(torch.cat(values).mean())


def held_out_pictures(drawings: np.ndarray, *, count: int = 48, seed: int = 5) -> Tensor:
    """Scenes of concepts that the autoencoder never saw, [count, 3, 256, 256] in [-1, 1]."""
    rng = np.random.default_rng(seed)
    rows = np.arange(0, len(drawings), HELD_OUT_EVERY)
    pictures = [draw_scene(rng, sample_scene(rng, rows, pair_share=0.1), drawings) for _ in range(count)]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)


@dataclass
class AutoencoderState:
    model: AutoencoderTiny
    optimizer: torch.optim.Optimizer
    step: int

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}, partial)
        partial.rename(path)


def resume(path: Path, plan: AutoencoderPlan, device: str) -> AutoencoderState:
    """The saved state, or a fresh one."""
    model = build_autoencoder().to(device, memory_format=torch.channels_last)
    weights = model.decoder.parameters() if plan.decoder_only else model.parameters()
    optimizer = Muon(weights, lr=plan.learning_rate)
    if not path.exists():
        return AutoencoderState(model, optimizer, 0)
    saved = torch.load(path, map_location=device, weights_only=True)
    model.load_state_dict(saved["model"])
    if not plan.decoder_only:
        optimizer.load_state_dict(saved["optimizer"])
    return AutoencoderState(model, optimizer, 0 if plan.decoder_only else saved["step"])


def train_step(state: AutoencoderState, pixels: Tensor, *, noise: float, decoder_only: bool = False) -> float:
    """One optimizer step in bfloat16 autocast. noise: the largest deviation added to the latents of half the crops."""
    state.optimizer.zero_grad(set_to_none=True)
    with torch.autocast(pixels.device.type, dtype=torch.bfloat16):
        with torch.set_grad_enabled(not decoder_only):
            latents = state.model.encoder(pixels)
        if noise:
            strength = (torch.rand(len(latents), 1, 1, 1, device=latents.device) * 2 - 1).clamp(min=0) * noise
            latents = latents + strength.to(latents.dtype) * torch.randn_like(latents)
        output = state.model.decoder(latents)
    loss = reconstruction_loss(output, pixels)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
    state.optimizer.step()
    state.step += 1
    return float(loss.detach())


def train(state_folder: Path, plan: AutoencoderPlan = AutoencoderPlan(), *, device: str = "cpu", seed: int = 0) -> None:
    """The whole stage; goes on from `autoencoder/last.pt` when there is one."""
    crops = Crops(
        np.load(state_folder / "data" / "emoji.npy", mmap_mode="r"), np.load(state_folder / "data" / "clipart.npy", mmap_mode="r")
    )
    held_out = held_out_pictures(crops.drawings).to(device)
    path = state_folder / "autoencoder" / ("decoder.pt" if plan.decoder_only else "last.pt")
    state = resume(path, plan, device)
    started = time.monotonic()
    while state.step < plan.steps:
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(state.step, plan)
        share = state.step / plan.steps
        late = share >= 0.8 or plan.decoder_only
        rng = np.random.default_rng((seed, state.step))
        pixels = crops.batch(rng, plan.batch // 3 if late else plan.batch, crop_px=plan.late_crop_px if late else plan.crop_px).to(device)
        loss = train_step(
            state, pixels, noise=plan.noise if share >= plan.noise_from or plan.decoder_only else 0.0, decoder_only=plan.decoder_only
        )
        if not plan.decoder_only and state.step in {round(plan.steps * at) for at in plan.fold_at}:
            _, deviation = fold_statistics(state.model, held_out)
            log.info("step %d: latents folded, deviation was %.2f to %.2f", state.step, deviation.min(), deviation.max())
        if state.step % 50 == 0:
            log.info("step %d loss %.4f, %.0f ms a step", state.step, loss, (time.monotonic() - started) / 50 * 1000)
            started = time.monotonic()
        if state.step % 500 == 0 or state.step == plan.steps:
            log.info("step %d held-out PSNR %.2f dB", state.step, measure_psnr(state.model, held_out))
            state.save(path)
            started = time.monotonic()
