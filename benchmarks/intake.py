"""Taking in a folder of pictures: seconds and peak memory of reading it, and of the doctor's first and second look.

    python benchmarks/intake.py [--counts 300,2000] [--side-px 1024] [--rounds 3]

Each count runs in a process of its own, so that its peak of memory is its own. Printed are medians; memory per picture between the smallest and the largest count
tells whether it stays flat.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
from pathlib import Path

from benchmarks.own_process import Cost, in_own_process, median_costs
from benchmarks.picture_set import write_set


def main() -> None:
    options = parse_options()
    counts = [int(part) for part in options.counts.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        sets = {count: write_set(work / str(count), count, side_px=options.side_px) for count in counts}
        print("| pictures | what | wall s | CPU s | CPU ms a picture | peak MB |\n| ---: | --- | ---: | ---: | ---: | ---: |")
        peaks = {}
        for count, pictures in sets.items():
            costs = median_costs(
                [
                    in_own_process(functools.partial(look, str(pictures), str(work / f"cache{count}-{number}")))
                    for number in range(options.rounds)
                ]
            )
            peaks[count] = costs[-1].peak_bytes
            for what, cost in zip(("read", "first look", "second look"), costs, strict=True):
                print(
                    f"| {count} | {what} | {cost.wall_seconds:.2f} | {cost.cpu_seconds:.2f} | {1000 * cost.cpu_seconds / count:.2f} | {cost.peak_bytes / 1e6:.0f} |"
                )
        if len(counts) > 1:
            few, many = min(counts), max(counts)
            print(f"\n{(peaks[many] - peaks[few]) / (many - few) / 1000:.1f} kB more memory for each further picture")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--counts", default="300,2000")
    parser.add_argument("--side-px", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def look(pictures: str, cache: str) -> list[Cost]:
    """Costs of reading the folder, of the doctor's first look, and of a second one that finds the first's results."""
    from benchmarks.own_process import measured
    from training.dataset import load_dataset
    from training.inspect import inspect_dataset

    dataset, read = measured(lambda: load_dataset(Path(pictures)))
    costs = [read]
    for _ in range(2):
        inspect = functools.partial(inspect_dataset, dataset, intent="product", trigger="", noun="", base_size_px=256, cache=Path(cache))
        costs.append(measured(inspect)[1])
    return costs


if __name__ == "__main__":
    main()
