"""LoRA files as other programs write them, made by hand from an adapter so that the right answer is known.

In: an adapter. Out: tensors and metadata in each dialect. Nothing here uses the package's own writers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from pipelines.adapter import Adapter, Factor, factors
from pipelines.formats.paths import Layout, original_path

ALPHAS = ("uniform", "varying", "missing", "on some", "whole numbers", "one-element", "scale tensor")
BLOCK = Layout(layers_per_block=2, attention_up_blocks=frozenset({0, 1}))  # SDXL's
SD_BLOCK = Layout(layers_per_block=2, attention_up_blocks=frozenset({1, 2, 3}))


def kohya(adapter: Adapter, *, alpha: str = "uniform", layout: Layout | None = None, text: str = "lora_te_") -> dict[str, Tensor]:
    """Kohya names, diffusers' blocks or (with a layout) the original ones; alpha in every form that occurs."""
    tensors: dict[str, Tensor] = {}
    for number, share in enumerate(factors(adapter)):
        path = share.path if share.component != "unet" or layout is None else original_path(share.path, layout)
        prefix = {"unet": "lora_unet_", "text_encoder": text, "text_encoder_2": "lora_te2_"}[share.component]
        level = "" if share.component == "unet" or path.startswith("text_model.") else "text_model_"
        stem = prefix + level + path.replace(".", "_")
        value = {"uniform": 2.0, "varying": 1.0 + number % 5, "whole numbers": 3.0, "one-element": 2.0}.get(alpha)
        if alpha == "on some" and number % 2:
            value = 2.0
        chosen = float(share.rank) if value is None else value
        tensors[f"{stem}.lora_down.weight"] = share.down
        tensors[f"{stem}.lora_up.weight"] = share.up * (share.scale * share.rank / chosen if alpha != "scale tensor" else 1.0)
        if alpha == "scale tensor":
            tensors |= {f"{stem}.scale": torch.tensor(share.scale), f"{stem}.alpha": torch.tensor(77.0)}
        elif value is not None:
            written = torch.tensor(value)
            tensors[f"{stem}.alpha"] = (
                written.to(torch.int64) if alpha == "whole numbers" else written.view(1) if alpha == "one-element" else written
            )
    return tensors


def old_diffusers(adapter: Adapter) -> dict[str, Tensor]:
    """0.2x: attention as processors, the rest as .lora, text as lora_linear_layer, no scale."""
    tensors: dict[str, Tensor] = {}
    for share in factors(adapter):
        parent, _, leaf = share.path.removesuffix(".0").rpartition(".")
        if ".attn" in share.path:
            stem = f"unet.{parent}.processor.{leaf}_lora"
        elif share.component == "unet":
            stem = f"unet.{share.path}.lora"
        else:
            stem = f"{share.component}.text_model.{share.path.removeprefix('text_model.')}.lora_linear_layer"
        tensors |= {f"{stem}.down.weight": share.down, f"{stem}.up.weight": share.up * share.scale}
    return tensors


def new_diffusers(
    adapter: Adapter, *, stem: Callable[[Factor], str] = lambda share: f"{share.component}.{share.path}", raw: bool = False
) -> dict[str, Tensor]:
    """PEFT names; raw: the scale is not folded in but stands beside the weights."""
    tensors: dict[str, Tensor] = {}
    for share in factors(adapter):
        tensors |= {f"{stem(share)}.lora_A.weight": share.down, f"{stem(share)}.lora_B.weight": share.up * (1.0 if raw else share.scale)}
    return tensors


def diffusers_metadata(config: Mapping[str, object]) -> dict[str, str]:
    """The header key under which diffusers 0.34 and newer keep PEFT's configuration."""
    return {"format": "pt", "lora_adapter_metadata": json.dumps(config)}


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> Path:
    """The tensors as a file."""
    save_file({key: tensor.contiguous().clone() for key, tensor in tensors.items()}, path, dict(metadata or {}))
    return path
