"""Work on tensors, recorded once and then run again as a flat list of operations: no modules, no autograd, little Python between them.

In: a function of tensors that computes the same operations at every call, its backward pass among them. Out: the same results, to the bit, in less time: a training step of
a narrow base is some thousands of small operations, and what stands between them takes a sixth of it.

How: a dispatch mode sees every operation that runs. A tensor is known by its place (storage, offset, shape, strides), so that views need not be run: whoever uses one takes it from the
storage's first tensor. Tensors that were there before and are no input are constants; what others write into them in between (an optimizer into weights) is seen. Numbers and shapes are taken
as they were. Work that draws random numbers or looks at a tensor's value is not recorded. Nothing is believed: a recording is used only after it gave, for other
inputs, every bit that the function itself gave.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from pipelines.lean import uncompiled

logger = logging.getLogger(__name__)
Results = Sequence[Tensor | None]
Work = Callable[..., Results]
Place = tuple[int, int, tuple[int, ...], tuple[int, ...], torch.dtype]
PART = 100  # lines that are compiled together: all of a step at once takes 10 MB that never come back
LOOKS_AT_A_VALUE = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default, torch.ops.aten.is_nonzero.default}


class Recorded:
    """`work`, for one kind of inputs: as it is at the first call, which makes much that later ones find; recorded at the second; compared at the third."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.calls = 0
        self.kind: tuple = ()
        self.replay: Work | None = None
        self.is_sure = False

    def __call__(self, *inputs: Tensor | None) -> Results:
        """What `work` returns for these inputs."""
        kind = tuple(None if one is None else (one.shape, one.stride(), one.storage_offset(), one.dtype) for one in inputs)
        self.kind = self.kind or kind
        if kind != self.kind:
            return self.work(*inputs)
        if self.is_sure and self.replay is not None:
            return self.replay(*inputs)
        self.calls += 1
        if self.calls == 2:
            results, self.replay = record(self.work, inputs)
            return results
        results = self.work(*inputs)
        if self.replay is not None:
            self.is_sure = _gives(self.replay, inputs, results)
            self.replay = self.replay if self.is_sure else None
        return results


def record(work: Work, inputs: Results) -> tuple[Results, Work | None]:
    """What the work returns, and a function that returns it for other inputs of this kind; None where there can be none."""
    recorder, chance = _Recorder([one for one in inputs if one is not None]), torch.get_rng_state()
    with uncompiled(), recorder:
        results = work(*inputs)
    try:
        if not torch.equal(chance, torch.get_rng_state()):
            raise _Unrecordable("it draws random numbers")
        return results, recorder.function(results)
    except _Unrecordable as error:
        logger.info("a step is not recorded: %s", error)
        return results, None


class _Unrecordable(Exception):
    """Why."""


class _Line(NamedTuple):
    """One operation, as Python. made, used: names of tensors, each a place in the list v."""

    made: tuple[str, ...]
    does: str
    used: tuple[str, ...]
    writes: bool


