"""Runs whole training processes in turn and reduces what was seen to medians and ratios.

In: commands that start timed_process.py. Out: `Seen` per run, `Medians` per way, a table. Wall seconds are what a user waits; CPU seconds (user and system) are
printed beside them because they say more on a machine that does other work. Knows nothing of any particular peer.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

TIMED = Path(__file__).with_name("timed_process.py")
WARM_UP_STEPS = 5


@dataclass(frozen=True)
class Medians:
    """Of one way of training, or of one run. held_out: loss on pictures that nobody trained on; NaN where it was not measured."""

    wall_seconds: float
    cpu_seconds: float
    step_wall_seconds: float
    step_cpu_seconds: float
    peak_bytes: float
    gpu_peak_bytes: float
    held_out: float = float("nan")


def run_timed(python: str, arguments: Sequence[str], *, record: Path, log: Path, environment: Mapping[str, str]) -> Medians:
    """Start one process, wait, and read its record. Raises RuntimeError with the log's end when it fails."""
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, str(TIMED), str(record), *arguments], stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments[:2])} ended with {process.returncode}:\n" + log.read_text(errors="replace")[-3000:])
    seen = json.loads(record.read_text())
    steps = [(later[0] - sooner[0], later[1] - sooner[1]) for sooner, later in zip(seen["ended"], seen["ended"][1:], strict=False)]
    warm = steps[WARM_UP_STEPS:] or steps
    return Medians(
        wall, usage.ru_utime + usage.ru_stime, statistics.median(step[0] for step in warm), statistics.median(step[1] for step in warm),
        seen["peak_bytes"], seen["gpu_peak_bytes"],
    )  # fmt: skip


def take_turns(ways: Mapping[str, Callable[[int], Medians]], *, rounds: int) -> dict[str, Medians]:
    """Medians over rounds; in each round every way runs once. A way gets the number of its round."""
    seen: dict[str, list[Medians]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, run in ways.items():
            seen[name].append(run(number))
            print(f"round {number + 1} {name}: {json.dumps(asdict(seen[name][-1]))}", file=sys.stderr, flush=True)
    return {name: median_of(runs) for name, runs in seen.items()}


def median_of(runs: Sequence[Medians]) -> Medians:
    return Medians(**{field.name: statistics.median(getattr(run, field.name) for run in runs) for field in fields(Medians)})


def report(medians: Mapping[str, Medians], *, ours: str = "ours") -> str:
    """A Markdown table, the figures of each way and how they compare with ours (above 1: ours is faster or smaller)."""
    lines = ["| | " + " | ".join(medians) + " | " + " | ".join(f"{name} / {ours}" for name in medians if name != ours) + " |"]
    lines.append("| --- |" + " ---: |" * (2 * len(medians) - 1))
    for field in fields(Medians):
        values = {name: getattr(one, field.name) for name, one in medians.items()}
        ratios = [f"{value / values[ours]:.2f}" if values[ours] else "-" for name, value in values.items() if name != ours]
        lines.append(f"| {field.name} | " + " | ".join(f"{value:.4g}" for value in values.values()) + " | " + " | ".join(ratios) + " |")
    return "\n".join(lines)
