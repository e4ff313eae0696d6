"""Is the verdict right? Trains on the sample sets with the starter, judges, and compares with a truth that the verdict never saw.

    python benchmarks/verdict.py --part healthy --sets product --seeds 1
    python benchmarks/verdict.py --part all --twemoji TGZ --emojibase TGZ

Parts: healthy (the pick among the best by the truth; false alarms), long (a run far too long: the pick against the last checkpoint), overfit, leak, dead,
fried, forecast, report (prints what was measured so far). Every part goes on where it was stopped; results gather in WORK/results.json.
The truth: for product and character, pictures left out of the set before anything else; for the style, Twemoji's own graphics of concepts never shown.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
SETS = ("product", "character", "style")
TRUTHS, DRAWN = 12, 48
TIMED_STEPS = 10  # of the short run that a forecast is made from
TRUTH_SEED = 9000


@dataclass(frozen=True)
class Bench:
    """Where everything is kept, and how long runs are."""

    work: Path
    dial: str
    truths: int
    drawn: int
    twemoji: Path | None
    emojibase: Path | None
    stretch: float = 20.0
    steps: int = 40
    plans: tuple[str, ...] = ()
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
        dataset, facts, device, hints = _asked(bench, folder, name)
        quiet: dict[tuple[str, ...], Any] = {("loop", "seed"): seed, ("loop", "preview_prompts"): (), **(overrides or {})}
        answers = {
            "intent": hints["intent"],
            "trigger": hints["trigger"],
            "noun": hints["noun"],
            "pictures": dataset,
            "base_facts": facts,
            "device": device,
            "dial": bench.dial,
        }
        answers = {**answers, "trigger": quiet.pop(("subject", "trigger"), hints["trigger"])}
        steps = round(make_plan(**answers, overrides=quiet).settings.loop.steps * stretch)
        settings = make_plan(**answers, overrides={**quiet, ("loop", "steps"): steps}).settings
        create_run(path, Job(kind="train", name=label, dataset=str(folder), settings=settings.model_dump(mode="json")))
    run = open_run(path)
    if run.state() != "finished":
        execute(run)
    return run


def _asked(bench: Bench, folder: Path, name: str):
    from training.base_facts import read_base_facts
    from training.dataset import load_dataset
    from training.device import find_device

    hints = json.loads((ROOT / "sample_data" / name / "project.json").read_text())
    return load_dataset(folder), read_base_facts(bench.base), find_device(), hints


def judge(bench: Bench, run):
    """The run's verdict, made or read."""
    from pipelines.families.base import load_base
    from training.dataset import load_dataset
    from training.verdict import read_verdict, score_run

    known = read_verdict(run)
    if known:
        return known
    work = score_run(run, load_base(bench.base), load_dataset(Path(run.job.dataset)))
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def truth_by_step(bench: Bench, run, truth: Path) -> dict[int, float]:
    """Mean distance (1 - cosine) of drawings to the true pictures of their captions, by step. EfficientNet features; the true pictures go through the base's
    autoencoder first, so that its softness, the same for every checkpoint, hides nothing. Other seeds than the verdict's, several for each caption:
    checkpoints differ by less than two seeds do.
    """
    from pipelines.encoders import picture_features
    from pipelines.families.base import load_base
    from training.captions import with_trigger
    from training.checkpoint import checkpoint_folders
    from training.config import TrainSettings
    from training.dataset import load_dataset
    from training.scores.encoding import open_square
    from training.scores.gallery import Gallery
    from training.scores.probes import QUICK, Probe
    from training.verdict import redraw

    path = run.path / "truth.json"
    if path.exists():
        return {int(step): float(np.mean(values)) for step, values in json.loads(path.read_text()).items()}
    subject = TrainSettings.model_validate(run.job.settings).subject
    base = load_base(bench.base)
    items = load_dataset(truth).items
    seeds = max(1, round(bench.drawn / len(items)))
    real = picture_features(redraw(base, [open_square(item, base.native_size_px, background="#ffffff") for item in items]))
    probes = [
        Probe(with_trigger(item.caption, subject.trigger, subject.noun, subject.intent), TRUTH_SEED + place + 1000 * seed)
        for seed in range(seeds)
        for place, item in enumerate(items)
    ]
    gallery, wanted = Gallery(base, run.path / "truth", QUICK), np.tile(real, (seeds, 1))
    distances = {0: _distances(_last(gallery.draw_base(probes)), wanted)}
    for folder in checkpoint_folders(run.path):
        distances[int(folder.name)] = _distances(_last(gallery.draw_adapter(probes, folder / "adapter.safetensors", strength=1.0)), wanted)
    path.write_text(json.dumps(distances))
    return truth_by_step(bench, run, truth)


