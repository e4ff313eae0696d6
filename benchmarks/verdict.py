"""Is the verdict right? Trains on the sample sets with the starter, judges, and compares with a truth that the verdict never saw.

    python benchmarks/verdict.py --part healthy --sets product --seeds 1
    python benchmarks/verdict.py --part all --twemoji TGZ --emojibase TGZ

Parts: healthy (the pick among the best by the truth; false alarms), long (a run far too long: the pick against the last checkpoint), overfit, leak, dead,
fried, report (prints what was measured so far, forecast.py's figures too). Results gather in WORK/results.json.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.verdict_runs import ROOT, SETS, Bench, judge, prepare, train, truth_as_advised, truth_by_step

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
            samples = truth_by_step(bench, run, truth)
            distances = {step: float(values.mean()) for step, values in samples.items()}
            order = sorted((step for step in distances if step), key=distances.__getitem__)
            alarms = [finding.code for finding in verdict.findings if finding.code in ALARMS]
            bench.result(
                run.job.name, rank=order.index(verdict.pick.step) + 1, of=len(order), clearly_beaten_by=_clearly_better(samples, verdict.pick.step), picked=distances[verdict.pick.step], best=distances[order[0]],
                last=distances[max(distances)], base=distances[0], strength=verdict.pick.strength, confidence=verdict.confidence, false_alarms=alarms,
                findings=[finding.code for finding in verdict.findings], seconds_train=trained - began, seconds_judge=judged - trained,
            )  # fmt: skip


def _clearly_better(samples: dict[int, NDArray[np.float64]], pick: int) -> int:
    """How many checkpoints are better than the pick by more than two standard errors of the truth's own drawings, which are the same for all."""
    gains = [samples[pick] - values for step, values in samples.items() if step not in (0, pick)]
    return sum(bool(gain.mean() > 2 * gain.std(ddof=1) / math.sqrt(len(gain))) for gain in gains)


def part_long(bench: Bench, sets: list[str], seeds: int) -> None:
    """Far too long: 8 times the steps. What the verdict advises, its strength too, against the last checkpoint as it is."""
    for name in sets:
        folder, truth = prepare(bench, name)
        run = train(bench, f"long-{name}", folder, name, stretch=8)
        verdict = judge(bench, run)
        distances = {step: float(values.mean()) for step, values in truth_by_step(bench, run, truth).items()}
        advised = truth_as_advised(bench, run, truth, verdict.pick)
        bench.result(
            run.job.name,
            advised=advised,
            picked=distances[verdict.pick.step],
            last=distances[max(distances)],
            is_better=advised < distances[max(distances)],
            step=verdict.pick.step,
            strength=verdict.pick.strength,
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
    from training.runs import checkpoint_folders, open_run

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
    print(
        f"pick beaten by another beyond two standard errors of the truth: in {sum(figures['clearly_beaten_by'] > 0 for figures in healthy)} of {len(healthy)} runs"
    )
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
    "report": part_report,
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=[*PARTS, "all"], default="report")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dial", default="quick", choices=("quick", "balanced", "thorough"))
    parser.add_argument("--truths", type=int, default=12, help="pictures set aside as the truth of product and character")
    parser.add_argument("--drawn", type=int, default=100, help="pictures drawn with each checkpoint to compare with the truth")
    parser.add_argument("--work", type=Path, default=ROOT / ".benchmark" / "verdict")
    parser.add_argument("--twemoji", type=Path, help="the .tgz of @iconify-json/twemoji; without it npm fetches one")
    parser.add_argument("--emojibase", type=Path, help="the .tgz of emojibase-data; without it npm fetches one")
    parser.add_argument("--stretch", type=float, default=20.0, help="how many times the steps in the overfit part")
    parser.add_argument("--base", default="starter", help="another base of the starter's kind, such as an older starter's folder")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(
        asked.work.resolve(), asked.dial, asked.truths, asked.drawn, asked.twemoji, asked.emojibase, stretch=asked.stretch, base=asked.base
    )
    for part in PARTS if asked.part == "all" else (asked.part,):
        PARTS[part](bench, asked.sets, asked.seeds)


if __name__ == "__main__":
    main()
