"""SDXL: two CLIP text encoders, and a denoiser that is told how the picture was cut.

Prompts and the cut follow StableDiffusionXLPipeline; arXiv 2307.01952, section 2.2, says why. The rest is shared (latent.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pipelines.families.base import Conditioning, FamilyName, Frame
from pipelines.families.latent import LatentBase, tokenize

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class SDXL(LatentBase):
    """A base of the SDXL family."""

    family: ClassVar[FamilyName] = "sdxl"
    architecture: ClassVar[str] = "stable-diffusion-xl-v1-base/lora"

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """hidden: both encoders' penultimate states side by side, [B, 77, D1 + D2]; pooled: the second one's projection, [B, P]."""
        import torch

        outputs = [
            encoder(tokenize(tokenizer, prompts).input_ids.to(self.device), output_hidden_states=True)
            for tokenizer, encoder in zip(self.tokenizers, self.text_encoders, strict=True)
        ]
        hidden = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
        return Conditioning(hidden.to(self.dtype), outputs[-1].text_embeds.to(self.dtype))

    def _added_conditions(self, noisy: Tensor, conditioning: Conditioning, frames: Sequence[Frame] | None) -> dict[str, Tensor]:
        """Pooled text, and time ids [B, 6]: original height and width, crop top and left, target height and width.

        The ids stay float32, because bfloat16 cannot hold most whole numbers above 256.
        """
        import torch

        if conditioning.pooled is None:
            raise ValueError("SDXL needs Conditioning.pooled: take it from encode_prompts.")
        frames = frames if frames is not None else [self._full_frame(noisy)] * len(noisy)
        ids = torch.tensor(
            [[*frame.original_hw, *frame.crop_yx, *frame.target_hw] for frame in frames], dtype=torch.float32, device=noisy.device
        )
        return {"text_embeds": conditioning.pooled.to(self.dtype), "time_ids": ids}

    def _full_frame(self, noisy: Tensor) -> Frame:
        height_px, width_px = (side * self.stride_px for side in noisy.shape[-2:])
        return Frame((height_px, width_px), (0, 0), (height_px, width_px))

    def _build_pipeline(self, scheduler: Any) -> Any:
        from diffusers import StableDiffusionXLPipeline

        return StableDiffusionXLPipeline(
            vae=self.vae, unet=self.unet, scheduler=scheduler, text_encoder=self.text_encoders[0], text_encoder_2=self.text_encoders[1],
            tokenizer=self.tokenizers[0], tokenizer_2=self.tokenizers[1], add_watermarker=False, feature_extractor=None, image_encoder=None,
        )  # fmt: skip
