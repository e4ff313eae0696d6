"""Which checkpoint, at which strength, and why: draws probes with every checkpoint, measures them, decides, and writes verdict.json into the run.

In: a finished (or stopped) run, its base and dataset. Out: events while it draws, then a `Verdict`; `apply_verdict` puts the picked checkpoint and its
recommended strength into the run's adapter file and card. Measuring is in scores/, deciding in decision.py: this file only joins them.
No torch until `score_run` is called.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pipelines.atomic import write_atomically
from pipelines.encoders import PictureEncoder, TextPictureEncoder
from pipelines.errors import RunError
from pipelines.events import Event, Phase
from training import decision
from training.captions import without_trigger
from training.config import TrainSettings
from training.dataset import Dataset, Item
from training.runs import CACHE, Run
from training.scores import closeness, colour, copying, health, leak
from training.scores.encoding import Lens, default_encoders, encode_items, open_square, text_encoder_of
from training.scores.kinds import Example, Finding, Nearest, Score, Verdict
from training.scores.probes import GLANCE, QUICK, Probe, Probes, Thoroughness, make_probes

if TYPE_CHECKING:
    from pipelines.families.base import Base
    from training.scores.gallery import Gallery

FILE = "verdict.json"
FOLDER = "verdict"
MOST_REAL = 400  # training pictures that neighbours are looked for among
UNDERSTOOD = 0.7  # text match of real pictures from which an encoder's reading counts; 0.5 is chance
SHOWN = 12  # nearest pairs that a verdict keeps


def read_verdict(run: Run) -> Verdict | None:
    """The verdict in a run, or None."""
    path = run.path / FILE
    return Verdict.model_validate_json(path.read_bytes()) if path.exists() else None


def score_run(
    run: Run, base: Base, dataset: Dataset, *, how: Thoroughness | None = None, encoders: Sequence[PictureEncoder] | None = None
) -> Generator[Event, None, Verdict]:
    """Draw, measure, decide; yields progress, returns the verdict, which then stands in the run. Drawn pictures are kept, so it can be stopped and resumed.

    how: None: quick on a CPU, else thorough. encoders: None: those that work offline. Raises RunError for a run without checkpoints.
    """
    from training.checkpoint import checkpoint_folders

    began = time.monotonic()
    how = how or (QUICK if base.device.type == "cpu" else Thoroughness())
    checkpoints = {int(folder.name): folder / "adapter.safetensors" for folder in checkpoint_folders(run.path)}
    if not checkpoints:
        raise RunError(f"{run.path.name} has no checkpoint to judge.", fix="Let it train until its first checkpoint.")
    if _is_dead(checkpoints, base):  # all pictures would be the base's: a few of the last checkpoint's are enough to show it
        checkpoints, how = {max(checkpoints): checkpoints[max(checkpoints)]}, GLANCE
    scene = yield from _set_up(run, base, dataset, how=how, encoders=tuple(encoders or default_encoders()), checkpoints=len(checkpoints))
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
    adapter = load_adapter(run.path / "checkpoints" / f"{step:06d}" / "adapter.safetensors")
    score = verdict.score_of(step, strength) or verdict.score_of(step, 1.0)
    kept = {} if score is None else {name: round(value, 4) for name, value in score.model_dump().items() if isinstance(value, float)}
    warnings = tuple(finding.message for finding in verdict.findings if finding.severity in ("warn", "danger"))
    card = adapter.card.model_copy(update={"recommended_strength": strength, "scores": kept, "warnings": warnings, "steps": step})
    save_adapter(type(adapter)(adapter.tensors, adapter.settings, card), run.adapter_path)
    write_atomically(run.path / "card.json", card.model_dump_json(indent=1).encode())


@dataclass
class _Scene:
    """Everything that all checkpoints are measured against."""

    run: Run
    gallery: Gallery
    probes: Probes
    held_out: tuple[Item, ...]
    training: tuple[Item, ...]
    is_held_out_real: bool
    is_base_changed: bool
    lens: Lens
    held_features: closeness.Features
    training_features: closeness.Features
    training_hashes: np.ndarray
    limit: copying.CopyLimit
    scale: closeness.Scale
    look: health.Look
    palette: colour.Palette
    base_core: closeness.Features
    base_rest: closeness.Features
    base_other_seeds: closeness.Features
    reader: TextPictureEncoder | None  # where its texts tell this set's real pictures apart
    texts: closeness.Features | None


def _set_up(
    run: Run, base: Base, dataset: Dataset, *, how: Thoroughness, encoders: tuple[PictureEncoder, ...], checkpoints: int
) -> Generator[Event, None, _Scene]:
    """Real pictures encoded, the base's pictures drawn, limits and scales taken from both."""
    from training.latents import split_held_out
    from training.scores.gallery import Gallery

    settings = TrainSettings.model_validate(run.job.settings)
    kept = split_held_out(dataset.items, settings.pictures.held_out, settings.loop.seed)
    keys = {item.key for item in kept}
    training = tuple(item for item in dataset.items if item.key not in keys)[:MOST_REAL]
    held_out = tuple(kept) or training
    probes = make_probes(held_out, training, settings.subject, how=how)
    side_px, background = base.native_size_px, settings.pictures.background
    gallery = Gallery(base, run.path / FOLDER, how)
    gallery.total = (
        (checkpoints + 1 + len(how.strengths)) * len(probes.core)
        + (how.finalists + 1 + len(how.strengths)) * len(probes.rest)
        + len(probes.unrelated)
    )
    cache = run.path.parent / CACHE / "features"
    yield Phase("reading", 0, 1)
    raw_held, raw_training = (
        [encode_items(items, encoder, side_px=side_px, background=background, folder=cache) for encoder in encoders]
        for items in (held_out, training)
    )
    core = yield from gallery.draw_base(probes.core)
    rest = yield from gallery.draw_base(probes.rest)
    other = yield from gallery.draw_base([Probe(probe.prompt, probe.seed + 50) for probe in probes.unrelated])
    lens = Lens(encoders)
    held_features, training_features = lens.place(raw_held), lens.place(raw_training)
    real = [open_square(item, side_px, background=background) for item in training[:64]]
    held_pictures = [open_square(held_out[probe.item], side_px, background=background) for probe in probes.held_out]
    hashes = copying.perceptual_hashes([open_square(item, side_px, background=background) for item in training])
    redrawn = lens.see(redraw(base, real))
    base_core = lens.see(core)
    wanted = held_features[[probe.item for probe in probes.held_out]]
    best = float(closeness.paired(lens.see(redraw(base, held_pictures)), wanted).mean())
    scale = closeness.Scale(float(closeness.paired(base_core[: len(wanted)], wanted).mean()), best)
    reader, texts = _reader(
        encoders,
        probes,
        held_pictures + [open_square(training[probe.item], side_px, background=background) for probe in probes.trained],
        settings,
    )
    return _Scene(
        reader=reader, texts=texts, run=run, gallery=gallery, probes=probes, held_out=held_out, training=training, is_held_out_real=bool(kept), is_base_changed=_is_base_changed(run, base), lens=lens, held_features=held_features,
        training_features=training_features, training_hashes=hashes, limit=copying.copy_limit(redrawn, training_features[: len(real)], hashes), scale=scale,
        look=health.usual_look(real + core, side_px=side_px), palette=colour.palette_of(real), base_core=base_core, base_rest=lens.see(rest),
        base_other_seeds=lens.see(other),
    )  # fmt: skip


