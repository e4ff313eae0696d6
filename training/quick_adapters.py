"""Takes the overhead out of a training step on a CPU, for as long as a `with` block lasts. In fp32 without changing what it computes.

In: a `Base` that carries one adapter, the batch shape that most steps have, the number format. Inside the block (1) an adapted layer computes x (W + s B A)^T in one
product, where PEFT takes three products, a scaling and a sum, and keeps nothing but its input; (2) frozen convolutions and linear layers go through oneDNN,
convolutions with weights laid out beforehand for both directions; (3) attention calls its layers directly. Outputs and gradients stay within float32 rounding; with
"bf16-products" the denoiser's products are rounded as bf16_products.py says. At the end every layer is as before.
Layers that are anything else (DoRA, dropout, 16-bit weights, a GPU) keep their own way. Weights are never written to.

Weights are laid out for one batch shape, the run's commonest: a layout of another shape would be turned round at every call (measured: three times slower), one
for every shape would cost memory without end, and those of the first shapes met would make a resumed run round differently from an unbroken one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from pipelines import adapter as adapters
from pipelines.families.base import Base
from pipelines.quicken import split_heads
from training.bf16_products import MergedWeights, quick_in_bf16
from training.onednn import FrozenConvolution, FrozenLinear, LaidOutConvolution, PassingConvolution, product
from training.plain_layers import is_frozen, is_plain_attention, is_plain_convolution, is_pointwise, plain_adapters
from training.quick_residual import is_plain_residual, quick_residual

LAID_OUT_BYTES = 2**30  # above this the copies cost more memory than the time they save
FEWEST_ROWS = 16  # below this a linear layer is faster as it is
Forward = Callable[..., Tensor]
Ways = list[tuple[nn.Module, Forward]]


class QuickAdapters:
    """`with quick.at(latents.shape):` around forward and backward. usual: the batch shape, [B, C, h, w], that most steps have."""

    def __init__(self, base: Base, usual: Sequence[int], *, name: str = "adapter", products: torch.dtype = torch.float32) -> None:
        self.usual = tuple(usual)
        self.anywhere: Ways = []  # where a layer stands twice, the later way counts
        self.at_usual: Ways = []
        self.merged: MergedWeights | None = None
        if base.device.type != "cpu" or not torch.backends.mkldnn.is_available():
            return
        in_bf16: set[Any] = plain_adapters(base.unet, name) if products == torch.bfloat16 else set()
        for module in adapters.components(base).values():
            self.anywhere += _quick_layers(module, name, apart=in_bf16)
        self.at_usual += _quick_convolutions(base.unet, name, products)
        if self.at_usual:
            if in_bf16:
                self.anywhere += [(layer, _passing_convolution(layer)) for layer, _ in self.at_usual]
            self.at_usual += [(layer, quick_residual(layer, products)) for layer in base.unet.modules() if is_plain_residual(layer)]
        if in_bf16:
            self.merged, anywhere, at_usual = quick_in_bf16(base.unet, in_bf16, name)
            self.anywhere += anywhere
            self.at_usual += at_usual

    @contextmanager
    def at(self, shape: Sequence[int]) -> Iterator[None]:
        """Quick inside the block, for latents of this shape."""
        chosen = self.anywhere + (self.at_usual if tuple(shape) == self.usual else [])
        if self.merged is not None:
            self.merged.make()
        for layer, forward in chosen:
            layer.forward = forward  # type: ignore[method-assign]
        try:
            yield
        finally:
            for layer, _ in chosen:
                layer.__dict__.pop("forward", None)
            if self.merged is not None:
                self.merged.forget()


def usual_shape(buckets: Sequence[tuple[int, int]], *, batch: int, channels: int, stride_px: int) -> tuple[int, int, int, int]:
    """Latents of a full batch of the commonest bucket, [B, C, h, w]. buckets: height and width in px, one entry a picture, at least one."""
    height_px, width_px = max(Counter(buckets).items(), key=lambda entry: (entry[1], entry[0]))[0]
    return batch, channels, height_px // stride_px, width_px // stride_px


def _quick_layers(module: nn.Module, name: str, *, apart: set[Any]) -> Iterator[tuple[nn.Module, Forward]]:
    """Everything that is quick at any shape, but the adapted layers that have a way apart."""
    adapted = {layer for layer in plain_adapters(module, name) if _is_product(layer.get_base_layer())} - apart
    beneath = {layer.get_base_layer() for layer in adapted | apart}
    for layer in module.modules():
        if layer in adapted:
            yield layer, _adapted_forward(layer, name)
        elif isinstance(layer, Attention) and is_plain_attention(layer):
            yield layer, partial(_attention, layer)
        elif type(layer) is nn.Linear and is_frozen(layer) and layer not in beneath:
            yield layer, partial(_frozen_linear, layer)


def _quick_convolutions(unet: nn.Module, name: str, products: torch.dtype) -> Ways:
    """Frozen convolutions with weights laid out; none where the copies would fill the memory."""
    beneath = {layer.get_base_layer() for layer in plain_adapters(unet, name) if _is_product(layer.get_base_layer())}
    plain = [layer for layer in unet.modules() if is_plain_convolution(layer) and is_frozen(layer) and layer not in beneath]
    return [(layer, _frozen_convolution(layer, products)) for layer in plain] if _fits_beside(plain) else []


def _is_product(layer: Any) -> bool:
    return type(layer) is nn.Linear or is_pointwise(layer)


def _fits_beside(layers: list[nn.Module]) -> bool:
    """True when two more copies of the weights stay small. Told by their size alone, not by free memory: a resumed run must round as an unbroken one."""
    return 2 * sum(layer.weight.nbytes for layer in layers) <= LAID_OUT_BYTES  # type: ignore[union-attr,misc]


class _AdaptedLinear(Function):
    """x (W + s B A)^T + b. x: [..., in]; W: [out, in], frozen; A: [r, in]; B: [out, r]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(x, down, up)
        ctx.weight, ctx.scale = weight, scale
        return product(x, torch.addmm(weight, up, down, alpha=scale), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """dB = s g^T (x A^T), dA = s (g B)^T x, dx = g (W + s B A); the sum is made anew, for kept it would cost a copy of the weights."""
        x, down, up = ctx.saved_tensors
        rows = x.reshape(-1, x.shape[-1])
        grad_rows = grad.reshape(
            -1, grad.shape[-1]
        ).contiguous()  # oneDNN falls back to plain loops on rows with gaps: 25 ms instead of 0.05
        grad_up = (grad_rows.t() @ (rows @ down.t())).mul_(ctx.scale)
        grad_down = ((grad_rows @ up).t() @ rows).mul_(ctx.scale)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = product(grad_rows, torch.addmm(ctx.weight, up, down, alpha=ctx.scale).t()).view(x.shape)
        return grad_x, None, None, grad_down, grad_up, None


def _frozen_convolution(layer: Any, products: torch.dtype) -> Forward:
    """Laid out at the first call; always called with pictures of one shape."""
    laid_out: list[LaidOutConvolution] = []

    def forward(x: Tensor) -> Tensor:
        if not laid_out:
            laid_out.append(LaidOutConvolution(layer, x.shape, products))
        return FrozenConvolution.apply(x, laid_out[0])

    return forward


def _passing_convolution(layer: Any) -> Forward:
    def forward(x: Tensor) -> Tensor:
        return FrozenConvolution.apply(x, PassingConvolution(layer, torch.bfloat16))

    return forward


def _frozen_linear(layer: nn.Linear, x: Tensor) -> Tensor:
    if x.numel() < FEWEST_ROWS * x.shape[-1]:
        return F.linear(x, layer.weight, layer.bias)
    return FrozenLinear.apply(x, layer.weight, layer.bias)


def _adapted_forward(layer: Any, name: str) -> Forward:
    base, scale = layer.get_base_layer(), layer.scaling[name]
    parameters = base.weight.flatten(1), base.bias
    down, up = layer.lora_A[name], layer.lora_B[name]
    own = type(layer).forward

    def linear(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if layer.disable_adapters:
            return own(layer, x, *args, **kwargs)
        return _AdaptedLinear.apply(x, *parameters, down.weight, up.weight, scale)

    def pointwise(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if layer.disable_adapters:
            return own(layer, x, *args, **kwargs)
        channels_last = x.permute(0, 2, 3, 1).contiguous()
        return _AdaptedLinear.apply(channels_last, *parameters, down.weight.flatten(1), up.weight.flatten(1), scale).permute(0, 3, 1, 2)

    return linear if type(base) is nn.Linear else pointwise


def _attention(
    attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, attention_mask: Tensor | None = None, **_: Any
) -> Tensor:
    """What AttnProcessor2_0 computes for a plain layer; diffusers looks at its processor's signature at every call, which costs as much as a small layer."""
    if attention_mask is not None:
        return attn.processor(attn, hidden_states, encoder_hidden_states, attention_mask)
    source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
    query, key, value = (split_heads(part, attn.heads) for part in (attn.to_q(hidden_states), attn.to_k(source), attn.to_v(source)))
    mixed = F.scaled_dot_product_attention(query, key, value)
    return attn.to_out[0](mixed.transpose(1, 2).reshape(hidden_states.shape))
