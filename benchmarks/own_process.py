"""Runs one function in a fresh process, so that its peak of memory is its own, and measures what its parts cost.

In: a picklable function that returns costs. Out: those costs, or their medians over several runs.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """cpu_seconds: user and system, threads and finished child processes included. peak_bytes: of the process up to now."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: float


def measured(work: Callable[[], Result]) -> tuple[Result, Cost]:
    """What the work returns, and what it cost."""
    began = time.perf_counter(), _cpu_seconds()
    result = work()
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return result, Cost(time.perf_counter() - began[0], _cpu_seconds() - began[1], peak)


def in_own_process(work: Callable[[], Result]) -> Result:
    """The work's result, from a process that is started for it and ends with it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work).result()


def median_costs(runs: Sequence[Sequence[Cost]]) -> list[Cost]:
    """Part by part over runs."""
    return [
        Cost(*(statistics.median(getattr(cost, name) for cost in part) for name in ("wall_seconds", "cpu_seconds", "peak_bytes")))
        for part in zip(*runs, strict=True)
    ]


def _cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
