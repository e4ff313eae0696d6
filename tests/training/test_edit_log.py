"""Undo of anything, in any order, leaves originals and edit list as they were, byte for byte."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.errors import DatasetError
from training.dataset import load_dataset
from training.edit_log import LIST_NAME, LOCK_NAME, LOG_NAME, EditLog, read_edits
from training.edits import (
    Caption,
    Crop,
    Dismiss,
    Flatten,
    Focus,
    HoldOut,
    KeepOneOf,
    LeaveOut,
    Rotate,
    Trim,
    Weight,
    check,
    from_record,
    geometry,
    to_record,
)

KEYS = ("a.png", "b/c.png", "🦊.png")
keys = st.sampled_from(KEYS)
shares = st.floats(0, 0.4)
boxes = st.builds(lambda a, b, c, d: (a, b, 1 - c, 1 - d), shares, shares, shares, shares)
edits = st.one_of(
    st.builds(Rotate, keys, st.sampled_from([90, 180, 270])),
    st.builds(Crop, keys, boxes),
    st.builds(Trim, keys, boxes),
    st.builds(Flatten, keys, st.just("#ffeecc")),
    st.builds(Focus, keys, shares, shares),
    st.builds(LeaveOut, keys, st.text(max_size=5)),
    st.builds(lambda keep: KeepOneOf(keep, tuple(key for key in KEYS if key != keep)), keys),
    st.builds(HoldOut, keys),
    st.builds(Weight, keys, st.integers(1, 100)),
    st.builds(Caption, keys, st.text(st.characters(exclude_categories=["Cs"]), max_size=9)),
    st.builds(Dismiss, st.just("blurred"), st.just(("a.png",))),
)
steps = st.lists(st.one_of(st.lists(edits, max_size=4), st.sampled_from(["undo", "redo", "reopen"]), st.integers(1, 12)), max_size=12)


@given(edits)
def test_an_edit_survives_its_record(edit):
    assert from_record(json.loads(json.dumps(to_record(edit)))) == edit


def contents(folder) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (LOG_NAME, LOCK_NAME)
    }


@settings(max_examples=60, deadline=None)
@given(first=st.lists(edits, max_size=3), steps=steps)
def test_fixing_all_then_undoing_all_leaves_every_byte(tmp_path_factory, first, steps):
    folder = tmp_path_factory.mktemp("set")
    for number, key in enumerate(KEYS):
        (folder / key).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / key)
    log = EditLog(folder)
    log.apply(first)
    before = contents(folder)
    made: list[int] = []
    for step in steps:
        if isinstance(step, list):
            made += log.apply(step)
        elif step == "undo":
            if any(entry.in_force and entry.id in made for entry in log.history):
                log.undo([max(entry.id for entry in log.history if entry.in_force and entry.id in made)])
        elif step == "redo":
            log.redo()
        elif step == "reopen":
            log = EditLog(folder)
        else:
            log.undo([step] if step in made else [])
        load_dataset(folder) if read_edits(folder) == () else read_edits(folder)
    log.undo([entry.id for entry in log.history if entry.id in made])
    assert contents(folder) == before
    assert EditLog(folder).edits == tuple(first)


def test_undo_and_redo_walk_back_and_forth(tmp_path):
    log = EditLog(tmp_path)
    one, two, three = log.apply([HoldOut("a"), HoldOut("b"), HoldOut("c")])
    assert log.undo() == (HoldOut("c"),)
    assert log.undo([one]) == (HoldOut("a"),)
    assert log.edits == (HoldOut("b"),) == read_edits(tmp_path)
    assert log.redo() == (HoldOut("a"),)
    assert log.redo([three]) == (HoldOut("c"),)
    assert log.edits == (HoldOut("a"), HoldOut("b"), HoldOut("c")) and two == 2
    assert log.redo() == () and log.undo([99]) == ()


def test_the_log_only_grows_and_a_torn_line_does_no_harm(tmp_path):
    log = EditLog(tmp_path)
    log.apply([HoldOut("a")])
    first = (tmp_path / LOG_NAME).read_bytes()
    log.undo_all()
    assert (tmp_path / LOG_NAME).read_bytes().startswith(first) and not (tmp_path / LIST_NAME).exists()
    with (tmp_path / LOG_NAME).open("ab") as file:
        file.write(b'{"op": "app')
    again = EditLog(tmp_path)
    again.redo([1])
    again.apply([HoldOut("b")])
    assert EditLog(tmp_path).edits == (HoldOut("a"), HoldOut("b"))


def test_a_line_torn_inside_a_letter_costs_only_itself(tmp_path):
    EditLog(tmp_path).apply([Caption("a", "blå\u2028flaske"), HoldOut("b")])
    with (tmp_path / LOG_NAME).open("ab") as file:
        file.write('{"op": "apply", "id": 3, "kind": "caption", "key": "å'.encode()[:-1])
    again = EditLog(tmp_path)
    again.undo([1])
    again.apply([HoldOut("c")])
    assert EditLog(tmp_path).edits == (HoldOut("b"), HoldOut("c"))
    EditLog(tmp_path).redo([1])
    assert EditLog(tmp_path).edits == (Caption("a", "blå\u2028flaske"), HoldOut("b"), HoldOut("c"))


def test_two_logs_of_one_folder_lose_nothing(tmp_path):
    one, two = EditLog(tmp_path), EditLog(tmp_path)
    (first,) = one.apply([HoldOut("a")])
    (second,) = two.apply([HoldOut("b")])
    assert first != second
    assert two.undo([first]) == (HoldOut("a"),)
    assert one.redo([first]) == (HoldOut("a"),)
    assert EditLog(tmp_path).edits == one.edits == (HoldOut("a"), HoldOut("b"))


def test_two_processes_that_edit_at_once_lose_nothing(tmp_path):
    code = (
        "import sys; from pathlib import Path; from training.edit_log import EditLog; from training.edits import Caption\n"
        "input()\nfor n in range(10): EditLog(Path(sys.argv[1])).apply([Caption(f'{sys.argv[2]}{n}.png', 'x')])"
    )
    typing = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], stdin=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        for name in "ab"
    ]
    for process in typing:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.wait() for process in typing] == [0, 0]
    assert len(read_edits(tmp_path)) == 20


def test_an_edit_list_copied_without_its_log_counts(tmp_path):
    (tmp_path / "one").mkdir()
    EditLog(tmp_path / "one").apply([HoldOut("a"), Weight("b", 2)])
    (tmp_path / LIST_NAME).write_bytes((tmp_path / "one" / LIST_NAME).read_bytes())
    log = EditLog(tmp_path)
    assert log.edits == (HoldOut("a"), Weight("b", 2))
    log.undo([1])
    assert read_edits(tmp_path) == (Weight("b", 2),)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"edits": [{"id": 1, "kind": "explode", "key": "a"}]}', '{"edits": [{"id": 1, "kind": "crop", "key": "a"}]}']
)
def test_a_damaged_edit_list_is_an_error_not_a_loss(tmp_path, text):
    (tmp_path / LIST_NAME).write_text(text)
    with pytest.raises(DatasetError):
        read_edits(tmp_path)


@pytest.mark.parametrize(
    "edit", [Rotate("a", 45), Crop("a", (0.5, 0, 0.5, 1)), Trim("a", (0, 0, 1.2, 1)), Focus("a", 2, 0), Weight("a", 0)]
)
def test_edits_that_make_no_sense_are_refused(edit):
    with pytest.raises(DatasetError):
        check(edit)


@given(st.permutations([Rotate("a", 90), Crop("a", (0.1, 0, 0.8, 1)), Trim("a", (0, 0.2, 1, 0.9)), Focus("a", 0.5, 0.5), Rotate("a", 180)]))
def test_the_order_of_edits_does_not_matter(order):
    assert geometry(order) == geometry(sorted(order, key=repr))
    assert geometry(order).box == (0.1, 0.2, 0.8, 0.9) and geometry(order).clockwise_deg == 270
