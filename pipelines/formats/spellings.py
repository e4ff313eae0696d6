"""Which layer of this base a name in a foreign LoRA file means.

In: a base, names in any dialect. Out: (component, path) candidates. Underscored names cannot be split back into paths, so every layer's possible
names are laid out in a table first. Reads no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from torch import nn

from pipelines.adapter import components
from pipelines.errors import ExportError
from pipelines.families.base import Base
from pipelines.formats.paths import flat, layout_of, original_path, with_level, without_level

PREFIXES = (  # longest first where one begins another
    ("lora_unet_", "unet"),
    ("lycoris_unet_", "unet"),
    ("lora_te1_", "text_encoder"),
    ("lora_te2_", "text_encoder_2"),
    ("lora_te_", "text_encoder"),
    ("lycoris_", "unet"),
    ("unet.", "unet"),
    ("model.diffusion_model.", "unet"),
    ("diffusion_model.", "unet"),
    ("text_encoder_2.", "text_encoder_2"),
    ("text_encoder.", "text_encoder"),
    ("text_encoders.clip_l.transformer.", "text_encoder"),
    ("text_encoders.clip_h.transformer.", "text_encoder"),
    ("text_encoders.clip_g.transformer.", "text_encoder_2"),
)
OLD_TEXT_NAMES = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "out_proj": "to_out"}  # diffusers 0.2x borrowed the UNet's


@dataclass(frozen=True)
class Layer:
    """A layer that can carry an adapter. shape: of its weight."""

    component: str
    path: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Names:
    """Every known flat name of every layer of a base, by component."""

    tables: Mapping[str, Mapping[str, Layer]]

    def find(self, stem: str, component: str = "") -> tuple[Layer, ...]:
        """The layers that a stem can mean, most likely first; several only for names without a prefix."""
        stem = stem.replace("base_model.model.", "")
        for prefix, named in PREFIXES:
            if stem.startswith(prefix):
                return self._in(named, stem.removeprefix(prefix))
        if component:
            return self._in(component, stem)
        return tuple(layer for name in self.tables for layer in self._in(name, stem))

    def _in(self, component: str, rest: str) -> tuple[Layer, ...]:
        layer = self.tables.get(component, {}).get(flat(rest).replace("_processor_", "_"))
        return (layer,) if layer else ()


def names_of(base: Base) -> Names:
    """The table of a base's layers: diffusers and original block names, with and without text_model."""
    tables: dict[str, dict[str, Layer]] = {}
    for component, module in components(base).items():
        layers = [Layer(component, path, shape) for path, shape in _shapes(module).items()]
        spell = _text_names if component != "unet" else _unet_names
        tables[component] = {name: layer for layer in layers for name in spell(layer.path, base)}
    return Names(tables)


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {
        path.replace(".base_layer", ""): tuple(layer.weight.shape)
        for path, layer in module.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d) and ".lora_" not in path
    }


def _unet_names(path: str, base: Base) -> set[str]:
    spelled = {flat(path)}
    with suppress(ExportError):  # a layer outside the blocks that the original layout numbers keeps its own name alone
        spelled.add(flat(original_path(path, layout_of(base.unet))))
    return spelled | {name.removesuffix("_0") for name in spelled if name.endswith("_to_out_0")}


def _text_names(path: str, base: Base) -> set[str]:
    parent, _, leaf = path.rpartition(".")
    paths = {path, f"{parent}.{OLD_TEXT_NAMES.get(leaf, leaf)}"}
    return {flat(spelled) for one in paths for spelled in (without_level(one), with_level(one))}
