"""The rule from scores to verdict: never a dominated pick, no jump for unrelated candidates, and each planted fault by its name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.decision import best_strength, decide, sentence_of, utility, with_curve
from training.scores.health import Curve
from training.scores.kinds import Score, primary_scores

FLAT = Curve(())
share = st.floats(0, 1, allow_nan=False)


def run_of(fidelities, *, step=50, samples=8, spread=0.02, **figures) -> list[Score]:
    chance = np.random.default_rng(0)
    return [
        Score(
            step=step * (place + 1), fidelity=value, obedience=0.5, effect=0.05, fidelity_samples=tuple(value + spread * chance.standard_normal(samples)),
            obedience_samples=(0.5,) * samples, **{name: values[place] for name, values in figures.items()},
        )
        for place, value in enumerate(fidelities)
    ]  # fmt: skip


RISING = [0.05, 0.15, 0.25, 0.33, 0.4, 0.44, 0.47, 0.5, 0.52, 0.53]


def test_a_healthy_run_is_picked_late_and_nothing_is_said_against_it():
    decision = decide(run_of(RISING, copying=[0.0] * 10), FLAT)
    assert decision.pick.step >= 450
    assert [finding.code for finding in decision.findings] == ["healthy"]
    assert decision.confidence > 0.7


def test_among_checkpoints_that_the_probes_cannot_tell_apart_the_last_is_picked():
    assert decide(run_of([0.1, 0.3, 0.45, 0.5, 0.52, 0.5, 0.49, 0.5], spread=0.3), FLAT).pick.step == 400
    assert decide(run_of([0.1, 0.3, 0.45, 0.5, 0.52, 0.3, 0.2, 0.1], spread=0.01), FLAT).pick.step <= 250


def test_finalists_do_not_lose_by_having_been_looked_at():
    scores = run_of(RISING)
    looked_at = [*scores[:-1], scores[-1].model_copy(update={"leak": 0.9, "variety": 0.5})]
    assert decide(looked_at, FLAT).pick.step == decide(scores, FLAT).pick.step == scores[-1].step
    weaker = scores[-1].model_copy(update={"strength": 0.8})
    assert decide([*looked_at, weaker], FLAT).pick.strength == 1.0


def test_a_step_away_from_a_style_that_the_base_has_nearly_is_not_called_fried():
    codes = [
        finding.code for finding in decide([score.model_copy(update={"obedience": 0.9}) for score in run_of([-0.3, -0.25])], FLAT).findings
    ]
    assert "fried" not in codes and "not-learnt" in codes


def test_copying_is_told_from_three_checkpoints_not_from_one_stray_picture():
    stray, steady = [0.0] * 10, [0, 0, 0.11, 0.11, 0.22, 0.22, 0.22, 0.11, 0.22, 0.22]
    stray[3] = 0.11
    codes = [[finding.code for finding in decide(run_of(RISING, copying=shares), FLAT).findings] for shares in (stray, steady)]
    assert "copying" not in codes[0] and "copying" in codes[1]


def test_the_pick_lies_before_copying_sets_in():
    decision = decide(run_of(RISING, copying=[0, 0, 0, 0, 0, 0.1, 0.5, 0.8, 0.9, 1.0]), FLAT)
    assert decision.pick.step <= 300
    assert "copying" in [finding.code for finding in decision.findings]


def test_a_rising_held_out_loss_is_called_overfitting_and_moves_the_pick_forward():
    curve = Curve(tuple((50 * (place + 1), ratio) for place, ratio in enumerate([0.95, 0.9, 0.86, 0.85, 0.88, 0.95, 1.05, 1.2, 1.3, 1.4])))
    decision = decide(with_curve(run_of(RISING), curve), curve)
    assert decision.pick.step <= 300
    finding = next(finding for finding in decision.findings if finding.code == "overfitting")
    assert "step 200" in finding.message and str(decision.pick.step) in finding.fix


def test_a_training_loss_that_leaves_the_held_out_loss_behind_is_overfitting_too():
    curve = Curve(((50, 0.95), (100, 0.9)), training=((50, 0.9), (100, 0.4)))
    finding = next(finding for finding in decide(run_of(RISING), curve).findings if finding.code == "overfitting")
    assert "50% farther" in finding.message


def test_a_curve_that_only_falls_is_no_overfitting():
    curve = Curve(tuple((50 * (place + 1), 0.95 - 0.01 * place) for place in range(10)))
    assert not [finding for finding in decide(with_curve(run_of(RISING), curve), curve).findings if finding.code == "overfitting"]


@pytest.mark.parametrize(
    ("curve", "is_said"),
    [
        (
            Curve(((250, 0.7), (500, 0.65)), training=((250, 0.7), (500, 0.64))),
            False,
        ),  # the product's own run: 0.4 from the first checkpoint on
        (Curve(((250, 0.7), (500, 0.65)), training=((250, 0.6), (500, 0.45))), True),
        (Curve(((250, 0.65), (500, 0.69))), True),
        (FLAT, True),
    ],
)
def test_own_pictures_that_come_easier_are_a_sign_only_beside_another_one(curve: Curve, is_said: bool):
    codes = [finding.code for finding in decide(run_of(RISING, memorised=[0.4] * 10), curve).findings]
    assert ("overfitting" in codes) == is_said


def test_a_dead_adapter_is_named_and_nothing_else_is():
    dead = [score.model_copy(update={"change": 0.0, "effect": 0.0}) for score in run_of([0.0] * 5)]
    decision = decide(dead, FLAT)
    assert [finding.code for finding in decision.findings] == ["dead"]
    assert "does nothing" in sentence_of(decision)


def test_a_fried_adapter_is_named_and_its_fix_is_a_lower_rate():
    decision = decide(run_of([-1.0] * 5, broken=[1.0] * 5), FLAT)
    fried = next(finding for finding in decision.findings if finding.code == "fried")
    assert fried.severity == "danger" and "learning rate" in fried.fix


def test_pictures_whose_held_out_loss_is_far_above_the_bases_are_fried_however_near_they_seem():
    scores = run_of([0.34, 0.29, 0.32], held_out_loss=[3.0, 2.8, 2.6], broken=[0.0] * 3)
    decision = decide(scores, Curve(((50, 3.0), (100, 2.8), (150, 2.6))))
    assert [finding.code for finding in decision.findings] == ["fried"]
    assert "fried" in sentence_of(decision)


def test_a_run_that_knows_its_pictures_by_heart_is_overfitted_not_fried():
    ratios = [0.81, 0.94, 1.21, 1.41, 1.48]  # 12 pictures, 20 times the steps
    curve = Curve(tuple((50 * (place + 1), ratio) for place, ratio in enumerate(ratios)))
    codes = [finding.code for finding in decide(with_curve(run_of([0.47, 0.22, 0.36, 0.34, 0.37]), curve), curve).findings]
    assert "overfitting" in codes and "fried" not in codes


def test_one_fried_checkpoint_is_passed_by():
    scores = run_of([0.3, 0.4, 0.5, -2.0], broken=[0, 0, 0, 1.0])
    decision = decide(scores, FLAT)
    assert decision.pick.step <= 150
    assert next(finding for finding in decision.findings if finding.code == "fried").severity == "warn"


def test_an_adapter_that_does_not_listen_is_said_to_be_deaf():
    scores = [score.model_copy(update={"obedience": 0.05, "obedience_samples": (0.05,) * 8}) for score in run_of(RISING)]
    decision = decide(scores, FLAT)
    assert "deaf" in [finding.code for finding in decision.findings]
    assert "does not follow what is asked" in sentence_of(decision)
    assert "deaf" not in [finding.code for finding in decide(run_of(RISING), FLAT).findings]
    early = [run_of(RISING)[0], *scores[1:]]
    assert "deaf" not in [finding.code for finding in decide(early, FLAT).findings]


def test_a_leak_is_said_of_the_pick():
    scores = [score.model_copy(update={"leak": 0.9}) for score in run_of(RISING)]
    said = {finding.code: finding.message for finding in decide(scores, FLAT).findings}
    assert "the bare noun goes 90% of the way to your subject" in said["leak"]
    style = [score.model_copy(update={"styled": 0.5}) for score in scores]
    assert "captions go 90% of the way to your style" in next(one.message for one in decide(style, FLAT).findings if one.code == "leak")


def test_another_strength_is_recommended_only_where_it_is_clearly_better():
    base = run_of(RISING)
    last = base[-1]
    hardly, clearly = (last.model_copy(update={"strength": 0.8, "fidelity": last.fidelity + gain}) for gain in (0.01, 0.1))
    assert best_strength([*base, hardly], last).strength == 1
    assert best_strength([*base, clearly], last).strength == 0.8
    assert primary_scores([*base, clearly]) == base


def test_a_single_checkpoint_is_its_own_verdict():
    decision = decide(run_of([0.3]), FLAT)
    assert decision.pick.step == 50 and decision.runner_up is None


def test_no_scores_is_an_error_of_ours():
    with pytest.raises(ValueError, match="no scores"):
        decide([], FLAT)


@given(fidelities=st.lists(share, min_size=2, max_size=10), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_scores_does_not_matter(fidelities, seed):
    scores = run_of(fidelities)
    shuffled = [scores[index] for index in np.random.default_rng(seed).permutation(len(scores))]
    assert decide(shuffled, FLAT) == decide(scores, FLAT)


@given(figures=st.lists(st.tuples(share, share, share), min_size=2, max_size=10))
@settings(max_examples=80, deadline=None)
def test_what_is_worse_in_everything_has_the_lower_utility(figures):
    for fidelity, obedience, copying in figures:
        score = Score(step=1, fidelity=fidelity, obedience=obedience, copying=copying)
        worse = Score(step=1, fidelity=fidelity - 0.1, obedience=obedience - 0.1, copying=min(1, copying + 0.1))
        assert utility(worse, FLAT) < utility(score, FLAT)


def test_a_style_is_picked_where_things_that_it_was_not_shown_come_out_best():
    lost = [-0.9, -0.4, -0.1, -0.5, -0.6, -0.7]
    scores = [
        score.model_copy(update={"styled": 0.0, "unseen": value, "unseen_samples": tuple(value + 0.02 * place for place in range(-3, 4))})
        for score, value in zip(run_of([0.05, 0.06, 0.06, 0.06, 0.07, 0.07]), lost, strict=True)
    ]
    decision = decide(scores, FLAT)
    assert decision.pick.step == 150
    assert decision.confidence > 0.7
    assert "things that you did not show" in sentence_of(decision)


def test_of_two_styles_that_keep_things_alike_the_farther_one_is_picked():
    scores = [
        score.model_copy(update={"unseen": -0.3, "unseen_samples": (-0.3,) * 4, "styled": styled})
        for score, styled in zip(run_of([0.1, 0.1, 0.1], spread=0.0), (0.0, 0.4, 0.2), strict=True)
    ]
    assert decide(scores, FLAT).pick.step == 100


def test_a_style_whose_captions_name_every_thing_is_still_picked_as_a_style():
    scores = [score.model_copy(update={"styled": 0.1}) for score in run_of([0.30, 0.32, 0.30, 0.30], spread=0.2)]
    assert decide(scores, FLAT).pick.step == 100  # of a subject's equals the last would be taken


def test_a_style_whose_unseen_things_one_probe_alone_tells_apart_is_a_close_call():
    noisy = [tuple(np.roll([0.5] + [-0.6] * 11, place)) for place in (0, 2, 4, 6)]
    scores = [
        score.model_copy(update={"styled": 0.0, "unseen": float(np.mean(samples)), "unseen_samples": samples})
        for score, samples in zip(run_of([0.5] * 4), noisy, strict=True)
    ]
    assert decide(scores, FLAT).confidence < 0.75


def test_an_unsure_pick_is_called_a_close_call():
    scores = [  # each probe likes another checkpoint best
        score.model_copy(update={"fidelity_samples": tuple(np.roll([0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1], place))})
        for place, score in enumerate(run_of([0.2] * 7, samples=7))
    ]
    assert decide(scores, FLAT).confidence < 0.75
