"""LoHa and LoKr come in as the plain LoRA that they equal, exactly; where that would be as large as the layer, they are refused by name."""

from __future__ import annotations

from math import prod
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipelines.errors import AdapterError
from pipelines.families.base import Base
from pipelines.formats.products import is_whole, pair_of
from pipelines.formats.read import import_lora
from tests.pipelines.formats import foreign
from tests.pipelines.formats.random_adapters import base_in, deltas

LINEAR = ("down_blocks.0.attentions.0.transformer_blocks.0.ff.net.2", (8, 32))
CONV = ("down_blocks.0.resnets.0.conv1", (8, 8, 3, 3))
ALPHA = 3.0


@pytest.fixture
def sd1(tiny_sd1: Path) -> Base:
    return base_in(tiny_sd1)


def hadamard(shape: tuple[int, ...], *, tucker: bool) -> tuple[dict[str, Tensor], Tensor]:
    """Rank 2 parts and what they add, alpha left out. The definition: two low-rank weights, multiplied entry by entry."""
    torch.manual_seed(0)
    parts: dict[str, Tensor] = {}
    halves = []
    for number in (1, 2):
        if tucker:
            left, right, core = torch.randn(2, shape[0]), torch.randn(2, shape[1]), torch.randn(2, 2, *shape[2:])
            halves.append(torch.einsum("po,pqkl,qi->oikl", left, core, right))
            parts[f"hada_t{number}"] = core
        else:
            left, right = torch.randn(shape[0], 2), torch.randn(2, prod(shape[1:]))
            halves.append((left @ right).reshape(shape))
        parts |= {f"hada_w{number}_a": left, f"hada_w{number}_b": right}
    return parts, halves[0] * halves[1]


def kronecker(shape: tuple[int, ...], *, first: bool, second: str) -> tuple[dict[str, Tensor], Tensor]:
    """first: w1 is split in two; second: "whole", "split" or "tucker". The definition: every entry of w1 times all of w2."""
    torch.manual_seed(0)
    parts: dict[str, Tensor] = {}
    one, rows, columns = torch.randn(2, 4), shape[0] // 2, shape[1] // 4
    if first:
        parts |= {"lokr_w1_a": torch.randn(2, 2), "lokr_w1_b": torch.randn(2, 4)}
        one = parts["lokr_w1_a"] @ parts["lokr_w1_b"]
    else:
        parts["lokr_w1"] = one
    if second == "whole":
        other = parts["lokr_w2"] = torch.randn(rows, columns, *shape[2:])
    elif second == "split":
        parts |= {"lokr_w2_a": torch.randn(rows, 2), "lokr_w2_b": torch.randn(2, columns * prod(shape[2:]))}
        other = (parts["lokr_w2_a"] @ parts["lokr_w2_b"]).reshape(rows, columns, *shape[2:])
    else:
        parts |= {"lokr_w2_a": torch.randn(2, rows), "lokr_w2_b": torch.randn(2, columns), "lokr_t2": torch.randn(2, 2, *shape[2:])}
        other = torch.einsum("po,pqkl,qi->oikl", parts["lokr_w2_a"], parts["lokr_t2"], parts["lokr_w2_b"])
    return parts, torch.einsum("ab,cd...->acbd...", one, other).reshape(shape)


def imported(base: Base, path: str, parts: dict[str, Tensor], folder: Path) -> Tensor:
    """What the importer makes of one module under LyCORIS' name."""
    tensors = {f"lycoris_{path.replace('.', '_')}.{part}": tensor for part, tensor in parts.items()}
    result = import_lora(foreign.write(folder / "a.safetensors", tensors), base)
    assert (result.matched, result.unmatched, result.dialect) == (1, (), "lycoris")
    return deltas(result.adapter)[f"unet.{path}"]


