"""What is wrong with a run, in plain words: dead, fried, overfitting, copying, leaking and the rest, each from scores against a limit.

In: scores per checkpoint and strength, the curve of losses, the pick. Out: `Finding`s, the gravest first. A pure function of numbers, as decision.py is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from training.scores.health import Curve
from training.scores.kinds import Finding, Score, primary_scores


@dataclass(frozen=True)
class Limits:
    """Where a figure becomes a finding. Calibrated on planted faults and healthy runs: benchmarks/verdict.py."""

    # of three checkpoints' pictures: healthy subjects 0.02, styles 0.125 at most; 12 pictures, 20 times the steps 0.25
    copying: float = 0.15
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
    # Obedience, the best checkpoint's: nine healthy runs 0.26 and more (one of them 0.08 at its pick), photographs without captions on the starter 0.0.
    heard: float = 0.15
    lost: float = -0.2
    astray: float = 0.5  # obedience below which "lost" counts
    worse: float = 2.0  # held-out loss over the base's: 12 pictures learnt by heart reached 1.5, a rate 20 times too high 2.6
    delta_e: float = 12.0


LIMITS = Limits()


def findings(scores: Sequence[Score], curve: Curve, pick: Score, *, limits: Limits = LIMITS) -> list[Finding]:
    """What a user should know, the gravest first."""
    dead = _dead(scores, limits)
    if dead:
        return [dead]
    fried = _fried(scores, pick, limits)
    if fried and fried.severity == "danger":
        return [fried]
    found = [fried, _nothing_learnt(pick, limits), _deaf(scores, limits), *_by_heart(scores, curve, pick, limits), _leak(pick, limits)]
    found += [_drift(pick, limits), _same(pick, limits), _colours(pick, limits)]
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


def _deaf(scores: Sequence[Score], limits: Limits) -> Finding | None:
    """No checkpoint listens; that one of them hardly does is often chance, where held-out pictures are much alike."""
    if max(score.obedience for score in scores) >= limits.heard:
        return None
    return Finding(
        code="deaf",
        severity="warn",
        message="What you ask for hardly changes what it draws: its pictures do not follow their captions.",
        fix="Say in each caption what its picture shows, and teach again. Photographs and scenes need a larger base than the starter.",
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
    share = f"{min(1.0, pick.leak):.0%} of the way"
    is_style = pick.styled is not None
    return Finding(
        code="leak",
        severity="warn",
        message=f"Leak: without the trigger {f'captions go {share} to your style' if is_style else f'the bare noun goes {share} to your subject'}.",
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
