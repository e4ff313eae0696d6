"""Train the denoiser: a UNet2DConditionModel with SD 1.5's blocks and module names, narrow, on 16 x 16 latents.

In: drawings (data.py), the finished autoencoder and text tower. Out, in the state folder: `denoiser/last.pt` (weights, averaged weights, optimizer, step)
and `denoiser/pool.pt` (encoded pictures with their text states, so that a restart costs seconds).
The text tower is frozen and its states are cached with the latents; each step adds a few fresh pictures to the pool.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from training.starter.autoencoder import LATENT_CHANNELS, build_autoencoder
from training.starter.compose import draw_scene, sample_scene
from training.starter.data import Concept, load_concepts
from training.starter.muon import Muon
from training.starter.text_image import MAX_TOKENS, TEXT_WIDTH, build_text_image, load_tokenizer, to_pixels, tokenize
from training.starter.wording import EMPTY_CAPTION, choose_concepts, write_caption

log = logging.getLogger(__name__)

LATENT_SIDE = 16
WIDTHS = (64, 128, 192, 192)
HEADS = (2, 4, 6, 6)  # 32 channels a head: on a CPU the cost of attention grows with the number of heads
SNR_CEILING = 5.0


@dataclass(frozen=True)
class DenoiserPlan:
    """`steps` is the end of the schedule: warm-up, constant, then a linear fall over the last `decay_share`."""

    steps: int = 12_000
    batch: int = 64
    learning_rate: float = 2e-3
    warmup_steps: int = 40
    decay_share: float = 0.25
    caption_dropout: float = 0.1
    ema_decay: float = 0.999
    pair_share: float = 0.03
    pool: int = 24_000
    first_fill: int = 2_560
    fresh_per_step: int = 8
    save_minutes: float = 8.0


def build_denoiser() -> UNet2DConditionModel:
    """Untrained; 22.6 M parameters; [B, 16, 16, 16] latents and [B, 77, 256] text states."""
    return UNet2DConditionModel(
        sample_size=LATENT_SIDE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=WIDTHS,
        layers_per_block=2,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=HEADS,
        norm_num_groups=16,
    )


def build_scheduler() -> DDIMScheduler:
    """v-prediction with zero terminal SNR (Lin et al. 2024): backgrounds reach pure white and black."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )


def loss_weights(snr: Tensor) -> Tensor:
    """Weights of the v loss: 1, falling as 5 / SNR where there is little noise. snr: [B].

    Plain min-SNR for v gives the noisiest steps, where concept and colour are decided, no weight at all.
    """
    return (SNR_CEILING / snr.clamp(min=1e-6)).clamp(max=1.0)


