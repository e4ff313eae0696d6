"""Products and convolutions with frozen weights through oneDNN, differentiable with respect to their input alone.

In: a layer, the shape that it will mostly see, the format of its products. Out: tensors in float32. PyTorch gives float32 products to MKL, which on AMD processors runs at
half of oneDNN's rate, and brings a convolution's weights into oneDNN's own layout at every call; here they are laid out once, for both directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from pipelines.set_aside import let_go


def product(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """rows @ weight.T + bias, in the format of rows. rows: [..., in]; weight: [out, in]."""
    return torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")


class FrozenLinear(Function):
    """x W^T + b with a gradient for x alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.weight = weight
        return product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return product(grad.contiguous(), ctx.weight.t()), None, None


class FrozenConvolution(Function):
    """A convolution of stride 1 with a gradient for its input alone, which is a convolution with the turned kernel."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: LaidOutConvolution | PassingConvolution) -> Tensor:
        ctx.layer = layer
        return convolve_ahead(x, layer)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return convolve_back(grad, ctx.layer), None


class LaidOutConvolution:
    """A convolution's weights in oneDNN's own layout, for both directions, at pictures of one shape [B, C, h, w]."""

    def __init__(self, layer: Any, shape: Sequence[int], dtype: torch.dtype) -> None:
        weight = layer.weight.detach().to(dtype)
        height, width = layer.kernel_size
        self.dtype = dtype
        self.bias = None if layer.bias is None else layer.bias.detach().to(dtype)
        self.padding = list(layer.padding)
        self.back_padding = [height - 1 - self.padding[0], width - 1 - self.padding[1]]
        after = [size + 2 * pad - kernel + 1 for size, pad, kernel in zip(shape[2:], self.padding, (height, width), strict=True)]
        self.ahead = _lay_out(weight, self.padding, shape)
        self.back = _lay_out(turned(weight), self.back_padding, (shape[0], weight.shape[0], *after))
        let_go(layer.weight)


class PassingConvolution:
    """The same in PyTorch's own order, made anew at each use: for pictures of any shape, and nothing kept beside the layer."""

    def __init__(self, layer: Any, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.ahead = layer.weight.detach().to(dtype)
        let_go(layer.weight)
        self.bias = None if layer.bias is None else layer.bias.detach().to(dtype)
        self.padding = list(layer.padding)
        self.back_padding = [size - 1 - pad for size, pad in zip(layer.kernel_size, self.padding, strict=True)]

    @property
    def back(self) -> Tensor:
        return turned(self.ahead)


class LaidOutLinear:
    """A linear layer's weights in oneDNN's own layout, for both directions, at a count of rows."""

    def __init__(self, layer: nn.Linear, rows: int, dtype: torch.dtype) -> None:
        weight = layer.weight.detach().to(dtype)
        self.ahead = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        self.back = torch.ops.mkldnn._reorder_linear_weight(weight.t().contiguous(), rows)
        let_go(layer.weight)


def convolve_ahead(x: Tensor, layer: LaidOutConvolution | PassingConvolution) -> Tensor:
    """The convolution, in the layer's format. Returns float32."""
    return convolve(x.to(layer.dtype), layer.ahead, layer.bias, layer.padding).float()


def convolve_back(grad: Tensor, layer: LaidOutConvolution | PassingConvolution) -> Tensor:
    """Its gradient with respect to x. Returns float32."""
    return convolve(grad.to(layer.dtype), layer.back, None, layer.back_padding).float()


def _lay_out(weight: Tensor, padding: list[int], shape: Sequence[int]) -> Tensor:
    return torch.ops.mkldnn._reorder_convolution_weight(weight, padding, [1, 1], [1, 1], 1, list(shape))


def turned(weight: Tensor) -> Tensor:
    """The kernel with which the gradient goes back: [out, in, h, w] as [in, out, h, w], upside down."""
    return weight.flip(2, 3).transpose(0, 1).contiguous()


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, padding: list[int]) -> Tensor:
    """A convolution of stride 1 in the format of its inputs. weight: laid out for x's shape, or as PyTorch has it."""
    return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, padding, [1, 1], [1, 1], 1, "none", [], "")
