"""The optimizer: orthogonal updates, and that it learns."""

from __future__ import annotations

import pytest
import torch

from training.starter.muon import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(8, 32), (32, 8), (16, 16)])
def test_singular_values_come_near_one(shape):
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
    assert values.min() > 0.3 and values.max() < 1.4


def test_update_does_not_depend_on_the_gradients_size():
    gradient = torch.randn(8, 24, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(orthogonalise(gradient), orthogonalise(gradient * 1000), atol=0.05)


def test_matrix_update_has_the_size_of_adamw_steps():
    weight = torch.nn.Parameter(torch.zeros(16, 3, 3, 3))
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    Muon([weight], lr=1e-2).step()
    assert 0.1e-2 < weight.detach().square().mean().sqrt() < 0.3e-2


def test_a_small_network_learns():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))
    inputs = torch.randn(64, 4)
    wanted = inputs[:, :1] * inputs[:, 1:2]
    optimizer, losses = Muon(network.parameters(), lr=1e-2), []
    for _ in range(150):
        optimizer.zero_grad()
        loss = (network(inputs) - wanted).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_state_survives_saving():
    def steps(optimizer: Muon, weight: torch.nn.Parameter, seeds: range) -> None:
        for seed in seeds:
            weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
            optimizer.step()

    whole, halves = torch.nn.Parameter(torch.ones(4, 6)), torch.nn.Parameter(torch.ones(4, 6))
    steps(Muon([whole], lr=1e-2), whole, range(4))
    first = Muon([halves], lr=1e-2)
    steps(first, halves, range(2))
    second = Muon([halves], lr=1e-2)
    second.load_state_dict(first.state_dict())
    steps(second, halves, range(2, 4))
    assert torch.equal(whole, halves)
