"""The rule that turns scores into a verdict: a pure function of numbers, so that it can be tested and argued about.

In: scores per checkpoint and strength, the curve of losses. Out: a pick, the runner-up, how sure that is, and findings in plain words.
The pick is the knee of fidelity against obedience and copying: the checkpoint where a little more of one would cost more of the others than it is worth,
which on a bent trade-off is the point of the highest weighted sum. Where several cannot be told from the best by the probes at hand (two standard errors),
the last of them is taken: the rate has fallen farthest there, so its weights are the least noisy.
Draws nothing, measures nothing, reads no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from training.scores.health import Curve
from training.scores.kinds import Finding, Pick, Score

NEIGHBOUR = 0.5  # weight of the checkpoints before and after: one checkpoint's few pictures are noisy, a training is smooth
RESAMPLES = 300
ERRORS = 2.0  # standard errors by which an earlier checkpoint must be better than a later one
CLEARLY = 0.03  # of utility: by so much another strength must be better than 1


@dataclass(frozen=True)
class Weights:
    """What one unit of each is worth, in units of fidelity."""

    obedience: float = 0.5
    copying: float = 1.0
    memorised: float = 0.5
    lost_variety: float = 0.3
    leak: float = 0.15
    held_out_loss: float = 2.0  # of its rise above the lowest: a share, and the least noisy of all figures
    broken: float = 3.0


@dataclass(frozen=True)
class Limits:
    """Where a figure becomes a finding. Calibrated on planted faults and healthy runs: benchmarks/verdict.py."""

    copying: float = 0.15  # of three checkpoints' pictures: 13 healthy runs 0.04 at most; 12 pictures, 20 times the steps 0.22
    memorised: float = 0.35
    rise: float = 0.08
    gap: float = 0.3
    leak: float = 0.6
    drift: float = 0.7
    variety: float = 0.3
    dead_change: float = 0.03
    dead_effect: float = 1e-4
    fried_effect: float = 1.0
    broken: float = 0.3
    learnt: float = 0.1
    lost: float = -0.2
    astray: float = 0.5  # obedience below which "lost" counts
    worse: float = 1.3  # held-out loss over the base's
    delta_e: float = 12.0


WEIGHTS, LIMITS = Weights(), Limits()


@dataclass(frozen=True)
class Decision:
    """A pick with what stands behind it."""

    pick: Pick
    runner_up: Pick | None
    confidence: float
    findings: tuple[Finding, ...]


def decide(scores: Sequence[Score], curve: Curve, *, weights: Weights = WEIGHTS, limits: Limits = LIMITS, seed: int = 0) -> Decision:
    """The verdict on scores: first the checkpoint, all at the strength nearest 1, then its strength. Among equals the last, and strength 1.

    Raises ValueError without scores.
    """
    if not scores:
        raise ValueError("no scores to decide on")
    primary = evened(primary_scores(scores))
    utilities = smoothed(np.array([utility(score, curve, weights=weights) for score in primary]))
    resampled = _resampled(primary, curve, weights=weights, seed=seed)
    errors = _standard_errors(resampled, utilities)
    place = _last_level(utilities, errors)
    chosen = primary[place]
    pick = best_strength(scores, chosen, weights=weights)
    return Decision(
        pick=Pick(step=pick.step, strength=pick.strength, utility=float(utilities[place])),
        runner_up=_runner_up(primary, utilities, chosen),
        confidence=_confidence(resampled, place),
        findings=tuple(findings(scores, curve, pick, limits=limits)),
    )


def primary_scores(scores: Sequence[Score]) -> list[Score]:
    """One score per checkpoint, at the strength nearest 1, oldest first."""
    nearest: dict[int, Score] = {}
    for score in sorted(scores, key=lambda score: (score.step, abs(score.strength - 1))):
        nearest.setdefault(score.step, score)
    return [nearest[step] for step in sorted(nearest)]


def evened(scores: Sequence[Score]) -> list[Score]:
    """Variety and leak are measured for finalists alone: the others get the finalists' mean, so that nobody loses by having been looked at."""
    variety, leak = (
        [value for value in values if value is not None] for values in zip(*((s.variety, s.leak) for s in scores), strict=True)
    )
    means = {name: float(np.mean(values)) for name, values in (("variety", variety), ("leak", leak)) if values}
    return [score.model_copy(update={name: mean for name, mean in means.items() if getattr(score, name) is None}) for score in scores]


