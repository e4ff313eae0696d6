"""Weights that are set aside keep every bit, and their memory can go and come back."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from pipelines import set_aside as module
from pipelines.set_aside import let_go, set_aside


def _layers() -> nn.Sequential:
    layers = nn.Sequential(nn.Conv2d(32, 48, 3), nn.Linear(64, 65).to(torch.bfloat16), nn.Linear(4, 4)).requires_grad_(False)
    layers.append(nn.Linear(64, 64))  # which learns
    return layers


def test_every_bit_stays_and_what_learns_or_is_small_is_left_alone(tmp_path: Path) -> None:
    layers = _layers()
    before = {name: value.clone() for name, value in layers.state_dict().items()}
    places = {name: weight.data_ptr() for name, weight in layers.named_parameters()}
    assert set_aside([layers, layers], tmp_path) == [layers[0].weight, layers[1].weight]
    moved = {name for name, weight in layers.named_parameters() if weight.data_ptr() != places[name]}
    assert moved == {"0.weight", "1.weight"}
    let_go(*layers.parameters())
    assert all(torch.equal(value, before[name]) for name, value in layers.state_dict().items())
    assert list(tmp_path.iterdir()) == []
    assert set_aside([layers], tmp_path) == []  # it is there already


def test_a_weight_can_still_be_written_to(tmp_path: Path) -> None:
    layers = _layers()
    set_aside([layers], tmp_path)
    layers[0].weight.data.add_(1)
    changed = layers[0].weight.clone()
    assert torch.equal(layers[0].weight, changed) and not torch.equal(changed, changed - 1)


def test_a_weight_outlives_the_others_and_the_folder(tmp_path: Path) -> None:
    layers = _layers()
    kept, expected = layers[0].weight, layers[0].weight.detach().clone()
    set_aside([layers], tmp_path)
    del layers
    gc.collect()
    tmp_path.rmdir()
    let_go(kept)
    assert torch.equal(kept, expected)


def test_a_disk_without_room_leaves_everything_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = _layers()
    place = layers[0].weight.data_ptr()
    monkeypatch.setattr(module, "MOST_OF_DISK", 0.0)
    assert set_aside([layers], tmp_path) == [] and layers[0].weight.data_ptr() == place
    monkeypatch.undo()
    assert set_aside([layers], tmp_path / "nowhere") == [] and layers[0].weight.data_ptr() == place
    let_go(layers[0].weight)  # does nothing


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads resident memory where Linux tells it")
def test_the_memory_goes(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
import torch
from torch import nn
from pipelines.set_aside import let_go, set_aside
def resident(): return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20
layer = nn.Linear(4096, 4096).requires_grad_(False)
full = resident()
set_aside([layer], Path({str(tmp_path)!r}))
total = layer.weight.sum()
print(full - resident())
let_go(layer.weight)
print(full - resident())
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert abs(float(printed[0])) < 8 and float(printed[1]) > 56  # 64 MB of weights
