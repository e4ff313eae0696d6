"""Which checkpoint, at which strength, and why: draws probes with every checkpoint, measures them, decides, and writes verdict.json into the run.

In: a finished (or stopped) run, its base and dataset. Out: events while it draws, then a `Verdict`; `apply_verdict` puts the picked checkpoint and its
recommended strength into the run's adapter file and card. Measuring is in scores/, deciding in decision.py: this file only joins them.
No torch until `score_run` is called.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.atomic import write_atomically
from pipelines.encoders import PictureEncoder, layer_statistics
from pipelines.errors import RunError
from pipelines.events import Event
from training import decision
from training.dataset import Dataset
from training.findings import LIMITS
from training.runs import Run, checkpoint_folders, checkpoint_name
from training.scene import Scene, set_up_scene
from training.scores import closeness, copying, health, leak
from training.scores.encoding import default_encoders
from training.scores.kinds import Example, Finding, Nearest, Score, Verdict, primary_scores
from training.scores.probes import GLANCE, QUICK, Probe, Thoroughness

if TYPE_CHECKING:
    from pipelines.families.base import Base

FILE = "verdict.json"
SHOWN = 12  # nearest pairs that a verdict keeps


def read_verdict(run: Run) -> Verdict | None:
    """The verdict in a run; None where there is none that can be read."""
    try:
        return Verdict.model_validate_json((run.path / FILE).read_bytes())
    except (OSError, ValueError):
        return None


def score_run(
    run: Run, base: Base, dataset: Dataset, *, how: Thoroughness | None = None, encoders: Sequence[PictureEncoder] | None = None
) -> Generator[Event, None, Verdict]:
    """Draw, measure, decide; yields progress, returns the verdict, which then stands in the run. Drawn pictures are kept, so it can be stopped and resumed.

    how: None: quick on a CPU, else thorough. encoders: None: those that work offline. Raises RunError for a run without checkpoints.
    """

    began = time.monotonic()
    how = how or (QUICK if base.device.type == "cpu" else Thoroughness())
    checkpoints = {int(folder.name): folder / "adapter.safetensors" for folder in checkpoint_folders(run.path)}
    if not checkpoints:
        raise RunError(f"{run.path.name} has no checkpoint to judge.", fix="Let it train until its first checkpoint.")
    if _is_dead(checkpoints, base):  # all pictures would be the base's: a few of the last checkpoint's are enough to show it
        checkpoints, how = {max(checkpoints): checkpoints[max(checkpoints)]}, GLANCE
    scene = yield from set_up_scene(
        run, base, dataset, how=how, encoders=tuple(encoders or default_encoders()), checkpoints=len(checkpoints)
    )
    curve = health.curve_of(list(run.events()))
    judged: dict[tuple[int, float], tuple[Score, list[Nearest]]] = {}

    def measured() -> list[Score]:
        return decision.with_curve([score for score, _ in judged.values()], curve)

    for step, path in checkpoints.items():
        judged[step, 1.0] = yield from _score(scene, step, path, strength=1.0, is_finalist=False)
    pick = decision.decide(measured(), curve).pick.step
    finalists = list(dict.fromkeys([pick, *_finalists(measured(), curve, count=how.finalists)]))[: how.finalists]
    for step in finalists:  # grows below: what is picked in the end has been probed for leaks
        judged[step, 1.0] = yield from _score(scene, step, checkpoints[step], strength=1.0, is_finalist=True)
        pick = decision.decide(measured(), curve).pick.step
        if step == finalists[-1] and pick not in finalists:
            finalists.append(pick)
    for strength in how.strengths:
        judged[pick, strength] = yield from _score(scene, pick, checkpoints[pick], strength=strength, is_finalist=True)
    verdict = _verdict(scene, measured(), curve, {key: near for key, (_, near) in judged.items()}, checkpoints=checkpoints, began=began)
    write_atomically(run.path / FILE, verdict.model_dump_json(indent=1).encode())
    return verdict


def apply_verdict(run: Run, verdict: Verdict, *, step: int | None = None, strength: float | None = None) -> None:
    """Make the picked checkpoint (or the one that the user starred) the run's adapter, with strength, scores and warnings in its card."""
    from pipelines.adapter import load_adapter, save_adapter

    step = verdict.pick.step if step is None else step
    strength = verdict.pick.strength if strength is None else strength
    adapter = load_adapter(run.path / checkpoint_name(step) / "adapter.safetensors")
    score = verdict.score_of(step, strength) or verdict.score_of(step, 1.0)
    kept = {} if score is None else {name: round(value, 4) for name, value in score.model_dump().items() if isinstance(value, float)}
    warnings = tuple(finding.message for finding in verdict.findings if finding.severity in ("warn", "danger"))
    card = adapter.card.model_copy(update={"recommended_strength": strength, "scores": kept, "warnings": warnings, "steps": step})
    save_adapter(type(adapter)(adapter.tensors, adapter.settings, card), run.adapter_path)
    write_atomically(run.path / "card.json", card.model_dump_json(indent=1).encode())


