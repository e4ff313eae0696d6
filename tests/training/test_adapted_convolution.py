"""A convolution with its adapter taken by itself gives PEFT's own output and gradients, within bf16's rounding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn

from pipelines.quicken import cpu_multiplies_bf16
from training.adapted_convolution import is_narrow, quick_convolution

pytestmark = pytest.mark.skipif(not cpu_multiplies_bf16(), reason="needs a processor that multiplies bf16")

ROUNDING = 0.02


def layer_of(*, rank: int = 4, alpha: float = 2.0, **settings: Any) -> Any:
    torch.manual_seed(0)
    usual = {"in_channels": 16, "out_channels": 32, "kernel_size": 3, "padding": 1}
    model = nn.Sequential(nn.Conv2d(**{**usual, **settings})).requires_grad_(False)
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=["0"]), model, "adapter")
    nn.init.normal_(model[0].lora_B["adapter"].weight, std=0.1)
    return model[0]


def learnt(way: Any, layer: Any, x: Tensor) -> list[Tensor]:
    """The output, and the gradients of x, A and B."""
    x = x.detach().requires_grad_(True)
    output = way(x)
    factors = layer.lora_A["adapter"].weight, layer.lora_B["adapter"].weight
    return [output.detach(), *torch.autograd.grad((output * torch.linspace(-1, 1, output.shape[-1])).sum(), (x, *factors))]


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("is_usual", [True, False])
@pytest.mark.parametrize("settings", [{}, {"bias": False}, {"kernel_size": 5, "padding": 2}, {"padding": 0}], ids=str)
def test_output_and_gradients_are_pefts_own(order: torch.memory_format, is_usual: bool, settings: dict) -> None:
    layer = layer_of(**settings)
    quick = quick_convolution(layer, "adapter", is_usual=is_usual)
    for seed in (0, 1):
        x = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(seed)).contiguous(memory_format=order)
        for ours, theirs in zip(learnt(quick, layer, x), learnt(layer, layer, x), strict=True):
            assert ours.shape == theirs.shape and ours.dtype == torch.float32
            assert (ours - theirs).norm() < ROUNDING * theirs.norm()


def test_pictures_of_any_shape_go_the_passing_way() -> None:
    layer = layer_of()
    quick = quick_convolution(layer, "adapter", is_usual=False)
    for shape in ((2, 16, 8, 8), (1, 16, 4, 12)):
        x = torch.randn(shape)
        assert (quick(x) - layer(x)).norm() < ROUNDING * layer(x).norm()


def test_the_first_layer_that_learns_asks_for_no_gradient_of_its_pictures() -> None:
    layer = layer_of()
    quick_convolution(layer, "adapter", is_usual=True)(torch.randn(2, 16, 8, 8)).square().sum().backward()
    assert layer.lora_A["adapter"].weight.grad.abs().sum() > 0 and layer.lora_B["adapter"].weight.grad.abs().sum() > 0


def test_a_silenced_adapter_stays_silent() -> None:
    layer, x = layer_of(), torch.randn(2, 16, 8, 8)
    layer.enable_adapters(False)
    assert (quick_convolution(layer, "adapter", is_usual=True)(x) - layer.get_base_layer()(x)).norm() < ROUNDING * layer(x).norm()


def test_wide_ranks_pointwise_and_strided_convolutions_are_left_to_others() -> None:
    assert is_narrow(layer_of(), "adapter")
    for settings in ({"rank": 8}, {"kernel_size": 1, "padding": 0}, {"stride": 2}, {"padding_mode": "circular"}):
        assert not is_narrow(layer_of(**settings), "adapter")
