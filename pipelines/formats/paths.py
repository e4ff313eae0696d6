"""Module paths in the spellings that LoRA files use: diffusers names, the original layout of Stability's code, and kohya's flat stems.

In: a UNet and dotted paths. Out: other spellings of the same module. Reads and writes no files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipelines.errors import ExportError

RESNET = {"conv1": "in_layers.2", "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection"}
OUTSIDE = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
MIDDLE = {("resnets", "0"): 0, ("attentions", "0"): 1, ("resnets", "1"): 2}


@dataclass(frozen=True)
class Layout:
    """What the original layout's numbering depends on. attention_up_blocks: the up blocks that hold attention."""

    layers_per_block: int
    attention_up_blocks: frozenset[int]

    @property
    def slots(self) -> int:
        """Numbers that one block takes: its layers, and one for the sampler."""
        return self.layers_per_block + 1


def layout_of(unet: Any) -> Layout:
    """The layout of a diffusers UNet, read off its configuration."""
    with_attention = (number for number, kind in enumerate(unet.config.up_block_types) if "CrossAttn" in kind)
    return Layout(int(unet.config.layers_per_block), frozenset(with_attention))


def original_path(path: str, layout: Layout) -> str:
    """A UNet path in the original layout: down_blocks.1.attentions.0.proj_in -> input_blocks.4.1.proj_in.

    Numbers as diffusers' own checkpoint converter reads them. Raises ExportError for a path without such a name.
    """
    if path in OUTSIDE:
        return OUTSIDE[path]
    block, _, rest = path.partition(".")
    match block, rest.split("."):
        case "down_blocks", [number, kind, layer, *inner] if kind in ("resnets", "attentions"):
            return f"input_blocks.{1 + int(number) * layout.slots + int(layer)}.{_inside(kind, inner)}"
        case "down_blocks", [number, "downsamplers", "0", "conv"]:
            return f"input_blocks.{(int(number) + 1) * layout.slots}.0.op"
        case "mid_block", [kind, layer, *inner] if (kind, layer) in MIDDLE:
            return f"middle_block.{MIDDLE[kind, layer]}.{_inside(kind, inner).partition('.')[2]}"
        case "up_blocks", [number, kind, layer, *inner] if kind in ("resnets", "attentions"):
            return f"output_blocks.{int(number) * layout.slots + int(layer)}.{_inside(kind, inner)}"
        case "up_blocks", [number, "upsamplers", "0", "conv"]:
            place = 2 if int(number) in layout.attention_up_blocks else 1
            return f"output_blocks.{int(number) * layout.slots + layout.layers_per_block}.{place}.conv"
    raise ExportError(
        f"unet.{path} has no name in the original layout.", fix="Teach attention, attention+ff or all: every tool knows those layers."
    )


def flat(path: str) -> str:
    """Kohya's way to write a path: points become underscores. Not reversible by splitting; look stems up in a table."""
    return path.replace(".", "_")


def without_level(path: str) -> str:
    """A text encoder's path without its text_model level, which transformers 5.6 dropped from one CLIP class and kept in the other."""
    return path.removeprefix("text_model.")


def with_level(path: str) -> str:
    """A text encoder's path or key as every other tool writes it: with text_model. SDXL's projection stands beside that level."""
    return path if path.startswith("text_projection") else f"text_model.{without_level(path)}"


def _inside(kind: str, inner: list[str]) -> str:
    """The slot's part and what stands in it: resnets are part 0 and rename their layers, attentions are part 1 and keep theirs."""
    if kind == "attentions":
        return ".".join(["1", *inner])
    if len(inner) == 1 and inner[0] in RESNET:
        return f"0.{RESNET[inner[0]]}"
    raise ExportError(
        f"{'.'.join(inner)} of a residual block has no name in the original layout.",
        fix="Only its convolutions and its time projection do.",
    )