def _finalists(scores: Sequence[Score], curve: health.Curve, *, count: int) -> list[int]:
    """Steps of the checkpoints that are worth most."""
    primary = primary_scores(scores)
    worth = np.array([decision.utility(score, curve) for score in primary])
    return [primary[index].step for index in np.argsort(-worth, kind="stable")[:count]]


def _is_dead(checkpoints: dict[int, Path], base: Base) -> bool:
    """True if the last checkpoint's weights have no effect worth drawing."""
    from pipelines.adapter import effect_size, load_adapter

    return effect_size(base, load_adapter(checkpoints[max(checkpoints)])) < LIMITS.dead_effect


def _score(
    scene: Scene, step: int, path: Path, *, strength: float, is_finalist: bool
) -> Generator[Event, None, tuple[Score, list[Nearest]]]:
    """All figures of one checkpoint at one strength."""
    from pipelines.adapter import effect_size, load_adapter

    probes, gallery = scene.probes, scene.gallery
    drawn = yield from gallery.draw_adapter(probes.core + probes.unseen, path, strength=strength)
    pictures, unseen_pictures = drawn[: len(probes.core)], drawn[len(probes.core) :]
    features = scene.lens.see(pictures)
    held, trained = features[: len(probes.held_out)], features[len(probes.held_out) :]
    held_real = scene.held_features[[probe.item for probe in probes.held_out]]
    trained_real = scene.training_features[[probe.item for probe in probes.trained]]
    fidelity = scene.scale.of(closeness.paired(held, held_real))
    match = closeness.caption_match(features, np.concatenate([held_real, trained_real]))
    if scene.reader is not None and scene.texts is not None:
        match = ((match + closeness.text_match(scene.reader.encode_pictures(pictures), scene.texts)) / 2).astype(np.float32)
    match = closeness.obedience_of(match)
    style = scene.style
    unseen = style.scale.of(closeness.paired(scene.lens.see(unseen_pictures), style.wanted)) if style else np.zeros(0)
    beside = copying.neighbours(features, pictures, scene.training_features, scene.training_hashes, limit=scene.limit)
    key = gallery.adapter_key(path, strength)
    broken = np.mean(
        [scene.look.is_broken(picture) or gallery.is_broken(probe, key) for probe, picture in zip(probes.core, pictures, strict=True)]
    )
    score = Score(
        step=step,
        strength=strength,
        fidelity=float(fidelity.mean()),
        fidelity_samples=by_picture(fidelity, probes.held_out),
        obedience=float(match.mean()),
        obedience_samples=by_picture(match[: len(held)], probes.held_out),
        unseen=float(unseen.mean()) if len(unseen) else None,
        unseen_samples=tuple(float(value) for value in unseen),
        styled=style.styling.of(layer_statistics(drawn)) if style else None,
        copying=copying.copied_beyond(beside, scene.limit),
        memorised=_memorised(scene, trained, trained_real, held, held_real),
        consistency=closeness.relative(1 - closeness.spread(features), 1 - closeness.spread(scene.training_features[:64])),
        delta_e=float(np.mean([scene.palette.distance(picture) for picture in pictures])) if len(scene.palette.lab) else None,
        change=closeness.relative(float(1 - closeness.paired(features, scene.base_core).mean()), closeness.spread(scene.base_core)),
        effect=strength * effect_size(gallery.base, load_adapter(path)),
        broken=float(broken),
    )
    if is_finalist:
        score = yield from _with_rest(scene, score, path, called=held)
    return score, _nearest(scene, path, strength, beside)


def by_picture(values: np.ndarray, probes: Sequence[Probe]) -> tuple[float, ...]:
    """The mean over the probes of each held-out picture: seeds of one caption are no captions, and resampled as such they would make a verdict too sure."""
    items = np.array([probe.item for probe in probes])
    return tuple(float(values[items == item].mean()) for item in dict.fromkeys(items.tolist()))