def best_strength(scores: Sequence[Score], chosen: Score, *, weights: Weights = WEIGHTS) -> Score:
    """The chosen checkpoint at the strength that is worth most; another than the primary one must be clearly better. Held-out loss is left out."""
    flat, none = replace(weights, held_out_loss=0.0), Curve(())
    rows = evened([score for score in scores if score.step == chosen.step])
    chosen = next(score for score in rows if score.strength == chosen.strength)
    best = max(rows, key=lambda score: (utility(score, none, weights=flat), -abs(score.strength - 1)))
    gain = utility(best, none, weights=flat) - utility(chosen, none, weights=flat)
    return best if gain > CLEARLY else chosen


def utility(score: Score, curve: Curve, *, weights: Weights = WEIGHTS) -> float:
    """What a checkpoint at a strength is worth, in units of fidelity."""
    worth = score.fidelity + weights.obedience * score.obedience
    worth -= weights.copying * score.copying + weights.memorised * max(0.0, score.memorised) + weights.broken * score.broken
    if score.variety is not None:
        worth -= weights.lost_variety * max(0.0, 1 - score.variety)
    if score.leak is not None:
        worth -= weights.leak * max(0.0, score.leak)
    if score.held_out_loss is not None and curve.best:
        worth -= weights.held_out_loss * max(0.0, score.held_out_loss / curve.best[1] - 1)
    return worth


