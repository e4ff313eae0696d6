"""Writes a diffusers base as one file in the original layout: the way back of what `pipelines.families.original_layout` reads.

In: a loaded base. Out: a .safetensors file with CompVis' and OpenCLIP's names. Rules for UNets with two layers per block only.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2", "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
OPEN_CLIP = {"self_attn": "attn", "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}


def write_single_file(
    base: Any, path: Path, *, metadata: dict[str, str] | None = None, extra: dict[str, torch.Tensor] | None = None, without: str = ""
) -> Path:
    """The base as one file. extra: tensors added or replaced. without: a prefix that is left out."""
    tensors = {"model.diffusion_model." + unet_name(name, base.unet): tensor for name, tensor in base.unet.state_dict().items()}
    tensors |= {
        "first_stage_model." + vae_name(name, len(base.vae.config.block_out_channels)): vae_tensor(name, tensor)
        for name, tensor in base.vae.state_dict().items()
    }
    if base.family == "sdxl":
        tensors |= clip_tensors(base.text_encoders[0], "conditioner.embedders.0.transformer.text_model.")
        tensors |= open_clip_tensors(base.text_encoders[1], "conditioner.embedders.1.model.")
    elif base.family == "sd2":
        tensors |= open_clip_tensors(base.text_encoders[0], "cond_stage_model.model.")
    else:
        tensors |= clip_tensors(base.text_encoders[0], "cond_stage_model.transformer.text_model.")
    tensors |= extra or {}
    kept = {name: tensor.clone().contiguous() for name, tensor in tensors.items() if not (without and name.startswith(without))}
    save_file(kept, str(path), metadata=metadata)
    return path


def copy_configs(folder: Path, root: Path, family: str) -> Path:
    """A configs folder whose `family` is that of a tiny base: everything but the weights."""
    shutil.copytree(folder, root / family, ignore=shutil.ignore_patterns("*.safetensors", "model_index.json"))
    return root


def unet_name(name: str, unet: Any) -> str:
    """input_blocks, middle_block and output_blocks, numbered through."""
    block = re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", name)
    if block:
        side, number, kind, layer, rest = block[1], int(block[2]), block[3], int(block[4]), block[5]
        if kind == "downsamplers":
            return f"input_blocks.{(number + 1) * 3}.0.op.{rest.removeprefix('conv.')}"
        if kind == "upsamplers":
            return f"output_blocks.{number * 3 + 2}.{2 if 'CrossAttn' in unet.config.up_block_types[number] else 1}.{rest}"
        place = f"input_blocks.{1 + number * 3 + layer}" if side == "down" else f"output_blocks.{number * 3 + layer}"
        return f"{place}.0.{_resnet(rest)}" if kind == "resnets" else f"{place}.1.{rest}"
    middle = re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)", name)
    if middle:
        return f"middle_block.{int(middle[2]) * 2}.{_resnet(middle[3])}" if middle[1] == "resnets" else f"middle_block.1.{middle[3]}"
    stem, _, end = name.rpartition(".")
    return f"{UNET_ENDS[stem]}.{end}"


def _resnet(rest: str) -> str:
    stem, _, end = rest.rpartition(".")
    return f"{RESNET[stem]}.{end}"


def vae_name(name: str, levels: int) -> str:
    """down.N.block.M, mid.block_N, mid.attn_1, up counted from the other end."""
    name = re.sub(r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{levels - 1 - int(m[1])}.block.{m[2]}", name)
    name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    name = re.sub(r"mid_block\.attentions\.0\.(.+)\.(weight|bias)", lambda m: f"mid.attn_1.{VAE_ATTENTION[m[1]]}.{m[2]}", name)
    return name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")


def vae_tensor(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """The autoencoder's attention is 1x1 convolutions there."""
    return tensor[:, :, None, None] if ".attentions." in name and tensor.ndim == 2 else tensor


def clip_tensors(encoder: Any, prefix: str) -> dict[str, torch.Tensor]:
    """CLIP under its transformers names of old, with the position ids that old files carry."""
    named = {prefix + name.removeprefix("text_model."): tensor for name, tensor in encoder.state_dict().items()}
    return named | {prefix + "embeddings.position_ids": torch.arange(77)[None]}


def open_clip_tensors(encoder: Any, prefix: str) -> dict[str, torch.Tensor]:
    """OpenCLIP's text tower: one matrix for q, k and v, the projection transposed, and one last layer more than diffusers keeps."""
    state = {name.removeprefix("text_model."): tensor for name, tensor in encoder.state_dict().items()}
    named = {
        prefix + "token_embedding.weight": state["embeddings.token_embedding.weight"],
        prefix + "positional_embedding": state["embeddings.position_embedding.weight"],
        prefix + "ln_final.weight": state["final_layer_norm.weight"],
        prefix + "ln_final.bias": state["final_layer_norm.bias"],
    }
    if "text_projection.weight" in state:
        named[prefix + "text_projection"] = state["text_projection.weight"].T
    layers = encoder.config.num_hidden_layers
    for layer in range(layers + 1):
        named |= _open_clip_layer(state, f"encoder.layers.{min(layer, layers - 1)}.", f"{prefix}transformer.resblocks.{layer}.")
    return named


def _open_clip_layer(state: dict[str, torch.Tensor], old: str, new: str) -> dict[str, torch.Tensor]:
    named = {
        f"{new}attn.in_proj_{end}": torch.cat([state[f"{old}self_attn.{part}_proj.{end}"] for part in "qkv"]) for end in ("weight", "bias")
    }
    for name in (name for name in state if name.startswith(old) and not re.search(r"[qkv]_proj", name)):
        rest = name.removeprefix(old)
        for own, theirs in OPEN_CLIP.items():
            rest = rest.replace(own, theirs)
        named[new + rest] = state[name]
    return named
