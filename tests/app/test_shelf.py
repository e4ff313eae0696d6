"""Captions, undo and thumbnails of a project's pictures."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

from app.projects import Project, Workspace
from app.shelf import apply_edits, make_thumb, read_actions, read_shelf, set_caption, shelf_signature, thumb_path, undo_last
from tests.app.drawn import draw_picture
from training.edits import LeaveOut, Rotate


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".png", ".txt")}


def test_a_typed_caption_is_read_back_and_the_originals_stay(project: Project):
    before = bytes_of(project.pictures)
    set_caption(project, "00.png", "a red café, “quoted” <b>${alert(1)}</b>")
    assert read_shelf(project).by_key["00.png"].caption == "a red café, “quoted” <b>${alert(1)}</b>"
    assert bytes_of(project.pictures) == before


def test_a_picture_whose_name_begins_as_our_lists_do_is_seen(project: Project):
    count = len(read_shelf(project).items)
    draw_picture(project.pictures / "edits.png", 77)
    assert len(read_shelf(project).items) == count + 1


def test_keystrokes_under_one_picture_are_one_undo(project: Project):
    for text in ("a", "a b", "a b c"):
        set_caption(project, "00.png", text)
    assert len(read_actions(project)) == 1
    assert undo_last(project) == "caption"
    assert read_shelf(project).by_key["00.png"].caption == "on a table, view 0"


def test_captions_of_two_pictures_are_two_undos(project: Project):
    set_caption(project, "00.png", "one")
    set_caption(project, "01.png", "two")
    undo_last(project)
    assert [read_shelf(project).by_key[key].caption for key in ("00.png", "01.png")] == ["one", "on a table, view 1"]


def test_an_action_of_many_edits_is_undone_as_one(project: Project):
    apply_edits(project, [LeaveOut("00.png"), LeaveOut("01.png")], label="leave_out")
    assert len(read_shelf(project).items) == 4
    undo_last(project)
    assert len(read_shelf(project).items) == 6
    assert undo_last(project) == ""


def test_an_empty_folder_is_an_empty_shelf(workspace: Workspace):
    assert len(read_shelf(workspace.create("Empty"))) == 0


def test_a_picture_that_was_added_behind_our_back_is_seen(project: Project):
    before = shelf_signature(project)
    draw_picture(project.pictures / "new.png", 40)
    assert len(read_shelf(project)) == 7
    assert shelf_signature(project) != before


def test_a_replaced_picture_of_the_same_size_is_seen_by_its_time(project: Project):
    path = project.pictures / "00.png"
    read_shelf(project)
    content = read_shelf(project).by_key["00.png"].content
    os.utime(draw_picture(path, 77), (1, 1))
    assert read_shelf(project).by_key["00.png"].content != content


def test_a_thumbnail_is_made_once_and_anew_after_a_turn(workspace: Workspace, project: Project):
    draw_picture(project.pictures / "wide.png", 3, side_px=600)
    item = read_shelf(project).by_key["wide.png"]
    path = make_thumb(workspace, item)
    with Image.open(path) as thumb:
        assert max(thumb.size) == 256
    made_at = path.stat().st_mtime_ns
    assert make_thumb(workspace, item).stat().st_mtime_ns == made_at
    apply_edits(project, [Rotate("wide.png", 90)], label="rotate")
    assert thumb_path(workspace, read_shelf(project).by_key["wide.png"]) != path


def test_a_small_picture_is_not_enlarged(workspace: Workspace, project: Project):
    with Image.open(make_thumb(workspace, read_shelf(project).by_key["00.png"])) as thumb:
        assert thumb.size == (96, 96)
