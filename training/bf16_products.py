"""A training step whose products are taken in bf16 and everything else in float32: for narrow bases on processors that multiply bf16 natively.

In: a denoiser in float32 with one adapter. Out: another `forward` for each layer that can be quick, and the `MergedWeights` that these read.
Norms, sums, losses, weights, the adapter's gradients and the optimizer stay in float32. What changes: (1) an adapted layer is one product with W + s B A, made anew for
each batch, all weights of one shape at once; its gradient comes as one product and is told apart into those of A and B all at once, too; (2) attention and feed-forward
are one function each, in bf16 from their first product to their last; (3) adapted convolutions take the adapter by itself (adapted_convolution.py). At narrow widths a step is thousands of small operations, so each that goes saves time.
Not for wide bases: merged weights cost memory there, and full gradients time. Frozen convolutions are onednn.py's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from diffusers.models.attention import FeedForward
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from pipelines.quicken import split_heads
from training.adapted_convolution import is_narrow, quick_convolution
from training.onednn import LaidOutLinear, product
from training.plain_layers import is_frozen, is_plain_attention, is_plain_feed_forward, is_pointwise

BF16 = torch.bfloat16
NOTHING = torch.zeros(1, 1, 1, dtype=BF16)  # what is not added to a product
# Of one attention, kept for its backward pass. PyTorch's own attention keeps none, but takes twice to three times as long at 256 tokens of 32 channels in float32, and
# longer still in bf16 (docs/performance.md); so above this it is taken all the same.
MOST_SCORES = 2**24
Forward = Callable[..., Tensor]
Stack = tuple[Any, ...]  # adapted layers of one shape that see the same input: their weights stand below one another, in one product


class MergedWeights:
    """W + s B A of adapted layers, in bf16, for as long as one batch lasts. The frozen weights become slices of one tensor per shape; their values stay."""

    def __init__(self, stacks: Sequence[Stack], name: str) -> None:
        self.name = name
        self.groups: dict[tuple, list[Stack]] = defaultdict(list)
        for stack in stacks:
            layer = stack[0]
            self.groups[(*_matrix(layer).shape, layer.r[name], layer.scaling[name])].append(stack)
        self.frozen = {kind: _gathered([layer for stack in group for layer in stack]) for kind, group in self.groups.items()}
        self.merged: dict[Any, Tensor] = {}

    def make(self) -> None:
        """Merge anew. Gradients of what `of` gives go on to A and B."""
        for kind, group in self.groups.items():
            layers = [layer for stack in group for layer in stack]
            down, up = (torch.stack([part[self.name].weight.flatten(1) for part in parts]) for parts in _factors(layers))
            total = _Merge.apply(self.frozen[kind], down, up, 0.0 if layers[0].disable_adapters else kind[-1])
            for stack, part in zip(group, total.split([len(stack) for stack in group]), strict=True):
                self.merged[stack[0]] = part.flatten(0, 1)

    def of(self, layer: Any) -> Tensor:
        """[rows, columns] of the stack that begins with this layer."""
        return self.merged[layer]

    def forget(self) -> None:
        """Let go of the batch's weights and of what hangs on them."""
        self.merged.clear()


