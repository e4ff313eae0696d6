"""What every family of base models can do, and the one function that loads any of them.

In: a hub id, a diffusers folder, one .safetensors file, or "starter". Out: a `Base`, frozen, ready to encode, predict and decode.
Families differ in prompts, conditioning and key names; the trainer, the losses and the drawing never ask which one they hold.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

FamilyName = Literal["sd1", "sd2", "sdxl"]
Prediction = Literal["epsilon", "v_prediction"]


@dataclass(frozen=True)
class Conditioning:
    """What the denoiser is told besides the noisy picture. hidden: [B, T, D]; pooled: [B, P], SDXL only."""

    hidden: Tensor
    pooled: Tensor | None = None

    def __len__(self) -> int:
        return self.hidden.shape[0]


@dataclass(frozen=True)
class Frame:
    """How a training picture was cut, in pixels: what SDXL is conditioned on (arXiv 2307.01952, section 2.2); others ignore it."""

    original_hw: tuple[int, int]
    crop_yx: tuple[int, int]
    target_hw: tuple[int, int]


@dataclass
class Base(ABC):
    """A frozen base model in memory. Weights stay as loaded: only attached adapters may carry gradients."""

    source: str
    fingerprint: str  # changes whenever a weight does; keys the caches
    unet: nn.Module
    vae: nn.Module
    text_encoders: tuple[nn.Module, ...]
    tokenizers: tuple[Any, ...]
    scheduler_config: dict[str, Any]
    device: torch.device
    dtype: torch.dtype  # of unet and text encoders; the VAE may be kept wider
    extras: dict[str, Any] = field(default_factory=dict)

    family: ClassVar[FamilyName]
    architecture: ClassVar[str]  # modelspec.architecture of a LoRA for it

    @property
    @abstractmethod
    def native_size_px(self) -> int:
        """Side of the square that the base was trained on."""

    @property
    def prediction(self) -> Prediction:
        """What the denoiser predicts."""
        return self.scheduler_config.get("prediction_type", "epsilon")

    @property
    def stride_px(self) -> int:
        """Sides of pictures are multiples of this (the autoencoder's factor; at least 8)."""
        return self.extras.get("stride_px", 8)

    @property
    @abstractmethod
    def alphas_cumprod(self) -> Tensor:
        """[T] products of (1 - beta), as the denoiser was trained on (rescaled where zero-terminal SNR is set)."""

    @abstractmethod
    def encode_images(self, images: Tensor) -> Tensor:
        """Latents for a batch, scaled as the denoiser expects. images: [B, 3, H, W] in [-1, 1]. Returns [B, C, h, w], float32."""

    @abstractmethod
    def decode_latents(self, latents: Tensor) -> Tensor:
        """Pictures for a batch of latents. Returns [B, 3, H, W] in [-1, 1], float32."""

    @abstractmethod
    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """Conditioning for a batch of prompts. Gradients flow where a text encoder's adapter needs them."""

    @abstractmethod
    def token_count(self, prompt: str) -> int:
        """Tokens that the first tokenizer makes of a prompt, start and end left out (75 fit)."""

    @abstractmethod
    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning, *, frames: Sequence[Frame] | None = None) -> Tensor:
        """The denoiser's output (epsilon or v). noisy: [B, C, h, w]; timesteps: [B] integers. frames: one per picture; None: a full uncropped frame."""

    @abstractmethod
    def unet_targets(self, targets: str) -> tuple[str, ...]:
        """Full dotted paths in the UNet that `targets` ("attention", "attention+ff", "all") means."""

    @abstractmethod
    def text_targets(self) -> tuple[tuple[str, ...], ...]:
        """Full dotted paths in each text encoder: q, k, v and out of every attention, and fc1/fc2."""

    @abstractmethod
    def pipeline(self) -> Any:
        """A diffusers pipeline around the very same modules (shared, not copied)."""

    def add_noise(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """sqrt(a_t) x + sqrt(1 - a_t) e (Ho et al. 2020, arXiv 2006.11239, eq. 4). All [B, ...]."""
        alpha = self.alphas_cumprod.to(latents.device)[timesteps].view(-1, *[1] * (latents.ndim - 1)).to(latents.dtype)
        return alpha.sqrt() * latents + (1 - alpha).sqrt() * noise


def load_base(
    source: str,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    family: FamilyName | None = None,
    allow_download: bool = True,
) -> Base:
    """The base behind a hub id, a diffusers folder, one .safetensors file or "starter".

    family: told from the files; give it only to overrule. Raises BaseModelError naming what is missing, before any weight is read.
    """
    from pipelines.families.load import locate, read_base

    return read_base(locate(source, family=family, allow_download=allow_download), device=device, dtype=dtype)