class _Recorder(TorchDispatchMode):
    """Sees what runs inside its block. Keeps no tensor that the work itself lets go of."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()
        self.lines: list[_Line] = []
        self.constants: dict[str, Any] = {}
        self.called: dict[Any, str] = {}  # constants that are no tensors, operations among them
        self.places: dict[Place, str] = {}
        self.firsts: dict[int, str] = {}  # by storage: the first tensor that stood in it; empty in those that were there before
        self.storages: list[StorageWeakRef] = []  # so that no address is given away twice; the memory itself may go
        self.writes: dict[Any, bool] = {}
        self.failure = ""
        self.length = 0  # of v
        for one in inputs:
            if one.untyped_storage()._cdata in self.firsts:
                self.failure = "two inputs share their memory"
            self._stands(one, self._fresh())

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not self.failure:
            try:
                self._note(func, args, kwargs or {}, result)
            except Exception as error:  # the work itself must go on, whatever is met here for the first time
                self.failure = str(error)
        return result

    def function(self, results: Results) -> Work:
        """All that was seen, as one function. Raises _Unrecordable."""
        if self.failure:
            raise _Unrecordable(self.failure)
        given = ["None" if one is None else self._name(one, []) for one in results]
        space, length = self.constants, self.length
        *parts, last = [_compiled(text, space) for text in _sources(self.lines, given)]

        def again(*inputs: Tensor | None) -> Results:
            v = [one for one in inputs if one is not None]
            v += [None] * (length - len(v))
            with _below_autograd():
                for part in parts:
                    part(v)
            return last(v)

        return again

    def _note(self, func: Any, args: tuple, kwargs: dict[str, Any], result: Any) -> None:
        if func not in self.writes:
            if func in LOOKS_AT_A_VALUE:
                raise _Unrecordable(f"{func} looks at a value")
            self.writes[func] = func._schema.is_mutable
        made = list(_tensors([result]))
        if not made and result is not None:
            raise _Unrecordable(f"{func} gives no tensor")
        if not self.writes[func] and self._are_views(made, (*args, *kwargs.values())):
            return
        used: list[str] = []
        told = [self._text(one, used) for one in args] + [f"{name}={self._text(one, used)}" for name, one in kwargs.items()]
        does = f"{self._called(func)}({', '.join(told)})"
        if isinstance(result, Tensor):
            names: tuple[str, ...] = (self._stands(result, self._fresh()),)
        elif isinstance(result, tuple | list):
            names = tuple(self._stands(one, self._fresh()) if isinstance(one, Tensor) else "_" for one in result)
            does += "[0]" if len(names) == 1 else ""
        else:
            names = ()
        self.lines.append(_Line(names, does, tuple(used), self.writes[func]))

    def _are_views(self, made: list[Tensor], given: Iterable[Any]) -> bool:
        """True where nothing was computed: the tensors stand in storages that were given."""
        storages = {one.untyped_storage()._cdata: one for one in _tensors(given) if one.layout == torch.strided}
        if not all(one.layout == torch.strided and one.untyped_storage()._cdata in storages for one in made):
            return False
        for one in made:
            source = storages[one.untyped_storage()._cdata]
            if one.dtype != source.dtype:
                raise _Unrecordable("a view in another number format")
            self._first(source)
        return bool(made)

    def _first(self, tensor: Tensor) -> str:
        """The first tensor of the storage, none if that was there before the work; a storage not met yet was."""
        key = tensor.untyped_storage()._cdata
        if key not in self.firsts:
            self._keep(tensor, "")
        return self.firsts[key]

    def _keep(self, tensor: Tensor, first: str) -> None:
        storage = tensor.untyped_storage()
        self.firsts[storage._cdata] = first
        self.storages.append(StorageWeakRef(storage))

    def _stands(self, tensor: Tensor, name: str) -> str:
        """An operation gave this tensor. Returns its name."""
        if tensor.layout != torch.strided:
            raise _Unrecordable(f"a tensor of layout {tensor.layout} is made")
        if tensor.untyped_storage()._cdata not in self.firsts:
            self._keep(tensor, name)
        if self.firsts[tensor.untyped_storage()._cdata]:  # else it was written into a constant, which has its name
            self.places[_place(tensor)] = name
        return name

    def _name(self, tensor: Tensor, used: list[str]) -> str:
        """How a tensor is called, noted among what is used."""
        if tensor.layout != torch.strided:
            return self._constant(tensor, id(tensor))
        first, place = self._first(tensor), _place(tensor)
        if not first:
            return self._constant(tensor.detach(), place)
        if place not in self.places:
            name = self.places[place] = self._fresh()
            self.lines.append(
                _Line((name,), f"{self._called(torch.as_strided)}({first}, {place[2]}, {place[3]}, {place[1]})", (first,), False)
            )
        used.append(self.places[place])
        return self.places[place]

    def _fresh(self) -> str:
        self.length += 1
        return f"v[{self.length - 1}]"

    def _called(self, one: Any) -> str:
        """A constant that is no tensor. Of an operation what it calls itself: a call of Python less, 2 ms of a step."""
        return self._constant(getattr(one, "_op", one), one)

    def _constant(self, one: Any, key: Any) -> str:
        if key not in self.called:
            self.called[key] = f"known{len(self.called)}"
            self.constants[self.called[key]] = one
        return self.called[key]

    def _text(self, one: Any, used: list[str]) -> str:
        """An argument, as Python."""
        if isinstance(one, Tensor):
            return self._name(one, used)
        if isinstance(one, list | tuple):
            return f"[{', '.join(self._text(part, used) for part in one)}]"
        is_plain = one is None or isinstance(one, bool | int | str) or (isinstance(one, float) and math.isfinite(one))
        return repr(one) if is_plain else self._called(one)


def _sources(lines: Sequence[_Line], given: Sequence[str]) -> list[str]:
    """Functions of the list v: the lines that somebody needs, each tensor let go of after its last use; and at the end one that returns what is given."""
    needed = set(given)
    text: list[str] = []
    for line in reversed(lines):
        if not line.writes and needed.isdisjoint(line.made):
            continue
        last = [name for name in dict.fromkeys((*line.used, *line.made)) if name not in needed]
        needed.update(line.used)
        does = f"{', '.join(line.made)} = {line.does}" if line.made else line.does
        text.append(f"    {does}\n    {' = '.join(last)} = None" if last else f"    {does}")
    text.reverse()
    parts = [text[start : start + PART] for start in range(0, len(text), PART)]
    return ["\n".join(["def part(v):", *part]) for part in parts] + [f"def part(v):\n    return [{', '.join(given)}]"]


def _compiled(text: str, space: dict[str, Any]) -> Callable:
    exec(compile(text, "<recorded>", "exec"), space)
    return space.pop("part")


def _place(tensor: Tensor) -> Place:
    return tensor.untyped_storage()._cdata, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype


def _tensors(ones: Any) -> Iterator[Tensor]:
    for one in ones:
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, list | tuple):
            yield from _tensors(one)


def _gives(replay: Work, inputs: Results, expected: Results) -> bool:
    """True where the replay gives every expected bit. What it raises is no reason to end a training that goes on without it."""
    try:
        given = replay(*inputs)
    except Exception as error:
        logger.warning("a recorded step cannot be run: %s", error)
        return False
    agrees = all(a is b if a is None or b is None else torch.equal(a, b) for a, b in zip(expected, given, strict=True))
    if not agrees:
        logger.warning("a recorded step gave other numbers and is not used")
    return agrees


@contextmanager
def _below_autograd() -> Iterator[None]:
    """Operations go straight to their kernels."""
    with torch.no_grad(), torch._C._AutoDispatchBelowAutograd():
        yield
