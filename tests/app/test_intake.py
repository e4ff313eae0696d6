"""What arrives from a browser: pictures, captions, zips, doubles, foreign files, hostile names."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from app.intake import Upload, safe_name, sweep_uploads, take_in
from app.projects import Limits, Project, Workspace
from app.shelf import read_shelf
from pipelines.errors import DatasetError
from tests.app.drawn import draw_picture


def upload(workspace: Workspace, name: str, number: int = 50, *, content: bytes | None = None) -> Upload:
    path = workspace.uploads / f"{abs(hash(name)) % 10**8}" / Path(name.replace("\\", "/")).name
    if content is None:
        draw_picture(path.with_suffix(".png"), number)
        path.with_suffix(".png").rename(path)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Upload(path, name)


def test_pictures_and_their_captions_arrive_together(workspace: Workspace, project: Project):
    intake = take_in(workspace, project, [upload(workspace, "set/a.png", 50), upload(workspace, "set/a.txt", content=b"a green cup")])
    assert set(intake.added) == {"set/a.png", "set/a.txt"}
    assert read_shelf(project).by_key["set/a.png"].caption == "a green cup"


def test_the_same_picture_again_is_named_a_double(workspace: Workspace, project: Project):
    take_in(workspace, project, [upload(workspace, "a.png", 50)])
    again = take_in(workspace, project, [upload(workspace, "other-name.png", 50)])
    assert (again.added, again.doubles) == ((), ("other-name.png",))


def test_another_picture_of_a_taken_name_gets_a_new_one_and_takes_its_caption_along(workspace: Workspace, project: Project):
    intake = take_in(workspace, project, [upload(workspace, "00.png", 60), upload(workspace, "00.txt", content=b"the new one")])
    assert set(intake.added) == {"00 (2).png", "00 (2).txt"}
    dataset = read_shelf(project)
    assert (dataset.by_key["00.png"].caption, dataset.by_key["00 (2).png"].caption) == ("on a table, view 0", "the new one")


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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("C:\\Users\\me\\a.png", "C_/Users/me/a.png"),
        ("/abs/a.png", "abs/a.png"),
        ("..", ""),
        ("a/../b.png", "a/b.png"),
        (".hidden.png", "hidden.png"),
        ("😀 ü.png", "😀 ü.png"),
        ("a\x00b.png", "a_b.png"),
    ],
)
def test_names_from_other_machines_stay_inside(name: str, expected: str):
    assert safe_name(name) == expected


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
