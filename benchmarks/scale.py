"""What a set's size costs: caching and training against 100, 1,000 and 5,000 pictures. Time must grow in line with the pictures, memory must stay flat.

    python benchmarks/scale.py [--counts 100,1000,5000] [--base starter] [--side-px 256] [--steps 20] [--rounds 3]

Each count runs in a process of its own. The exponent printed at the end is the slope between the smallest and the largest count on logarithmic axes: 1 is linear,
0 does not grow.
"""

from __future__ import annotations

import argparse
import functools
import math
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.own_process import Cost, in_own_process, median_costs
from benchmarks.picture_set import write_set

PARTS = ("read", "cache", "cache again", "train")


def main() -> None:
    options = parse_options()
    counts = [int(part) for part in options.counts.split(",")]
    found: dict[int, list[Cost]] = {}
    print("| pictures | what | wall s | CPU s | CPU ms a picture | peak MB |\n| ---: | --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            pictures = write_set(Path(folder) / str(count), count, side_px=options.side_px)
            runs = []
            for number in range(options.rounds):
                work = Path(folder) / f"work{count}-{number}"
                runs.append(
                    in_own_process(functools.partial(teach, str(pictures), str(work), options.base, options.side_px, options.steps))
                )
            found[count] = median_costs(runs)
            for what, cost in zip(PARTS, found[count], strict=True):
                each = 1000 * cost.cpu_seconds / (options.steps if what == "train" else count)
                print(
                    f"| {count} | {what} | {cost.wall_seconds:.2f} | {cost.cpu_seconds:.2f} | {each:.2f} | {cost.peak_bytes / 1e6:.0f} |",
                    flush=True,
                )
    if len(counts) > 1:
        print("\n" + exponents(found))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--counts", default="100,1000,5000")
    parser.add_argument("--base", default="starter")
    parser.add_argument("--side-px", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def teach(pictures: str, work: str, base_name: str, side_px: int, steps: int) -> list[Cost]:
    """Costs of each of PARTS; train's column is milliseconds a step."""
    from benchmarks.own_process import measured
    from pipelines.families.base import load_base
    from pipelines.settings import with_values
    from training.config import TrainSettings
    from training.dataset import load_dataset
    from training.execute import make_card
    from training.latents import cache_dataset
    from training.trainer import Trainer

    values: dict[tuple[str, ...], Any] = {
        ("pictures", "resolution_px"): side_px,
        ("loop", "steps"): steps,
        ("loop", "checkpoints"): 1,
        ("loop", "validations"): 0,
    }
    settings = with_values(TrainSettings(base=base_name), values)
    base = load_base(base_name)
    dataset, read = measured(lambda: load_dataset(Path(pictures)))
    _, first = measured(lambda: _finished(cache_dataset(dataset, base, settings, folder=Path(work) / "cache")))
    cached, again = measured(lambda: _finished(cache_dataset(dataset, base, settings, folder=Path(work) / "cache")))
    card = make_card("scale", settings, base, pictures=len(cached.training))
    trainer = Trainer(base, cached, settings, folder=Path(work) / "run", card=card)
    return [read, first, again, measured(lambda: list(trainer.run()))[1]]


def exponents(found: dict[int, list[Cost]]) -> str:
    """How CPU seconds and memory grow, part by part."""
    few, many = min(found), max(found)
    lines = []
    for what, small, large in zip(PARTS, found[few], found[many], strict=True):
        time, memory = (
            math.log(b / a) / math.log(many / few)
            for a, b in ((small.cpu_seconds, large.cpu_seconds), (small.peak_bytes, large.peak_bytes))
        )
        lines.append(f"{what}: time grows with the power {time:.2f} of the pictures, memory with {memory:.2f}")
    return "\n".join(lines)


def _finished(work):
    """What a generator returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


if __name__ == "__main__":
    main()