class _Merge(Function):
    """W + s B A. W: [n, out, in]; A: [n, r, in]; B: [n, out, r]; all float32. Returns bf16."""

    @staticmethod
    def forward(ctx: Any, frozen: Tensor, down: Tensor, up: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(down, up)
        ctx.scale = scale
        return torch.baddbmm(frozen, up, down, alpha=scale).to(BF16)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        down, up = ctx.saved_tensors
        grad_down = (up.to(BF16).transpose(1, 2) @ grad).float().mul_(ctx.scale)
        return None, grad_down, (grad @ down.to(BF16).transpose(1, 2)).float().mul_(ctx.scale), None


def quick_in_bf16(
    unet: nn.Module, adapted: set[Any], name: str
) -> tuple[MergedWeights, list[tuple[nn.Module, Forward]], list[tuple[nn.Module, Forward]]]:
    """The merged weights; layers that are quick at any shape; layers that are so at one shape only. adapted: those with a plain LoRA."""
    convolutions = {layer for layer in adapted if is_narrow(layer, name)}
    attentions = [layer for layer in unet.modules() if isinstance(layer, Attention) and _is_whole(layer, adapted)]
    feed_forwards = [layer for layer in unet.modules() if isinstance(layer, FeedForward) and is_plain_feed_forward(layer)]
    stacks = [stack for layer in attentions for stack in _stacks(layer)]
    within = {layer for stack in stacks for layer in stack} | convolutions
    stacks += [(layer,) for layer in unet.modules() if layer in adapted and layer not in within]
    merged = MergedWeights(stacks, name)
    anywhere: list[tuple[nn.Module, Forward]] = [(layer, _adapted_forward(layer, merged)) for layer in adapted - within]
    anywhere += [(layer, quick_convolution(layer, name, is_usual=False)) for layer in convolutions]
    anywhere += [(layer, partial(_attention, layer, merged, _bias(layer.to_out[0].get_base_layer()))) for layer in attentions]
    at_usual = [(layer, _feed_forward(layer, merged, adapted)) for layer in feed_forwards if _can_be_one(layer, adapted)]
    return merged, anywhere, at_usual + [(layer, quick_convolution(layer, name, is_usual=True)) for layer in convolutions]


def _is_whole(attn: Any, adapted: set[Any]) -> bool:
    projections = (attn.to_q, attn.to_k, attn.to_v)
    fits = is_plain_attention(attn) and adapted.issuperset((*projections, attn.to_out[0]))
    return fits and all(layer.get_base_layer().bias is None for layer in projections)


def _stacks(attn: Any) -> Iterator[Stack]:
    """Query, key and value see the same input in self-attention, key and value the text in the other."""
    yield from ([(attn.to_q,), (attn.to_k, attn.to_v)] if attn.is_cross_attention else [(attn.to_q, attn.to_k, attn.to_v)])
    yield (attn.to_out[0],)


def _can_be_one(layer: Any, adapted: set[Any]) -> bool:
    return all(part in adapted or (type(part) is nn.Linear and is_frozen(part)) for part in (layer.net[0].proj, layer.net[2]))


def _matrix(layer: Any) -> Tensor:
    """A layer's weight as [out, everything else]."""
    return layer.get_base_layer().weight.flatten(1)


def _gathered(layers: list[Any]) -> Tensor:
    """[layers, rows, columns], float32. The layers' own weights are moved there, so that nothing stands in memory twice."""
    together = torch.stack([_matrix(layer).detach() for layer in layers])
    for layer, part in zip(layers, together, strict=True):
        weight = layer.get_base_layer().weight
        weight.data = part.view(weight.shape)
    return together


def _factors(layers: list[Any]) -> tuple[list[nn.ModuleDict], list[nn.ModuleDict]]:
    return [layer.lora_A for layer in layers], [layer.lora_B for layer in layers]


def _bias(layer: Any) -> Tensor | None:
    return None if layer.bias is None else layer.bias.detach().to(BF16)


def _adapted_forward(layer: Any, merged: MergedWeights) -> Forward:
    base = layer.get_base_layer()
    bias = _bias(base)

    def linear(x: Tensor, *_: Any) -> Tensor:
        return F.linear(x.to(BF16), merged.of(layer), bias).float()

    def pointwise(x: Tensor, *_: Any) -> Tensor:
        return F.linear(x.permute(0, 2, 3, 1).to(BF16), merged.of(layer), bias).float().permute(0, 3, 1, 2)

    def convolution(x: Tensor, *_: Any) -> Tensor:
        # Padded beforehand: with its own padding oneDNN leaves the weights' gradient partly unwritten where a picture is 1 wide and the stride 2.
        high, wide = base.padding
        pictures = F.pad(x.to(BF16), (wide, wide, high, high))
        return F.conv2d(pictures, merged.of(layer).view(base.weight.shape), bias, base.stride).float()

    if type(base) is nn.Linear:
        return linear
    return pointwise if is_pointwise(base) else convolution


def _attention(
    attn: Any,
    merged: MergedWeights,
    bias: Tensor | None,
    hidden_states: Tensor,
    encoder_hidden_states: Tensor | None = None,
    attention_mask: Tensor | None = None,
    **_: Any,
) -> Tensor:
    """What AttnProcessor2_0 computes for a plain layer."""
    x, text = hidden_states, encoder_hidden_states
    if attention_mask is not None or attn.is_cross_attention != (text is not None):
        return attn.processor(attn, x, text, attention_mask)
    into, out = merged.of(attn.to_q), merged.of(attn.to_out[0])
    of_text = None if text is None else merged.of(attn.to_k)
    seen = x if text is None else text
    if x.shape[0] * attn.heads * x.shape[1] * seen.shape[1] <= MOST_SCORES:
        return _Attention.apply(x, text, into, of_text, out, bias, attn.heads)
    if text is None:
        query, key, value = F.linear(x.to(BF16), into).float().chunk(3, dim=-1)
    else:
        query = F.linear(x.to(BF16), into).float()
        key, value = F.linear(text.to(BF16), of_text).float().chunk(2, dim=-1)  # type: ignore[arg-type]
    parts = (split_heads(part, attn.heads) for part in (query, key, value))
    mixed = F.scaled_dot_product_attention(*parts).transpose(1, 2).reshape(x.shape)
    return F.linear(mixed.to(BF16), out, bias).float()


class _Attention(Function):
    """softmax(q k^T / sqrt(d)) v, then the projection (Vaswani et al. 2017, arXiv 1706.03762, eq. 1). x: [B, N, C]; text: [B, M, D], or None where x attends to itself;
    into: [3C, C] for query, key and value, or [C, C] for the query; of_text: [2C, D] for key and value; out: [C, C].
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, text: Tensor | None, into: Tensor, of_text: Tensor | None, out: Tensor, bias: Tensor | None, heads: int
    ) -> Tensor:
        rows = x.to(BF16)
        if text is None or of_text is None:
            seen = None
            query, key, value = _by_head(product(rows, into), 3, heads)
        else:
            seen = text.to(BF16)
            (query,) = _by_head(product(rows, into), 1, heads)
            key, value = _by_head(product(seen, of_text), 2, heads)
        scale = query.shape[-1] ** -0.5
        shares = _scaled(query, key.transpose(1, 2), scale).softmax(-1)
        mixed = _by_row([shares @ value], heads)
        ctx.save_for_backward(rows, seen, into, of_text, out, query, key, value, shares, mixed)
        ctx.scale, ctx.heads = scale, heads
        return product(mixed, out, bias).float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, seen, into, of_text, out, query, key, value, shares, mixed = ctx.saved_tensors
        grad = grad.to(BF16).contiguous()
        (grad_mixed,) = _by_head(product(grad, out.t()), 1, ctx.heads)
        grad_scores = torch._softmax_backward_data(grad_mixed @ value.transpose(1, 2), shares, -1, BF16)
        grad_query, grad_key = _scaled(grad_scores, key, ctx.scale), _scaled(grad_scores.transpose(1, 2), query, ctx.scale)
        grad_value = shares.transpose(1, 2) @ grad_mixed
        grad_text = grad_of_text = None
        if seen is None:
            grad_into = _by_row([grad_query, grad_key, grad_value], ctx.heads)
        else:
            grad_into, grad_seen = _by_row([grad_query], ctx.heads), _by_row([grad_key, grad_value], ctx.heads)
            grad_of_text = _weight_gradient(grad_seen, seen)
            grad_text = product(grad_seen, of_text.t()).float() if ctx.needs_input_grad[1] else None
        grad_x = product(grad_into, into.t()).float() if ctx.needs_input_grad[0] else None
        return grad_x, grad_text, _weight_gradient(grad_into, rows), grad_of_text, _weight_gradient(grad, mixed), None, None


class _FeedForward(Function):
    """W2 (u * gelu(g)) + b2 with u, g = W1 x + b1. x: [..., C]; one and two: weights that learn, [2F, C] and [C, F], None where the frozen ones are meant."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, one: Tensor | None, two: Tensor | None, biases: Sequence[Tensor | None], frozen: Sequence[Any]
    ) -> Tensor:
        rows = x.to(BF16)
        up, gate = product(rows, frozen[0].ahead if one is None else one, biases[0]).chunk(2, dim=-1)
        opened = F.gelu(gate)
        gated = up * opened
        ctx.save_for_backward(rows if one is not None else None, one, two, up, gate, opened, gated if two is not None else None)
        ctx.frozen = frozen
        return product(gated, frozen[1].ahead if two is None else two, biases[1]).float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, one, two, up, gate, opened, gated = ctx.saved_tensors
        grad = grad.to(BF16).contiguous()
        grad_gated = product(grad, ctx.frozen[1].back if two is None else two.t())
        both = torch.empty(*up.shape[:-1], 2 * up.shape[-1], dtype=BF16)
        grad_up, grad_gate = both.chunk(2, dim=-1)
        torch.mul(grad_gated, opened, out=grad_up)
        grad_gate.copy_(torch.ops.aten.gelu_backward(grad_gated.mul_(up), gate))
        grad_one = None if one is None else _weight_gradient(both, rows)
        grad_two = None if two is None else _weight_gradient(grad, gated)
        grad_x = product(both, ctx.frozen[0].back if one is None else one.t()).float() if ctx.needs_input_grad[0] else None
        return grad_x, grad_one, grad_two, None, None


