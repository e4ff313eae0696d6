"""Checkpoints: every value comes back exactly, older ones lose only their state, leftovers of killed writers do no harm."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.adapter import Adapter, load_adapter
from pipelines.card import Card
from pipelines.errors import RunError
from pipelines.settings import AdapterSettings
from training import checkpoint
from training.checkpoint import STATE, TrainState, _flatten, _unflatten, load_newest, save_checkpoint, save_state
from training.runs import checkpoint_folders

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

    tensors, metadata = _flatten(tree)
    assert same(_unflatten(json.loads(metadata["tree"]), tensors.__getitem__), tree)


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


def test_a_state_between_checkpoints_is_gone_on_from_and_goes_with_the_next_one(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(1), adapter())
    for step in (2, 3):
        save_state(tmp_path, state(step))
    assert load_newest(tmp_path).step == 3
    assert [folder.name for folder in checkpoint_folders(tmp_path)] == ["000001"]
    save_checkpoint(tmp_path, state(4), adapter())
    assert load_newest(tmp_path).step == 4
    assert not (tmp_path / "checkpoints" / STATE).exists()


def test_a_full_disk_leaves_the_state_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_state(tmp_path, state(1))

    def full_disk(tensors, path, **kwargs):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full_disk)
    with pytest.raises(RunError, match="disk is full"):
        save_state(tmp_path, state(2))
    assert load_newest(tmp_path).step == 1
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [STATE]


def test_leftovers_of_a_killed_writer_are_swept(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(1), adapter())
    leftover = tmp_path / "checkpoints" / ".000002.99.partial"
    leftover.mkdir()
    (leftover / "adapter.safetensors").write_bytes(b"half")
    newest = load_newest(tmp_path)
    assert newest is not None and newest.step == 1
    assert not leftover.exists()


@pytest.mark.parametrize("content", [b"", b"torn", (8).to_bytes(8, "little") + b"{}      "])
def test_a_damaged_state_gives_way_to_the_whole_one_before(tmp_path: Path, content: bytes) -> None:
    save_checkpoint(tmp_path, state(5), adapter())
    (tmp_path / "checkpoints" / STATE).write_bytes(content)
    assert load_newest(tmp_path).step == 5


def test_a_run_whose_only_state_is_torn_says_which_file_and_what_to_do(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, state(5), adapter()) / STATE
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(RunError, match=r"000005/state\.safetensors cannot be read") as refused:
        load_newest(tmp_path)
    assert "start a new training" in refused.value.fix


def test_a_copied_checkpoint_folder_is_no_checkpoint(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, state(5), adapter())
    shutil.copytree(folder, folder.with_name("000005 copy"))
    assert [path.name for path in checkpoint_folders(tmp_path)] == ["000005"]