def _distances(pictures, wanted) -> list[float]:
    from pipelines.encoders import picture_features

    return [float(distance) for distance in 1 - (picture_features(pictures) * wanted).sum(axis=1)]


def _last(work: Iterator) -> Any:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


ALARMS = ("dead", "fried", "overfitting", "copying")


def part_healthy(bench: Bench, sets: list[str], seeds: int) -> None:
    """The picked checkpoint's rank among ten by the truth, and false alarms."""
    for name in sets:
        folder, truth = prepare(bench, name)
        for seed in range(seeds):
            began = time.monotonic()
            run = train(bench, f"healthy-{name}-{seed}", folder, name, seed=seed)
            trained = time.monotonic()
            verdict = judge(bench, run)
            judged = time.monotonic()
            distances = truth_by_step(bench, run, truth)
            order = sorted((step for step in distances if step), key=distances.__getitem__)
            alarms = [finding.code for finding in verdict.findings if finding.code in ALARMS]
            bench.result(
                run.job.name, rank=order.index(verdict.pick.step) + 1, of=len(order), picked=distances[verdict.pick.step], best=distances[order[0]],
                last=distances[max(distances)], base=distances[0], strength=verdict.pick.strength, confidence=verdict.confidence, false_alarms=alarms,
                findings=[finding.code for finding in verdict.findings], seconds_train=trained - began, seconds_judge=judged - trained,
            )  # fmt: skip


def part_long(bench: Bench, sets: list[str], seeds: int) -> None:
    """Far too long: 40 pictures, 8 times the steps."""
    for name in sets:
        folder, truth = prepare(bench, name, pictures=40)
        run = train(bench, f"long-{name}", folder, name, stretch=8)
        verdict, distances = judge(bench, run), truth_by_step(bench, run, truth)
        bench.result(
            run.job.name,
            picked=distances[verdict.pick.step],
            last=distances[max(distances)],
            is_better=distances[verdict.pick.step] < distances[max(distances)],
            step=verdict.pick.step,
            of=max(distances),
            findings=[finding.code for finding in verdict.findings],
        )


def part_overfit(bench: Bench, sets: list[str], seeds: int) -> None:
    """12 pictures, 20 times the steps (--stretch): overfitting and copying must be said."""
    for name in sets:
        folder, _ = prepare(bench, name, pictures=12)
        verdict = judge(
            bench, train(bench, f"overfit-{name}", folder, name, stretch=bench.stretch, overrides={("loss", "prior_weight"): 0.0})
        )
        _said(bench, f"overfit-{name}", verdict, wanted=("overfitting", "copying"))


LEAKING = 4.0  # times the steps: what has hardly been learnt cannot leak


def part_leak(bench: Bench, sets: list[str], seeds: int) -> None:
    """Captions that say the class word where the trigger should stand, and no class pictures: flagged; trigger and class pictures: not."""
    for name in sets:
        if name == "style":
            continue
        folder, _ = prepare(bench, name, pictures=40)
        planted = judge(
            bench,
            train(
                bench,
                f"leak-{name}",
                _called_by_noun(bench, folder, name),
                name,
                overrides={("subject", "trigger"): "", ("loss", "prior_weight"): 0.0},
                stretch=LEAKING,
            ),
        )
        overrides = {("loss", "prior_weight"): 1.0, ("loss", "prior_pictures"): 20}
        clean = judge(bench, train(bench, f"clean-{name}", folder, name, overrides=overrides, stretch=LEAKING))
        _said(bench, f"leak-{name}", planted, wanted=("leak",), leak=planted.picked.leak)
        bench.result(
            f"clean-{name}", leak=clean.picked.leak, flagged=clean.has("leak"), findings=[finding.code for finding in clean.findings]
        )


def _called_by_noun(bench: Bench, folder: Path, name: str) -> Path:
    """A copy of the set whose captions begin with the class word."""
    noun = json.loads((ROOT / "sample_data" / name / "project.json").read_text())["noun"]
    copy = bench.work / "sets" / f"{folder.name}-noun"
    if not copy.exists():
        shutil.copytree(folder, copy)
        for path in copy.glob("*.txt"):
            path.write_text(f"{noun}, {path.read_text(encoding='utf-8').strip()}", encoding="utf-8")
    return copy


