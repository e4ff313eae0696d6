"""One preview: the stock diffusers pipeline, as a user writes it in five lines, against ours. Same base, prompt, seed, steps, guidance and scheduler.

    python benchmarks/preview_vs_diffusers.py [--base starter] [--adapter] [--steps 20] [--rounds 5] [--side-by-side FILE.png]

Both are warm and take turns; printed are medians, the ratios, and how far apart the pictures are. CPU seconds are printed beside the wall clock because they say
more on a machine that does other work. --adapter lays the same random LoRA of rank 16 over both (the stock one by load_lora_weights, not fused).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from pipelines import adapter
from pipelines.board import board_sheet
from pipelines.card import Card
from pipelines.families.base import Base, load_base
from pipelines.families.load import locate
from pipelines.generation import generate
from pipelines.sampling import SCHEDULERS
from pipelines.settings import AdapterSettings, DrawSettings

PROMPT = "a red apple on a white background"
RANK = 16
EFFECT = 0.05  # of the base's weights: what a trained adapter has


@dataclass(frozen=True)
class Timing:
    """Medians of one way of drawing."""

    wall_seconds: float
    cpu_seconds: float


def main() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    settings = DrawSettings(prompt=PROMPT, seed=3, steps=options.steps, guidance=options.guidance, scheduler=options.scheduler)
    base = load_base(options.base, device=options.device)
    pipe = stock_pipeline(locate(options.base).path, settings, device=options.device, dtype=base.dtype)
    if options.adapter:
        attach_to_both(base, pipe)
    ways: dict[str, Callable[[], Image.Image]] = {
        "stock": lambda: draw_stock(pipe, settings),
        "exact": lambda: next(generate(base, settings)).image,
        "fast": lambda: next(generate(base, settings.model_copy(update={"speed": "fast"}))).image,
    }
    pictures = {name: draw() for name, draw in ways.items()}  # warm-up
    timings = take_turns(ways, rounds=options.rounds)
    report = {name: asdict(timing) for name, timing in timings.items()} | {
        f"{name}_vs_stock": {**ratios(timings["stock"], timings[name]), **differences(pictures["stock"], pictures[name])}
        for name in ("exact", "fast")
    }
    print(json.dumps(report, indent=1) if options.json else table(report))
    if options.side_by_side:
        board_sheet([list(pictures.values())], rows=[PROMPT], columns=list(pictures), title="Stock, exact and fast").save(
            options.side_by_side
        )


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", default="starter", help="a diffusers folder, or starter")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--scheduler", choices=SCHEDULERS, default="ddim")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--adapter", action="store_true")
    parser.add_argument("--side-by-side", type=Path)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def stock_pipeline(folder: Path, settings: DrawSettings, *, device: str, dtype: torch.dtype) -> Any:
    """As the diffusers documentation has it."""
    import diffusers

    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, dtype=dtype).to(device)
    config = {"clip_sample": False, **pipe.scheduler.config}
    pipe.scheduler = getattr(diffusers, SCHEDULERS[settings.scheduler]).from_config(config)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def draw_stock(pipe: Any, settings: DrawSettings) -> Image.Image:
    noise = torch.Generator("cpu").manual_seed(settings.seed)
    return pipe(settings.prompt, num_inference_steps=settings.steps, guidance_scale=settings.guidance, generator=noise).images[0]


def attach_to_both(base: Base, pipe: Any) -> None:
    """The same random adapter, of a trained one's size, on both."""
    options = AdapterSettings(rank=RANK)
    adapter.create(base, options, seed=0, name="new")
    empty = adapter.read(base, options, Card(), name="new")
    adapter.detach(base, "new")
    noise = torch.Generator().manual_seed(0)
    random = {key: torch.randn(value.shape, generator=noise) if ".lora_B." in key else value for key, value in empty.tensors.items()}
    size = adapter.effect_size(base, adapter.Adapter(random, options, Card()))
    tensors = {key: value * (EFFECT / size) if ".lora_B." in key else value for key, value in random.items()}
    adapter.attach(base, adapter.Adapter(tensors, options, Card()), name="one")
    with tempfile.TemporaryDirectory() as folder:
        save_file({key: value.contiguous() for key, value in tensors.items()}, Path(folder) / "pytorch_lora_weights.safetensors")
        pipe.load_lora_weights(folder, adapter_name="one")


def take_turns(ways: dict[str, Callable[[], Image.Image]], *, rounds: int) -> dict[str, Timing]:
    """Medians over rounds; in each round every way draws once."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, draw in ways.items():
            began = time.perf_counter(), time.process_time()
            draw()
            seen[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return {name: Timing(*(statistics.median(column) for column in zip(*rows, strict=True))) for name, rows in seen.items()}


def ratios(stock: Timing, ours: Timing) -> dict[str, float]:
    """How many times faster than stock."""
    return {"times_faster": stock.wall_seconds / ours.wall_seconds, "times_less_cpu": stock.cpu_seconds / ours.cpu_seconds}


def differences(one: Image.Image, other: Image.Image) -> dict[str, float]:
    """Of the pictures, in 255ths."""
    apart = np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16))
    return {"largest_difference": float(apart.max()), "mean_difference": float(apart.mean())}


def table(report: dict[str, dict[str, float]]) -> str:
    return "\n".join(f"{name:15}" + "  ".join(f"{key} {value:.3f}" for key, value in values.items()) for name, values in report.items())


if __name__ == "__main__":
    main()