@pytest.mark.parametrize(("layer", "tucker"), [(LINEAR, False), (CONV, False), (CONV, True)])
def test_loha_is_the_entrywise_product_of_its_halves(sd1: Base, tmp_path: Path, layer: tuple[str, tuple[int, ...]], tucker: bool) -> None:
    parts, wanted = hadamard(layer[1], tucker=tucker)
    got = imported(sd1, layer[0], parts | {"alpha": torch.tensor(ALPHA)}, tmp_path)
    assert torch.allclose(got, wanted * (ALPHA / 2), rtol=1e-4, atol=1e-4)
    assert torch.allclose(imported(sd1, layer[0], parts, tmp_path), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layer", [LINEAR, CONV])
@pytest.mark.parametrize(("first", "second"), [(False, "whole"), (False, "split"), (True, "split"), (True, "whole"), (False, "tucker")])
def test_lokr_is_the_kronecker_product_of_its_halves(
    sd1: Base, tmp_path: Path, layer: tuple[str, tuple[int, ...]], first: bool, second: str
) -> None:
    if second == "tucker" and layer is LINEAR:
        layer = ("down_blocks.0.resnets.0.conv2", (8, 8, 3, 3))  # only convolutions have this form
    parts, wanted = kronecker(layer[1], first=first, second=second)
    scale = 1.0 if "lokr_w1" in parts and "lokr_w2" in parts else ALPHA / 2  # two whole matrices: alpha means nothing
    got = imported(sd1, layer[0], parts | {"alpha": torch.tensor(ALPHA)}, tmp_path)
    assert torch.allclose(got, wanted * scale, rtol=1e-4, atol=1e-4)


def test_one_whose_lora_form_would_be_huge_is_refused_with_the_rank(sd1: Base, tmp_path: Path) -> None:
    for kind, tensors in (
        ("LoKr", {"lokr_w1": torch.ones(20, 20), "lokr_w2": torch.ones(20, 20)}),
        ("LoHa", {f"hada_w{n}_{side}": torch.ones(20, 20) for n in (1, 2) for side in "ab"}),
    ):
        named = {f"lora_unet_mid_block_attentions_0_proj_in.{part}": tensor for part, tensor in tensors.items()}
        with pytest.raises(AdapterError, match=f"{kind}.*rank 400"):
            import_lora(foreign.write(tmp_path / "a.safetensors", named), sd1)


@pytest.mark.parametrize("shape", [(), (3,), (7, 5)])
def test_factors_that_do_not_belong_together_are_refused(sd1: Base, tmp_path: Path, shape: tuple[int, ...]) -> None:
    parts, _ = hadamard(LINEAR[1], tucker=False)
    with pytest.raises(AdapterError):
        imported(sd1, LINEAR[0], parts | {"hada_w2_a": torch.ones(shape)}, tmp_path)


def test_parts_of_two_kinds_or_half_a_kind_are_not_whole(sd1: Base, tmp_path: Path) -> None:
    parts, _ = hadamard(LINEAR[1], tucker=False)
    assert is_whole([*parts, "alpha"]) and is_whole(["down", "up", "mid", "scale"])
    assert not is_whole([*parts, "down", "up"]) and not is_whole(["lokr_w1", "lokr_w2_a"]) and not is_whole(["alpha"])
    torn = {f"lora_unet_{LINEAR[0].replace('.', '_')}.{part}": tensor for part, tensor in parts.items() if part != "hada_w2_b"}
    with pytest.raises(AdapterError, match="no LoRA weights"):
        import_lora(foreign.write(tmp_path / "a.safetensors", torn), sd1)


def test_half_precision_factors_are_multiplied_in_float32() -> None:
    parts, wanted = hadamard(LINEAR[1], tucker=False)
    pair = pair_of({part: tensor.half() for part, tensor in parts.items()})
    assert pair.down.dtype == pair.up.dtype == torch.float32
    assert (pair.up @ pair.down - wanted).norm() < 2e-3 * wanted.norm()
