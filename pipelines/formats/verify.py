"""Proof that a written file does what the adapter in memory does: load it back through diffusers and compare every module and a drawing.

In: the base, the adapter, a file. Out: named checks with numbers and bounds. Raises ExportError where the file does not load at all;
whether a failed check is fatal is for export.py to say. The base comes back as it was.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor

from pipelines.adapter import Adapter, Factor, attach, components, detach, factors
from pipelines.errors import ExportError
from pipelines.families.base import Base, load_base
from pipelines.families.quiet import quiet
from pipelines.formats.aside import set_aside
from pipelines.formats.diffusers import to_diffusers
from pipelines.formats.drawing import distance, draw_latents
from pipelines.formats.factors import dtype_of, evened
from pipelines.formats.merged import merged_weights
from pipelines.formats.paths import without_level

NAME = "brandprint_check"
DELTA_BOUND = {
    "fp32": 1e-5,
    "fp16": 1e-3,
    "bf16": 8e-3,
}  # |difference| / |delta| of a module; rounding both factors gives 3.2e-4 in fp16 and 2.4e-3 in bf16 (random factors, worst of 200)
STEADINESS = {torch.float32: 1e-4, torch.float16: 2e-3, torch.bfloat16: 2e-2}  # how exactly a base of this dtype repeats a drawing
MERGED_STEADINESS = {"fp32": 1e-4, "fp16": 1e-2, "bf16": 8e-2}  # the same after all its weights were rounded to a precision
SHARE_OF_EFFECT = 0.05  # a drawing may differ by this much of what the adapter changes in it
ROOM = 4.0  # and, where an overgrown adapter amplifies rounding, by this many times what rounding does in memory


@dataclass(frozen=True)
class Check:
    """One comparison. value: what was measured; bound: the most that is allowed."""

    name: str
    value: float
    bound: float

    @property
    def passed(self) -> bool:
        """NaN never passes."""
        return self.value <= self.bound

    def __str__(self) -> str:
        return f"{self.name} {self.value:.2g} (at most {self.bound:.2g})"


@dataclass(frozen=True)
class Reference:
    """What the adapter in memory does at `strength`: the drawing without it and with it, same prompt and seed."""

    prompt: str
    seed: int
    strength: float
    plain: Tensor
    adapted: Tensor

    @property
    def change(self) -> float:
        """How much the adapter changes the drawing, relative."""
        return distance(self.plain, self.adapted)


def draw_reference(base: Base, adapter: Adapter, *, prompt: str, seed: int, strength: float = 1.0) -> Reference:
    """Draw without and with the adapter. Raises AdapterError if it does not fit."""
    with set_aside(base):
        plain = draw_latents(base, prompt, seed=seed)
        attach(base, adapter, name=NAME, strength=strength)
        try:
            return Reference(prompt, seed, strength, plain, draw_latents(base, prompt, seed=seed))
        finally:
            detach(base, NAME)


def check_lora(base: Base, adapter: Adapter, path: Path, *, precision: str, reference: Reference) -> tuple[Check, ...]:
    """Load the file through diffusers onto the base: keys that found no place, the largest difference of a delta, the drawing."""
    with set_aside(base), _loaded(base, path):
        unplaced, largest = compare(base, adapter)
        drawn = draw_latents(base, reference.prompt, seed=reference.seed)
    drawing = _drawing_check(reference, drawn, STEADINESS[base.dtype])
    if not drawing.passed and precision != "fp32":
        drawing = replace(drawing, bound=drawing.bound + ROOM * _rounding_in_memory(base, adapter, reference, precision))
    rounding = 0.0 if base.dtype == torch.float32 else DELTA_BOUND["bf16" if base.dtype == torch.bfloat16 else "fp16"]
    return (
        Check("unmatched modules", len(unplaced), 0),
        Check("largest delta difference", largest, max(DELTA_BOUND[precision], 1.5 * _rounding_of_deltas(adapter, precision)) + rounding),
        drawing,
    )


def _rounding_of_deltas(adapter: Adapter, precision: str) -> float:
    """The largest |difference| / |delta| that rounding the factors makes by itself: more than usual where a module's ranks nearly cancel each other."""
    largest = 0.0
    for share in factors(adapter):
        down, up = (part.to(dtype_of(precision)).float() for part in evened(share.down, share.up, precision=precision))
        exact, rounded = share.delta(), replace(share, down=down, up=up).delta()
        if size := float(exact.norm()):
            largest = max(largest, float((rounded - exact).norm()) / size)
    return largest


