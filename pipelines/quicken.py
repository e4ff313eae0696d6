"""Makes a base draw faster without changing what it draws, for as long as a `with` block lasts.

In: a `Base` with or without adapters. Out: the same base; inside the block its adapters are folded into the weights, the prompt's keys and values are
computed once instead of at every step, and on a CPU convolutions use weights laid out beforehand. At the end everything is exactly as before:
no weight is written to, the folded ones only stand in for the originals. Measured by benchmarks/preview_vs_diffusers.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional as F

from pipelines import adapter
from pipelines.families.base import Base

FOLD_BYTES = 4 * 2**30  # above this the folded copies of the weights cost more memory than the time they save
PACK_BYTES = 2**30  # the same for convolutions laid out for the CPU
_packed_weights: WeakKeyDictionary[nn.Module, tuple[Tensor, int, Tensor]] = WeakKeyDictionary()


@contextmanager
def quickened(base: Base, *, lossy: bool = False) -> Iterator[None]:
    """Fast drawing inside the block. lossy: adapters may be folded into 16-bit weights too, which rounds them."""
    with ExitStack() as stack:
        stack.enter_context(_evaluating(base))
        stack.enter_context(folded(base, lossy=lossy))
        stack.enter_context(torch.inference_mode())
        stack.enter_context(torch.autocast(base.device.type, enabled=False))
        stack.enter_context(_text_kept(base.unet))
        if base.device.type == "cpu":
            stack.enter_context(_packed(base.unet))
            stack.enter_context(_packed(base.vae))
        yield


@contextmanager
def folded(base: Base, *, lossy: bool = False) -> Iterator[None]:
    """Each adapted weight stands in as W + sum of strength x delta. DoRA, which is no plain sum, and 16-bit weights (unless lossy) stay as they are."""
    layers = [layer for module in adapter.components(base).values() for layer in module.modules() if isinstance(layer, LoraLayer)]
    if not layers or not _can_fold(layers, lossy=lossy):
        yield
        return
    originals = [(layer.get_base_layer(), layer.get_base_layer().weight.data) for layer in layers]
    with torch.inference_mode(False), torch.no_grad():
        sums = [_summed(layer) for layer in layers]
    for (linear, _), total in zip(originals, sums, strict=True):
        linear.weight.data = total
    try:
        with adapter.bare(base):
            yield
    finally:
        for linear, original in originals:
            linear.weight.data = original


def _summed(layer: Any) -> Tensor:
    total = layer.get_base_layer().weight.data
    for name in layer.active_adapters:
        if name in layer.lora_A:
            total = total + layer.get_delta_weight(name).to(total.dtype)
    return total


def _can_fold(layers: list[Any], *, lossy: bool) -> bool:
    weights = [layer.get_base_layer().weight for layer in layers]
    if any(layer.use_dora.get(name, False) or layer.disable_adapters for layer in layers for name in layer.lora_A):
        return False
    exact = all(weight.dtype == torch.float32 for weight in weights)
    return (exact or lossy) and sum(weight.nbytes for weight in weights) <= FOLD_BYTES


@contextmanager
def _evaluating(base: Base) -> Iterator[None]:
    """No dropout and no checkpointing, as the trainer's modules may have it; each module's own mode comes back."""
    modules = [*base.text_encoders, base.unet, base.vae]
    training = [module for root in modules for module in root.modules() if module.training]
    for root in modules:
        root.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


class _KeptText:
    """Attention as AttnProcessor2_0 computes it, with the prompt's keys and values kept from step to step."""

    def __init__(self) -> None:
        self.kept: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, attention_mask: Tensor | None = None, temb: Tensor | None = None
    ) -> Tensor:
        query = _heads(attn.to_q(hidden_states), attn.heads)
        if encoder_hidden_states is None:
            key, value = _heads(attn.to_k(hidden_states), attn.heads), _heads(attn.to_v(hidden_states), attn.heads)
        else:
            key, value = self._text(attn, encoder_hidden_states)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return attn.to_out[0](mixed.transpose(1, 2).reshape(hidden_states.shape))

    def _text(self, attn: Any, text: Tensor) -> tuple[Tensor, Tensor]:
        found = self.kept.get(id(text))
        if found is None or found[0] is not text:  # the tensor itself is kept, so that its id cannot be given away
            found = text, _heads(attn.to_k(text), attn.heads), _heads(attn.to_v(text), attn.heads)
            self.kept[id(text)] = found
        return found[1], found[2]


def _heads(tokens: Tensor, heads: int) -> Tensor:
    batch, count, width = tokens.shape
    return tokens.view(batch, count, heads, width // heads).transpose(1, 2)


@contextmanager
def _text_kept(unet: nn.Module) -> Iterator[None]:
    """Plain attention layers get the processor above; a special one, or a processor that the user chose, stays."""
    plain = [layer for layer in unet.modules() if isinstance(layer, Attention) and _is_plain(layer)]
    before = [layer.processor for layer in plain]
    for layer in plain:
        layer.processor = _KeptText()
    try:
        yield
    finally:
        for layer, processor in zip(plain, before, strict=True):
            layer.processor = processor


def _is_plain(attn: Any) -> bool:
    special = (attn.spatial_norm, attn.group_norm, attn.norm_cross, attn.norm_q, attn.norm_k, attn.added_kv_proj_dim)
    same_output = not attn.residual_connection and attn.rescale_output_factor == 1.0
    return type(attn.processor) is AttnProcessor2_0 and same_output and not any(special)


@contextmanager
def _packed(module: nn.Module) -> Iterator[None]:
    """Float32 convolutions through oneDNN with weights in its own layout: PyTorch would bring them into it again at every call."""
    convolutions = [layer for layer in module.modules() if type(layer) is nn.Conv2d and _can_pack(layer)]
    if not torch.backends.mkldnn.is_available() or sum(layer.weight.nbytes for layer in convolutions) > PACK_BYTES:
        convolutions = []
    for layer in convolutions:
        layer.forward = _packed_forward(layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in convolutions:
            del layer.forward


def _can_pack(layer: nn.Conv2d) -> bool:
    usual = layer.padding_mode == "zeros" and not isinstance(layer.padding, str) and "forward" not in vars(layer)
    return usual and layer.weight.dtype == torch.float32


def _packed_forward(layer: nn.Conv2d) -> Any:
    padding, stride, dilation, groups = list(layer.padding), list(layer.stride), list(layer.dilation), layer.groups

    def forward(pictures: Tensor) -> Tensor:
        weight = layer.weight
        version = 0 if weight.is_inference() else weight._version
        kept = _packed_weights.get(layer)
        if kept is None or kept[0].data_ptr() != weight.data_ptr() or kept[1] != version:
            laid_out = torch.ops.mkldnn._reorder_convolution_weight(weight.detach().contiguous(), padding, stride, dilation, groups, list(pictures.shape))
            kept = _packed_weights[layer] = weight.detach(), version, laid_out
        return torch.ops.mkldnn._convolution_pointwise(pictures, kept[2], layer.bias, padding, stride, dilation, groups, "none", [], "")

    return forward
