"""Takes the overhead out of a training step without changing what it computes, for as long as a `with` block lasts. For float32 on a CPU.

In: a `Base` that carries one adapter. Inside the block (1) an adapted layer computes x (W + s B A)^T in one product, where PEFT takes three products, a scaling
and a sum, and keeps nothing but its input; (2) frozen convolutions and linear layers go through oneDNN, convolutions with weights laid out beforehand for both
directions; (3) attention calls its layers directly. Outputs and gradients stay within float32 rounding. At the end every layer is as before.
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
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from pipelines import adapter as adapters
from pipelines.families.base import Base

LAID_OUT_BYTES = 2**30  # above this the copies cost more memory than the time they save
FEWEST_ROWS = 16  # below this a linear layer is faster as it is
Forward = Callable[..., Tensor]


class QuickAdapters:
    """`with quick.at(latents.shape):` around forward and backward. usual: the batch shape, [B, C, h, w], that most steps have."""

    def __init__(self, base: Base, usual: Sequence[int], *, name: str = "adapter") -> None:
        self.usual = tuple(usual)
        self.layers: list[tuple[nn.Module, Forward]] = []
        self.convolutions: list[tuple[nn.Module, Forward]] = []
        if base.device.type == "cpu" and torch.backends.mkldnn.is_available():
            for module in adapters.components(base).values():
                self.layers += _quick_layers(module, name)
            self.convolutions += _quick_convolutions(base.unet, name)

    @contextmanager
    def at(self, shape: Sequence[int]) -> Iterator[None]:
        """Quick inside the block, for latents of this shape."""
        chosen = self.layers + (self.convolutions if tuple(shape) == self.usual else [])
        for layer, forward in chosen:
            layer.forward = forward  # type: ignore[method-assign]
        try:
            yield
        finally:
            for layer, _ in chosen:
                layer.__dict__.pop("forward", None)


def usual_shape(buckets: Sequence[tuple[int, int]], *, batch: int, channels: int, stride_px: int) -> tuple[int, int, int, int]:
    """Latents of a full batch of the commonest bucket, [B, C, h, w]. buckets: height and width in px, one entry a picture, at least one."""
    height_px, width_px = max(Counter(buckets).items(), key=lambda entry: (entry[1], entry[0]))[0]
    return batch, channels, height_px // stride_px, width_px // stride_px


def _quick_layers(module: nn.Module, name: str) -> Iterator[tuple[nn.Module, Forward]]:
    """Everything that is quick at any shape."""
    adapted = _adapted(module, name)
    beneath = {layer.get_base_layer() for layer in adapted}
    for layer in module.modules():
        if layer in adapted:
            yield layer, _adapted_forward(layer, name)
        elif isinstance(layer, Attention) and _is_plain_attention(layer):
            yield layer, partial(_attention, layer)
        elif type(layer) is nn.Linear and _is_frozen(layer) and layer not in beneath:
            yield layer, partial(_frozen_linear, layer)


def _quick_convolutions(unet: nn.Module, name: str) -> list[tuple[nn.Module, Forward]]:
    """Frozen convolutions with weights laid out; none where the copies would fill the memory."""
    beneath = {layer.get_base_layer() for layer in _adapted(unet, name)}
    plain = [layer for layer in unet.modules() if _is_plain_convolution(layer) and _is_frozen(layer) and layer not in beneath]
    return [(layer, _frozen_convolution(layer)) for layer in plain] if _fits_beside(plain) else []


def _adapted(module: nn.Module, name: str) -> set[Any]:
    return {layer for layer in module.modules() if isinstance(layer, LoraLayer) and _is_plain_adapter(layer, name)}


def _is_frozen(layer: nn.Module) -> bool:
    weights = list(layer.parameters(recurse=False))
    return bool(weights) and all(not weight.requires_grad and weight.dtype == torch.float32 for weight in weights)


def _is_plain_convolution(layer: nn.Module) -> bool:
    """The sort whose gradient is again a plain convolution: stride 1, zeros around."""
    if type(layer) is not nn.Conv2d or layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        return False
    return layer.stride == (1, 1) and layer.dilation == (1, 1) and layer.groups == 1


def _is_plain_adapter(layer: Any, name: str) -> bool:
    """One active LoRA or rsLoRA without dropout, on a linear layer or a 1 x 1 convolution in float32."""
    base = layer.get_base_layer()
    fits = type(base) is nn.Linear or (_is_plain_convolution(base) and base.kernel_size == (1, 1) and base.padding == (0, 0))
    alone = list(layer.lora_A) == [name] and list(layer.active_adapters) == [name] and not layer.merged
    if not (fits and alone and _is_frozen(base)):
        return False
    special = layer.use_dora.get(name, False) or layer.lora_B[name].bias is not None
    return not special and isinstance(layer.lora_dropout[name], nn.Identity) and layer.lora_A[name].weight.dtype == torch.float32


def _is_plain_attention(attn: Any) -> bool:
    special = (attn.spatial_norm, attn.group_norm, attn.norm_cross, attn.norm_q, attn.norm_k, attn.added_kv_proj_dim)
    same_output = not attn.residual_connection and attn.rescale_output_factor == 1.0
    no_dropout = all(not isinstance(part, nn.Dropout) or part.p == 0 for part in attn.to_out)
    return type(attn.processor) is AttnProcessor2_0 and same_output and no_dropout and not any(special)


def _fits_beside(layers: list[nn.Module]) -> bool:
    """True when two more copies of the weights stay small. Told by their size alone, not by free memory: a resumed run must round as an unbroken one."""
    return 2 * sum(layer.weight.nbytes for layer in layers) <= LAID_OUT_BYTES  # type: ignore[union-attr,misc]


def _product(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """rows @ weight.T + bias through oneDNN; on AMD twice as fast as MKL, which PyTorch would take."""
    return torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")


class _AdaptedLinear(Function):
    """x (W + s B A)^T + b. x: [..., in]; W: [out, in], frozen; A: [r, in]; B: [out, r]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(x, down, up)
        ctx.weight, ctx.scale = weight, scale
        return _product(x, torch.addmm(weight, up, down, alpha=scale), bias)

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
            grad_x = _product(grad_rows, torch.addmm(ctx.weight, up, down, alpha=ctx.scale).t()).view(x.shape)
        return grad_x, None, None, grad_down, grad_up, None


