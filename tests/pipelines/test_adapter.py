"""Adapters on the tiny bases: they come off without a trace, act as their numbers say, and bad ones never attach."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pipelines.adapter import (
    HEADER,
    Adapter,
    attach,
    attached,
    bare,
    components,
    create,
    detach,
    effect_size,
    load_adapter,
    mix,
    read,
    save_adapter,
    set_strengths,
    strengths,
)
from pipelines.errors import AdapterError
from pipelines.families.base import Base
from pipelines.formats.drawing import draw_latents
from pipelines.formats.verify import compare
from pipelines.settings import AdapterSettings
from tests.pipelines.formats.random_adapters import base_in, card_for, deltas, random_adapter


@pytest.fixture(scope="module", params=["tiny_sd1", "tiny_sdxl"])
def base(request: pytest.FixtureRequest) -> Base:
    return base_in(request.getfixturevalue(request.param))


@pytest.fixture(scope="module")
def sd1(tiny_sd1: Path) -> Base:
    return base_in(tiny_sd1)


@pytest.fixture(autouse=True)
def _nothing_left(request: pytest.FixtureRequest):
    yield
    for fixture in ("base", "sd1"):
        if fixture in request.fixturenames:
            for name in attached(request.getfixturevalue(fixture)):
                detach(request.getfixturevalue(fixture), name)


def draw(base: Base) -> Tensor:
    return draw_latents(base, "a photo of a red mug", seed=1)


def state(base: Base) -> dict[str, list[str]]:
    return {component: list(module.state_dict()) for component, module in components(base).items()}


def with_tensors(adapter: Adapter, tensors: Mapping[str, Tensor]) -> Adapter:
    return Adapter(tensors, adapter.settings, adapter.card)


@pytest.mark.parametrize("settings", [{"targets": "attention"}, {"targets": "all", "text_encoder": True, "kind": "dora"}])
def test_attach_and_detach_leave_no_trace(base: Base, settings: dict[str, object]) -> None:
    keys, before = state(base), draw(base)
    own = {component: set(vars(module)) for component, module in components(base).items()}
    adapter = random_adapter(base, **settings)
    attach(base, adapter)
    assert not torch.equal(draw(base), before)
    detach(base)
    assert state(base) == keys
    assert torch.equal(draw(base), before)
    assert {component: set(vars(module)) for component, module in components(base).items()} == own
    assert not any(parameter.requires_grad for module in components(base).values() for parameter in module.parameters())


def test_bare_is_the_base_bit_for_bit_and_the_adapter_comes_back(base: Base) -> None:
    before = draw(base)
    attach(base, random_adapter(base, text_encoder=True))
    with_adapter = draw(base)
    with bare(base):
        assert torch.equal(draw(base), before)
    assert torch.equal(draw(base), with_adapter)


def test_bare_comes_back_after_an_error(sd1: Base) -> None:
    attach(sd1, random_adapter(sd1))
    with_adapter = draw(sd1)
    with pytest.raises(RuntimeError, match="on purpose"), bare(sd1):
        raise RuntimeError("on purpose")
    assert torch.equal(draw(sd1), with_adapter)


def test_an_attached_adapter_adds_exactly_its_deltas(sd1: Base) -> None:
    for settings in ({"alpha": 2.0, "targets": "attention"}, {"alpha": 3.0, "kind": "rslora", "targets": "all", "text_encoder": True}):
        adapter = random_adapter(sd1, **settings)
        attach(sd1, adapter, name="one")
        assert compare(sd1, adapter, name="one") == ((), 0.0)
        detach(sd1, "one")


def test_strength_scales_the_effect_and_zero_is_exactly_none(sd1: Base) -> None:
    before, adapter = draw(sd1), random_adapter(sd1)
    attach(sd1, adapter, strength=0.5)
    halves = with_tensors(adapter, {key: tensor * (0.5 if ".lora_B." in key else 1) for key, tensor in adapter.tensors.items()})
    assert compare(sd1, halves, name="adapter")[1] < 1e-6
    set_strengths(sd1, {"adapter": 0.0})
    assert torch.equal(draw(sd1), before)
    assert strengths(sd1) == {"adapter": 0.0}


def test_two_adapters_add_up_and_one_can_leave(sd1: Base) -> None:
    one, two = random_adapter(sd1, seed=1), random_adapter(sd1, seed=2, rank=2, targets="all", text_encoder=True)
    attach(sd1, two, name="two", strength=0.5)
    alone = draw(sd1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attach(sd1, one, name="one", strength=2.0)
        assert strengths(sd1) == {"two": 0.5, "one": 2.0}
        both = draw(sd1)
        detach(sd1, "one")
    assert torch.equal(draw(sd1), alone)
    attach(sd1, mix([(one, 2.0), (two, 0.5)], card=one.card), name="mixed")
    set_strengths(sd1, {"mixed": 1.0})
    assert torch.allclose(draw(sd1), both, atol=1e-4)


def test_a_silent_adapter_stays_silent_when_the_loud_one_leaves(sd1: Base) -> None:
    before = draw(sd1)
    attach(sd1, random_adapter(sd1, seed=1), name="silent", strength=0.0)
    attach(sd1, random_adapter(sd1, seed=2), name="loud")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detach(sd1, "loud")
    assert torch.equal(draw(sd1), before)
    assert not any(parameter.requires_grad for parameter in sd1.unet.parameters())


def test_a_new_adapter_has_no_effect_and_its_seed_decides_it(sd1: Base) -> None:
    before, settings = draw(sd1), AdapterSettings(rank=4, targets="attention", text_encoder=True)
    made = []
    for seed in (1, 1, 2):
        parameters = create(sd1, settings, seed=seed)
        assert all(parameter.requires_grad and parameter.dtype == torch.float32 for parameter in parameters)
        assert torch.equal(draw(sd1), before)
        made.append(read(sd1, settings, card_for(sd1)).tensors)
        detach(sd1)
    assert all(torch.equal(made[0][key], made[1][key]) for key in made[0])
    assert not all(torch.equal(made[0][key], made[2][key]) for key in made[0])


def test_saving_and_loading_keeps_every_bit(sd1: Base, tmp_path: Path) -> None:
    adapter = random_adapter(sd1, kind="dora", alpha=2.5, text_encoder=True)
    save_adapter(adapter, tmp_path / "adapter.safetensors")
    loaded = load_adapter(tmp_path / "adapter.safetensors")
    assert (loaded.settings, loaded.card) == (adapter.settings, adapter.card)
    assert loaded.tensors.keys() == adapter.tensors.keys()
    assert all(torch.equal(loaded.tensors[key], adapter.tensors[key]) for key in adapter.tensors)


@pytest.mark.parametrize(
    "header",
    ["no json", "[]", "{}", json.dumps({"settings": {"rank": 0}, "card": {}}), json.dumps({"settings": {}, "card": 3}), "[" * 200_000],
)
def test_a_damaged_header_is_an_adapter_error(tmp_path: Path, header: str) -> None:
    save_file(
        {"unet.a.lora_A.weight": torch.zeros(1, 1), "unet.a.lora_B.weight": torch.zeros(1, 1)}, tmp_path / "a.safetensors", {HEADER: header}
    )
    with pytest.raises(AdapterError, match=r"a\.safetensors"):
        load_adapter(tmp_path / "a.safetensors")


def test_a_file_without_one_half_is_an_adapter_error(sd1: Base, tmp_path: Path) -> None:
    adapter = random_adapter(sd1)
    missing = next(key for key in adapter.tensors if ".lora_B." in key)
    save_adapter(
        with_tensors(adapter, {key: tensor for key, tensor in adapter.tensors.items() if key != missing}), tmp_path / "a.safetensors"
    )
    with pytest.raises(AdapterError, match="lora_B"):
        load_adapter(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"junk.weight": torch.ones(3)}, r"1 tensors that no adapter has: junk\.weight"),
        (
            {"foo.lora_A.weight": torch.ones(4, 4), "foo.lora_B.weight": torch.ones(4, 4)},
            r"2 tensors that no adapter has: foo\.lora_A\.weight",
        ),
        ({"text_encoder.q.lora_B.weight": torch.ones(3, 3)}, r"text_encoder\.q\.lora_B\.weight"),
        ({"unet.q.lora_magnitude_vector.weight": torch.ones(3)}, r"unet\.q\.lora_magnitude_vector\.weight"),
        ({"unet.q.lora_A.weight": torch.ones(4, 8), "unet.q.lora_B.weight": torch.ones(8, 8)}, r"unet\.q are \(4, 8\) and \(8, 8\)"),
        ({"unet.q.lora_A.weight": torch.ones(4, 8), "unet.q.lora_B.weight": torch.ones(8)}, r"do not belong together"),
        ({"unet.q.lora_A.weight": torch.ones(0, 8), "unet.q.lora_B.weight": torch.ones(8, 0)}, r"do not belong together"),
        ({"unet.q.lora_A.weight": torch.ones(4, 8, 3, 3), "unet.q.lora_B.weight": torch.ones(8, 4)}, r"do not belong together"),
    ],
)
def test_tensors_that_are_no_pairs_are_refused_by_name(sd1: Base, tmp_path: Path, changed: dict[str, Tensor], said: str) -> None:
    adapter = random_adapter(sd1, targets="attention")
    save_adapter(with_tensors(adapter, {**adapter.tensors, **changed}), tmp_path / "a.safetensors")
    with pytest.raises(AdapterError, match=said):
        load_adapter(tmp_path / "a.safetensors")


def test_a_file_without_any_pair_is_refused(sd1: Base, tmp_path: Path) -> None:
    save_adapter(with_tensors(random_adapter(sd1), {}), tmp_path / "a.safetensors")
    with pytest.raises(AdapterError, match="no weights"):
        load_adapter(tmp_path / "a.safetensors")


def test_files_of_others_and_broken_files_are_adapter_errors(tmp_path: Path) -> None:
    save_file({"lora_unet_x.alpha": torch.tensor(1.0)}, tmp_path / "theirs.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "theirs.safetensors").read_bytes()[:-2])
    with pytest.raises(AdapterError, match="not written by Brandprint"):
        load_adapter(tmp_path / "theirs.safetensors")
    for name in ("cut.safetensors", "absent.safetensors"):
        with pytest.raises(AdapterError, match=name):
            load_adapter(tmp_path / name)


def test_mixing_adds_the_deltas_whatever_the_ranks_and_scales(sd1: Base) -> None:
    one, two = random_adapter(sd1, seed=1, alpha=2.0), random_adapter(sd1, seed=2, rank=3, kind="rslora", targets="attention")
    mixed = deltas(mix([(one, 0.5), (two, -1.5)], card=one.card))
    ones, twos = deltas(one), deltas(two)
    assert mixed.keys() == ones.keys()
    for key, delta in mixed.items():
        wanted = 0.5 * ones[key] - (1.5 * twos[key] if key in twos else 0)
        assert torch.allclose(delta, wanted, atol=1e-6)


def test_a_mix_may_hold_more_ranks_than_settings_can_name(sd1: Base) -> None:
    adapter = random_adapter(sd1, rank=130, targets="attention")
    mixed = mix([(adapter, 0.5), (adapter, 0.5)], card=adapter.card)
    attach(sd1, mixed)
    assert compare(sd1, adapter, name="adapter")[1] < 1e-5


def test_what_cannot_be_mixed_is_refused_with_the_reason(sd1: Base, tiny_sdxl: Path) -> None:
    adapter = random_adapter(sd1)
    with pytest.raises(AdapterError, match="DoRA"):
        mix([(adapter, 1.0), (random_adapter(sd1, kind="dora"), 1.0)], card=adapter.card)
    with pytest.raises(AdapterError, match="sd1, sdxl"):
        mix([(adapter, 1.0), (random_adapter(base_in(tiny_sdxl)), 1.0)], card=adapter.card)


def test_an_adapter_that_does_not_fit_leaves_the_base_untouched(sd1: Base, tiny_sdxl: Path) -> None:
    keys, sdxl = state(sd1), base_in(tiny_sdxl)
    with pytest.raises(AdapterError, match="made for a layer of shape"):
        attach(sd1, random_adapter(sdxl))
    with pytest.raises(AdapterError, match="text_encoder_2"):
        foreign = random_adapter(sdxl, text_encoder=True).tensors
        attach(
            sd1, with_tensors(random_adapter(sd1), {key: tensor for key, tensor in foreign.items() if key.startswith("text_encoder_2.")})
        )
    assert state(sd1) == keys and attached(sd1) == ()


def test_names_that_cannot_be_used_are_refused(sd1: Base) -> None:
    adapter = random_adapter(sd1)
    attach(sd1, adapter, name="one")
    with pytest.raises(AdapterError, match="already attached"):
        attach(sd1, adapter, name="one")
    with pytest.raises(AdapterError, match=r"v1\.5"):
        attach(sd1, adapter, name="v1.5")
    with pytest.raises(AdapterError, match="No adapter named two"):
        set_strengths(sd1, {"two": 1.0})


def test_either_spelling_of_text_layers_fits(sd1: Base) -> None:
    adapter = random_adapter(sd1, text_encoder=True)
    longer = with_tensors(
        adapter, {key.replace("text_encoder.encoder", "text_encoder.text_model.encoder"): tensor for key, tensor in adapter.tensors.items()}
    )
    assert longer.tensors.keys() != adapter.tensors.keys()
    attach(sd1, longer)
    assert compare(sd1, adapter, name="adapter") == ((), 0.0)
    assert effect_size(sd1, longer) == effect_size(sd1, adapter)


def test_effect_size_is_nothing_for_a_new_adapter_and_grows_with_its_weights(sd1: Base) -> None:
    sizes = [effect_size(sd1, random_adapter(sd1, size=size)) for size in (0.0, 0.1, 0.2)]
    assert sizes[0] == 0.0
    assert sizes[2] == pytest.approx(2 * sizes[1], rel=1e-5)
