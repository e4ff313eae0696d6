"""Pictures go to the project's bin with what belongs to them, and come back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.projects import Project
from app.removed import remove_pictures, restore_pictures
from app.shelf import read_shelf, set_caption
from pipelines.errors import ConfigError
from tests.app.drawn import draw_picture


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.suffix in (".png", ".jpg", ".txt")}


def test_removed_pictures_come_back_with_captions_masks_and_edits(project: Project):
    (project.pictures / "set").mkdir()
    draw_picture(project.pictures / "set" / "deep.png", 70)
    draw_picture(project.pictures / "set" / "deep.mask.png", 71)
    (project.pictures / "set" / "deep.txt").write_text("in a folder", "utf-8")
    set_caption(project, "00.png", "typed here")
    before, shelf = files_of(project.pictures), read_shelf(project)
    ticket = remove_pictures(project, [shelf.by_key["00.png"], shelf.by_key["set/deep.png"]])
    assert set(read_shelf(project).by_key) == {f"{number:02d}.png" for number in range(1, 6)}
    assert set(files_of(project.pictures)) == {f"{number:02d}.{ending}" for number in range(1, 6) for ending in ("png", "txt")}
    restore_pictures(project, ticket)
    assert files_of(project.pictures) == before
    assert read_shelf(project).by_key["00.png"].caption == "typed here"


def test_a_caption_that_another_picture_shares_stays(project: Project):
    draw_picture(project.pictures / "00.jpg", 70)
    remove_pictures(project, [read_shelf(project).by_key["00.jpg"]])
    assert read_shelf(project).by_key["00.png"].caption == "on a table, view 0"


def test_a_place_that_was_taken_meanwhile_is_not_overwritten(project: Project):
    ticket = remove_pictures(project, [read_shelf(project).by_key["00.png"]])
    fresh = draw_picture(project.pictures / "00.png", 80).read_bytes()
    assert restore_pictures(project, ticket) == 1  # its caption
    assert (project.pictures / "00.png").read_bytes() == fresh


@pytest.mark.parametrize("ticket", ["", "..", "../../runs", "20200101T000000000000"])
def test_a_ticket_that_the_bin_does_not_hold_is_refused(project: Project, ticket: str):
    with pytest.raises(ConfigError, match="bin"):
        restore_pictures(project, ticket)
