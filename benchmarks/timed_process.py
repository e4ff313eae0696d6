"""Runs one training in a process of its own and notes when each optimizer step ended. Started by the benchmarks, once per run.

    python benchmarks/timed_process.py RECORD.json ours RUN_FOLDER
    python benchmarks/timed_process.py RECORD.json example SCRIPT.py [its arguments]

In: a prepared run folder of ours, or somebody else's training script. Out: RECORD.json with wall and CPU times of the steps and the peak of GPU memory. The example
runs unchanged; two things that it takes for granted are supplied: torchvision's operator names where only the CPU torch is there, and a sampling posterior where
the base has an AutoencoderTiny. Imports nothing of Brandprint for the example, so that it can run under another Python.
"""

from __future__ import annotations

import json
import resource
import runpy
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

TORCHVISION_OPERATORS = (
    *("nms", "qnms", "roi_align", "qroi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d"),
    *("_roi_align_backward", "_roi_pool_backward", "_ps_roi_align_backward", "_ps_roi_pool_backward", "_deform_conv2d_backward"),
)
kept_libraries: list[Any] = []  # a library that is let go takes its names with it


def main() -> None:
    record, kind, *rest = sys.argv[1:]
    if kind == "ours":  # what the worker does
        from pipelines.lean import load_libraries

        load_libraries()
    import torch
    from torch.optim.optimizer import register_optimizer_step_post_hook

    ended: list[tuple[float, float]] = []
    register_optimizer_step_post_hook(lambda *_: ended.append((time.perf_counter(), time.process_time())))
    try:
        run_ours(Path(rest[0])) if kind == "ours" else run_example(Path(rest[0]), rest[1:])
    finally:
        peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        seen = {"ended": ended, "peak_bytes": peak_bytes(), "gpu_peak_bytes": peak}
        Path(record).write_text(json.dumps({**seen, "torch": torch.__version__, "threads": torch.get_num_threads()}))


def peak_bytes() -> int:
    """The most memory that this process has held. Linux counts in ru_maxrss what its parent held when it started it, so there the kernel's own mark is read."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def run_ours(folder: Path) -> None:
    """What the worker does."""
    from training.execute import execute
    from training.runs import open_run

    execute(open_run(folder))


def run_example(script: Path, arguments: list[str]) -> None:
    """The script as `python SCRIPT ARGUMENTS` runs it."""
    declare_torchvision_operators()
    supply_posterior(arguments)
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.parent))
    runpy.run_path(str(script), run_name="__main__")


def declare_torchvision_operators() -> None:
    """torchvision without its compiled part refuses to be imported unless its operators' names are known. None of them is called here."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in TORCHVISION_OPERATORS:
            library.define(f"{name}() -> ()")
        kept_libraries.append(library)


def supply_posterior(arguments: list[str]) -> None:
    """The example loads an AutoencoderKL; for a base with an AutoencoderTiny it gets that one, whose only latents are its posterior's sample."""
    option = "--pretrained_model_name_or_path"
    given = dict(argument.removeprefix("--").split("=", 1) for argument in arguments if argument.startswith("--") and "=" in argument)
    folder = given.get(option.removeprefix("--")) or (arguments[arguments.index(option) + 1] if option in arguments else "")
    config = Path(folder) / "vae" / "config.json"
    if not config.exists() or json.loads(config.read_text())["_class_name"] != "AutoencoderTiny":
        return
    import diffusers

    class Sampled(diffusers.AutoencoderTiny):  # type: ignore[misc, name-defined]
        def encode(self, images: Any, **options: Any) -> Any:
            latents = super().encode(images, **options).latents
            return SimpleNamespace(latent_dist=SimpleNamespace(sample=lambda: latents))

    diffusers.AutoencoderKL = Sampled  # type: ignore[assignment, misc]


if __name__ == "__main__":
    main()
