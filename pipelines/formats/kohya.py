"""An adapter in kohya's spelling: the file that web interfaces, ComfyUI, InvokeAI, sd-scripts and diffusers all read.

In: an `Adapter` and the base it belongs to. Out: tensors by key. SD 1 and 2 keep diffusers' block names, SDXL takes the original ones, as kohya does.
Metadata is metadata.py's; the file on disk and its proof are export.py's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from pipelines.adapter import Adapter, Factor
from pipelines.errors import ExportError
from pipelines.families.base import Base
from pipelines.formats.factors import cast, dtype_of, evened, shares_of
from pipelines.formats.paths import Layout, flat, layout_of, original_path, with_level

ONE_ENCODER = {"text_encoder": "lora_te_"}
TWO_ENCODERS = {"text_encoder": "lora_te1_", "text_encoder_2": "lora_te2_"}


def to_kohya(adapter: Adapter, base: Base, *, precision: str = "fp32") -> dict[str, Tensor]:
    """Down, up and alpha of every module. Raises ExportError for DoRA, for layers without a name there and for values that do not fit the precision.

    One alpha per component, whatever the ranks, because diffusers mis-scales files whose alpha varies; the difference goes into up:
    alpha / rank x up' @ down = scale x up @ down.
    """
    layout = layout_of(base.unet)
    tensors: dict[str, Tensor] = {}
    for component, shares in shares_of(adapter, file="kohya").items():
        alpha = shared_alpha(shares, precision=precision)
        for share in shares:
            stem = stem_of(component, share.path, family=base.family, layout=layout)
            down, up = evened(share.down.float(), share.up.float() * (share.scale * share.rank / alpha), precision=precision)
            tensors |= {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up, f"{stem}.alpha": torch.tensor(alpha)}
    return cast(tensors, precision)


def shared_alpha(shares: Sequence[Factor], *, precision: str = "fp32") -> float:
    """The alpha that leaves most modules of a component unscaled, as the precision can hold it."""
    usual = Counter(share.scale * share.rank for share in shares).most_common(1)[0][0]
    return torch.tensor(usual or 1.0).to(dtype_of(precision)).item()


def stem_of(component: str, path: str, *, family: str, layout: Layout) -> str:
    """The flat name of a module: lora_unet_..., lora_te_..., lora_te1_... or lora_te2_...; text names always hold text_model."""
    if component == "unet":
        return "lora_unet_" + flat(original_path(path, layout) if family == "sdxl" else path)
    if path.startswith("text_projection"):
        raise ExportError(
            f"{component}.{path} has no name in a kohya file that diffusers reads.",
            fix="Export the diffusers format, which can hold that layer.",
        )
    prefix = (TWO_ENCODERS if family == "sdxl" else ONE_ENCODER)[component]
    return prefix + flat(with_level(path))
