"""Stable Diffusion 2.x: as SD 1, with OpenCLIP's text encoder (its penultimate layer, by its configuration) and often v-prediction.

Everything it needs is shared (latent.py); this file says only what is its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipelines.families.base import FamilyName
from pipelines.families.latent import LatentBase


@dataclass
class SD2(LatentBase):
    """A base of the SD 2 family. `prediction` tells 2.1 (v, 768 px) from 2.1-base (epsilon, 512 px)."""

    family: ClassVar[FamilyName] = "sd2"

    @property
    def architecture(self) -> str:  # type: ignore[override]
        """modelspec.architecture of a LoRA for it, which names the prediction."""
        return "stable-diffusion-v2-768-v/lora" if self.prediction == "v_prediction" else "stable-diffusion-v2-512/lora"
