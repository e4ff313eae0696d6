"""How well and how fast the doctor finds faults: `python -m benchmarks.doctor [recall|faces|speed|memory]`.

recall: 400 good pictures (sample data and scikit-image's photos) with at least 15 planted faults of each kind; prints recall and false
alarms by kind. faces: the portraits in a folder of yours, cut and whole. speed: 300 JPEGs of 12 megapixels. memory: 2,000 pictures.
Writes into a temporary folder only.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import planted as plant
from benchmarks import spoiled as spoil
from pipelines.card import Intent
from training.dataset import load_dataset
from training.decode import SUFFIXES, open_image
from training.edits import KeepOneOf
from training.faces import find_faces
from training.inspect import Report, inspect_dataset

SAMPLES = Path(__file__).resolve().parent.parent / "sample_data"


@dataclass(frozen=True)
class Source:
    """One of the sets that the benchmark spoils."""

    name: str
    intent: Intent
    noun: str
    good: int


SOURCES = (
    Source("product", "product", "bottle", 116),
    Source("character", "character", "creature", 116),
    Source("style", "style", "", 116),
    Source("photos", "style", "", 52),
)


@dataclass(frozen=True)
class Outcome:
    """What was found in one set."""

    planted: tuple[plant.Planted, ...]
    good: tuple[str, ...]
    report: Report


def spoiled_set(
    folder: Path, source: Source, samples: Sequence[spoil.Sample], others: Sequence[spoil.Sample], *, rng: np.random.Generator
) -> tuple:
    """Writes one set; returns (planted faults, names of the pictures that stayed good)."""
    order = [samples[index] for index in rng.permutation(len(samples))]
    chosen = order[: source.good]
    names = plant.write_good(folder, chosen)
    is_photos = source.name == "photos"
    each = 3 if is_photos else 4
    found = plant.plant_pixels(folder, chosen, list(spoil.PIXELS), each=each, rng=rng)
    found += plant.plant_files(folder, chosen, each=each, rng=rng)
    if source.intent != "style":  # styles may show crowds
        found += plant.plant_several(folder, chosen, each=8, rng=rng)
    if not is_photos:
        found += plant.plant_unlike(folder, others, each=5, rng=rng)
        worded = plant.write_good(folder, order[source.good : source.good + 30], stem="worded")
        found += plant.plant_captions(folder, worded, trigger="fjordbottle", noun=source.noun, each=5, rng=rng)
        bad = {entry.name for entry in found}
        found += plant.plant_identical(folder, [name for name in worded if name not in bad], each=5, rng=rng)
    return tuple(found), tuple(names)


def recall(seed: int) -> None:
    """Prints the table of recall and false alarms by kind."""
    rng = np.random.default_rng(seed)
    pools = {source.name: spoil.folder_samples(SAMPLES / source.name) for source in SOURCES[:3]} | {"photos": spoil.photo_samples()}
    outcomes = []
    with tempfile.TemporaryDirectory() as place:
        for source in SOURCES:
            folder = Path(place) / source.name
            found, good = spoiled_set(folder, source, pools[source.name], pools["photos"], rng=rng)
            outcomes.append(Outcome(found, good, _inspected(folder, source)))
    print(table(outcomes))


def _inspected(folder: Path, source: Source) -> Report:
    dataset = load_dataset(folder)
    return inspect_dataset(dataset, intent=source.intent, trigger="fjordbottle", noun=source.noun, base_size_px=256)


def table(outcomes: Sequence[Outcome]) -> str:
    """The result as Markdown."""
    planted_by_kind, found_by_kind, false_by_code = Counter[str](), Counter[str](), Counter[str]()
    severities: dict[str, str] = {}
    serious = 0
    for outcome in outcomes:
        codes: dict[str, set[str]] = {}
        for problem in outcome.report.problems:
            severities[problem.code] = problem.severity
            for key in problem.keys:
                codes.setdefault(key, set()).add(problem.code)
        kept = {edit.keep for problem in outcome.report.problems for edit in problem.fixes if isinstance(edit, KeepOneOf)}
        for entry in outcome.planted:
            planted_by_kind[entry.kind] += 1
            names = (entry.name, entry.twin) if entry.twin else (entry.name,)
            is_found = any(codes.get(name, set()) & set(entry.codes) for name in names) or bool(entry.twin and kept.intersection(names))
            found_by_kind[entry.kind] += is_found
        for name in outcome.good:
            wrong = _wrong_codes(name, codes.get(name, set()), outcome.planted)
            false_by_code.update(wrong)
            serious += any(severities[code] == "serious" for code in wrong)
    good = sum(len(outcome.good) for outcome in outcomes)
    lines = ["| planted | found | recall |", "| --- | --- | --- |"]
    lines += [
        f"| {kind} | {found_by_kind[kind]} of {count} | {found_by_kind[kind] / count:.0%} |" for kind, count in planted_by_kind.items()
    ]
    total = sum(planted_by_kind.values())
    lines += [
        f"| **all {len(planted_by_kind)} kinds** | {sum(found_by_kind.values())} of {total} | {sum(found_by_kind.values()) / total:.0%} |",
        "",
    ]
    lines += [f"Good pictures: {good}; flagged for a serious fault: {serious} ({serious / good:.1%}).", ""]
    lines += ["| false alarm | severity | pictures |", "| --- | --- | --- |"]
    lines += [f"| {code} | {severities[code]} | {count} |" for code, count in false_by_code.most_common()]
    return "\n".join(lines)


def _wrong_codes(name: str, codes: set[str], found: Sequence[plant.Planted]) -> set[str]:
    """The codes that are false alarms on a good picture: one with a double, or with a spoiled copy, is rightly called that."""
    rightly = {code for entry in found if entry.source == name for code in ("exact_double", "near_double")}
    return codes - rightly


def portraits(folder: Path) -> None:
    """Prints how often faces in a folder's pictures are called cut, by the share that is cut off; below 0 they are whole."""
    print("| share of the face cut off | pictures | called cut |\n| --- | --- | --- |")
    pictures = [open_image(path) for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES]
    whole = [(picture, faces[0].box) for picture in pictures if (faces := find_faces(np.asarray(picture))) and not faces[0].is_cut]
    for share in (-0.05, 0.2, 0.3, 0.4, 0.5, 0.6):
        called = []
        for picture, (left, top, right, bottom) in whole:
            box = (left * picture.width, top * picture.height, right * picture.width, bottom * picture.height)
            parts = [spoil.cut_face(picture, box, side=side, share=share) for side in range(4)]
            called += [bool((faces := find_faces(np.asarray(part))) and faces[0].is_cut) for part in parts]
        print(f"| {share:.0%} | {len(called)} | {sum(called) / max(len(called), 1):.0%} |")


