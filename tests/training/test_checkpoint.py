"""Checkpoints: every value comes back exactly, older ones lose only their state, leftovers of killed writers do no harm."""

from __future__ import annotations

from pathlib import Path

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.adapter import Adapter, load_adapter
from pipelines.card import Card
from pipelines.settings import AdapterSettings
from training.checkpoint import STATE, TrainState, _flatten, _unflatten, checkpoint_folders, load_newest, save_checkpoint

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.builds(lambda n: torch.full((n,), float(n)), st.integers(0, 4)),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.integers(0, 9), st.text(max_size=3)), inner, max_size=3)
    ),
    max_leaves=12,
)


def same(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return one == other and type(one) is type(other)


@given(trees)
@settings(max_examples=60)
def test_any_tree_of_an_optimizer_comes_back_exactly(tree) -> None:
    import json

    tensors, skeleton = _flatten(tree)
    assert same(_unflatten(json.loads(json.dumps(skeleton)), tensors.__getitem__), tree)


def state(step: int) -> TrainState:
    weights = torch.nn.Parameter(torch.full((3,), float(step)))
    optimizer = torch.optim.AdamW([weights])
    weights.sum().backward()
    optimizer.step()
    return TrainState(step, (weights,), optimizer.state_dict(), {}, {}, 2, ((1, 0.5),))


def adapter() -> Adapter:
    return Adapter(
        {"unet.a.lora_A.weight": torch.ones(1, 2), "unet.a.lora_B.weight": torch.ones(2, 1)}, AdapterSettings(rank=1), Card(name="mug")
    )


def test_only_the_newest_checkpoint_keeps_its_state(tmp_path: Path) -> None:
    for step in (1, 2):
        save_checkpoint(tmp_path, state(step), adapter())
    first, second = checkpoint_folders(tmp_path)
    assert not (first / STATE).exists() and (second / STATE).exists()
    assert load_adapter(first / "adapter.safetensors").card.name == "mug"
    newest = load_newest(tmp_path)
    assert newest is not None and newest.step == 2 and newest.chunks == 2 and newest.held_out == ((1, 0.5),)
    assert torch.equal(newest.parameters[0], state(2).parameters[0])


def test_leftovers_of_a_killed_writer_are_swept(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(1), adapter())
    leftover = tmp_path / "checkpoints" / ".000002.99.partial"
    leftover.mkdir()
    (leftover / "adapter.safetensors").write_bytes(b"half")
    newest = load_newest(tmp_path)
    assert newest is not None and newest.step == 1
    assert not leftover.exists()
