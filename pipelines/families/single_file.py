"""Checks one .safetensors file in the original layout (CompVis, Stability) before its tensors are read.

In: a file. Out: `Located`. Told by names and shapes alone: which family it is, whether denoiser, autoencoder and text encoders are all inside, and what
the denoiser predicts. Does not load (original_layout.py does).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path

from pipelines.errors import BaseModelError
from pipelines.families.base import FamilyName, Prediction
from pipelines.families.located import Located
from pipelines.families.safetensors_header import Header, read_header, read_values

UNET = "model.diffusion_model."
VAE = "first_stage_model."
TEXT: dict[FamilyName, tuple[str, ...]] = {
    "sd1": ("cond_stage_model.transformer.",),
    "sd2": ("cond_stage_model.model.",),
    "sdxl": ("conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."),
}
WIDTHS: dict[int, FamilyName] = {768: "sd1", 1024: "sd2", 2048: "sdxl"}  # of the text that the denoiser attends to
ADAPTER_MARKS = ("lora_down", "lora_up", "lora_A.", "lora_B.", ".lora.", "hada_w1", "lokr_w1", "oft_blocks")
ENDS = (UNET + "input_blocks.0.0.weight", UNET + "out.2.weight")  # the denoiser's first and last convolution
SD2_PROBE = UNET + "output_blocks.11.1.transformer_blocks.0.norm1.bias"
SD2_V_SPREAD = 0.09  # of SD2_PROBE: above, it predicts v. ComfyUI tells SD 2 files apart by this number (comfy/supported_models.py, SD20)


def locate_file(path: Path, *, source: str, family: FamilyName | None = None) -> Located:
    """The file as a checked base. family: only to overrule what the names say, and refused where they contradict it."""
    if path.suffix.lower() != ".safetensors":
        raise BaseModelError(f"{path.name} is not a .safetensors file.", fix="Give a diffusers folder, a .safetensors file, or a hub id.")
    header = read_header(path)
    found = file_family(header, path)
    if family is not None and family != found:
        raise BaseModelError(
            f"{path.name} is a base of the {found} family, not {family}.", fix=f"Leave the family out, or give a {family} base."
        )
    prediction = file_prediction(header, path, family=found)
    return Located(source, path, "file", found, prediction, (("file", path),), zero_terminal_snr="ztsnr" in header.shapes)


def file_family(header: Header, path: Path) -> FamilyName:
    """The family by names and shapes. Raises BaseModelError for adapters, single parts, other families and inpainting models."""
    names = header.shapes
    if any(mark in name for name in names for mark in ADAPTER_MARKS):
        raise BaseModelError(f"{path.name} is an adapter (LoRA), not a base.", fix="Give the base here, and import the adapter separately.")
    if not _any(names, UNET) or not _any(names, UNET + "input_blocks."):
        raise BaseModelError(f"{path.name} is {_other_kind(names)}.", fix="Give a whole base of Stable Diffusion 1, 2 or XL.")
    if _any(names, "conditioner.embedders.0.model."):
        raise BaseModelError(f"{path.name} is an SDXL refiner, which cannot be taught on its own.", fix="Give the SDXL base model.")
    for end in ENDS:
        if len(names.get(end, ())) != 4:
            raise BaseModelError(f"{path.name} lacks the convolution {end}.", fix="Download it again, or give a diffusers folder.")
    taken, given = names[ENDS[0]][1], names[ENDS[1]][0]
    if taken != given:
        raise BaseModelError(
            f"{path.name} takes {taken} channels (an inpainting, depth or editing model).",
            fix="Give the plain text-to-image version of it.",
        )
    return _complete_family(names, path)


def _complete_family(names: dict[str, tuple[int, ...]], path: Path) -> FamilyName:
    """The family whose text encoders are inside; the width of the attended text must agree where it is a known one."""
    width = next((shape[-1] for name, shape in names.items() if name.startswith(UNET) and name.endswith("attn2.to_k.weight") and shape), 0)
    by_width = WIDTHS.get(width)
    whole = [family for family, prefixes in TEXT.items() if all(_any(names, prefix) for prefix in prefixes)]
    missing = [] if whole else [f"text encoder ({prefix}*)" for prefix in TEXT[by_width or "sd1"] if not _any(names, prefix)]
    missing += [] if _any(names, VAE) else [f"autoencoder ({VAE}*)"]
    if missing:
        raise BaseModelError(
            f"{path.name} lacks its {' and its '.join(missing)}.", fix="Give the full version of the file, or a diffusers folder."
        )
    if by_width not in (None, whole[0]):
        raise BaseModelError(
            f"{path.name} mixes a {by_width} denoiser with the text encoder of {whole[0]}.", fix="Give a base whose parts belong together."
        )
    return whole[0]


def file_prediction(header: Header, path: Path, *, family: FamilyName) -> Prediction:
    """What the denoiser predicts: as the metadata says, else as marker tensors say, else by a statistic (SD 2), else epsilon."""
    said = header.metadata.get("modelspec.prediction_type", "").lower()
    if said.startswith("eps"):
        return "epsilon"
    if said.startswith("v") or "v_pred" in header.shapes:
        return "v_prediction"
    if family != "sd2":
        return "epsilon"
    if SD2_PROBE not in header.shapes:
        return "v_prediction"
    values = read_values(path, header, SD2_PROBE)
    return "v_prediction" if statistics.pstdev(values) > SD2_V_SPREAD else "epsilon"


def _other_kind(names: Iterable[str]) -> str:
    kinds = (
        ("joint_blocks.", "a Stable Diffusion 3 model"),
        ("double_blocks.", "a Flux model"),
        ("single_transformer_blocks.", "a Flux model"),
        ("control_model.", "a ControlNet"),
        ("down_blocks.", "one part of a diffusers folder"),
        ("encoder.", "an autoencoder or a text encoder alone"),
        (VAE, "an autoencoder alone"),
    )
    names = list(names)
    return next((kind for mark, kind in kinds if any(mark in name for name in names)), "not a Stable Diffusion base that Brandprint knows")


def _any(names: Iterable[str], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in names)
