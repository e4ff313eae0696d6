"""What arrives from a browser: pictures, captions, zips, foreign files, limits."""

from __future__ import annotations

import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.intake import sweep_uploads, take_in
from app.placing import Upload
from app.projects import Limits, Project, Workspace
from app.shelf import read_shelf
from pipelines.errors import DatasetError
from tests.app.drawn import draw_picture, upload, upload_zip


def test_pictures_and_their_captions_arrive_together(workspace: Workspace, project: Project):
    intake = take_in(workspace, project, [upload(workspace, "set/a.png", 50), upload(workspace, "set/a.txt", content=b"a green cup")])
    assert set(intake.added) == {"set/a.png", "set/a.txt"}
    assert read_shelf(project).by_key["set/a.png"].caption == "a green cup"


def test_a_zip_is_opened_and_its_bad_entries_are_named(workspace: Workspace, project: Project):
    path = workspace.uploads / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("in/a.png", draw_picture(workspace.uploads / "x.png", 70).read_bytes())
        archive.writestr("in/cut.jpg", b"\xff\xd8\xff")
        archive.writestr("__MACOSX/in/._a.png", b"junk")
    intake = take_in(workspace, project, [Upload(path, "set.zip")])
    assert [name.rpartition("/")[2] for name in intake.added] == ["a.png"]
    assert [entry.name.rpartition("/")[2] for entry in intake.refused] == ["cut.jpg"]
    assert not path.exists()


def test_a_foreign_file_is_refused_with_what_to_do(workspace: Workspace, project: Project):
    intake = take_in(workspace, project, [upload(workspace, "notes.docx", content=b"PK?")])
    assert intake.refused[0].name == "notes.docx"
    assert "JPEG" in intake.refused[0].fix


def test_system_files_vanish_without_a_word(workspace: Workspace, project: Project):
    intake = take_in(workspace, project, [upload(workspace, "Thumbs.db", content=b"x"), upload(workspace, ".DS_Store", content=b"x")])
    assert (intake.added, intake.refused) == ((), ())


def test_our_own_files_cannot_be_uploaded(workspace: Workspace, project: Project):
    take_in(
        workspace, project, [upload(workspace, "edits.json", content=b'{"edits": []}'), upload(workspace, "project.json", content=b"{}")]
    )
    assert not (project.pictures / "edits.json").exists()
    assert not (project.pictures / "project.json").exists()


def test_a_file_outside_the_upload_folder_is_never_touched(workspace: Workspace, project: Project, tmp_path: Path):
    secret = tmp_path / "secret.png"
    draw_picture(secret, 1)
    for path in (secret, workspace.uploads / ".." / ".." / "secret.png"):
        with pytest.raises(DatasetError, match="was not uploaded here"):
            take_in(workspace, project, [Upload(path, "a.png")])
    assert secret.exists()


def test_too_many_pictures_are_refused_before_any_is_moved(workspace: Workspace, project: Project):
    with pytest.raises(DatasetError, match="a project holds 7"):
        take_in(workspace, project, [upload(workspace, "a.png", 80), upload(workspace, "b.png", 81)], limits=Limits(pictures=7))
    assert len(read_shelf(project)) == 6


def test_too_many_bytes_are_refused(workspace: Workspace, project: Project):
    with pytest.raises(DatasetError, match="a project holds"):
        take_in(workspace, project, [upload(workspace, "a.png", 80)], limits=Limits(total_bytes=100))


def test_old_leftovers_are_swept_and_new_uploads_stay(workspace: Workspace):
    upload(workspace, "a.png", 90)
    assert sweep_uploads(workspace) == 0
    assert sweep_uploads(workspace, older_than_seconds=-1) == 1
    sweep_uploads(workspace, older_than_seconds=-1)
    assert list(workspace.uploads.iterdir()) == []


def test_one_zip_into_two_projects_at_once(workspace: Workspace, project: Project):
    """Each request unpacks for itself: what the one moves away is not missed by the other."""
    other = workspace.create("Other")
    zips = [upload_zip(workspace, f"{number}.zip", {f"{name}.png": 60 + name for name in range(20)}) for number in range(2)]
    with ThreadPoolExecutor(2) as threads:
        intakes = list(threads.map(lambda one: take_in(workspace, one[0], [one[1]]), zip((project, other), zips, strict=True)))
    assert [len(intake.added) for intake in intakes] == [20, 20]
    assert list(workspace.uploads.glob("unpacked*")) == []


def test_the_same_file_sent_twice_counts_once(workspace: Workspace, project: Project):
    words = upload(workspace, "new.txt", content=b"a cup")
    assert take_in(workspace, project, [words, words]).added == ("new.txt",)
