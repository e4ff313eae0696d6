"""The score is monotone: planting a fault never raises it, mending one never lowers it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.checks.table import CHECKS
from training.score import ENOUGH, parts, score, tally

PICTURES = [f"{number}.png" for number in range(12)]
OF_PICTURES = [check for check in CHECKS if not check.of_set]
OF_SET = [check for check in CHECKS if check.of_set]
LEAVING = {
    "unreadable",
    "exact_double",
    "near_double",
    "too_small",
    "blurred",
    "too_dark",
    "too_bright",
    "screenshot",
    "face_cut",
    "unlike_rest",
}

planted = st.sets(st.tuples(st.sampled_from(PICTURES), st.sampled_from([check.code for check in OF_PICTURES])), max_size=30)
of_set = st.dictionaries(st.sampled_from([check.code for check in OF_SET]), st.floats(0, 1))
left_out = st.sets(st.sampled_from(PICTURES), max_size=6)
weights = {check.code: check.weight for check in CHECKS}


def scored(faults: set[tuple[str, str]], whole: dict[str, float], gone: set[str], intent: str = "product") -> float:
    used = [key for key in PICTURES if key not in gone]
    by_key: dict[str, dict[str, float]] = {}
    for key, code in faults:
        if key in used:
            by_key.setdefault(key, {})[code] = weights[code]
    sound = sum(not LEAVING & set(by_key.get(key, {})) for key in used)
    losses = {code: weights[code] * extent for code, extent in whole.items()}
    return score(tally(by_key, used=len(used), sound=sound, total=len(PICTURES), refused=0, set_losses=losses), intent)


@given(planted, of_set, left_out, st.tuples(st.sampled_from(PICTURES), st.sampled_from([check.code for check in OF_PICTURES])))
def test_planting_a_fault_never_raises_the_score(faults, whole, gone, fault):
    assert scored(faults | {fault}, whole, gone) <= scored(faults, whole, gone) + 1e-9


@given(planted, of_set, left_out, st.sampled_from([check.code for check in OF_SET]), st.floats(0, 1))
def test_a_fault_of_the_set_never_raises_the_score(faults, whole, gone, code, extent):
    worse = whole | {code: max(extent, whole.get(code, 0.0))}
    assert scored(faults, worse, gone) <= scored(faults, whole, gone) + 1e-9


@given(planted, of_set, left_out)
def test_mending_any_fault_by_an_edit_never_lowers_the_score(faults, whole, gone):
    before = scored(faults, whole, gone)
    for fault in faults:
        assert scored(faults - {fault}, whole, gone) >= before - 1e-9


@given(planted, of_set, left_out)
def test_leaving_a_faulty_picture_out_never_lowers_the_score(faults, whole, gone):
    before = scored(faults, whole, gone)
    for key, code in faults:
        if code in LEAVING and key not in gone:
            assert scored(faults, whole, gone | {key}) >= before - 1e-9


@given(planted, of_set, left_out)
def test_the_score_lies_between_0_and_100(faults, whole, gone):
    assert 0 <= scored(faults, whole, gone) <= 100


def test_a_sound_set_that_is_large_enough_scores_100():
    assert score(tally({}, used=40, sound=40, total=40, refused=0, set_losses={}), "style") == 100


@pytest.mark.parametrize("intent", ["product", "character", "style"])
def test_more_pictures_help_until_there_are_enough(intent):
    scores = [
        score(tally({}, used=count, sound=count, total=count, refused=0, set_losses={}), intent) for count in range(1, ENOUGH[intent] + 5)
    ]
    assert scores == sorted(scores) and scores[0] < 40 and scores[ENOUGH[intent] - 1] == 100


def test_no_picture_scores_0():
    assert parts(tally({}, used=0, sound=0, total=3, refused=3, set_losses={}), "style").count == 0
