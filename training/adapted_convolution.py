"""A convolution of stride 1 with a LoRA, products in bf16: the frozen weights once in each direction, the adapter through its own narrow rank.

In: a layer wrapped by PEFT, the shape of its pictures where that is known. Out: another `forward` for it, the same within bf16's rounding. Merging the adapter into the weights, as
bf16_products.py does for linear layers, would cost a product as large as the layer's own for the weights' gradient, and several copies of all weights a step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from training.onednn import LaidOutConvolution, PassingConvolution, convolve, turned
from training.plain_layers import is_plain_convolution

BF16 = torch.bfloat16
WIDEST_RANK = 1 / 3  # of the layer's channels: above this three products of the rank cost more than the one that they save


def is_narrow(layer: Any, name: str) -> bool:
    """True for a convolution of stride 1 with an adapter whose rank is small beside the layer's channels."""
    base = layer.get_base_layer()
    return (
        is_plain_convolution(base)
        and base.kernel_size != (1, 1)
        and layer.r[name] <= WIDEST_RANK * min(base.in_channels, base.out_channels)
    )


def quick_convolution(layer: Any, name: str, *, is_usual: bool) -> Callable[[Tensor], Tensor]:
    """is_usual: always called with pictures of one shape, for which the weights are laid out at the first call."""
    base, down, up = layer.get_base_layer(), layer.lora_A[name], layer.lora_B[name]
    laid_out: list[LaidOutConvolution] = []

    def forward(x: Tensor, *_: Any) -> Tensor:
        if is_usual and not laid_out:
            laid_out.append(LaidOutConvolution(base, x.shape, BF16))
        frozen = laid_out[0] if is_usual else PassingConvolution(base, BF16)
        return _AdaptedConvolution.apply(x, down.weight, up.weight, 0.0 if layer.disable_adapters else layer.scaling[name], frozen)

    return forward


class _AdaptedConvolution(Function):
    """W * x + b + s B (A * x). x: [B, C, h, w]; A: [r, C, kh, kw]; B: [D, r, 1, 1]; returns [B, D, h, w], float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, down: Tensor, up: Tensor, scale: float, frozen: LaidOutConvolution | PassingConvolution) -> Tensor:
        pictures = x.to(BF16).contiguous(memory_format=torch.channels_last)
        narrow = convolve(pictures, down.to(BF16), None, frozen.padding)
        rows, widen = _rows(narrow), up.flatten(1).to(BF16)
        given = convolve(pictures, frozen.ahead, frozen.bias, frozen.padding).float()
        _rows(given).add_(torch.mm(rows, widen.t()), alpha=scale)
        ctx.save_for_backward(pictures, down, rows, widen)
        ctx.scale, ctx.frozen = scale, frozen
        return given

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        pictures, down, rows, widen = ctx.saved_tensors
        frozen, scale = ctx.frozen, ctx.scale
        grad = grad.to(BF16).contiguous(memory_format=torch.channels_last)
        grad_rows = _rows(grad)
        grad_up = torch.mm(grad_rows.t(), rows).float().mul_(scale)
        grad_narrow = torch.mm(grad_rows, widen).mul_(scale).view(grad.shape[0], *grad.shape[2:], -1).permute(0, 3, 1, 2)
        narrow = down.to(BF16)
        how = None, [1, 1], frozen.padding, [1, 1], False, [0, 0], 1
        grad_down = torch.ops.aten.convolution_backward(grad_narrow, pictures, narrow, *how, [False, True, False])[1]
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = convolve(grad, frozen.back, None, frozen.back_padding).float()
            grad_x += convolve(grad_narrow, turned(narrow), None, frozen.back_padding)
        return grad_x, grad_down.float(), grad_up[:, :, None, None], None, None


def _rows(picture: Tensor) -> Tensor:
    """A picture in channels-last order as [B h w, C], the same memory."""
    return picture.permute(0, 2, 3, 1).view(-1, picture.shape[1])
