"""Are the plan's forecasts right? Six plans, each forecast in one process from a short run's steps and run in another; time and peak memory of both.

    python benchmarks/forecast.py --set product

Results gather in WORK/results.json beside those of benchmarks/verdict.py, whose `--part report` sums them up.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.verdict_runs import ROOT, SETS, Bench, asked, prepare

TIMED_STEPS = 10  # of the short run that a forecast is made from
PLANS: dict[str, dict[str, Any]] = {  # overrides of the plan: batch, size, accumulation, checkpointing, rank and targets all vary
    "batch2": {"loop.batch": 2},
    "batch8": {"loop.batch": 8},
    "small": {"loop.batch": 4, "pictures.resolution_px": 128},
    "accumulated": {"loop.batch": 2, "loop.accumulation": 3},
    "checkpointed": {"loop.batch": 8, "loop.gradient_checkpointing": True},
    "narrow": {"loop.batch": 4, "adapter.targets": "attention", "adapter.rank": 4},
}


def measure(bench: Bench, set_name: str, plan: str, *, steps: int) -> None:
    """Forecast and run one plan, and keep how far apart they are."""
    folder, _ = prepare(bench, set_name, pictures=40)
    said, took = (_in_own_process(bench, folder, set_name, plan, steps=steps, only=only) for only in ("forecast", "run"))
    bench.result(
        f"forecast-{plan}", seconds=said["seconds"], took=took["seconds"], time_error=said["seconds"] / took["seconds"] - 1,
        memory_mb=said["memory"] / 2**20, peak_mb=took["memory"] / 2**20, memory_error=said["memory"] / took["memory"] - 1,
    )  # fmt: skip


def _in_own_process(bench: Bench, folder: Path, set_name: str, plan: str, *, steps: int, only: str) -> dict[str, float]:
    """What `_forecast_or_run` printed."""
    command = [sys.executable, __file__, "--work", bench.work, "--set", set_name, "--plans", plan, "--steps", steps, "--folder", folder]
    done = subprocess.run([*map(str, command), "--only", only], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _forecast_or_run(bench: Bench, folder: Path, set_name: str, plan: str, *, steps: int, only: str) -> None:
    """In a process of its own: a short run and a forecast from it, or a run of all steps; prints one line of JSON."""
    from pipelines.lean import load_libraries

    load_libraries()  # as the command line and the worker do
    from pipelines.settings import with_values
    from training.plan import make_plan

    answers = asked(bench, folder, set_name)
    facts, device = answers["base_facts"], answers["device"]
    overrides = {tuple(path.split(".")): value for path, value in PLANS[plan].items()}
    fixed = {
        ("loop", "steps"): steps,
        ("loop", "checkpoints"): 2,
        ("loop", "validations"): 2,
        ("loop", "preview_prompts"): (),
        ("loss", "prior_weight"): 0.0,
    }
    settings = make_plan(**answers, overrides={**fixed, **overrides}).settings
    if only == "forecast":
        from training.forecast import make_forecast
        from training.timing import recall_speed

        short = _trained(bench, plan, folder, with_values(settings, {("loop", "steps"): TIMED_STEPS}))
        speed = recall_speed(short.path.parent / ".cache", base=facts, device=device, settings=settings)
        assert speed is not None
        forecast = make_forecast(settings, facts, device, pictures=36, held_out=4, speed=replace(speed, load_seconds=0))
        print(json.dumps({"seconds": forecast.seconds - forecast.prepare_seconds, "memory": forecast.memory_bytes, "speed": vars(speed)}))
        return
    from pipelines.events import Finished
    from training.runs import last_of

    finished = last_of(_trained(bench, plan, folder, settings), Finished)
    print(json.dumps({"seconds": finished.seconds, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


def _trained(bench: Bench, plan: str, folder: Path, settings: Any) -> Any:
    """A finished run of its own, with a cache of its own."""
    from training.execute import execute
    from training.runs import Job, create_run

    path = bench.work / "forecasts" / f"{plan}-{time.time_ns()}" / "run"
    run = create_run(path, Job(kind="train", name=plan, dataset=str(folder), settings=settings.model_dump(mode="json")))
    execute(run)
    return run


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=SETS, default="product")
    parser.add_argument("--plans", nargs="+", choices=list(PLANS), default=list(PLANS))
    parser.add_argument("--steps", type=int, default=40, help="of each run")
    parser.add_argument("--dial", default="quick", choices=("quick", "balanced", "thorough"))
    parser.add_argument("--work", type=Path, default=ROOT / ".benchmark" / "verdict")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=("forecast", "run"), help=argparse.SUPPRESS)
    said = parser.parse_args()
    said.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(said.work.resolve(), said.dial)
    for plan in said.plans:
        if said.only:
            _forecast_or_run(bench, said.folder, said.set, plan, steps=said.steps, only=said.only)
        else:
            measure(bench, said.set, plan, steps=said.steps)


if __name__ == "__main__":
    main()
