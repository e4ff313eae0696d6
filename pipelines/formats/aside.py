"""A base without anything attached, for a while: every adapter layer is taken out and put back as it was.

In: a `Base`. Out: a context. Unlike adapter.bare(), module names and state-dict keys are the plain model's too, so that a foreign loader can work on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from pipelines.adapter import components
from pipelines.families.base import Base

MARKS = ("peft_config", "_hf_peft_config_loaded")  # what PEFT, diffusers and transformers leave on a model


@contextmanager
def set_aside(base: Base) -> Iterator[None]:
    """Plain modules inside; afterwards the very same adapter layers as before, and no others."""
    taken = [(module, _take_out(module), _marks(module)) for module in components(base).values()]
    for module, _, _ in taken:
        _restore_marks(module, {})
    try:
        yield
    finally:
        for module, layers, marks in taken:
            _take_out(module)
            for path, layer in layers:
                _place(module, path, layer)
            _restore_marks(module, marks)


def _take_out(module: nn.Module) -> list[tuple[str, BaseTunerLayer]]:
    layers = [(path, layer) for path, layer in module.named_modules() if isinstance(layer, BaseTunerLayer)]
    for path, layer in layers:
        _place(module, path, layer.get_base_layer())
    return layers


def _place(module: nn.Module, path: str, layer: Any) -> None:
    parent, _, leaf = path.rpartition(".")
    setattr(module.get_submodule(parent), leaf, layer)


def _marks(module: nn.Module) -> dict[str, Any]:
    return {name: module.__dict__[name] for name in MARKS if name in module.__dict__}


def _restore_marks(module: nn.Module, marks: dict[str, Any]) -> None:
    for name in MARKS:
        module.__dict__.pop(name, None)
    module.__dict__.update(marks)
