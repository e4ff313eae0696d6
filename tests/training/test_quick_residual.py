"""A residual block as one function gives the block's own output and gradients."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.resnet import ResnetBlock2D

from pipelines.quicken import cpu_multiplies_bf16
from training.quick_residual import is_plain_residual, quick_residual

PRODUCTS = [
    pytest.param(torch.float32, 1e-5, id="fp32"),
    pytest.param(torch.bfloat16, 0.02, marks=pytest.mark.skipif(not cpu_multiplies_bf16(), reason="needs bf16"), id="bf16"),
]


def block_of(**settings) -> ResnetBlock2D:
    torch.manual_seed(0)
    usual = {"in_channels": 16, "out_channels": 32, "temb_channels": 24, "groups": 4, "groups_out": 8, "non_linearity": "silu"}
    return ResnetBlock2D(**{**usual, **settings}).requires_grad_(False)


@pytest.mark.parametrize(("products", "rounding"), PRODUCTS)
@pytest.mark.parametrize("out_channels", [16, 32])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_output_and_gradients_are_the_blocks_own(
    products: torch.dtype, rounding: float, out_channels: int, order: torch.memory_format
) -> None:
    block = block_of(out_channels=out_channels)
    x = torch.randn(2, 16, 8, 8).contiguous(memory_format=order).requires_grad_(True)
    time = torch.randn(2, 24, requires_grad=True)
    quick = quick_residual(block, products)
    for _ in range(2):
        results = []
        for way in (block, quick):
            output = way(x, time)
            results.append((output.detach(), *torch.autograd.grad((output * torch.linspace(0, 1, 8)).sum(), (x, time))))
        for ours, theirs in zip(*reversed(results), strict=True):
            assert (ours - theirs).norm() < rounding * theirs.norm()


@pytest.mark.parametrize(
    "settings",
    [{"dropout": 0.1}, {"time_embedding_norm": "scale_shift"}, {"up": True}, {"down": True}, {"output_scale_factor": 2.0}, {"non_linearity": "gelu"}, {"skip_time_act": True}, {"temb_channels": None}],
    ids=lambda settings: next(iter(settings)),
)  # fmt: skip
def test_special_blocks_keep_their_own_way(settings: dict) -> None:
    assert is_plain_residual(block_of()) and not is_plain_residual(block_of(**settings))


def test_a_block_that_learns_keeps_its_own_way() -> None:
    block = block_of()
    block.conv2.weight.requires_grad_(True)
    assert not is_plain_residual(block)
