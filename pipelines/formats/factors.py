"""An adapter's factors, made ready for a file: grouped by component, put into a precision, without loss that nobody is told of.

In: an `Adapter`. Out: factors and tensors. The names in the file are kohya.py's and diffusers.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log2
from typing import Literal

import torch
from torch import Tensor

from pipelines.adapter import Adapter, Factor, factors
from pipelines.errors import ExportError

Precision = Literal["fp16", "bf16", "fp32"]
DTYPES: dict[str, torch.dtype] = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
FAINT = 2.0**-11  # below this mean size, much of a tensor falls under fp16's smallest normal number, 2^-14


def dtype_of(precision: str) -> torch.dtype:
    """The dtype behind a precision's name. Raises ExportError for any other word."""
    if precision not in DTYPES:
        raise ExportError(f'"{precision}" is not a precision.', fix=f"Use one of: {', '.join(DTYPES)}.")
    return DTYPES[precision]


def shares_of(adapter: Adapter, *, file: str) -> dict[str, list[Factor]]:
    """The factors of each component. Raises ExportError for an empty adapter and for DoRA, which no LoRA file can carry."""
    if adapter.settings.kind == "dora":
        raise ExportError(
            f"A DoRA adapter cannot leave as a {file} file: it also rescales the base's weights, and every tool reads that differently or not at all.",
            fix="Export it as merged: a whole pipeline with the adapter in its weights.",
        )
    grouped: dict[str, list[Factor]] = {}
    for factor in factors(adapter):
        grouped.setdefault(factor.component, []).append(factor)
    if not grouped:
        raise ExportError("The adapter holds no weights.", fix="Train it, or choose another checkpoint.")
    return grouped


def evened(down: Tensor, up: Tensor, *, precision: str) -> tuple[Tensor, Tensor]:
    """The same product, with a very small factor lifted out of fp16's denormal range at the cost of the other. Powers of two: exact."""
    sizes = [tensor.float().square().mean().sqrt().item() for tensor in (down, up)]
    if precision != "fp16" or min(sizes) == 0.0 or min(sizes) >= FAINT:
        return down, up
    lift = 2.0 ** round(log2(sizes[0] / sizes[1]) / 2)
    return down / lift, up * lift


def cast(tensors: Mapping[str, Tensor], precision: str) -> dict[str, Tensor]:
    """Contiguous CPU tensors of one dtype. Raises ExportError where a value is not finite, or is too large for the precision."""
    dtype = dtype_of(precision)
    ready: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ExportError(f"{key} holds NaN or infinite values.", fix="Choose an earlier checkpoint.")
        ready[key] = tensor.detach().to("cpu", dtype).contiguous()
        if not torch.isfinite(ready[key]).all():
            raise ExportError(f"{key} reaches {tensor.abs().max().item():.3g}, too large for {precision}.", fix="Export in bf16 or fp32.")
    return ready