def large_pictures(folder: Path, *, count: int, size: tuple[int, int], different: int = 20) -> None:
    """Writes `count` photographs as JPEG: `different` ones, each several times with other bytes behind its end, so that every file is new to the doctor."""
    samples = spoil.photo_samples()
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(different):
        picture = np.asarray(samples[2 * number].picture.resize(size, Image.Resampling.BICUBIC)).astype(np.int16)
        grain = rng.integers(-6, 7, (size[1] // 4, size[0] // 4, 1), np.int16).repeat(4, 0).repeat(4, 1)
        file = io.BytesIO()
        Image.fromarray(np.clip(picture + grain, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=88)
        for copy in range(number, count, different):
            (folder / f"{copy:04}.jpg").write_bytes(file.getvalue() + copy.to_bytes(4, "little"))


def timed(count: int, size: tuple[int, int]) -> None:
    """Prints seconds and memory of a first and a second look."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "set"
        with ProcessPoolExecutor(1) as other:  # so that making them does not count as memory of the doctor
            other.submit(large_pictures, folder, count=count, size=size).result()
        megabytes = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        print(
            f"{count} JPEGs of {size[0] * size[1] / 1e6:.1f} megapixels, {megabytes:.0f} MB, {os.cpu_count()} cores seen, {_allowed()} usable"
        )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        for look in ("first", "second"):
            start, spent = time.perf_counter(), _cpu_seconds()
            dataset = load_dataset(folder)
            report = inspect_dataset(dataset, intent="style", trigger="x", noun="", base_size_px=512, cache=Path(place) / "cache")
            wall, cpu = time.perf_counter() - start, _cpu_seconds() - spent
            print(f"{look} look: {wall:.1f} s, {cpu:.1f} s of CPU time, {len(report.looks)} pictures")
        print(f"memory growth of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before:.0f} MB")
        print(f"peak of the encoder's process: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MB")


def _allowed() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_seconds() -> float:
    mine, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + children.ru_utime + children.ru_stime


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="recall", choices=("recall", "faces", "speed", "memory"))
    parser.add_argument("--portraits", type=Path, help="for faces: a folder of pictures with one large, whole face each")
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--pictures", type=int, default=0, help="how many, for speed and memory")
    asked = parser.parse_args()
    if asked.what == "recall":
        recall(asked.seed)
    elif asked.what == "faces":
        portraits(asked.portraits or parser.error("faces needs --portraits FOLDER"))
    elif asked.what == "speed":
        timed(asked.pictures or 300, (4000, 3000))
    else:
        timed(asked.pictures or 2000, (1600, 1200))
    return 0


if __name__ == "__main__":
    sys.exit(main())