def part_dead(bench: Bench, sets: list[str], seeds: int) -> None:
    """Rate as good as 0."""
    folder, _ = prepare(bench, sets[0], pictures=40)
    verdict = judge(bench, train(bench, "dead", folder, sets[0], overrides={("optim", "learning_rate"): 1e-12, ("loop", "steps"): 20}))
    _said(bench, "dead", verdict, wanted=("dead",), change=max(score.change for score in verdict.scores))


def part_fried(bench: Bench, sets: list[str], seeds: int) -> None:
    """Rate x 100 and x 20: the training stops with its reason, and what it saved before is named by the verdict."""
    from pipelines.errors import TrainingDiverged
    from training.checkpoint import checkpoint_folders
    from training.runs import open_run

    folder, _ = prepare(bench, sets[0], pictures=40)
    for factor in (100, 20):
        label, stopped = f"fried-x{factor}", ""
        try:
            run = train(bench, label, folder, sets[0], overrides={("optim", "learning_rate"): factor * 1e-3, ("loop", "steps"): 40})
        except TrainingDiverged as error:
            run, stopped = open_run(bench.work / "runs" / label), error.message
        if not checkpoint_folders(run.path):
            bench.result(label, said=["diverged"], missed=[], stopped=stopped)
            continue
        verdict = judge(bench, run)
        effect = max(score.effect or 0 for score in verdict.scores)
        _said(bench, label, verdict, wanted=("fried",), stopped=stopped, fidelity=verdict.picked.fidelity, effect=effect)


def _said(bench: Bench, label: str, verdict, *, wanted: tuple[str, ...], **figures: Any) -> None:
    codes = [finding.code for finding in verdict.findings]
    bench.result(
        label,
        said=[code for code in wanted if code in codes],
        missed=[code for code in wanted if code not in codes],
        findings=codes,
        sentence=verdict.sentence,
        **figures,
    )


PLANS = (  # name, overrides of the plan: batch, size, accumulation, checkpointing, rank and targets all vary
    ("batch2", {"loop.batch": 2}), ("batch8", {"loop.batch": 8}), ("small", {"loop.batch": 4, "pictures.resolution_px": 128}),
    ("accumulated", {"loop.batch": 2, "loop.accumulation": 3}), ("checkpointed", {"loop.batch": 8, "loop.gradient_checkpointing": True}),
    ("narrow", {"loop.batch": 4, "adapter.targets": "attention", "adapter.rank": 4}),
)  # fmt: skip


