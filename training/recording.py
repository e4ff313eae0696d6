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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, Node
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from pipelines.lean import uncompiled

logger = logging.getLogger(__name__)
Results = Sequence[Tensor | None]
Work = Callable[..., Results]
Place = tuple[int, int, tuple[int, ...], tuple[int, ...], torch.dtype]
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
        kind = tuple(None if one is None else (one.shape, one.stride(), one.dtype) for one in inputs)
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
            self.is_sure = _agree(results, self.replay(*inputs))
            if not self.is_sure:
                logger.warning("a recorded step gave other numbers and is not used")
                self.replay = None
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


class _Recorder(TorchDispatchMode):
    """Sees what runs inside its block. Keeps no tensor that the work itself lets go of."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()
        self.graph = Graph()
        self.constants: dict[str, Tensor] = {}
        self.places: dict[Place, Node] = {}
        self.firsts: dict[int, Node | None] = {}  # by storage: the first tensor that stood in it; None in those that were there before
        self.storages: list[StorageWeakRef] = []  # so that no address is given away twice; the memory itself may go
        self.writes: dict[Any, bool] = {}
        self.failure = ""
        for number, one in enumerate(inputs):
            self._stands(one, self.graph.placeholder(f"input{number}"))

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not self.failure:
            try:
                self._note(func, args, kwargs or {}, result)
            except _Unrecordable as error:
                self.failure = str(error)
        return result

    def function(self, results: Results) -> Work:
        """All that was seen, as one function. Raises _Unrecordable."""
        if self.failure:
            raise _Unrecordable(self.failure)
        self.graph.output([None if one is None else self._node(one) for one in results])
        self.graph.eliminate_dead_code()
        code = self.graph.python_code("self")
        space = dict(code.globals)
        exec(compile(code.src, "<recorded>", "exec"), space)
        replay = partial(space["forward"], SimpleNamespace(**self.constants))

        def again(*inputs: Tensor | None) -> Results:
            with _below_autograd():
                return replay(*(one for one in inputs if one is not None))

        return again

    def _note(self, func: Any, args: tuple, kwargs: dict[str, Any], result: Any) -> None:
        if func not in self.writes:
            if func in LOOKS_AT_A_VALUE:
                raise _Unrecordable(f"{func} looks at a value")
            self.writes[func] = func._schema.is_mutable
        given = [one for one in (*_tensors(args), *_tensors(kwargs.values())) if one.layout == torch.strided]
        made = list(_tensors((result,)))
        if not self.writes[func] and made and self._are_views(made, given):
            return
        node = self.graph.call_function(func, tuple(map(self._nodes, args)), {name: self._nodes(one) for name, one in kwargs.items()})
        if isinstance(result, Tensor):
            self._stands(result, node)
        elif isinstance(result, tuple | list):
            for number, one in enumerate(result):
                if isinstance(one, Tensor):
                    self._stands(one, self.graph.call_function(_item, (node, number)))

    def _are_views(self, made: list[Tensor], given: list[Tensor]) -> bool:
        """True where nothing was computed: the tensors stand in storages that were given."""
        storages = {one.untyped_storage()._cdata: one for one in given}
        if not all(one.layout == torch.strided and one.untyped_storage()._cdata in storages for one in made):
            return False
        for one in made:
            source = storages[one.untyped_storage()._cdata]
            if one.dtype != source.dtype:
                raise _Unrecordable("a view in another number format")
            self._first(source)
        return True

    def _first(self, tensor: Tensor) -> Node | None:
        """The first tensor of the storage, None if that was there before the work; a storage not met yet was."""
        key = tensor.untyped_storage()._cdata
        if key not in self.firsts:
            self._keep(tensor, None)
        return self.firsts[key]

    def _keep(self, tensor: Tensor, first: Node | None) -> None:
        storage = tensor.untyped_storage()
        self.firsts[storage._cdata] = first
        self.storages.append(StorageWeakRef(storage))

    def _stands(self, tensor: Tensor, node: Node) -> None:
        """An operation gave this tensor."""
        if tensor.layout != torch.strided:
            raise _Unrecordable(f"a tensor of layout {tensor.layout} is made")
        if tensor.untyped_storage()._cdata not in self.firsts:
            self._keep(tensor, node)
        if self.firsts[tensor.untyped_storage()._cdata] is not None:  # else it was written into a constant, which has its name
            self.places[_place(tensor)] = node

    def _node(self, tensor: Tensor) -> Node:
        """How a tensor is called."""
        if tensor.layout != torch.strided:
            return self._constant(tensor, str(id(tensor)))
        first, place = self._first(tensor), _place(tensor)
        if first is None:
            return self._constant(tensor, "_".join(map(str, (place[0], place[1], *place[2], "of", *place[3]))))
        if place not in self.places:
            self.places[place] = self.graph.call_function(torch.as_strided, (first, place[2], place[3], place[1]))
        return self.places[place]

    def _constant(self, tensor: Tensor, name: str) -> Node:
        self.constants.setdefault(f"constant_{name}", tensor.detach())
        return self.graph.get_attr(f"constant_{name}")

    def _nodes(self, one: Any) -> Any:
        if isinstance(one, Tensor):
            return self._node(one)
        return [self._nodes(part) for part in one] if isinstance(one, list | tuple) else one


def _item(results: Sequence[Tensor], number: int) -> Tensor:
    return results[number]


def _place(tensor: Tensor) -> Place:
    return tensor.untyped_storage()._cdata, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype


def _tensors(ones: Any) -> Iterator[Tensor]:
    for one in ones:
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, list | tuple):
            yield from _tensors(one)


def _agree(one: Results, other: Results) -> bool:
    return all(a is b if a is None or b is None else torch.equal(a, b) for a, b in zip(one, other, strict=True))


@contextmanager
def _below_autograd() -> Iterator[None]:
    """Operations go straight to their kernels."""
    with torch.no_grad(), torch._C._AutoDispatchBelowAutograd():
        yield
