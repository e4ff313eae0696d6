"""Which layers are of the plain sort that a quick way can stand in for; everything else keeps its own.

In: modules of a base, wrapped by PEFT or not. Out: yes or no. Looks at kinds and settings, never at shapes of pictures.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.activations import GEGLU
from peft.tuners.lora import LoraLayer
from torch import nn

from pipelines import quicken


def plain_adapters(module: nn.Module, name: str) -> set[Any]:
    """The layers below module with one active LoRA or rsLoRA without dropout, on a frozen float32 linear layer or an ordinary convolution."""
    return {layer for layer in module.modules() if isinstance(layer, LoraLayer) and _is_plain_adapter(layer, name)}


def is_frozen(layer: nn.Module) -> bool:
    """True where the layer has weights, all in float32, and none learns."""
    weights = list(layer.parameters(recurse=False))
    return bool(weights) and all(not weight.requires_grad and weight.dtype == torch.float32 for weight in weights)


def is_ordinary_convolution(layer: nn.Module) -> bool:
    """Zeros around, no groups, no gaps."""
    if type(layer) is not nn.Conv2d or layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        return False
    return layer.dilation == (1, 1) and layer.groups == 1


def is_plain_convolution(layer: nn.Module) -> bool:
    """The sort whose gradient is again a plain convolution: an ordinary one of stride 1."""
    return is_ordinary_convolution(layer) and layer.stride == (1, 1)


def is_pointwise(layer: Any) -> bool:
    """A convolution that is a linear layer for each pixel."""
    return is_plain_convolution(layer) and layer.kernel_size == (1, 1) and layer.padding == (0, 0)


def is_plain_attention(attn: Any) -> bool:
    """Plain for drawing, and without dropout."""
    return quicken.is_plain_attention(attn) and not _drops_out(attn.to_out)


def is_plain_feed_forward(layer: Any) -> bool:
    """True for GEGLU, then a linear layer (Shazeer 2020, arXiv 2002.05202)."""
    return len(layer.net) == 3 and type(layer.net[0]) is GEGLU and not _drops_out(layer.net)


def _drops_out(parts: nn.ModuleList) -> bool:
    return any(isinstance(part, nn.Dropout) and part.p > 0 for part in parts)


def _is_plain_adapter(layer: Any, name: str) -> bool:
    base = layer.get_base_layer()
    alone = list(layer.lora_A) == [name] and list(layer.active_adapters) == [name] and not layer.merged
    if not ((type(base) is nn.Linear or is_ordinary_convolution(base)) and alone and is_frozen(base)):
        return False
    special = layer.use_dora.get(name, False) or layer.lora_B[name].bias is not None
    return not special and isinstance(layer.lora_dropout[name], nn.Identity) and layer.lora_A[name].weight.dtype == torch.float32
