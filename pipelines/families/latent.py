"""What all families of latent diffusion share: pictures to latents and back, the noise schedule, LoRA targets, the diffusers pipeline.

In: loaded modules (load.py). Out: the methods of `Base` that do not differ between families. Prompts of one text encoder live here too, because
SD 1 and SD 2 agree on them; SDXL overrides. Loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipelines.families.base import Base, Conditioning, Frame
from pipelines.families.quiet import quiet
from pipelines.families.targets import text_paths, unet_paths

if TYPE_CHECKING:
    from torch import Tensor

CHUNK_PIXELS = 1024 * 1024  # pictures go through the autoencoder this much at a time, so that memory stays flat
SCHEDULE_KEYS = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "rescale_betas_zero_snr")


@dataclass
class LatentBase(Base):
    """A `Base` that works on an autoencoder's latents."""

    def __post_init__(self) -> None:
        self.extras.setdefault("stride_px", max(8, autoencoder_factor(self.vae)))

    @property
    def native_size_px(self) -> int:
        """Side of the square that the base was trained on: the denoiser's own sample size times the autoencoder's factor."""
        return self.unet.config.sample_size * self.stride_px

    @cached_property
    def alphas_cumprod(self) -> Tensor:
        """[T] float32, from the scheduler's configuration, on the base's device."""
        from diffusers import DDPMScheduler

        known = {key: self.scheduler_config[key] for key in SCHEDULE_KEYS if key in self.scheduler_config}
        return DDPMScheduler(**known).alphas_cumprod.to(self.device)

    def encode_images(self, images: Tensor) -> Tensor:
        """Latents for a batch, the posterior's mean, scaled as the denoiser expects. images: [B, 3, H, W] in [-1, 1]. Returns [B, C, h, w], float32."""
        import torch

        with torch.no_grad():
            return torch.cat([self._encode(chunk) for chunk in _chunks(images, images.shape[-2] * images.shape[-1])])

    def decode_latents(self, latents: Tensor) -> Tensor:
        """Pictures for a batch of latents. Returns [B, 3, H, W] in [-1, 1], float32."""
        import torch

        pixels = latents.shape[-2] * latents.shape[-1] * self.stride_px**2
        with torch.no_grad():
            return torch.cat([self._decode(chunk) for chunk in _chunks(latents, pixels)])

    def _encode(self, images: Tensor) -> Tensor:
        coded = self.vae.encode(images.to(self.device, self.vae.dtype))
        latents = (coded.latents if hasattr(coded, "latents") else coded.latent_dist.mode()).float()
        mean, scale = latent_statistics(self.vae, latents)
        return (latents - mean) * scale

    def _decode(self, latents: Tensor) -> Tensor:
        latents = latents.to(self.device).float()
        mean, scale = latent_statistics(self.vae, latents)
        return self.vae.decode((latents / scale + mean).to(self.vae.dtype)).sample.float().clamp(-1, 1)

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """Conditioning for a batch of prompts: the text encoder's last states, [B, 77, D], as StableDiffusionPipeline makes them."""
        encoder = self.text_encoders[0]
        tokens = tokenize(self.tokenizers[0], prompts)
        mask = tokens.attention_mask.to(self.device) if getattr(encoder.config, "use_attention_mask", False) else None
        return Conditioning(encoder(tokens.input_ids.to(self.device), attention_mask=mask)[0].to(self.dtype))

    def token_count(self, prompt: str) -> int:
        """Tokens that the first tokenizer makes of a prompt, start and end left out (75 fit)."""
        with quiet():
            return len(self.tokenizers[0](prompt, truncation=False, add_special_tokens=False).input_ids)

    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning, *, frames: Sequence[Frame] | None = None) -> Tensor:
        """The denoiser's output (epsilon or v), float32, shaped like noisy: [B, C, h, w]; timesteps: [B] integers."""
        added = self._added_conditions(noisy, conditioning, frames)
        output = self.unet(
            noisy.to(self.dtype), timesteps, encoder_hidden_states=conditioning.hidden.to(self.dtype), added_cond_kwargs=added
        )
        return output.sample.float()

    def _added_conditions(self, noisy: Tensor, conditioning: Conditioning, frames: Sequence[Frame] | None) -> dict[str, Tensor] | None:
        """What the denoiser wants besides the text. Nothing, except in SDXL."""
        return None

    def unet_targets(self, targets: str) -> tuple[str, ...]:
        """Full dotted paths in the UNet that `targets` ("attention", "attention+ff", "all") means."""
        return unet_paths(self.unet, targets)

    def text_targets(self) -> tuple[tuple[str, ...], ...]:
        """Full dotted paths in each text encoder: q, k, v and out of every attention, and fc1/fc2."""
        return tuple(text_paths(encoder) for encoder in self.text_encoders)

    def pipeline(self) -> Any:
        """A diffusers pipeline around the very same modules, with a scheduler of its own."""
        with quiet():
            pipe = self._build_pipeline(self._scheduler())
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def _build_pipeline(self, scheduler: Any) -> Any:
        from diffusers import StableDiffusionPipeline

        return StableDiffusionPipeline(
            vae=self.vae, text_encoder=self.text_encoders[0], tokenizer=self.tokenizers[0], unet=self.unet, scheduler=scheduler,
            safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        )  # fmt: skip

    def _scheduler(self) -> Any:
        import diffusers

        kind = getattr(diffusers, self.scheduler_config.get("_class_name", ""), diffusers.DDIMScheduler)
        return kind.from_config(self.scheduler_config)


def tokenize(tokenizer: Any, prompts: Sequence[str]) -> Any:
    """Token ids [B, 77] padded with the tokenizer's own pad, cut where a prompt is longer."""
    return tokenizer(list(prompts), padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt")


def autoencoder_factor(vae: Any) -> int:
    """Pixels per latent along a side: every level but one halves."""
    levels = vae.config.get("block_out_channels") or vae.config["encoder_block_out_channels"]
    return 2 ** (len(levels) - 1)


def latent_statistics(vae: Any, latents: Tensor) -> tuple[Any, Any]:
    """(mean, scale) so that (latents - mean) * scale is what the denoiser sees; per channel where the autoencoder says so."""
    config = vae.config
    mean, spread = config.get("latents_mean"), config.get("latents_std")
    if mean is not None and spread is not None:
        shape = (1, -1, 1, 1)
        return latents.new_tensor(mean).view(shape), config["scaling_factor"] / latents.new_tensor(spread).view(shape)
    return config.get("shift_factor") or 0.0, config.get("scaling_factor") or 1.0


def _chunks(batch: Tensor, pixels_each: int) -> Iterator[Tensor]:
    yield from batch.split(max(1, CHUNK_PIXELS // pixels_each))
