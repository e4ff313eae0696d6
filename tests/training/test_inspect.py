"""The doctor finds what was planted, says it in words, mends it, and leaves a sound set alone. One picture per kind; the benchmark
plants hundreds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks import planted as plant
from benchmarks import spoiled as spoil
from training.checks.table import CHECKS
from training.dataset import load_dataset, with_edits
from training.edit_log import LIST_NAME, LOCK_NAME, LOG_NAME, EditLog
from training.edits import Caption, Crop, Dismiss, Flatten, KeepOneOf, LeaveOut, Trim, Weight
from training.inspect import estimated_tokens, inspect_dataset, preview
from training.looks import look_id
from training.survey import look_at

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
ABOUT = {"intent": "product", "trigger": "fjordbottle", "noun": "bottle", "base_size_px": 256}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("doctor")


@pytest.fixture(scope="module")
def sound(place):
    """24 good pictures, and the report on them."""
    plant.write_good(place / "sound", spoil.folder_samples(SAMPLES / "product")[:24])
    dataset = load_dataset(place / "sound")
    return dataset, inspect_dataset(dataset, cache=place / "cache", **ABOUT)


@pytest.fixture(scope="module")
def spoiled(place, sound):
    """The same with one fault of each kind; what was planted, and the report."""
    samples = spoil.folder_samples(SAMPLES / "product")[:24]
    rng = np.random.default_rng(3)
    folder = place / "spoiled"
    names = plant.write_good(folder, samples)
    found = plant.plant_files(folder, samples, each=1, rng=rng)
    found += plant.plant_pixels(folder, samples, list(spoil.PIXELS), each=1, rng=rng)
    found += plant.plant_several(folder, samples, each=1, rng=rng)
    found += plant.plant_unlike(folder, spoil.photo_samples(), each=1, rng=rng)
    found += plant.plant_captions(folder, names, trigger="fjordbottle", noun="bottle", each=1, rng=rng)
    found += plant.plant_identical(folder, [name for name in names if name not in {entry.name for entry in found}], each=3, rng=rng)
    dataset = load_dataset(folder)
    return dataset, found, inspect_dataset(dataset, cache=place / "cache", **ABOUT)


def codes_of(report) -> dict[str, set[str]]:
    codes: dict[str, set[str]] = {}
    for problem in report.problems:
        for key in problem.keys:
            codes.setdefault(key, set()).add(problem.code)
    return codes


def test_a_sound_set_is_called_sound_and_not_nagged(sound):
    _, report = sound
    assert report.score >= 98 and report.is_fine, report.problems
    assert report.summary.startswith("24 pictures") and report.fixes == ()


def test_every_planted_fault_is_found(spoiled):
    _, found, report = spoiled
    codes = codes_of(report)
    missed = [entry for entry in found if not any(codes.get(name, set()) & set(entry.codes) for name in (entry.name, entry.twin) if name)]
    assert missed == []


def test_problems_say_what_it_costs_and_how_to_mend_it(spoiled):
    _, _, report = spoiled
    assert report.score < 60 and not report.is_fine
    assert len(report.top3) == 3 and report.top3[0].points >= report.top3[2].points > 0
    for problem in report.problems:
        assert problem.sentence.endswith(".") and problem.cost.endswith(".")
        assert problem.fixes or problem.code in ("several_subjects", "too_few"), problem.code
        assert len(problem.words) == len(problem.keys)
    badges = report.badges
    assert badges["too_small-0.jpg"][0].endswith("px") and "blurred" in badges["blurred-0.jpg"]


def test_all_fixes_raise_the_score_and_undo_brings_it_back(spoiled, place, tmp_path):
    dataset, _, report = spoiled
    log = EditLog(tmp_path)
    ids = log.apply(report.fixes)
    mended = with_edits(dataset, log.edits)
    better = inspect_dataset(mended, cache=place / "cache", **ABOUT)
    assert better.score >= 90 > report.score, better.problems
    assert mended.by_key["border-0.jpg"].size_hw < dataset.by_key["border-0.jpg"].size_hw
    log.undo(ids)
    assert inspect_dataset(with_edits(mended, log.edits), cache=place / "cache", **ABOUT).score == report.score


def test_the_doctors_fixes_in_any_order_then_undone_leave_every_byte(spoiled):
    dataset, _, report = spoiled
    root = dataset.root

    def contents() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in root.iterdir() if path.name not in (LOG_NAME, LOCK_NAME)}

    before = contents()

    @settings(max_examples=25, deadline=None)
    @given(data=st.data())
    def walk(data) -> None:
        for name in (LIST_NAME, LOG_NAME):  # of an example that was given up half-way
            (root / name).unlink(missing_ok=True)
        log = EditLog(root)
        made: list[int] = []
        for _ in range(data.draw(st.integers(1, 4))):
            made += log.apply(data.draw(st.lists(st.sampled_from(report.fixes), max_size=len(report.fixes), unique=True)))
            log.undo(data.draw(st.lists(st.sampled_from(made), unique=True)) if made else [])
            changed = load_dataset(root)
            assert changed.edits == log.edits and len(changed.items) + len(changed.left_out) == len(dataset.items)
            assert before.items() <= contents().items()
        log.undo_all()
        assert contents() == before and load_dataset(root).items == dataset.items

    walk()


def test_leaving_out_what_the_doctor_leaves_out_never_lowers_the_score(spoiled, place):
    dataset, _, report = spoiled
    for problem in report.problems:
        if problem.fixes and all(isinstance(fix, LeaveOut | KeepOneOf) for fix in problem.fixes):
            assert inspect_dataset(preview(dataset, problem.fixes), cache=place / "cache", **ABOUT).score >= report.score, problem.code


def test_fixes_are_of_the_right_kind(spoiled):
    _, _, report = spoiled
    kinds = {problem.code: {type(fix) for fix in problem.fixes} for problem in report.problems}
    wanted = {
        "border": Trim,
        "transparent": Flatten,
        "exact_double": KeepOneOf,
        "blurred": LeaveOut,
        "extreme_shape": Crop,
        "trigger_fused": Caption,
    }
    assert all(kinds[code] == {kind} for code, kind in wanted.items()), kinds


def test_what_was_dismissed_is_not_reported_again(spoiled, place):
    dataset, _, _ = spoiled
    calm = with_edits(dataset, (Dismiss("blurred", ("blurred-0.jpg",)),))
    assert "blurred" not in codes_of(inspect_dataset(calm, cache=place / "cache", **ABOUT)).get("blurred-0.jpg", set())


def test_a_second_look_opens_no_picture(sound, place, monkeypatch):
    dataset, report = sound
    monkeypatch.setattr("training.survey.open_item", lambda *_, **__: pytest.fail("a picture was opened"))
    again = inspect_dataset(dataset, cache=place / "cache", **ABOUT)
    assert (again.score, again.problems) == (report.score, report.problems)


def test_a_torn_cache_line_costs_one_picture_only(sound, tmp_path, place, monkeypatch):
    dataset, _ = sound
    ids = {look_id(item) for item in dataset.items[:3]}
    lines = [line for line in (place / "cache" / "looks.jsonl").read_bytes().splitlines(True) if json.loads(line)["id"] in ids]
    (tmp_path / "looks.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:500])
    opened = []
    monkeypatch.setattr("training.survey._measured_chunks", lambda items, failures, kept: opened.extend(items) or iter(()))
    looks, _ = look_at(dataset.items[:3], cache=tmp_path)
    assert len(looks) == 2 and len(opened) == 1


def test_edits_that_change_pixels_are_looked_at_anew_and_others_are_not(sound):
    item = sound[0].items[0]
    assert look_id(replace(item, edits=(Weight(item.key, 3),))) == look_id(item)
    assert look_id(replace(item, edits=(Crop(item.key, (0, 0, 0.5, 1)),))) != look_id(item)


def test_the_same_background_and_the_same_view_are_noticed(tmp_path):
    source = spoil.folder_samples(SAMPLES / "product")[0].picture
    rng = np.random.default_rng(0)
    for number in range(12):
        pixels = np.asarray(source).astype(np.int16)
        pixels[40:120, 40:200] += rng.integers(-60, 60, (1, 1, 3), np.int16)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text(f"variant {number}")
    report = inspect_dataset(load_dataset(tmp_path), **ABOUT)
    assert {"one_background", "one_view", "near_double"} <= {problem.code for problem in report.problems}


def test_the_caller_never_loads_torch(sound):
    code = f"""
import sys
from pathlib import Path
from training.dataset import load_dataset
from training.inspect import inspect_dataset
dataset = load_dataset(Path({str(sound[0].root)!r}))
inspect_dataset(dataset, intent="product", trigger="x", noun="bottle", base_size_px=256, cache=Path({str(sound[0].root.parent / "cache")!r}))
print("torch" in sys.modules, "gradio" in sys.modules, "diffusers" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=SAMPLES.parent)
    assert done.stdout.split() == ["False", "False", "False"]


def test_every_check_has_a_line_in_the_docs():
    text = (SAMPLES.parent / "docs" / "doctor.md").read_text("utf-8")
    assert [check.code for check in CHECKS if f"`{check.code}`" not in text] == []


def test_tokens_are_estimated_on_the_safe_side_of_short_captions():
    assert estimated_tokens("a red apple on a table") < 12
    assert estimated_tokens("word " * 80) > 75
    assert estimated_tokens("木のテーブルの上") >= 8
