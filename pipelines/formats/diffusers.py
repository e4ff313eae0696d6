"""An adapter in diffusers' spelling: PEFT names with the scale folded in, for diffusers users and for going on training.

In: an `Adapter` and the base it belongs to. Out: tensors by key, and the little metadata that diffusers needs. ComfyUI, A1111, Forge and InvokeAI
do not read this file; kohya.py writes theirs.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from torch import Tensor, nn

from pipelines.adapter import Adapter, Factor, components
from pipelines.families.base import Base
from pipelines.formats.factors import cast, evened, shares_of
from pipelines.formats.paths import with_level, without_level

METADATA_KEY = "lora_adapter_metadata"


def to_diffusers(adapter: Adapter, base: Base, *, precision: str = "fp32") -> dict[str, Tensor]:
    """lora_A and lora_B of every module. Raises ExportError for DoRA and for values that do not fit the precision.

    The scale is in lora_B, so that a reader without the metadata is right too.
    """
    tensors: dict[str, Tensor] = {}
    for component, shares in shares_of(adapter, file="diffusers").items():
        for share in shares:
            path = share.path if component == "unet" else with_level(share.path)
            down, up = evened(share.down.float(), share.up.float() * share.scale, precision=precision)
            tensors |= {f"{component}.{path}.lora_A.weight": down, f"{component}.{path}.lora_B.weight": up}
    return cast(tensors, precision)


def adapter_metadata(adapter: Adapter, base: Base) -> dict[str, str]:
    """The smallest header that makes mixed ranks right everywhere; a full PEFT configuration makes older diffusers refuse the file."""
    config: dict[str, object] = {}
    for component, shares in shares_of(adapter, file="diffusers").items():
        rank = Counter(share.rank for share in shares).most_common(1)[0][0]
        unusual = {without_level(share.path): share.rank for share in shares if share.rank != rank}
        targets = short_names(shares, components(base)[component])
        fields = {"r": rank, "lora_alpha": rank, "rank_pattern": unusual, "alpha_pattern": unusual, "target_modules": targets}
        config |= {f"{component}.{name}": value for name, value in fields.items()}
    return {METADATA_KEY: json.dumps(config, sort_keys=True)}


def short_names(shares: Sequence[Factor], module: nn.Module) -> list[str]:
    """Endings that mean exactly the adapted layers: "to_q" where every to_q is adapted, the whole path where only some are."""
    adapted = {without_level(share.path) for share in shares}
    layers = {
        without_level(path.replace(".base_layer", ""))
        for path, layer in module.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d) and ".lora_" not in path
    }
    names: set[str] = set()
    for path in adapted:
        ending = path.rpartition(".")[2]
        if ending.isdigit():  # to_out.0, ff.net.2
            ending = ".".join(path.split(".")[-2:])
        alike = {layer for layer in layers if layer == ending or layer.endswith(f".{ending}")}
        names.add(ending if alike <= adapted else path)
    return sorted(names)
