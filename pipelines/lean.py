"""Loads transformers and diffusers without what they import only because it lies there: scipy, torch's compiler with sympy, torch's tensors spread over many machines
(together 180 MB, 1.7 s); without the garbage collector, which would look through their 650,000 objects again and again; and keeps PyTorch's bridge to oneDNN from
keeping something for every shape that it meets.

In: nothing. Out: both libraries imported. From then on they take scipy for absent (diffusers' beta sigmas would say so) and this process for one that works alone;
everyone else may import scipy, and `torch.compile` works as ever.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeVar

# How many of a kind of operation the bridge (ideep) keeps ready, each with what it reordered for its shape; 1,024 if not told. 30 photos of eight shapes: a training
# peaks at 1,230 MB instead of 1,580 after 12 steps, a step takes as long (oneDNN keeps its own kernels).
OPERATIONS_KEPT = "16"
COMPILER = "torch._dynamo"
SHAPES = "torch.fx.experimental.symbolic_shapes"  # brings sympy
WRAPPER = "torch._dynamo._trace_wrapped_higher_order_op"  # all of the compiler that transformers cannot be imported without: one class for rare masks
M_ARENA_MAX = -8  # glibc's malloc.h
Result = TypeVar("Result")


def load_libraries() -> None:
    """To be called before anything else imports them; without effect afterwards.

    What they made is never garbage, so the collector is told to leave it alone for good: importing takes 3.1 instead of 4.1 s, the end of the process 0.2
    instead of 1.2 s.
    """
    if "transformers" in sys.modules or "scipy" in sys.modules:
        return
    gc.disable()
    os.environ.setdefault("LRU_CACHE_CAPACITY", OPERATIONS_KEPT)
    _of_glibc(
        "mallopt", M_ARENA_MAX, 1
    )  # one heap for all threads, or what one of them gave back the others could not take: 25 MB of a training
    try:
        with _absent("scipy"), _alone():
            plainly(_load)
    finally:
        gc.freeze()
        gc.enable()


def plainly(work: Callable[[], Result]) -> Result:
    """What the work returns, done without the compiler if it can be; its own errors are those of doing it as ever."""
    try:
        with uncompiled():
            return work()
    except Exception:  # a version of a library that cannot do without, or a fault that shows again
        return work()


@contextmanager
def uncompiled() -> Iterator[None]:
    """Around what imports the compiler only to tell it to stay out, as torch's own optimizers do at every step. What is loaded already stays."""
    import torch  # noqa: F401  # which must not meet the stand-ins while it is loaded itself

    stand_ins = {COMPILER: _StandIn(COMPILER), WRAPPER: _Late(WRAPPER), SHAPES: _StandIn(SHAPES)}
    mine = {name: module for name, module in stand_ins.items() if name not in sys.modules}
    sys.modules.update(mine)
    try:
        yield
    finally:
        for name, module in mine.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def give_memory_back() -> None:
    """To the system, what was used for a while and lies about in pieces."""
    _of_glibc("malloc_trim", 0)


def _of_glibc(name: str, *arguments: int) -> None:
    """Nothing where the system's library is another."""
    try:
        getattr(ctypes.CDLL(None), name)(*arguments)
    except (AttributeError, OSError, TypeError):
        return


def _load() -> None:
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel  # noqa: F401
    from diffusers.training_utils import EMAModel  # noqa: F401
    from transformers import CLIPTextModel, CLIPTokenizer  # noqa: F401


class _StandIn(ModuleType):
    """Where nothing is compiled, everything may stay as it is: each name is a decorator, and a call, that gives back what it is given."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda what=None, *_, **__: (lambda decorated: decorated) if what is None else what


class _Late(ModuleType):
    """Gives each of the real module's classes as a function that makes one, and loads the module then."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: getattr(importlib.import_module(WRAPPER), name)(*args, **kwargs)


@contextmanager
def _absent(name: str) -> Iterator[None]:
    """Inside the block an import of that name finds that it is not there."""
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


@contextmanager
def _alone() -> Iterator[None]:
    """Unless a launcher said that this process is one of several."""
    if "WORLD_SIZE" in os.environ:
        yield
        return
    import torch.distributed

    told = torch.distributed.is_available
    torch.distributed.is_available = lambda: False
    try:
        yield
    finally:
        torch.distributed.is_available = told
