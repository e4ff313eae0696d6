"""Stable Diffusion 1.x, and the starter, which has its structure: one CLIP text encoder, latents of any autoencoder.

Everything it needs is shared (latent.py); this file says only what is its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipelines.families.base import FamilyName
from pipelines.families.latent import LatentBase


@dataclass
class SD1(LatentBase):
    """A base of the SD 1 family."""

    family: ClassVar[FamilyName] = "sd1"
    architecture: ClassVar[str] = "stable-diffusion-v1/lora"
