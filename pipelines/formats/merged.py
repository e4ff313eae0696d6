"""A whole diffusers pipeline with the adapter in its weights: the only file that carries every kind of adapter, DoRA too.

In: a base, an adapter, a strength. Out: a folder. The base in memory keeps its own weights; the autoencoder is written as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipelines.adapter import Adapter, Factor, components, factors
from pipelines.atomic import fill_folder_atomically
from pipelines.errors import AdapterError, ExportError
from pipelines.families.base import Base
from pipelines.families.quiet import quiet
from pipelines.formats.aside import set_aside
from pipelines.formats.factors import dtype_of
from pipelines.formats.older_readers import open_to_older_readers
from pipelines.formats.paths import with_level, without_level


def write_merged(base: Base, adapter: Adapter, folder: Path, *, strength: float = 1.0, precision: str | None = None) -> None:
    """Write the pipeline into folder, replacing one that stands there. precision: of denoiser and text encoders; None: the base's own.

    Raises AdapterError if the adapter does not fit, ExportError if a merged weight is not finite; nothing is left behind then.
    """
    dtype = base.dtype if precision is None else dtype_of(precision)
    strange = {share.component for share in factors(adapter)} - set(components(base))
    if strange:
        raise AdapterError(
            f"The adapter teaches a {min(strange)}, which this {base.family} base does not have.", fix="Choose the base it was made for."
        )
    with set_aside(base), ExitStack() as swaps:
        for component, module in components(base).items():
            swaps.enter_context(_weights(module, merged_weights(base, adapter, component, strength=strength, dtype=dtype), dtype))
        pipe = base.pipeline()
        with quiet():
            fill_folder_atomically(folder, lambda partial: _write(pipe, partial))


def _write(pipe: Any, folder: Path) -> None:
    pipe.save_pretrained(str(folder), safe_serialization=True)
    open_to_older_readers(folder)


def merged_weights(base: Base, adapter: Adapter, component: str, *, strength: float, dtype: torch.dtype) -> dict[str, Tensor]:
    """The adapted weights of one component by parameter name, computed in float32, then cast."""
    merged: dict[str, Tensor] = {}
    for share in factors(adapter):
        if share.component != component:
            continue
        path, weight = weight_of(components(base)[component], share)
        merged[f"{path}.weight"] = merged_weight(weight, share, strength=strength).to(dtype)
        if not torch.isfinite(merged[f"{path}.weight"]).all():
            raise ExportError(
                f"{component}.{path} is not finite after merging in {dtype}.", fix="Merge at a lower strength, or in bf16 or fp32."
            )
    return merged


def merged_weight(weight: Tensor, share: Factor, *, strength: float) -> Tensor:
    """W + strength x delta W; DoRA: each output row of that brought to its learned length, m (W + dW) / |W + dW| (arXiv 2402.09353, eq. 5). float32."""
    summed = weight.detach().float() + strength * share.delta().to(weight.device)
    if share.magnitude is None or strength == 0.0:
        return summed
    lengths = summed.flatten(1).norm(dim=1)
    rows = share.magnitude.to(weight.device).float().flatten() / lengths
    return summed * rows.view(-1, *[1] * (summed.ndim - 1))


def weight_of(module: nn.Module, share: Factor) -> tuple[str, Tensor]:
    """Path and weight of the layer that a factor is for, in whichever spelling this model has. Raises AdapterError if there is none that fits."""
    layers = dict(module.named_modules())
    shape = (share.up.shape[0], *share.down.shape[1:])
    for path in (share.path, without_level(share.path), with_level(share.path)):
        weight = getattr(layers.get(path), "weight", None)
        if weight is not None and tuple(weight.shape) == shape:
            return path, weight
    raise AdapterError(f"{share.component}.{share.path}, of shape {shape}, does not fit this base.", fix="Choose the base it was made for.")


@contextmanager
def _weights(module: nn.Module, replaced: Mapping[str, Tensor], dtype: torch.dtype) -> Iterator[None]:
    """The module with these weights and everything else cast; its own tensors come back, untouched, at the end."""
    own = {name: parameter.data for name, parameter in module.named_parameters()}
    parameters = dict(module.named_parameters())
    try:
        for name, parameter in parameters.items():
            parameter.data = replaced[name] if name in replaced else own[name].to(dtype)
        yield
    finally:
        for name, parameter in parameters.items():
            parameter.data = own[name]
