"""Runs to judge, for benchmarks/verdict.py and benchmarks/forecast.py: sample sets with a truth set aside, trainings by the plan, their verdicts and the truth.

Everything goes on where it was stopped. The truth: for product and character, pictures left out of the set before anything else; for the style, Twemoji's own
graphics of concepts never shown.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
SETS = ("product", "character", "style")
TRUTH_SEED = 9000


@dataclass(frozen=True)
class Bench:
    """Where everything is kept, and how long runs are."""

    work: Path
    dial: str
    truths: int = 12
    drawn: int = 100
    twemoji: Path | None = None
    emojibase: Path | None = None
    stretch: float = 20.0
    base: str = "starter"

    def result(self, name: str, **figures: Any) -> None:
        """Keep and print figures."""
        path = self.work / "results.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        known[name] = figures
        path.write_text(json.dumps(known, indent=1))
        print(f"{name}: " + ", ".join(f"{key} {_shown(value)}" for key, value in figures.items()), flush=True)


def prepare(bench: Bench, name: str, *, pictures: int | None = None) -> tuple[Path, Path]:
    """(training folder, truth folder) of a sample set; both are copies."""
    source = ROOT / "sample_data" / name
    target, truth = bench.work / "sets" / f"{name}-{pictures or 'all'}", bench.work / "truth" / name
    if target.exists() and truth.exists():
        return target, truth
    stems = sorted(path.stem for path in source.glob("*.txt"))
    aside = [] if name == "style" else stems[5 :: len(stems) // bench.truths][: bench.truths]
    rest = [stem for stem in stems if stem not in aside]
    rest = rest[:: max(1, len(rest) // pictures)][:pictures] if pictures else rest
    for folder, chosen in ((target, rest), (truth, aside)):
        folder.mkdir(parents=True, exist_ok=True)
        for stem in chosen:
            for path in source.glob(f"{stem}.*"):
                shutil.copy(path, folder / path.name)
    if name == "style":
        _draw_twemoji(bench, truth)
    return target, truth


def _draw_twemoji(bench: Bench, truth: Path) -> None:
    """The true graphics of concepts that the style set never shows."""
    from sample_data.recipes import style_graphics as graphics
    from sample_data.recipes.style_concepts import HELD_OUT

    cards = graphics.list_cards(graphics.fetch_graphics(bench.twemoji, bench.emojibase, HELD_OUT))
    for number, card in enumerate(cards[:: max(1, len(cards) // bench.drawn)][: bench.drawn]):
        graphics.draw_card(card).save(truth / f"{number:03d}.png")
        (truth / f"{number:03d}.txt").write_text(graphics.caption(card), encoding="utf-8")


def train(bench: Bench, label: str, folder: Path, name: str, *, seed: int = 0, overrides: dict | None = None, stretch: float = 1.0):
    """A finished run of the plan for a set; an existing one is gone on with."""
    from training.execute import execute
    from training.plan import make_plan
    from training.runs import Job, create_run, open_run

    path = bench.work / "runs" / label
    if not (path / "job.json").exists():
        answers = {**asked(bench, folder, name), "dial": bench.dial}
        quiet: dict[tuple[str, ...], Any] = {("loop", "seed"): seed, ("loop", "preview_prompts"): (), **(overrides or {})}
        answers["trigger"] = quiet.pop(("subject", "trigger"), answers["trigger"])
        steps = round(make_plan(**answers, overrides=quiet).settings.loop.steps * stretch)
        settings = make_plan(**answers, overrides={**quiet, ("loop", "steps"): steps}).settings
        create_run(path, Job(kind="train", name=label, dataset=str(folder), settings=settings.model_dump(mode="json")))
    run = open_run(path)
    if run.state() != "finished":
        execute(run)
    return run


def asked(bench: Bench, folder: Path, name: str) -> dict[str, Any]:
    """What a plan for a set is made from, as `make_plan` takes it."""
    from training.base_facts import read_base_facts
    from training.dataset import load_dataset
    from training.device import find_device

    hints = json.loads((ROOT / "sample_data" / name / "project.json").read_text())
    subject = {key: hints[key] for key in ("intent", "trigger", "noun")}
    return {**subject, "pictures": load_dataset(folder), "base_facts": read_base_facts(bench.base), "device": find_device()}


def judge(bench: Bench, run):
    """The run's verdict, made or read."""
    from pipelines.families.base import load_base
    from training.dataset import load_dataset
    from training.verdict import read_verdict, score_run

    return read_verdict(run) or _last(score_run(run, load_base(bench.base), load_dataset(run.dataset_path)))


class Truth:
    """Distances (1 - cosine) [drawn] of a run's drawings to the true pictures of their captions. EfficientNet features; the true pictures go through the base's
    autoencoder first, so that its softness, the same for every checkpoint, hides nothing. Other seeds than the verdict's, several for each caption:
    checkpoints differ by less than two seeds do.
    """

    def __init__(self, bench: Bench, run, truth: Path) -> None:
        from pipelines.encoders import picture_features
        from pipelines.families.base import load_base
        from training.captions import with_trigger
        from training.config import TrainSettings
        from training.dataset import load_dataset
        from training.scene import redraw
        from training.scores.encoding import open_square
        from training.scores.gallery import Gallery
        from training.scores.probes import QUICK, Probe

        subject = TrainSettings.model_validate(run.job.settings).subject
        base, items = load_base(bench.base), load_dataset(truth).items
        seeds = max(1, round(bench.drawn / len(items)))
        real = redraw(base, [open_square(item, base.native_size_px, background="#ffffff") for item in items])
        self.wanted = np.tile(picture_features(real), (seeds, 1))
        self.gallery = Gallery(base, run.path / "truth", QUICK)
        self.probes = [
            Probe(with_trigger(item.caption, subject.trigger, subject.noun, subject.intent), TRUTH_SEED + place + 1000 * seed)
            for seed in range(seeds)
            for place, item in enumerate(items)
        ]

    def of_base(self) -> list[float]:
        return self._distances(_last(self.gallery.draw_base(self.probes)))

    def of(self, folder: Path, *, strength: float) -> list[float]:
        """Of a checkpoint."""
        return self._distances(_last(self.gallery.draw_adapter(self.probes, folder / "adapter.safetensors", strength=strength)))

    def _distances(self, pictures) -> list[float]:
        from pipelines.encoders import picture_features

        return [float(distance) for distance in 1 - (picture_features(pictures) * self.wanted).sum(axis=1)]


def truth_by_step(bench: Bench, run, truth: Path) -> dict[int, NDArray[np.float64]]:
    """The truth of every checkpoint at strength 1, and of the base (step 0)."""
    from training.runs import checkpoint_folders

    path = run.path / "truth.json"
    if not path.exists():
        measured = Truth(bench, run, truth)
        distances = {0: measured.of_base()}
        for folder in checkpoint_folders(run.path):
            distances[int(folder.name)] = measured.of(folder, strength=1.0)
        path.write_text(json.dumps(distances))
    return {int(step): np.array(values) for step, values in json.loads(path.read_text()).items()}


def truth_as_advised(bench: Bench, run, truth: Path, pick) -> float:
    """The mean truth of the pick at the strength that the verdict advises."""
    from training.runs import checkpoint_name

    return float(np.mean(Truth(bench, run, truth).of(run.path / checkpoint_name(pick.step), strength=pick.strength)))


def _last(work: Iterator) -> Any:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def _shown(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
