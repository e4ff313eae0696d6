"""A frozen residual block of the denoiser as one function: fewer operations and nothing kept that its backward pass does not need.

In: a diffusers ResnetBlock2D, the format of its products. Out: another `forward` for it, the same within rounding. Norms and sums are float32 in either format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from training.onednn import LaidOutConvolution, convolve_ahead, convolve_back
from training.plain_layers import is_frozen, is_plain_convolution


def is_plain_residual(block: nn.Module) -> bool:
    """True for norm, SiLU, convolution, the time added, norm, SiLU, convolution, with a way past it, all frozen, nothing scaled or dropped."""
    if not isinstance(block, ResnetBlock2D) or not isinstance(block.time_emb_proj, nn.Linear) or type(block.nonlinearity) is not nn.SiLU:
        return False
    parts = [part for part in (block.conv1, block.conv2, block.conv_shortcut) if part is not None]
    plain = block.upsample is None and block.downsample is None and block.time_embedding_norm == "default" and not block.skip_time_act
    same = block.output_scale_factor == 1.0 and block.dropout.p == 0
    convolutions = all(is_plain_convolution(part) and is_frozen(part) for part in parts)
    return plain and same and convolutions and all(is_frozen(part) for part in (block.norm1, block.norm2, block.time_emb_proj))


def quick_residual(block: Any, products: torch.dtype) -> Callable[..., Tensor]:
    """Laid out at the first call; always called with pictures of one shape."""
    laid_out: list[_Convolutions] = []

    def forward(input_tensor: Tensor, temb: Tensor, *_: Any, **__: Any) -> Tensor:
        if not laid_out:
            laid_out.append(_Convolutions(block, input_tensor.shape, products))
        return _Residual.apply(input_tensor, block.time_emb_proj(F.silu(temb)), block.norm1, block.norm2, laid_out[0])

    return forward


class _Convolutions:
    """The block's two, and the one past it where the channels change. shape: [B, C, h, w]."""

    def __init__(self, block: Any, shape: Sequence[int], products: torch.dtype) -> None:
        within = (shape[0], block.out_channels, *shape[2:])
        self.first = LaidOutConvolution(block.conv1, shape, products)
        self.second = LaidOutConvolution(block.conv2, within, products)
        self.past = None if block.conv_shortcut is None else LaidOutConvolution(block.conv_shortcut, shape, products)


class _Residual(Function):
    """x: [B, C, h, w]; told: [B, D], the time; returns [B, D, h, w]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, told: Tensor, norm1: nn.GroupNorm, norm2: nn.GroupNorm, convolutions: _Convolutions) -> Tensor:
        one, *of_one = _normed(x, norm1)
        inner = convolve_ahead(F.silu(one), convolutions.first).add_(told[:, :, None, None])
        two, *of_two = _normed(inner, norm2)
        ctx.save_for_backward(x, one, *of_one, inner, two, *of_two)
        ctx.norms, ctx.convolutions = (norm1, norm2), convolutions
        outer = convolve_ahead(F.silu(two), convolutions.second)
        return outer.add_(x if convolutions.past is None else convolve_ahead(x, convolutions.past))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, one, mean1, scale1, inner, two, mean2, scale2 = ctx.saved_tensors
        convolutions = ctx.convolutions
        grad_two = torch.ops.aten.silu_backward(convolve_back(grad, convolutions.second), two)
        grad_inner = _normed_back(grad_two, inner, mean2, scale2, ctx.norms[1])
        grad_told = grad_inner.sum((2, 3)) if ctx.needs_input_grad[1] else None
        grad_one = torch.ops.aten.silu_backward(convolve_back(grad_inner, convolutions.first), one)
        grad_x = _normed_back(grad_one, x, mean1, scale1, ctx.norms[0])
        grad_x += grad if convolutions.past is None else convolve_back(grad, convolutions.past)
        return grad_x, grad_told, None, None, None


def _normed(x: Tensor, norm: nn.GroupNorm) -> tuple[Tensor, Tensor, Tensor]:
    """The normed picture, and each group's mean and inverse deviation."""
    batch, channels, height, width = x.shape
    return torch.native_group_norm(
        x.contiguous(memory_format=_order_of(x)), norm.weight, norm.bias, batch, channels, height * width, norm.num_groups, norm.eps
    )


def _normed_back(grad: Tensor, x: Tensor, mean: Tensor, scale: Tensor, norm: nn.GroupNorm) -> Tensor:
    """The kernel takes gradient and picture to be in the same order, without a look."""
    batch, channels, height, width = x.shape
    order = _order_of(x)
    grad, x = grad.contiguous(memory_format=order), x.contiguous(memory_format=order)
    kept = mean, scale, norm.weight, batch, channels, height * width, norm.num_groups, [True, False, False]
    return torch.ops.aten.native_group_norm_backward(grad, x, *kept)[0]


def _order_of(x: Tensor) -> torch.memory_format:
    return torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
