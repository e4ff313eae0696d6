"""Makes a base draw faster without changing what it draws, for as long as a `with` block lasts.

In: a `Base` with or without adapters. Out: the same base; inside the block its adapters are folded into the weights, the prompt's keys and values are
computed once instead of at every step, and on a CPU convolutions and linear layers go through oneDNN with weights laid out beforehand; where pictures may differ
a little, in bf16 on processors that multiply it. At the end everything is exactly as before: no weight is written to, the folded ones only stand in for the
originals. Measured by benchmarks/preview_vs_diffusers.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional as F

from pipelines import adapter
from pipelines.families.base import Base
from pipelines.set_aside import let_go

FOLD_BYTES = 4 * 2**30  # above this the folded copies of the weights cost more memory than the time they save
FEWEST_ROWS = 16  # below this a linear layer is faster as it is
Packed = tuple[Tensor, int, Tensor]  # the weight, its version when it was laid out, and the layout
Kept = MutableMapping[nn.Module, Packed]
# Of bases' own weights, which stay the same from picture to picture, by the format of their products.
_packed_weights: dict[torch.dtype, Kept] = {torch.float32: WeakKeyDictionary(), torch.bfloat16: WeakKeyDictionary()}


@contextmanager
def quickened(base: Base, *, lossy: bool = False) -> Iterator[None]:
    """Fast drawing inside the block. lossy: products may be taken in 16 bits, and adapters folded into 16-bit weights, which rounds them."""
    with ExitStack() as stack:
        stack.enter_context(_evaluating(base))
        stand_ins = stack.enter_context(folded(base, lossy=lossy))
        stack.enter_context(torch.inference_mode())
        stack.enter_context(torch.autocast(base.device.type, enabled=False))
        stack.enter_context(_text_kept(base.unet))
        if base.device.type == "cpu":
            stack.enter_context(_packed(base.unet, stand_ins, products=_products(lossy=lossy)))
        yield


@contextmanager
def quick_decoder(base: Base, *, lossy: bool = False) -> Iterator[None]:
    """The same for the autoencoder alone."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        if base.device.type == "cpu":
            stack.enter_context(_packed(base.vae, frozenset(), products=_products(lossy=lossy)))
        yield


@contextmanager
def quick_encoders(base: Base) -> Iterator[None]:
    """The same for encoding pictures of one shape, and prompts. Layouts are made for this block alone, whatever was encoded before it: same picture, same bits.

    Pictures may be encoded in bf16: of the starter's latents that changes 2 %, of what its decoder makes of them 0.4 of 255.
    """
    with ExitStack() as stack:
        if base.device.type == "cpu":
            stack.enter_context(_packed(base.vae, frozenset(base.vae.modules()), products=_products(lossy=True)))
            for module in base.text_encoders:
                stack.enter_context(_packed(module, frozenset(module.modules()), products=torch.float32))
        yield