def _feed_forward(layer: Any, merged: MergedWeights, adapted: set[Any]) -> Forward:
    """Frozen weights are laid out at the first call; always called with pictures of one shape."""
    parts = layer.net[0].proj, layer.net[2]
    biases = [_bias(part.get_base_layer() if part in adapted else part) for part in parts]
    frozen: list[LaidOutLinear | None] = []

    def forward(x: Tensor, *_: Any, **__: Any) -> Tensor:
        if not frozen:
            frozen.extend(None if part in adapted else LaidOutLinear(part, x.numel() // x.shape[-1], BF16) for part in parts)
        return _FeedForward.apply(x, *(merged.of(part) if part in adapted else None for part in parts), biases, frozen)

    return forward


def _scaled(one: Tensor, other: Tensor, scale: float) -> Tensor:
    """scale * one @ other, for each of a batch."""
    return torch.baddbmm(NOTHING, one, other, beta=0, alpha=scale)


def _by_head(rows: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """[B, N, parts * heads * d] as `parts` tensors [B * heads, N, d]."""
    batch, tokens, width = rows.shape
    apart = rows.view(batch, tokens, parts, heads, width // parts // heads).permute(2, 0, 3, 1, 4)
    return apart.reshape(parts, batch * heads, tokens, -1).unbind(0)


def _by_row(parts: list[Tensor], heads: int) -> Tensor:
    """The way back: [B * heads, N, d] each, to [B, N, parts * heads * d]."""
    together = parts[0][None] if len(parts) == 1 else torch.stack(parts)
    count, rows, tokens, depth = together.shape
    apart = together.view(count, rows // heads, heads, tokens, depth).permute(1, 3, 0, 2, 4)
    return apart.reshape(rows // heads, tokens, count * heads * depth)


def _weight_gradient(grad: Tensor, rows: Tensor) -> Tensor:
    """grad^T rows: [out, in]."""
    return grad.reshape(-1, grad.shape[-1]).t() @ rows.reshape(-1, rows.shape[-1])
