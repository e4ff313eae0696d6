"""Reads the modules of a base into memory: frozen, in the wanted dtype from the start, on one device.

In: a `Located` and a `Placement`. Out: a `Base`. The only file of the families that loads weights; `load.py` is its front.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipelines.errors import BaseModelError
from pipelines.families import original_layout
from pipelines.families.base import Base, FamilyName
from pipelines.families.fingerprint import fingerprint
from pipelines.families.folder import AGAIN, MODELS, TOKENIZERS, read_json
from pipelines.families.latent import LatentBase
from pipelines.families.located import Located
from pipelines.families.quiet import quiet
from pipelines.families.sd1 import SD1
from pipelines.families.sd2 import SD2
from pipelines.families.sdxl import SDXL
from pipelines.lean import plainly

FAMILIES: dict[str, type[LatentBase]] = {"sd1": SD1, "sd2": SD2, "sdxl": SDXL}


@dataclass(frozen=True)
class Placement:
    """Where modules live, and the dtype of unet and text encoders."""

    device: torch.device
    dtype: torch.dtype


def placement(device: torch.device | str, dtype: torch.dtype | None, *, family: FamilyName) -> Placement:
    """device and dtype, the latter chosen where None: float32 on a CPU, else bfloat16 where the device has it, else float16."""
    device = torch.device(device)
    if dtype is None:
        dtype = torch.float32
        if device.type == "cuda":
            dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return Placement(device, dtype)


def vae_dtype(config: dict[str, Any], target: Placement, *, family: FamilyName) -> torch.dtype:
    """float32 on a CPU and in SDXL, whose autoencoder overflows in float16; else the base's own. SDXL's repaired one may run in bfloat16."""
    overflows = family == "sdxl" and (config.get("force_upcast", True) or target.dtype == torch.float16)
    return torch.float32 if overflows or target.device.type != "cuda" else target.dtype


def from_folder(located: Located, target: Placement) -> Base:
    """The base in a diffusers folder that `locate` found whole."""
    variants = dict(located.variants)
    modules = {}
    with quiet():
        for component in MODELS[located.family]:
            folder = located.path / component
            config = read_json(folder / "config.json")
            dtype = vae_dtype(config, target, family=located.family) if component == "vae" else target.dtype
            modules[component] = read_component(folder, config, dtype=dtype, variant=variants.get(component))
        tokenizers = tuple(read_tokenizer(located.path / name) for name in TOKENIZERS[located.family])
    scheduler = read_json(located.path / "scheduler" / "scheduler_config.json")
    return assemble(located, target, modules=modules, tokenizers=tokenizers, scheduler_config=scheduler)


def read_component(folder: Path, config: dict[str, Any], *, dtype: torch.dtype, variant: str | None = None) -> Any:
    """One module, every weight of it from the files: both libraries fill gaps with random numbers and only warn. Raises BaseModelError for any gap."""
    component = folder.name
    try:
        with _no_numbers_for_nothing():
            module, found = plainly(
                lambda: _class(component, config).from_pretrained(
                    str(folder), dtype=dtype, variant=variant, use_safetensors=True, local_files_only=True,
                    output_loading_info=True, ignore_mismatched_sizes=True,
                )
            )  # fmt: skip
    except Exception as error:  # a foreign loader raises whatever the files lead it to
        if "memory" in f"{type(error).__name__} {error}".lower():  # the files are not to blame
            raise
        raise BaseModelError(f"The {component} of the base cannot be read: {type(error).__name__} {error}.", fix=AGAIN) from error
    for name, there, wanted in found["mismatched_keys"]:
        raise BaseModelError(
            f"{name} of the {component} is {tuple(there)} instead of {tuple(wanted)}, as {component}/config.json has it.",
            fix="Download its config.json and its weights again: they do not belong together.",
        )
    empty = {name for name, tensor in module.state_dict().items() if tensor.is_meta}  # where an index promises more than its shards hold
    missing = sorted({*found["missing_keys"], *empty})
    if missing:
        raise BaseModelError(f"The {component} of the base lacks {len(missing)} tensors, such as {', '.join(missing[:4])}.", fix=AGAIN)
    return module


@contextmanager
def _no_numbers_for_nothing() -> Iterator[None]:
    """Random numbers for tensors that have no memory yet: torch imports sympy (50 MB, 0.3 s) to draw none."""
    drawn = nn.init.normal_
    nn.init.normal_ = lambda tensor, *args, **kwargs: tensor if tensor.is_meta else drawn(tensor, *args, **kwargs)
    try:
        yield
    finally:
        nn.init.normal_ = drawn


def from_file(located: Located, target: Placement, *, configs: Path) -> Base:
    """The base in one .safetensors file that `locate` found whole. configs: configurations per family."""

    def dtype_of(component: str, config: dict[str, Any]) -> torch.dtype:
        return vae_dtype(config, target, family=located.family) if component == "vae" else target.dtype

    with quiet():
        modules = original_layout.read_modules(located, configs, dtype_of=dtype_of)
        tokenizers = original_layout.read_tokenizers(located, configs, read_folder=read_tokenizer)
    return assemble(
        located, target, modules=modules, tokenizers=tokenizers, scheduler_config=original_layout.scheduler_config(located, configs)
    )


def _class(component: str, config: dict[str, Any]) -> Any:
    import diffusers
    import transformers

    if component == "text_encoder":
        return transformers.CLIPTextModel
    if component == "text_encoder_2":
        return transformers.CLIPTextModelWithProjection
    return diffusers.UNet2DConditionModel if component == "unet" else getattr(diffusers, config.get("_class_name", "AutoencoderKL"))


def read_tokenizer(folder: Path) -> Any:
    """A CLIPTokenizer that cuts at 77, also where the folder forgot to say so. Raises BaseModelError where its files are damaged."""
    from transformers import CLIPTokenizer

    try:
        tokenizer = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # a foreign loader raises whatever the files lead it to
        raise BaseModelError(f"The {folder.name} of the base cannot be read: {type(error).__name__} {error}.", fix=AGAIN) from error
    tokenizer.model_max_length = min(tokenizer.model_max_length, 77)
    return tokenizer


def assemble(
    located: Located, target: Placement, *, modules: dict[str, Any], tokenizers: tuple[Any, ...], scheduler_config: dict[str, Any]
) -> Base:
    """A `Base` of frozen modules on the device."""
    for module in modules.values():
        module.to(target.device).requires_grad_(False).eval()
    accept_any_dtype(modules["vae"])
    encoders = tuple(modules[name] for name in ("text_encoder", "text_encoder_2") if name in modules)
    return FAMILIES[located.family](
        source=located.source, fingerprint=fingerprint(located), unet=modules["unet"], vae=modules["vae"], text_encoders=encoders, tokenizers=tokenizers,
        scheduler_config={**scheduler_config, "prediction_type": located.prediction}, device=target.device, dtype=target.dtype,
    )  # fmt: skip


def accept_any_dtype(vae: Any) -> None:
    """Lets a float32 autoencoder work in a half-precision pipeline, whose latents plain diffusers hands over as they are."""
    for name in ("encoder", "decoder", "post_quant_conv"):
        part = getattr(vae, name, None)
        if part is not None:
            part.register_forward_pre_hook(_cast_input)


def _cast_input(part: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return inputs[0].to(next(part.parameters()).dtype), *inputs[1:]
