"""Tiny bases with an adapter that has learnt something, for tests of the trainer's quick ways."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from pipelines import adapter as adapters
from pipelines.families.base import Base, load_base


@pytest.fixture(scope="module", params=["tiny_sd1", "tiny_sd2", "tiny_sdxl", "tiny_starter"])
def each_base(request: pytest.FixtureRequest) -> Base:
    """Each tiny base in turn, loaded once for a module."""
    return load_base(str(request.getfixturevalue(request.param)))


@pytest.fixture
def adapted(each_base: Base, request: pytest.FixtureRequest) -> Iterator[tuple[Base, list[nn.Parameter]]]:
    """A base with an adapter of the settings that the test names, moved away from where it began; and its parameters."""
    parameters = adapters.create(each_base, request.param, seed=1)
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())), alpha=0.05)
    yield each_base, parameters
    adapters.detach(each_base)
