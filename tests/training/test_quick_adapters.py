"""Quick layers compute what the plain ones compute, and leave nothing behind."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from pipelines import adapter as adapters
from pipelines.families.base import Base, Conditioning, load_base
from pipelines.settings import AdapterSettings
from training.quick_adapters import QuickAdapters, usual_shape

ROUNDING = 3e-5  # of a norm; float32 rounds at 1e-7, and a gradient has gone through some hundred sums


def shape_of(base: Base, *, batch: int = 2, side: int = 8) -> tuple[int, int, int, int]:
    return batch, base.unet.config.in_channels, side, side


def learn(base: Base, parameters: list[nn.Parameter], shape: tuple[int, int, int, int]) -> tuple[Tensor, list[Tensor]]:
    """The denoiser's output and the adapter's gradients for a fixed batch."""
    noise = torch.Generator().manual_seed(5)
    noisy = torch.randn(shape, generator=noise)
    told = base.encode_prompts(["a red mug", "a tinbot"][: shape[0]])
    told = Conditioning(told.hidden.detach(), None if told.pooled is None else told.pooled.detach())
    output = base.predict(noisy, torch.tensor([100, 700])[: shape[0]], told)
    return output.detach(), list(torch.autograd.grad(output.square().mean(), parameters))


def assert_close(one: Tensor, other: Tensor) -> None:
    assert (one - other).norm() <= ROUNDING * other.norm() + 1e-12


KINDS = [
    AdapterSettings(rank=4, targets="attention"),
    AdapterSettings(rank=4, targets="attention+ff", alpha=2.0),
    AdapterSettings(rank=3, targets="all", kind="rslora", alpha=2.0),
    AdapterSettings(rank=3, targets="all", kind="dora"),
]


@pytest.mark.parametrize("adapted", KINDS, indirect=True, ids=lambda kind: f"{kind.kind}-{kind.targets}")
def test_outputs_and_gradients_are_those_of_the_plain_layers(adapted: tuple[Base, list[nn.Parameter]]) -> None:
    base, parameters = adapted
    shape = shape_of(base)
    output, gradients = learn(base, parameters, shape)
    quick = QuickAdapters(base, shape)
    for _ in range(2):
        with quick.at(shape):
            quick_output, quick_gradients = learn(base, parameters, shape)
        assert_close(quick_output, output)
        for ours, theirs in zip(quick_gradients, gradients, strict=True):
            assert_close(ours, theirs)


@pytest.mark.parametrize("adapted", KINDS[1:2], indirect=True)
def test_another_shape_than_the_usual_one_is_right_too_and_does_not_change_what_follows(adapted: tuple[Base, list[nn.Parameter]]) -> None:
    base, parameters = adapted
    usual, other = shape_of(base), shape_of(base, batch=1, side=16)
    fresh = QuickAdapters(base, usual)
    with fresh.at(usual):
        first, _ = learn(base, parameters, usual)
    quick = QuickAdapters(base, usual)
    with quick.at(other):
        odd, _ = learn(base, parameters, other)
    with quick.at(usual):
        second, _ = learn(base, parameters, usual)
    assert_close(odd, learn(base, parameters, other)[0])
    assert torch.equal(first, second)  # bit for bit, or a resumed run would drift


@pytest.mark.parametrize("adapted", KINDS[1:2], indirect=True)
def test_afterwards_every_layer_is_as_before(adapted: tuple[Base, list[nn.Parameter]]) -> None:
    base, parameters = adapted
    shape = shape_of(base)
    before, _ = learn(base, parameters, shape)
    quick = QuickAdapters(base, shape)
    with pytest.raises(KeyError), quick.at(shape):
        raise KeyError("an error inside the block")
    assert not [layer for layer in base.unet.modules() if "forward" in vars(layer)]
    assert torch.equal(learn(base, parameters, shape)[0], before)


@pytest.mark.parametrize("adapted", KINDS[1:2], indirect=True)
def test_a_silenced_adapter_stays_silent(adapted: tuple[Base, list[nn.Parameter]]) -> None:
    base, _ = adapted
    shape = shape_of(base)
    outputs = []
    for way in (nullcontext(), QuickAdapters(base, shape).at(shape)):
        with adapters.bare(base), torch.no_grad(), way:
            outputs.append(base.predict(torch.ones(shape), torch.tensor([5, 5]), base.encode_prompts(["a", "red"])))
    assert_close(outputs[1], outputs[0])


@pytest.mark.parametrize("adapted", [AdapterSettings(rank=4, dropout=0.5), AdapterSettings(rank=4, kind="dora")], indirect=True)
def test_dropout_and_dora_keep_their_own_way(adapted: tuple[Base, list[nn.Parameter]]) -> None:
    base, _ = adapted
    assert not [layer for layer, _ in QuickAdapters(base, shape_of(base)).anywhere if isinstance(layer, LoraLayer)]


def test_a_base_in_16_bits_keeps_its_own_way(tiny_sd1: Path) -> None:
    base = load_base(str(tiny_sd1))
    base.unet.to(torch.bfloat16)
    adapters.create(base, AdapterSettings(rank=4), seed=1)
    quick = QuickAdapters(base, shape_of(base))
    assert not quick.at_usual
    assert not [layer for layer, _ in quick.anywhere if isinstance(layer, (LoraLayer, nn.Linear)) and layer in set(base.unet.modules())]


def test_the_usual_shape_is_the_commonest_buckets() -> None:
    assert usual_shape([(256, 256), (320, 192), (320, 192)], batch=4, channels=16, stride_px=16) == (4, 16, 20, 12)


def test_a_tie_is_broken_the_same_way_in_any_order() -> None:
    buckets = [(256, 256), (320, 192)]
    assert usual_shape(buckets, batch=1, channels=4, stride_px=8) == usual_shape(buckets[::-1], batch=1, channels=4, stride_px=8)