def _reader(
    encoders: Sequence[PictureEncoder], probes: Probes, real: Sequence[Image.Image], settings: TrainSettings
) -> tuple[TextPictureEncoder | None, closeness.Features | None]:
    """The encoder that reads captions, if it understands them: if it tells these real pictures apart by what they are called."""
    reader = text_encoder_of(encoders)
    if reader is None:
        return None, None
    texts = reader.encode_texts([without_trigger(probe.prompt, settings.subject.trigger) for probe in probes.core])
    understood = float(closeness.text_match(reader.encode_pictures(real), texts).mean())
    return (reader, texts) if understood >= UNDERSTOOD else (None, None)


def redraw(base: Base, pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """Pictures through the base's autoencoder and back: the best that this base could draw of them."""
    import torch

    from pipelines.generation import to_picture
    from training.latents import to_tensor

    if not pictures:
        return []
    pixels = torch.stack([to_tensor(picture) for picture in pictures]).to(base.device)
    return [to_picture(decoded) for decoded in base.decode_latents(base.encode_images(pixels))]


def _finalists(scores: Sequence[Score], curve: health.Curve, *, count: int) -> list[int]:
    """Steps of the checkpoints that are worth most."""
    primary = decision.primary_scores(scores)
    worth = decision.smoothed(np.array([decision.utility(score, curve) for score in primary]))
    return [primary[index].step for index in np.argsort(-worth, kind="stable")[:count]]


def _is_base_changed(run: Run, base: Base) -> bool:
    """True if the card of the run's adapters names other weights than this base has."""
    from pipelines.adapter import load_adapter
    from training.checkpoint import checkpoint_folders

    known = load_adapter(checkpoint_folders(run.path)[-1] / "adapter.safetensors").card.base_fingerprint
    return bool(known) and known != base.fingerprint


def _is_dead(checkpoints: dict[int, Path], base: Base) -> bool:
    """True if the last checkpoint's weights have no effect worth drawing."""
    from pipelines.adapter import effect_size, load_adapter

    return effect_size(base, load_adapter(checkpoints[max(checkpoints)])) < decision.LIMITS.dead_effect


def _score(
    scene: _Scene, step: int, path: Path, *, strength: float, is_finalist: bool
) -> Generator[Event, None, tuple[Score, list[Nearest]]]:
    """All figures of one checkpoint at one strength."""
    from pipelines.adapter import effect_size, load_adapter

    probes, gallery = scene.probes, scene.gallery
    pictures = yield from gallery.draw_adapter(probes.core, path, strength=strength)
    features = scene.lens.see(pictures)
    held, trained = features[: len(probes.held_out)], features[len(probes.held_out) :]
    held_real = scene.held_features[[probe.item for probe in probes.held_out]]
    trained_real = scene.training_features[[probe.item for probe in probes.trained]]
    fidelity = scene.scale.of(closeness.paired(held, held_real))
    match = closeness.caption_match(features, np.concatenate([held_real, trained_real]))
    if scene.reader is not None and scene.texts is not None:
        match = ((match + closeness.text_match(scene.reader.encode_pictures(pictures), scene.texts)) / 2).astype(np.float32)
    match = closeness.obedience_of(match)
    beside = copying.neighbours(features, pictures, scene.training_features, scene.training_hashes, limit=scene.limit)
    key = gallery.adapter_key(path, strength)
    broken = np.mean(
        [scene.look.is_broken(picture) or gallery.is_broken(probe, key) for probe, picture in zip(probes.core, pictures, strict=True)]
    )
    score = Score(
        step=step,
        strength=strength,
        fidelity=float(fidelity.mean()),
        fidelity_samples=tuple(float(value) for value in fidelity),
        obedience=float(match.mean()),
        obedience_samples=tuple(float(value) for value in match[: len(held)]),
        copying=float(beside.is_copy.mean()),
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


def _memorised(scene: _Scene, trained: np.ndarray, trained_real: np.ndarray, held: np.ndarray, held_real: np.ndarray) -> float:
    """How much nearer training captions come to their pictures than held-out ones to theirs, less what the base's own pictures show of it."""
    if not scene.is_held_out_real:
        return 0.0
    count = len(held)
    by_base = float(
        closeness.paired(scene.base_core[count:], trained_real).mean() - closeness.paired(scene.base_core[:count], held_real).mean()
    )
    taught = float(closeness.paired(trained, trained_real).mean() - closeness.paired(held, held_real).mean())
    return (taught - by_base) / max(scene.scale.ceiling - scene.scale.base, closeness.SMALLEST_RANGE)


def _with_rest(scene: _Scene, score: Score, path: Path, *, called: np.ndarray) -> Generator[Event, None, Score]:
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


def _nearest(scene: _Scene, path: Path, strength: float, beside: copying.Neighbours) -> list[Nearest]:
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


def _in_run(scene: _Scene, probe: Probe, key: str) -> str:
    return scene.gallery.path_of(probe, key).relative_to(scene.run.path).as_posix()


def _examples(scene: _Scene, path: Path, strength: float) -> tuple[Example, ...]:
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
    scene: _Scene,
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
