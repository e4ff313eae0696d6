"""Products in bf16 teach what float32 teaches, within bf16's rounding, and leave the base as it was."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from pipelines import adapter as adapters
from pipelines.families.base import Base, Conditioning
from pipelines.quicken import cpu_multiplies_bf16
from pipelines.settings import AdapterSettings
from training import bf16_products
from training.bf16_products import MergedWeights, _adapted_forward
from training.quick_adapters import QuickAdapters

pytestmark = pytest.mark.skipif(not cpu_multiplies_bf16(), reason="needs a processor that multiplies bf16")

ROUNDING = 0.02  # of a norm: bf16 rounds at 2^-9, and a picture goes through some forty products one after another
BF16 = torch.bfloat16


def shape_of(base: Base, *, batch: int = 2, side: int = 8) -> tuple[int, int, int, int]:
    return batch, base.unet.config.in_channels, side, side


def output_of(base: Base, shape: tuple[int, int, int, int]) -> Tensor:
    noisy = torch.randn(shape, generator=torch.Generator().manual_seed(5))
    told: Conditioning = base.encode_prompts(["a red mug", "a tinbot"][: shape[0]])
    return base.predict(noisy, torch.tensor([100, 700])[: shape[0]], told)


def learn(base: Base, parameters: list[nn.Parameter], shape: tuple[int, int, int, int]) -> tuple[Tensor, list[Tensor]]:
    """The denoiser's output and the adapter's gradients for a fixed batch."""
    output = output_of(base, shape)
    return output.detach(), list(torch.autograd.grad(output.square().mean(), parameters, materialize_grads=True, allow_unused=True))


def distance(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


KINDS = [
    AdapterSettings(rank=4, targets="attention"),
    AdapterSettings(rank=4, targets="attention+ff", alpha=2.0),
    AdapterSettings(rank=3, targets="all", kind="rslora", alpha=2.0),
    AdapterSettings(rank=4, targets="attention", text_encoder=True),
    AdapterSettings(rank=1, targets="all"),  # narrow beside the tiny base's convolutions
]


@pytest.mark.parametrize("channels", [32, 192])
def test_a_downsampler_of_the_narrowest_pictures_learns_what_float32_teaches(channels: int) -> None:
    """oneDNN's own padding leaves the weights' gradient partly unwritten where a picture is 1 wide; memory that held NaN before shows it."""
    torch.manual_seed(0)
    layer: Any = inject_adapter_in_model(
        LoraConfig(r=4, target_modules=["0"]), nn.Sequential(nn.Conv2d(channels, channels, 3, stride=2, padding=1))
    )[0]
    nn.init.normal_(layer.lora_B["default"].weight, std=0.1)
    learning = [layer.lora_A["default"].weight, layer.lora_B["default"].weight]
    layer.get_base_layer().requires_grad_(False)
    for batch, height in ((1, 1), (1, 2), (2, 4), (4, 8), (8, 3)):
        picture = torch.randn(batch, channels, height, 1)
        wanted = torch.autograd.grad(layer(picture).square().sum(), learning)
        merged = MergedWeights([(layer,)], "default")
        for _ in range(5):
            poison = [torch.full((channels * channels * 9,), math.nan, dtype=kind) for kind in (torch.float32, BF16, BF16)]
            del poison
            merged.make()
            given = torch.autograd.grad(_adapted_forward(layer, merged)(picture).square().sum(), learning)
            assert all(distance(ours, theirs) < 3 * ROUNDING for ours, theirs in zip(given, wanted, strict=True))


@pytest.mark.parametrize("adapted", KINDS, indirect=True, ids=lambda kind: f"{kind.kind}-{kind.targets}{'-text' * kind.text_encoder}")
@pytest.mark.parametrize("most_scores", [2**23, 0], ids=["kept scores", "no scores"])
def test_outputs_and_gradients_are_float32s_within_bf16s_rounding(
    adapted: tuple[Base, list[nn.Parameter]], most_scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bf16_products, "MOST_SCORES", most_scores)
    base, parameters = adapted
    shape = shape_of(base)
    output, gradients = learn(base, parameters, shape)
    quick = QuickAdapters(base, shape, products=BF16)
    for _ in range(2):
        with quick.at(shape):
            quick_output, quick_gradients = learn(base, parameters, shape)
        assert 1e-5 < distance(quick_output, output) < ROUNDING  # more than float32's rounding: it is bf16 indeed
        together = [torch.cat([gradient.flatten() for gradient in every]) for every in (quick_gradients, gradients)]
        assert distance(*together) < 2 * ROUNDING


@pytest.mark.parametrize("adapted", [KINDS[1], KINDS[4]], indirect=True)
def test_another_shape_than_the_usual_one_is_right_too_and_does_not_change_what_follows(adapted: tuple[Base, list[nn.Parameter]]) -> None:
    base, parameters = adapted
    usual, other = shape_of(base), shape_of(base, batch=1, side=16)
    fresh = QuickAdapters(base, usual, products=BF16)
    with fresh.at(usual):
        first, _ = learn(base, parameters, usual)
    quick = QuickAdapters(base, usual, products=BF16)
    with quick.at(other):
        odd, _ = learn(base, parameters, other)
    with quick.at(usual):
        second, _ = learn(base, parameters, usual)
    assert distance(odd, learn(base, parameters, other)[0]) < ROUNDING
    assert torch.equal(first, second)  # bit for bit, or a resumed run would drift


@pytest.mark.parametrize("adapted", KINDS[2:3], indirect=True)
def test_afterwards_layers_and_weights_are_as_before(adapted: tuple[Base, list[nn.Parameter]]) -> None:
    base, parameters = adapted
    shape = shape_of(base)
    weights = {name: weight.clone() for name, weight in base.unet.state_dict().items()}
    before, _ = learn(base, parameters, shape)
    quick = QuickAdapters(base, shape, products=BF16)
    with pytest.raises(KeyError), quick.at(shape):
        raise KeyError("an error inside the block")
    assert quick.merged is not None and not quick.merged.merged
    assert not [layer for layer in base.unet.modules() if "forward" in vars(layer)]
    assert distance(learn(base, parameters, shape)[0], before) < 1e-6  # other addresses, so MKL may add in another order
    assert all(torch.equal(weights[name], weight) for name, weight in base.unet.state_dict().items())


@pytest.mark.parametrize("adapted", KINDS[2:3], indirect=True)
def test_a_silenced_adapter_stays_silent(adapted: tuple[Base, list[nn.Parameter]]) -> None:
    base, _ = adapted
    shape = shape_of(base)
    outputs = []
    for way in (nullcontext, lambda: QuickAdapters(base, shape, products=BF16).at(shape)):
        with adapters.bare(base), torch.no_grad(), way():
            outputs.append(output_of(base, shape))
    assert distance(outputs[1], outputs[0]) < ROUNDING


@pytest.mark.parametrize("adapted", [AdapterSettings(rank=4, dropout=0.5), AdapterSettings(rank=4, kind="dora")], indirect=True)
def test_dropout_and_dora_keep_their_own_way(adapted: tuple[Base, list[nn.Parameter]]) -> None:
    base, _ = adapted
    quick = QuickAdapters(base, shape_of(base), products=BF16)
    assert not [layer for layer, _ in quick.anywhere if isinstance(layer, LoraLayer)] and quick.merged is None


@pytest.mark.parametrize("adapted", [AdapterSettings(rank=4, targets="attention+ff")], indirect=True)
def test_small_steps_are_not_lost_in_the_rounding_of_the_weights(adapted: tuple[Base, list[nn.Parameter]]) -> None:
    """An update moves a merged weight by less than bf16 can tell; the sum over many weights must move the output all the same."""
    base, parameters = adapted
    shape = shape_of(base)
    moves = []
    start = [parameter.detach().clone() for parameter in parameters]
    for products in (torch.float32, BF16):
        quick = QuickAdapters(base, shape, products=products)
        optimizer = torch.optim.AdamW(parameters, lr=1e-3)
        for _ in range(8):
            with quick.at(shape):
                output_of(base, shape).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        moves.append(torch.cat([(parameter.detach() - before).flatten() for parameter, before in zip(parameters, start, strict=True)]))
        with torch.no_grad():
            for parameter, before in zip(parameters, start, strict=True):
                parameter.copy_(before)
    assert torch.cosine_similarity(moves[0], moves[1], dim=0) > 0.95