def part_forecast(bench: Bench, sets: list[str], seeds: int) -> None:
    """Six plans, each forecast in one process from a short run's steps and run in another; time and peak memory of both."""
    folder, _ = prepare(bench, sets[0], pictures=40)
    for name in bench.plans or dict(PLANS):
        command = [
            sys.executable,
            __file__,
            "--work",
            str(bench.work),
            "--steps",
            str(bench.steps),
            "--one-forecast",
            name,
            "--folder",
            str(folder),
            "--set",
            sets[0],
        ]
        said = json.loads(
            subprocess.run([*command, "--only", "forecast"], check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        )
        took = json.loads(subprocess.run([*command, "--only", "run"], check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        bench.result(f"forecast-{name}", seconds=said["seconds"], took=took["seconds"], time_error=said["seconds"] / took["seconds"] - 1,
                     memory_mb=said["memory"] / 2**20, peak_mb=took["memory"] / 2**20, memory_error=said["memory"] / took["memory"] - 1)  # fmt: skip


def one_forecast(bench: Bench, name: str, folder: Path, set_name: str, *, only: str) -> None:
    """In a process of its own: a short run and a forecast from it, or a run of --steps; prints one line of JSON."""
    from pipelines.settings import with_values
    from training.plan import make_plan

    dataset, facts, device, hints = _asked(bench, folder, set_name)
    overrides = {tuple(path.split(".")): value for path, value in dict(PLANS)[name].items()}
    fixed = {
        ("loop", "steps"): bench.steps,
        ("loop", "checkpoints"): 2,
        ("loop", "validations"): 2,
        ("loop", "preview_prompts"): (),
        ("loop", "precision"): "fp32",
        ("loss", "prior_weight"): 0.0,
    }
    answers = {
        "intent": hints["intent"],
        "trigger": hints["trigger"],
        "noun": hints["noun"],
        "pictures": dataset,
        "base_facts": facts,
        "device": device,
    }
    settings = make_plan(**answers, overrides={**fixed, **overrides}).settings
    if only == "forecast":
        from training.forecast import make_forecast
        from training.timing import recall_speed

        short = _trained(bench, name, folder, with_values(settings, {("loop", "steps"): TIMED_STEPS}))
        speed = recall_speed(short.path.parent / ".cache", base=facts, device=device, settings=settings)
        assert speed is not None
        forecast = make_forecast(settings, facts, device, pictures=36, held_out=4, speed=replace(speed, load_seconds=0))
        print(json.dumps({"seconds": forecast.seconds - forecast.prepare_seconds, "memory": forecast.memory_bytes, "speed": vars(speed)}))
        return
    from pipelines.events import Finished
    from training.runs import last_of

    finished = last_of(_trained(bench, name, folder, settings), Finished)
    print(json.dumps({"seconds": finished.seconds, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


def _trained(bench: Bench, name: str, folder: Path, settings: Any) -> Any:
    """A finished run of its own, with a cache of its own."""
    from training.execute import execute
    from training.runs import Job, create_run

    path = bench.work / "forecasts" / f"{name}-{time.time_ns()}" / "run"
    run = create_run(path, Job(kind="train", name=name, dataset=str(folder), settings=settings.model_dump(mode="json")))
    execute(run)
    return run


def part_report(bench: Bench, sets: list[str], seeds: int) -> None:
    """What the parts have shown so far, against what they must show."""
    path = bench.work / "results.json"
    known: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    groups = {
        kind: {name: figures for name, figures in known.items() if name.startswith(kind)}
        for kind in ("healthy", "long", "overfit", "leak", "clean", "dead", "fried", "forecast")
    }
    healthy = groups["healthy"].values()
    print(f"pick among the best two of ten: {sum(figures['rank'] <= 2 for figures in healthy)} of {len(healthy)} runs (wanted 8 of 9)")
    print(f"runs with a false alarm: {sum(bool(figures['false_alarms']) for figures in healthy)} of {len(healthy)} (wanted 0)")
    print(
        f"better than the last checkpoint of a run made far too long: {sum(figures['is_better'] for figures in groups['long'].values())} of {len(groups['long'])}"
    )
    for kind in ("overfit", "leak", "dead", "fried"):
        print(f"{kind} named in full: {sum(not figures['missed'] for figures in groups[kind].values())} of {len(groups[kind])}")
    print(
        f"clean runs flagged as leaking: {sum(figures['flagged'] for figures in groups['clean'].values())} of {len(groups['clean'])} (wanted 0)"
    )
    for figure, words in (("time_error", "time"), ("memory_error", "peak memory")):
        within = [abs(figures[figure]) <= 0.15 for figures in groups["forecast"].values()]
        print(f"{words} forecast within 15 %: {sum(within)} of {len(within)} plans")


PARTS = {
    "healthy": part_healthy,
    "long": part_long,
    "overfit": part_overfit,
    "leak": part_leak,
    "dead": part_dead,
    "fried": part_fried,
    "forecast": part_forecast,
    "report": part_report,
}


def _shown(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=[*PARTS, "all"], default="report")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dial", default="quick", choices=("quick", "balanced", "thorough"))
    parser.add_argument("--truths", type=int, default=TRUTHS, help="pictures set aside as the truth of product and character")
    parser.add_argument("--drawn", type=int, default=DRAWN, help="pictures drawn with each checkpoint to compare with the truth")
    parser.add_argument("--work", type=Path, default=ROOT / ".benchmark" / "verdict")
    parser.add_argument("--twemoji", type=Path, help="the .tgz of @iconify-json/twemoji; without it npm fetches one")
    parser.add_argument("--emojibase", type=Path, help="the .tgz of emojibase-data; without it npm fetches one")
    parser.add_argument("--stretch", type=float, default=20.0, help="how many times the steps in the overfit part")
    parser.add_argument("--steps", type=int, default=40, help="steps of each run of the forecast part")
    parser.add_argument(
        "--plans", nargs="+", choices=[name for name, _ in PLANS], default=(), help="which of the six plans of the forecast part"
    )
    parser.add_argument("--base", default="starter", help="another base of the starter's kind, such as an older starter's folder")
    parser.add_argument("--one-forecast", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--set", help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=("forecast", "run"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(
        asked.work.resolve(),
        asked.dial,
        asked.truths,
        asked.drawn,
        asked.twemoji,
        asked.emojibase,
        asked.stretch,
        asked.steps,
        tuple(asked.plans),
        asked.base,
    )
    if asked.one_forecast:
        one_forecast(bench, asked.one_forecast, asked.folder, asked.set, only=asked.only)
        return
    for part in PARTS if asked.part == "all" else (asked.part,):
        PARTS[part](bench, asked.sets, asked.seeds)


if __name__ == "__main__":
    main()