def smoothed(utilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each checkpoint's utility averaged with its neighbours' (half weight each); the ends have one neighbour."""
    padded = np.concatenate([[0.0], utilities, [0.0]])
    there = np.concatenate([[0.0], np.ones(len(utilities)), [0.0]])
    total = padded[1:-1] + NEIGHBOUR * (padded[:-2] + padded[2:])
    return total / (1 + NEIGHBOUR * (there[:-2] + there[2:]))


def _runner_up(scores: Sequence[Score], utilities: NDArray[np.float64], pick: Score) -> Pick | None:
    """The best of the other checkpoints."""
    others = [index for index, score in enumerate(scores) if score.step != pick.step]
    if not others:
        return None
    best = max(others, key=lambda index: utilities[index])
    return Pick(step=scores[best].step, strength=scores[best].strength, utility=float(utilities[best]))


def _resampled(scores: Sequence[Score], curve: Curve, *, weights: Weights, seed: int) -> NDArray[np.float64]:
    """Smoothed utilities with the probes drawn anew with replacement (bootstrap, Efron 1979), the same ones for every checkpoint: [RESAMPLES, checkpoints].
    No rows where there are fewer than two probes.
    """
    width = min((len(score.fidelity_samples) for score in scores), default=0)
    if width < 2:
        return np.zeros((0, len(scores)))
    chance = np.random.default_rng(seed)
    fidelity = np.array([score.fidelity_samples[:width] for score in scores])
    obedience = np.array(
        [(score.obedience_samples[:width] if len(score.obedience_samples) >= width else (score.obedience,) * width) for score in scores]
    )
    rest = np.array([utility(score, curve, weights=weights) - score.fidelity - weights.obedience * score.obedience for score in scores])
    draws = (chance.integers(0, width, width) for _ in range(RESAMPLES))
    return np.array([smoothed(fidelity[:, d].mean(axis=1) + weights.obedience * obedience[:, d].mean(axis=1) + rest) for d in draws])


def _standard_errors(resampled: NDArray[np.float64], utilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each checkpoint's distance from the best one, [checkpoints]; 0 where nothing was resampled."""
    best = int(np.argmax(utilities))
    return (resampled - resampled[:, [best]]).std(axis=0) if len(resampled) else np.zeros(len(utilities))


def _last_level(utilities: NDArray[np.float64], errors: NDArray[np.float64]) -> int:
    """The last checkpoint that cannot be told from the best."""
    return int(np.flatnonzero(utilities >= utilities.max() - ERRORS * errors)[-1])


def _confidence(resampled: NDArray[np.float64], place: int) -> float:
    """How often this checkpoint, or its neighbour, comes out best from other probes."""
    if resampled.shape[1] < 2:
        return 1.0
    return float(np.mean(np.abs(resampled.argmax(axis=1) - place) <= 1)) if len(resampled) else 0.0


def findings(scores: Sequence[Score], curve: Curve, pick: Score, *, limits: Limits = LIMITS) -> list[Finding]:
    """What a user should know, the gravest first."""
    dead = _dead(scores, limits)
    if dead:
        return [dead]
    fried = _fried(scores, pick, limits)
    if fried and fried.severity == "danger":
        return [fried]
    found = [fried, _nothing_learnt(pick, limits), *_by_heart(scores, curve, pick, limits), _leak(pick, limits), _drift(pick, limits)]
    found += [_same(pick, limits), _colours(pick, limits)]
    kept = [finding for finding in found if finding]
    order = {"danger": 0, "warn": 1, "note": 2, "good": 3}
    return sorted(kept, key=lambda finding: order[finding.severity]) or [
        Finding(
            code="healthy", severity="good", message="Nothing is wrong: it follows prompts, copies nothing and leaves other prompts alone."
        )
    ]


def _dead(scores: Sequence[Score], limits: Limits) -> Finding | None:
    strongest = max((score.effect for score in scores if score.effect is not None), default=None)
    if (strongest is not None and strongest < limits.dead_effect) or max(score.change for score in scores) < limits.dead_change:
        return Finding(
            code="dead",
            severity="danger",
            message="The adapter does nothing: its pictures are those of the base.",
            fix="Raise the learning rate (it may be 0 or far too low), then train again.",
        )
    return None


def _fried(scores: Sequence[Score], pick: Score, limits: Limits) -> Finding | None:
    lost = [score for score in scores if _is_lost(score, limits)]
    if not lost:
        return None
    if _is_lost(pick, limits) or len({score.step for score in lost}) == len({score.step for score in scores}):
        return Finding(
            code="fried",
            severity="danger",
            message="The adapter is fried: its pictures fall apart.",
            fix="Divide the learning rate by 10 and train again.",
        )
    first = min(score.step for score in lost)
    return Finding(
        code="fried",
        severity="warn",
        message=f"From checkpoint {first} on it is fried: pictures fall apart. Earlier ones are whole.",
        fix="Use the picked one; lower the learning rate next time.",
    )


def _is_lost(score: Score, limits: Limits) -> bool:
    """True where pictures fall apart: noise or NaN, weights drowned, far from the set and from what was asked for, or a held-out loss well above the base's.
    Far from the set alone is none: a base may be near a style already, and a little step away from there is a large share of nothing.
    """
    drowned, is_astray = (score.effect or 0) > limits.fried_effect, score.fidelity < limits.lost and score.obedience < limits.astray
    return score.broken > limits.broken or drowned or is_astray or (score.held_out_loss or 0) > limits.worse


def _nothing_learnt(pick: Score, limits: Limits) -> Finding | None:
    if pick.fidelity >= limits.learnt:
        return None
    return Finding(
        code="not-learnt",
        severity="warn",
        message="It has hardly come closer to your pictures than the base.",
        fix="Train longer, or with a higher rate.",
    )


def _by_heart(scores: Sequence[Score], curve: Curve, pick: Score, limits: Limits) -> list[Finding]:
    """Overfitting and copying: of the last checkpoint as a note on the run, of the pick as a warning."""
    found = []
    last = max(scores, key=lambda score: (score.step, -abs(score.strength - 1)))
    share = _sign_of_overfitting(last, curve, limits)
    if share:
        where = "The run went on too long" if pick.step < last.step else "It has learnt its pictures by heart"
        found.append(
            Finding(
                code="overfitting",
                severity="warn",
                message=f"Overfitting: {where[0].lower() + where[1:]}; {share}.",
                fix=f"Use checkpoint {pick.step}; train shorter, or with more pictures.",
            )
        )
    copied = {score.step: copied_share(scores, score.step) for score in scores}
    worst = max(copied, key=copied.__getitem__)
    if copied[worst] > limits.copying:
        is_picked = copied[pick.step] > limits.copying
        message = f"Copying: {copied[worst]:.0%} of the pictures of checkpoint {worst} and those beside it are nearly one of yours."
        found.append(
            Finding(
                code="copying",
                severity="danger" if is_picked else "warn",
                message=message,
                fix="Look at them side by side; use an earlier checkpoint or a lower strength.",
            )
        )
    return found


def copied_share(scores: Sequence[Score], step: int) -> float:
    """Share of copies among the pictures of this checkpoint and of those before and after it: alone, each has drawn too few to tell."""
    row = primary_scores(scores)
    place = next(index for index, score in enumerate(row) if score.step == step)
    return fmean(score.copying for score in row[max(0, place - 1) : place + 2])


def _sign_of_overfitting(last: Score, curve: Curve, limits: Limits) -> str:
    """What shows that the end of a run knows its pictures by heart, in words; empty: nothing does."""
    if curve.best and curve.rise > limits.rise:
        return f"the held-out loss rose {curve.rise:.0%} above its lowest at step {curve.best[0]}"
    if curve.gap > limits.gap:
        return f"the loss on its own pictures fell {curve.gap:.0%} farther than on held-out ones"
    # Which captions were held out is chance, and some are easier: alone this is a sign only where no loss was measured.
    is_hinted = not curve.held_out or curve.rise > limits.rise / 2 or curve.gap > limits.gap / 2
    return "its own pictures come out far better than others" if last.memorised > limits.memorised and is_hinted else ""


def _leak(pick: Score, limits: Limits) -> Finding | None:
    if pick.leak is None or pick.leak <= limits.leak:
        return None
    return Finding(
        code="leak",
        severity="warn",
        message=f"Leak: without the trigger the bare noun goes {min(1.0, pick.leak):.0%} of the way to your subject.",
        fix="Train with class pictures (prior), and keep the trigger in every caption.",
    )


def _drift(pick: Score, limits: Limits) -> Finding | None:
    if pick.drift is None or pick.drift <= limits.drift:
        return None
    return Finding(
        code="drift",
        severity="note",
        message=f"Prompts that have nothing to do with it change {pick.drift:.0%} as much as with another seed.",
        fix="Use it at a lower strength, or train with class pictures.",
    )


def _same(pick: Score, limits: Limits) -> Finding | None:
    if pick.variety is None or pick.variety >= limits.variety:
        return None
    return Finding(
        code="no-variety",
        severity="warn",
        message=f"Other seeds give nearly the same picture: {pick.variety:.0%} of the base's variety is left.",
        fix="Use an earlier checkpoint or a lower strength.",
    )


def _colours(pick: Score, limits: Limits) -> Finding | None:
    if pick.delta_e is None or pick.delta_e <= limits.delta_e:
        return None
    return Finding(
        code="colours",
        severity="note",
        message=f"The set's own colours are missed by {pick.delta_e:.0f} Delta E on average; above 10 anyone sees it.",
        fix="Train longer, or name the colours in captions.",
    )


def sentence_of(decision: Decision) -> str:
    """The verdict in one line for people."""
    if any(finding.code in ("dead", "fried") and finding.severity == "danger" for finding in decision.findings):
        return next(finding.message for finding in decision.findings if finding.severity == "danger")
    pick = decision.pick
    reason = "closest to your held-out pictures for what it costs"
    is_copying = any(finding.code == "copying" and finding.severity == "danger" for finding in decision.findings)
    copying = ", but it copies" if is_copying else ", no copying"
    runner = f" Runner-up {decision.runner_up.step}." if decision.runner_up else ""
    return f"Checkpoint {pick.step} at strength {pick.strength:g}: {reason}{copying}.{runner}"


def with_curve(scores: Sequence[Score], curve: Curve) -> list[Score]:
    """Scores with the held-out loss of their step, where it was measured; it belongs to strength 1."""
    return [score.model_copy(update={"held_out_loss": curve.at(score.step)}) if score.strength == 1 else score for score in scores]