class _FrozenLinear(Function):
    """x W^T + b with a gradient for x alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.weight = weight
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _product(grad.contiguous(), ctx.weight.t()), None, None


class _FrozenConvolution(Function):
    """A convolution of stride 1 with a gradient for its input alone, which is a convolution with the turned kernel."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: _LaidOut) -> Tensor:
        ctx.layer = layer
        return _convolve(x, layer.ahead, layer.bias, layer.padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _convolve(grad, ctx.layer.back, None, ctx.layer.back_padding), None


class _LaidOut:
    """A convolution's weights in oneDNN's own layout, for both directions, at pictures of one shape [B, C, h, w]."""

    def __init__(self, layer: Any, shape: Sequence[int]) -> None:
        weight = layer.weight.detach()
        height, width = layer.kernel_size
        self.bias = None if layer.bias is None else layer.bias.detach()
        self.padding = list(layer.padding)
        self.back_padding = [height - 1 - self.padding[0], width - 1 - self.padding[1]]
        after = [size + 2 * pad - kernel + 1 for size, pad, kernel in zip(shape[2:], self.padding, (height, width), strict=True)]
        self.ahead = _lay_out(weight, self.padding, shape)
        self.back = _lay_out(weight.flip(2, 3).transpose(0, 1).contiguous(), self.back_padding, (shape[0], weight.shape[0], *after))


def _lay_out(weight: Tensor, padding: list[int], shape: Sequence[int]) -> Tensor:
    return torch.ops.mkldnn._reorder_convolution_weight(weight, padding, [1, 1], [1, 1], 1, list(shape))


def _frozen_convolution(layer: Any) -> Forward:
    """Laid out at the first call; always called with pictures of one shape."""
    laid_out: list[_LaidOut] = []

    def forward(x: Tensor) -> Tensor:
        if not laid_out:
            laid_out.append(_LaidOut(layer, x.shape))
        return _FrozenConvolution.apply(x, laid_out[0])

    return forward


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None, padding: list[int]) -> Tensor:
    return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, padding, [1, 1], [1, 1], 1, "none", [], "")


def _frozen_linear(layer: nn.Linear, x: Tensor) -> Tensor:
    if x.numel() < FEWEST_ROWS * x.shape[-1]:
        return F.linear(x, layer.weight, layer.bias)
    return _FrozenLinear.apply(x, layer.weight, layer.bias)


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
    query, key, value = (_heads(part, attn.heads) for part in (attn.to_q(hidden_states), attn.to_k(source), attn.to_v(source)))
    mixed = F.scaled_dot_product_attention(query, key, value)
    return attn.to_out[0](mixed.transpose(1, 2).reshape(hidden_states.shape))


def _heads(tokens: Tensor, heads: int) -> Tensor:
    batch, count, width = tokens.shape
    return tokens.view(batch, count, heads, width // heads).transpose(1, 2)
