"""The adapter's averaged weights (exponential moving average), where the settings ask for them.

In: parameters and a decay. Out: the average in their place for as long as a `with` lasts. Without a decay nothing is kept and nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from torch import nn


class Averages:
    """The running mean of `parameters`. decay: 0 to 1; 0 keeps none."""

    def __init__(self, parameters: Sequence[nn.Parameter], *, decay: float) -> None:
        self.parameters = parameters
        self.kept = EMAModel(parameters, decay=decay) if decay else None

    def step(self) -> None:
        """Take the parameters' newest values in."""
        if self.kept:
            self.kept.step(self.parameters)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The averaged weights in place of the live ones."""
        if self.kept is None:
            yield
            return
        self.kept.store(self.parameters)
        self.kept.copy_to(self.parameters)
        try:
            yield
        finally:
            self.kept.restore(self.parameters)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps; empty where there is no average."""
        return self.kept.state_dict() if self.kept else {}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on from a checkpoint."""
        if self.kept:
            self.kept.load_state_dict(state)
            self.kept.to(device)
