"""The rule that turns scores into a verdict: a pure function of numbers, so that it can be tested and argued about.

In: scores per checkpoint and strength, the curve of losses. Out: a pick, the runner-up, how sure that is, and findings (findings.py).
The pick is the knee of fidelity against obedience and copying: the checkpoint where a little more of one would cost more of the others than it is worth,
which on a bent trade-off is the point of the highest weighted sum. Where several of a subject's cannot be told from the best by the held-out pictures at hand, the last of
them is taken: the rate has fallen farthest there, so its weights are the least noisy. A style forgets as it goes on, so there the best itself is taken.
Draws nothing, measures nothing, reads no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.findings import LIMITS, Limits, findings
from training.scores.health import Curve
from training.scores.kinds import Finding, Pick, Score, primary_scores

RESAMPLES = 300
ERRORS = 1.5  # standard errors by which an earlier checkpoint must be better than a later one
CLEARLY = 0.03  # of utility: by so much another strength must be better than 1


@dataclass(frozen=True)
class Weights:
    """What one unit of each is worth, in units of fidelity."""

    obedience: float = 0.5
    unseen: float = 2.0  # of a style: it is for things that it was not shown, and by this its checkpoints differ most (docs/verdict.md)
    styled: float = 1.0
    copying: float = 1.0
    memorised: float = 0.5
    lost_variety: float = 0.3
    leak: float = 0.15
    # Of its rise above the lowest: a share, and the least noisy of all figures. It goes on rising while pictures at held-out captions still get better (runs far too long).
    held_out_loss: float = 0.5
    broken: float = 3.0


WEIGHTS = Weights()


@dataclass(frozen=True)
class Decision:
    """A pick with what stands behind it."""

    pick: Pick
    runner_up: Pick | None
    confidence: float
    findings: tuple[Finding, ...]
    spares_unseen: bool = False  # a style that was judged by things that it was not shown


def decide(scores: Sequence[Score], curve: Curve, *, weights: Weights = WEIGHTS, limits: Limits = LIMITS, seed: int = 0) -> Decision:
    """The verdict on scores: first the checkpoint, all at the strength nearest 1, then its strength. Among equals a subject's last, and strength 1.

    Raises ValueError without scores.
    """
    if not scores:
        raise ValueError("no scores to decide on")
    primary = evened(primary_scores(scores))
    utilities = np.array([utility(score, curve, weights=weights) for score in primary])
    resampled = _resampled(primary, curve, weights=weights, seed=seed)
    is_style = any(score.styled is not None for score in primary)
    place = int(np.argmax(utilities)) if is_style else _last_level(utilities, _standard_errors(resampled, utilities))
    chosen = primary[place]
    pick = best_strength(scores, chosen, weights=weights)
    return Decision(
        pick=Pick(step=pick.step, strength=pick.strength, utility=float(utilities[place])),
        runner_up=_runner_up(primary, utilities, chosen),
        confidence=_confidence(resampled, place),
        findings=tuple(findings(scores, curve, pick, limits=limits)),
        spares_unseen=any(score.unseen is not None for score in primary),
    )


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
    if score.unseen is not None:
        worth += weights.unseen * score.unseen
    if score.styled is not None:
        worth += weights.styled * score.styled
    if score.variety is not None:
        worth -= weights.lost_variety * max(0.0, 1 - score.variety)
    if score.leak is not None:
        worth -= weights.leak * max(0.0, score.leak)
    if score.held_out_loss is not None and curve.best:
        worth -= weights.held_out_loss * max(0.0, score.held_out_loss / curve.best[1] - 1)
    return worth


def _runner_up(scores: Sequence[Score], utilities: NDArray[np.float64], pick: Score) -> Pick | None:
    """The best of the other checkpoints."""
    others = [index for index, score in enumerate(scores) if score.step != pick.step]
    if not others:
        return None
    best = max(others, key=lambda index: utilities[index])
    return Pick(step=scores[best].step, strength=scores[best].strength, utility=float(utilities[best]))


def _resampled(scores: Sequence[Score], curve: Curve, *, weights: Weights, seed: int) -> NDArray[np.float64]:
    """Utilities with the held-out pictures drawn anew with replacement (bootstrap, Efron 1979), the same ones for every checkpoint: [RESAMPLES, checkpoints].
    No rows where there are fewer than two.
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
    resampled = np.array([fidelity[:, d].mean(axis=1) + weights.obedience * obedience[:, d].mean(axis=1) + rest for d in draws])
    return resampled + weights.unseen * _resampled_unseen(scores, seed=seed)


def _resampled_unseen(scores: Sequence[Score], *, seed: int) -> NDArray[np.float64]:
    """How far each checkpoint's figure for unseen things moves when these are drawn anew: [RESAMPLES, checkpoints], zeros where there are fewer than two."""
    width = min((len(score.unseen_samples) for score in scores), default=0)
    if width < 2:
        return np.zeros((RESAMPLES, len(scores)))
    chance = np.random.default_rng([seed, 1])
    samples = np.array([score.unseen_samples[:width] for score in scores])
    return np.array([samples[:, chance.integers(0, width, width)].mean(axis=1) for _ in range(RESAMPLES)]) - samples.mean(axis=1)


def _standard_errors(resampled: NDArray[np.float64], utilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each checkpoint's distance from the best one, [checkpoints]; 0 where nothing was resampled."""
    best = int(np.argmax(utilities))
    return (resampled - resampled[:, [best]]).std(axis=0) if len(resampled) else np.zeros(len(utilities))


def _last_level(utilities: NDArray[np.float64], errors: NDArray[np.float64]) -> int:
    """The last checkpoint that cannot be told from the best."""
    return int(np.flatnonzero(utilities >= utilities.max() - ERRORS * errors)[-1])


def _confidence(resampled: NDArray[np.float64], place: int) -> float:
    """How often this checkpoint, or its neighbour, comes out best from other held-out pictures."""
    if resampled.shape[1] < 2:
        return 1.0
    return float(np.mean(np.abs(resampled.argmax(axis=1) - place) <= 1)) if len(resampled) else 0.0


def sentence_of(decision: Decision) -> str:
    """The verdict in one line for people."""
    if any(finding.code in ("dead", "fried") and finding.severity == "danger" for finding in decision.findings):
        return next(finding.message for finding in decision.findings if finding.severity == "danger")
    pick = decision.pick
    reason = "closest to your held-out pictures for what it costs"
    if decision.spares_unseen:
        reason = "your style, with the least harm to things that you did not show"
    is_copying = any(finding.code == "copying" and finding.severity == "danger" for finding in decision.findings)
    is_deaf = any(finding.code == "deaf" for finding in decision.findings)
    copying = ", but it copies" if is_copying else ", but it does not follow what is asked" if is_deaf else ", no copying"
    runner = f" Runner-up {decision.runner_up.step}." if decision.runner_up else ""
    return f"Checkpoint {pick.step} at strength {pick.strength:g}: {reason}{copying}.{runner}"


def with_curve(scores: Sequence[Score], curve: Curve) -> list[Score]:
    """Scores with the held-out loss of their step, where it was measured; it belongs to strength 1."""
    return [score.model_copy(update={"held_out_loss": curve.at(score.step)}) if score.strength == 1 else score for score in scores]