def cpu_multiplies_bf16() -> bool:
    """True where the processor multiplies bf16 natively (AVX512-BF16 or AMX); elsewhere it is emulated and slower."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _products(*, lossy: bool) -> torch.dtype:
    return torch.bfloat16 if lossy and cpu_multiplies_bf16() else torch.float32


@contextmanager
def folded(base: Base, *, lossy: bool = False) -> Iterator[frozenset[nn.Module]]:
    """W + sum of strength x delta stands in for each adapted weight W; gives the layers that have one.

    DoRA, which is no plain sum, and 16-bit weights (unless lossy) stay as they are.
    """
    layers = [layer for module in adapter.components(base).values() for layer in module.modules() if isinstance(layer, LoraLayer)]
    if not layers or not _can_fold(layers, lossy=lossy):
        yield frozenset()
        return
    originals = [(layer.get_base_layer(), layer.get_base_layer().weight.data) for layer in layers]
    with torch.inference_mode(False), torch.no_grad():
        sums = [_summed(layer) for layer in layers]
    for (linear, _), total in zip(originals, sums, strict=True):
        linear.weight.data = total
    try:
        with adapter.bare(base):
            yield frozenset(linear for linear, _ in originals)
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
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        query = split_heads(attn.to_q(hidden_states), attn.heads)
        if encoder_hidden_states is None:
            key, value = split_heads(attn.to_k(hidden_states), attn.heads), split_heads(attn.to_v(hidden_states), attn.heads)
        else:
            key, value = self._text(attn, encoder_hidden_states)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return attn.to_out[0](mixed.transpose(1, 2).reshape(hidden_states.shape))

    def _text(self, attn: Any, text: Tensor) -> tuple[Tensor, Tensor]:
        found = self.kept.get(id(text))
        if found is None or found[0] is not text:  # the tensor itself is kept, so that its id cannot be given away
            found = text, split_heads(attn.to_k(text), attn.heads), split_heads(attn.to_v(text), attn.heads)
            self.kept[id(text)] = found
        return found[1], found[2]


def split_heads(tokens: Tensor, heads: int) -> Tensor:
    """[B, N, heads * d] as [B, heads, N, d]."""
    batch, count, width = tokens.shape
    return tokens.view(batch, count, heads, width // heads).transpose(1, 2)


@contextmanager
def _text_kept(unet: nn.Module) -> Iterator[None]:
    """Plain attention layers compute as above, called directly: diffusers looks at its processor's signature at every call. Special ones stay."""
    plain = [
        layer for layer in unet.modules() if isinstance(layer, Attention) and is_plain_attention(layer) and "forward" not in vars(layer)
    ]
    for layer in plain:
        layer.forward = partial(_KeptText(), layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in plain:
            del layer.forward


def is_plain_attention(attn: Any) -> bool:
    """True where AttnProcessor2_0 computes nothing but softmax(q k^T) v and its projection, dropout aside."""
    special = (attn.spatial_norm, attn.group_norm, attn.norm_cross, attn.norm_q, attn.norm_k, attn.added_kv_proj_dim)
    same_output = not attn.residual_connection and attn.rescale_output_factor == 1.0
    return type(attn.processor) is AttnProcessor2_0 and same_output and not any(special)


@contextmanager
def _packed(module: nn.Module, stand_ins: frozenset[nn.Module], *, products: torch.dtype) -> Iterator[None]:
    """Float32 convolutions and linear layers through oneDNN, weights in its own layout and in the format of the products.

    PyTorch would bring a convolution's weights into it at every call, and gives linear layers to MKL, which on AMD runs at half the speed (95 against
    200 GFLOP/s on a Zen 5 core). The layouts of stand_ins and of adapters are forgotten at the end, those of the base's own weights are kept: a fused
    optimizer writes to an adapter's weights without raising their version, so a layout kept from an earlier picture could not be told to be stale.
    """
    layers = [layer for layer in module.modules() if _can_pack(layer)]
    if not torch.backends.mkldnn.is_available() or not _fits_beside(layers, products):
        layers = []
    passing: dict[nn.Module, Packed] = {}
    adapted = [layer for layer in module.modules() if isinstance(layer, LoraLayer)]
    taught = {part for layer in adapted for parts in (layer.lora_A, layer.lora_B) for part in parts.values()}
    has_norms = any(isinstance(layer, nn.GroupNorm | nn.LayerNorm) for layer in module.modules())
    between = torch.float32 if has_norms else products  # in bf16 a norm takes four times as long
    for layer in layers:
        kept = passing if layer in stand_ins or layer in taught else _packed_weights[products]
        pack = _packed_convolution if isinstance(layer, nn.Conv2d) else _packed_linear
        layer.forward = pack(layer, kept, products, between)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _can_pack(layer: nn.Module) -> bool:
    if type(layer) is nn.Linear:
        usual = True
    elif type(layer) is nn.Conv2d:
        usual = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    else:
        return False
    return usual and "forward" not in vars(layer) and layer.weight.dtype == torch.float32


def _fits_beside(layers: list[nn.Module], products: torch.dtype) -> bool:
    """True when a second copy of the weights leaves at least half of the free memory, or is there already."""
    import psutil

    new = [layer for layer in layers if layer not in _packed_weights[products]]
    return sum(layer.weight.numel() * products.itemsize for layer in new) <= psutil.virtual_memory().available / 2  # type: ignore[union-attr,misc]


def _packed_convolution(layer: nn.Conv2d, kept: Kept, products: torch.dtype, between: torch.dtype) -> Callable[[Tensor], Tensor]:
    padding, stride, dilation, groups = list(layer.padding), list(layer.stride), list(layer.dilation), layer.groups
    bias = None if layer.bias is None else layer.bias.detach().to(products)

    def forward(pictures: Tensor) -> Tensor:
        def lay_out(weight: Tensor) -> Tensor:
            return torch.ops.mkldnn._reorder_convolution_weight(
                weight.to(products), padding, stride, dilation, groups, list(pictures.shape)
            )

        weight = _laid_out(layer, kept, lay_out)
        return torch.ops.mkldnn._convolution_pointwise(
            pictures.to(products), weight, bias, padding, stride, dilation, groups, "none", [], ""
        ).to(between)

    return forward


def _packed_linear(layer: nn.Linear, kept: Kept, products: torch.dtype, between: torch.dtype) -> Callable[[Tensor], Tensor]:
    bias = None if layer.bias is None else layer.bias.detach().to(products)

    def forward(rows: Tensor) -> Tensor:
        count = rows.numel() // rows.shape[-1]
        if count < FEWEST_ROWS:
            return F.linear(rows.to(layer.weight.dtype), layer.weight, layer.bias).to(between)
        weight = _laid_out(layer, kept, lambda weight: torch.ops.mkldnn._reorder_linear_weight(weight.to(products), count))
        return torch.ops.mkldnn._linear_pointwise(rows.to(products), weight, bias, "none", [], "").to(between)

    return forward


def _laid_out(layer: nn.Module, kept: Kept, lay_out: Callable[[Tensor], Tensor]) -> Tensor:
    """The layer's weight in oneDNN's layout; made anew when the weight is another one, or was written to."""
    weight: Tensor = layer.weight  # type: ignore[assignment]
    version = 0 if weight.is_inference() else weight._version
    found = kept.get(layer)
    if found is None or found[0].data_ptr() != weight.data_ptr() or found[1] != version:
        found = kept[layer] = weight.detach(), version, lay_out(weight.detach().contiguous())
        let_go(weight)
    return found[2]