class Source:
    """Freshly drawn, encoded training pictures."""

    def __init__(self, drawings: np.ndarray, concepts: list[Concept], models: Frozen, *, pair_share: float) -> None:
        self.drawings, self.concepts, self.models, self.pair_share = drawings, concepts, models, pair_share
        self.rows = choose_concepts(concepts)

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Latents [count, 16, 16, 16] and text states [count, 77, 256], both half precision on the CPU."""
        scenes = [sample_scene(rng, self.rows, pair_share=self.pair_share) for _ in range(count)]
        pixels = to_pixels(np.stack([draw_scene(rng, scene, self.drawings) for scene in scenes]))
        captions = [write_caption(rng, scene, self.concepts) for scene in scenes]
        return self.models.encode(pixels), self.models.read(captions)


class Frozen:
    """The finished autoencoder and text tower."""

    def __init__(self, autoencoder: AutoencoderTiny, tokenizer: CLIPTokenizer, text: CLIPTextModel, *, device: str = "cpu") -> None:
        self.autoencoder = autoencoder.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
        self.tokenizer, self.text, self.device = tokenizer, text.to(device).eval().requires_grad_(False), device

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        with torch.autocast(self.device.split(":")[0], dtype=torch.bfloat16):
            return self.autoencoder.encoder(pixels.to(self.device).contiguous(memory_format=torch.channels_last)).half().cpu()

    @torch.no_grad()
    def read(self, captions: list[str]) -> Tensor:
        return self.text(tokenize(self.tokenizer, captions).to(self.device)).last_hidden_state.half().cpu()


def load_frozen(state_folder: Path, *, device: str = "cpu") -> Frozen:
    autoencoder = build_autoencoder()
    decoder_tuned = state_folder / "autoencoder" / "decoder.pt"
    path = decoder_tuned if decoder_tuned.exists() else state_folder / "autoencoder" / "last.pt"
    autoencoder.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["model"])
    return Frozen(autoencoder, load_tokenizer(state_folder), load_text_tower(state_folder), device=device)


def load_text_tower(state_folder: Path) -> CLIPTextModel:
    """The text half of the text-image encoder as the CLIPTextModel that the pipeline wants."""
    whole = build_text_image(load_tokenizer(state_folder))
    whole.load_state_dict(torch.load(state_folder / "text_image" / "last.pt", map_location="cpu", weights_only=True)["model"])
    tower = CLIPTextModel(whole.config.text_config)
    tower.load_state_dict(whole.text_model.state_dict())
    return tower


class Pool:
    """A ring of encoded pictures: latents, text states, both half precision."""

    def __init__(self, capacity: int) -> None:
        self.latents = torch.zeros(capacity, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE, dtype=torch.float16)
        self.states = torch.zeros(capacity, MAX_TOKENS, TEXT_WIDTH, dtype=torch.float16)
        self.filled, self.next = 0, 0

    def add(self, latents: Tensor, states: Tensor) -> None:
        places = (torch.arange(len(latents)) + self.next) % len(self.latents)
        self.latents[places], self.states[places] = latents, states
        self.next = (self.next + len(latents)) % len(self.latents)
        self.filled = min(len(self.latents), self.filled + len(latents))

    def save(self, path: Path) -> None:
        torch.save({"latents": self.latents[: self.filled].clone(), "states": self.states[: self.filled].clone()}, path)

    def take(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        places = torch.from_numpy(rng.integers(0, self.filled, count))
        return self.latents[places].float(), self.states[places].float()


@dataclass
class DenoiserState:
    model: UNet2DConditionModel
    average: dict[str, Tensor]
    optimizer: Muon
    step: int

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        torch.save(
            {"model": self.model.state_dict(), "average": self.average, "optimizer": self.optimizer.state_dict(), "step": self.step},
            partial,
        )
        partial.rename(path)


def resume(path: Path, plan: DenoiserPlan, *, device: str = "cpu") -> DenoiserState:
    """The saved state, or a fresh one."""
    model = build_denoiser().to(device)
    if device == "cpu":
        # Measured on one core, batch 64, bfloat16: fused attention 54 ms a picture (its backward pass), plain 29, without channels_last 26.
        model.set_attn_processor(AttnProcessor())
    optimizer = Muon(model.parameters(), lr=plan.learning_rate)
    if not path.exists():
        return DenoiserState(model, {name: value.detach().clone() for name, value in model.state_dict().items()}, optimizer, 0)
    saved = torch.load(path, map_location=device, weights_only=True)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    return DenoiserState(model, saved["average"], optimizer, saved["step"])


def learning_rate(step: int, plan: DenoiserPlan) -> float:
    """Warm-up, constant, linear fall to 2 %: the constant part can be gone on with in a later session."""
    to_go = max(0.0, (plan.steps - step) / max(1.0, plan.steps * plan.decay_share))
    return plan.learning_rate * min(1.0, (step + 1) / plan.warmup_steps, 0.02 + 0.98 * to_go)


@torch.no_grad()
def average_weights(state: DenoiserState, decay: float) -> None:
    """Exponential moving average, warmed up over the first steps."""
    decay = min(decay, (1 + state.step) / (10 + state.step))
    weights = state.model.state_dict()
    torch._foreach_lerp_([state.average[name] for name in weights], list(weights.values()), 1 - decay)


def train_step(state: DenoiserState, scheduler: DDIMScheduler, latents: Tensor, states: Tensor, *, seed: int) -> float:
    """One optimizer step. latents: [B, 16, 16, 16], states: [B, 77, 256]. Timesteps are stratified over the batch."""
    generator = torch.Generator().manual_seed(seed)
    count = len(latents)
    shares = (torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)) / count
    timesteps = (shares * scheduler.config.num_train_timesteps).long().clamp(max=scheduler.config.num_train_timesteps - 1)
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    timesteps = timesteps.to(latents.device)
    noisy, target = scheduler.add_noise(latents, noise, timesteps), scheduler.get_velocity(latents, noise, timesteps)
    signal = scheduler.alphas_cumprod.to(latents.device)[timesteps]
    state.optimizer.zero_grad(set_to_none=True)
    with torch.autocast(latents.device.type, dtype=torch.bfloat16):
        output = state.model(noisy, timesteps, encoder_hidden_states=states).sample
    error = functional.mse_loss(output.float(), target, reduction="none").mean((1, 2, 3))
    loss = (error * loss_weights(signal / (1 - signal).clamp(min=1e-8))).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
    state.optimizer.step()
    state.step += 1
    return float(loss.detach())


def fill(pool: Pool, source: Source, rng: np.random.Generator, count: int, *, batch: int = 32) -> Iterator[int]:
    """Add `count` pictures; yields how many the pool holds."""
    for _ in range(0, count, batch):
        pool.add(*source.draw(rng, batch))
        yield pool.filled


def load_pool(path: Path, source: Source, plan: DenoiserPlan, *, seed: int) -> Pool:
    """The saved pool, or a first fill."""
    pool = Pool(plan.pool)
    if path.exists():
        saved = torch.load(path, map_location="cpu", weights_only=True)
        pool.add(saved["latents"][: plan.pool], saved["states"][: plan.pool])
    else:
        for _ in fill(pool, source, np.random.default_rng((seed, 1)), plan.first_fill):
            pass
        pool.save(path)
    log.info("pool holds %d pictures", pool.filled)
    return pool


def train(state_folder: Path, plan: DenoiserPlan = DenoiserPlan(), *, device: str = "cpu", seed: int = 0) -> None:
    """The whole stage; goes on from `denoiser/last.pt` when there is one."""
    folder = state_folder / "denoiser"
    folder.mkdir(exist_ok=True)
    models = load_frozen(state_folder, device=device)
    source = Source(
        np.load(state_folder / "data" / "emoji.npy", mmap_mode="r"), load_concepts(state_folder), models, pair_share=plan.pair_share
    )
    pool = load_pool(folder / "pool.pt", source, plan, seed=seed)
    nothing = models.read([EMPTY_CAPTION])[0].float()
    state, scheduler = resume(folder / "last.pt", plan, device=device), build_scheduler()
    started = saved_at = time.monotonic()
    losses = []
    while state.step < plan.steps:
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(state.step, plan)
        rng = np.random.default_rng((seed, 2, state.step))
        pool.add(*source.draw(rng, plan.fresh_per_step))
        latents, states = pool.take(rng, plan.batch)
        states[torch.from_numpy(rng.random(plan.batch) < plan.caption_dropout)] = nothing
        losses.append(train_step(state, scheduler, latents.to(device), states.to(device), seed=seed * 1_000_003 + state.step))
        average_weights(state, plan.ema_decay)
        if state.step % 20 == 0:
            spent = (time.monotonic() - started) / len(losses)
            log.info(
                "step %d loss %.4f lr %.1e pool %d, %.2f s a step",
                state.step,
                np.mean(losses),
                learning_rate(state.step, plan),
                pool.filled,
                spent,
            )
            started, losses = time.monotonic(), []
        if time.monotonic() - saved_at > plan.save_minutes * 60 or state.step == plan.steps:
            state.save(folder / "last.pt")
            pool.save(folder / "pool.pt")
            saved_at = time.monotonic()