def _memorised(scene: Scene, trained: np.ndarray, trained_real: np.ndarray, held: np.ndarray, held_real: np.ndarray) -> float:
    """How much nearer training captions come to their pictures than held-out ones to theirs, less what the base's own pictures show of it."""
    if not scene.is_held_out_real:
        return 0.0
    count = len(held)
    by_base = float(
        closeness.paired(scene.base_core[count:], trained_real).mean() - closeness.paired(scene.base_core[:count], held_real).mean()
    )
    taught = float(closeness.paired(trained, trained_real).mean() - closeness.paired(held, held_real).mean())
    return (taught - by_base) / max(scene.scale.ceiling - scene.scale.base, closeness.SMALLEST_RANGE)


def _with_rest(scene: Scene, score: Score, path: Path, *, called: np.ndarray) -> Generator[Event, None, Score]:
    """The score with variety, leak and drift."""
    probes = scene.probes
    rest = yield from scene.gallery.draw_adapter(probes.rest, path, strength=score.strength)
    features = scene.lens.see(rest)
    seeds, bare = len(probes.seeds), len(probes.bare)
    parts = [slice(0, seeds), slice(seeds, seeds + bare), slice(seeds + bare, None)]
    subject = np.concatenate([scene.held_features, scene.training_features[:64]])
    return score.model_copy(
        update={
            "variety": closeness.relative(closeness.spread(features[parts[0]]), closeness.spread(scene.base_rest[parts[0]])),
            "leak": leak.leak_of(bare_noun=features[parts[1]], bare_noun_by_base=scene.base_rest[parts[1]], called=called, subject=subject),
            "drift": leak.drift_of(
                unrelated=features[parts[2]], unrelated_by_base=scene.base_rest[parts[2]], other_seeds=scene.base_other_seeds
            ),
        }
    )


def _nearest(scene: Scene, path: Path, strength: float, beside: copying.Neighbours) -> list[Nearest]:
    """Each core picture beside its nearest training picture."""
    key = scene.gallery.adapter_key(path, strength)
    return [
        Nearest(
            picture=_in_run(scene, probe, key),
            training=scene.training[int(beside.index[place])].key,
            similarity=float(beside.similarity[place]),
            hash_distance=int(beside.hash_bits[place]),
            is_copy=bool(beside.is_copy[place]),
        )
        for place, probe in enumerate(scene.probes.core)
    ]


def _in_run(scene: Scene, probe: Probe, key: str) -> str:
    return scene.gallery.path_of(probe, key).relative_to(scene.run.path).as_posix()


def _examples(scene: Scene, path: Path, strength: float) -> tuple[Example, ...]:
    """Before and after, for every held-out caption."""
    before, after = scene.gallery.base_key, scene.gallery.adapter_key(path, strength)
    return tuple(
        Example(
            prompt=probe.prompt,
            seed=probe.seed,
            base=_in_run(scene, probe, before),
            taught=_in_run(scene, probe, after),
            real=scene.held_out[probe.item].key,
        )
        for probe in scene.probes.held_out
    )


def _verdict(
    scene: Scene,
    scores: list[Score],
    curve: health.Curve,
    nearest: dict[tuple[int, float], list[Nearest]],
    *,
    checkpoints: dict[int, Path],
    began: float,
) -> Verdict:
    """Decision, words and evidence together."""
    decided = decision.decide(scores, curve)
    pairs = sorted(nearest[decided.pick.step, decided.pick.strength], key=lambda pair: -pair.similarity)
    found = list(decided.findings)
    if not scene.is_held_out_real:
        message = f"{len(scene.training)} pictures left none to hold out: closeness is to pictures that it was trained on, and overfitting goes unseen."
        found.append(Finding(code="no-held-out", severity="note", message=message, fix="Add pictures; from 8 on some are held out."))
    if scene.is_base_changed:
        message = "The base is not the one that was trained on: its weights have changed since."
        found.append(
            Finding(code="base-changed", severity="warn", message=message, fix="Train again on this base, or judge with the old one.")
        )
    return Verdict(
        pick=decided.pick,
        runner_up=decided.runner_up,
        confidence=decided.confidence,
        sentence=decision.sentence_of(decided),
        findings=tuple(found),
        scores=tuple(sorted(scores, key=lambda score: (score.step, score.strength))),
        nearest=tuple(pairs[:SHOWN]),
        examples=_examples(scene, checkpoints[decided.pick.step], decided.pick.strength),
        copy_limit=scene.limit.similarity,
        closest=pairs[0].similarity,
        base_closeness=scene.scale.base,
        palette=scene.palette.hex,
        encoders=tuple(encoder.name for encoder in scene.lens.encoders),
        held_out=len(scene.held_out) if scene.is_held_out_real else 0,
        drawn=scene.gallery.done,
        seconds=time.monotonic() - began,
    )