def check_merged(base: Base, adapter: Adapter, folder: Path, *, precision: str, reference: Reference) -> tuple[Check, ...]:
    """Load the pipeline as a base: adapted weights that are not exactly what they should be, and the drawing."""
    with quiet():
        loaded = load_base(str(folder), device=base.device, dtype=base.dtype)
    wrong = 0
    with set_aside(base):
        for component in components(base):
            wanted = merged_weights(base, adapter, component, strength=reference.strength, dtype=dtype_of(precision))
            there = components(loaded)[component].state_dict()
            wrong += sum(not torch.equal(there[name], weight.to(there[name].dtype)) for name, weight in wanted.items())
    drawn = draw_latents(loaded, reference.prompt, seed=reference.seed)
    return Check("wrong weights", wrong, 0), _drawing_check(reference, drawn, max(MERGED_STEADINESS[precision], STEADINESS[base.dtype]))


def compare(base: Base, adapter: Adapter, *, name: str = NAME) -> tuple[tuple[str, ...], float]:
    """Modules that only one side has, and the largest |difference| / |delta| over the others."""
    applied = {(component, without_level(path)): layer for component, path, layer in _layers(base, name)}
    wanted = {(share.component, without_level(share.path)): share for share in factors(adapter)}
    strange = applied.keys() - wanted.keys()
    unplaced = sorted(
        ".".join(key) for key in (wanted.keys() - applied.keys()) | {key for key in strange if _delta(applied[key], name).any()}
    )
    shared = wanted.keys() & applied.keys()
    return tuple(unplaced), max((_difference(wanted[key].delta(), _delta(applied[key], name)) for key in shared), default=0.0)


def _difference(wanted: Tensor, applied: Tensor) -> float:
    difference, size = (applied - wanted).norm().item(), wanted.norm().item()
    if size == 0.0:
        return 0.0 if difference == 0.0 else float("inf")
    return difference / size


def _delta(layer: LoraLayer, name: str) -> Tensor:
    down, up = (part[name].weight.detach().float().cpu() for part in (layer.lora_A, layer.lora_B))
    return Factor("", "", down, up, layer.scaling[name]).delta()


def _layers(base: Base, name: str) -> Iterator[tuple[str, str, LoraLayer]]:
    for component, module in components(base).items():
        for path, layer in module.named_modules():
            if isinstance(layer, LoraLayer) and name in layer.lora_A:
                yield component, path, layer


def _drawing_check(reference: Reference, drawn: Tensor, steadiness: float) -> Check:
    return Check(
        "drawing difference",
        distance(reference.adapted, drawn),
        steadiness + SHARE_OF_EFFECT * distance(reference.adapted, reference.plain),
    )


def _rounding_in_memory(base: Base, adapter: Adapter, reference: Reference, precision: str) -> float:
    """How far the drawing moves when the adapter's own numbers are rounded to the precision, with no file in between."""
    rounded = Adapter(
        to_diffusers(adapter, base, precision=precision), adapter.settings.model_copy(update={"kind": "lora", "alpha": None}), adapter.card
    )
    again = draw_reference(base, rounded, prompt=reference.prompt, seed=reference.seed)
    return distance(reference.adapted, again.adapted)


@contextmanager
def _loaded(base: Base, path: Path) -> Iterator[None]:
    """The file on the base as any diffusers user would load it; transformers' report of "missing" base weights is a false alarm and stays silent."""
    pipe = base.pipeline()
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pipe.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name=NAME)
        except Exception as error:  # a foreign loader: whatever it raises, the file is not what it should be
            raise ExportError(
                f"{path.name} does not load in diffusers: {error}", fix="Report this; export another format meanwhile."
            ) from error
        yield
