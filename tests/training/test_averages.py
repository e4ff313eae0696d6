"""Averaged weights stand in for the live ones, and leave them as they were."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.averages import Averages


def test_the_mean_stands_in_and_goes_again_even_after_an_error():
    weight = nn.Parameter(torch.zeros(3))
    averages = Averages([weight], decay=0.5)
    for value in (1.0, 2.0, 3.0):
        weight.data.fill_(value)
        averages.step()
    with pytest.raises(KeyError), averages.in_place():
        assert 0 < weight[0] < 3
        raise KeyError
    assert torch.equal(weight, torch.full((3,), 3.0))


def test_a_checkpoint_brings_the_mean_back():
    weight = nn.Parameter(torch.zeros(3))
    averages = Averages([weight], decay=0.9)
    for value in (1.0, 5.0):
        weight.data.fill_(value)
        averages.step()
    other = Averages([weight], decay=0.9)
    other.load_state_dict(averages.state_dict(), torch.device("cpu"))
    with averages.in_place():
        wanted = weight.detach().clone()
    with other.in_place():
        assert torch.equal(weight, wanted) and weight[0] != 5


def test_without_a_decay_nothing_is_kept():
    weight = nn.Parameter(torch.ones(3))
    averages = Averages([weight], decay=0.0)
    averages.step()
    with averages.in_place():
        assert torch.equal(weight, torch.ones(3))
    assert averages.state_dict() == {}
