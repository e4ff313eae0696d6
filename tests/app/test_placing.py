"""Where arrivals go: nothing is overwritten, and every caption stays with its picture."""

from __future__ import annotations

import json

import pytest

from app.intake import take_in
from app.placing import safe_name
from app.projects import Project, Workspace
from app.shelf import apply_edits, read_shelf, undo_last
from tests.app.drawn import upload, upload_zip
from training.edits import Caption


@pytest.fixture
def empty(workspace: Workspace) -> Project:
    return workspace.create("Empty")


def captions(project: Project) -> dict[str, str]:
    return {item.key: item.caption for item in read_shelf(project).items}


def table(**rows: str) -> str:
    return "".join(json.dumps({"file_name": f"{name}.png", "text": text}) + "\n" for name, text in rows.items())


def test_the_same_picture_again_is_named_a_double(workspace: Workspace, project: Project):
    take_in(workspace, project, [upload(workspace, "a.png", 50)])
    again = take_in(workspace, project, [upload(workspace, "other-name.png", 50)])
    assert (again.added, again.doubles) == ((), ("other-name.png",))


def test_another_picture_of_a_taken_name_gets_a_new_one_and_takes_its_caption_along(workspace: Workspace, project: Project):
    intake = take_in(workspace, project, [upload(workspace, "00.png", 60), upload(workspace, "00.txt", content=b"the new one")])
    assert set(intake.added) == {"00 (2).png", "00 (2).txt"}
    dataset = read_shelf(project)
    assert (dataset.by_key["00.png"].caption, dataset.by_key["00 (2).png"].caption) == ("on a table, view 0", "the new one")


def test_zips_with_the_same_names_in_one_drop_keep_all_pictures_and_their_captions(workspace: Workspace, empty: Project):
    zips = [
        upload_zip(
            workspace,
            f"{lot}.zip",
            {f"0{n}{end}": 10 * lot + n if end == ".png" else f"set {lot}, {n}" for n in (0, 1) for end in (".png", ".txt")},
        )
        for lot in (1, 2, 3)
    ]
    intake = take_in(workspace, empty, zips)
    assert captions(empty) == {f"0{n}{'' if lot == 1 else f' ({lot})'}.png": f"set {lot}, {n}" for lot in (1, 2, 3) for n in (0, 1)}
    assert len(intake.added) == 12 and all((empty.pictures / name).is_file() for name in intake.added)


def test_files_of_flattened_folders_pair_up_in_their_order(workspace: Workspace, empty: Project):
    lots = [[upload(workspace, "a.png", number), upload(workspace, "a.txt", content=b"%d" % number)] for number in (3, 4)]
    take_in(workspace, empty, [file for lot in lots for file in lot])
    assert captions(empty) == {"a.png": "3", "a (2).png": "4"}


def test_tables_of_two_zips_keep_to_their_own_pictures(workspace: Workspace, empty: Project):
    for lot in (1, 2):
        entries = {"a.png": 10 * lot, "b.png": 10 * lot + 1, "metadata.jsonl": table(a=f"a of {lot}", b=f"b of {lot}")}
        take_in(workspace, empty, [upload_zip(workspace, f"{lot}.zip", entries)])
    assert captions(empty) == {"a.png": "a of 1", "b.png": "b of 1", "a (2).png": "a of 2", "b (2).png": "b of 2"}
    assert not list(empty.pictures.glob("metadata*"))


def test_a_sidecar_overrules_a_table_and_rows_without_a_picture_are_told(workspace: Workspace, empty: Project):
    entries = {"in/a.png": 1, "in/a.txt": "by hand", "in/b.png": 2, "in/metadata.jsonl": table(a="a", b="b", gone="c") + "{torn"}
    intake = take_in(workspace, empty, [upload_zip(workspace, "set.zip", entries)])
    assert captions(empty) == {"in/a.png": "by hand", "in/b.png": "b"}
    assert [(entry.name, entry.reason) for entry in intake.refused] == [
        ("in/metadata.jsonl, line 4", "is no row of names and captions"),
        ("in/metadata.jsonl", "names 1 picture that did not come with it"),
    ]


def test_a_table_alone_speaks_of_the_pictures_that_are_here(workspace: Workspace, project: Project):
    rows = 'file_name,text\n00.png,"on grass, view 0"\n77.png,x\n'
    intake = take_in(workspace, project, [upload(workspace, "metadata.csv", content=rows.encode())])
    assert intake.captions == ("00.png",) and captions(project)["00.png"] == "on grass, view 0"
    assert "names 1 picture" in intake.refused[0].reason


def test_a_table_beside_some_pictures_of_a_drop_leaves_the_others_alone(workspace: Workspace, project: Project):
    rows = table(**{"00": "another 00", "50": "a cup"})
    intake = take_in(workspace, project, [upload(workspace, "50.png"), upload(workspace, "metadata.jsonl", content=rows.encode())])
    assert captions(project)["00.png"] == "on a table, view 0" and captions(project)["50.png"] == "a cup"
    assert intake.refused == ()


def test_the_caption_of_a_double_is_the_newer_caption_and_can_be_taken_back(workspace: Workspace, empty: Project):
    for words in (b"red bottle", b"green bottle"):
        intake = take_in(workspace, empty, [upload(workspace, "a.png", 3), upload(workspace, "a.txt", content=words)])
    assert (intake.added, intake.doubles, intake.captions) == ((), ("a.png",), ("a.png",))
    assert captions(empty) == {"a.png": "green bottle"}
    take_in(workspace, empty, [upload(workspace, "a.png", 4)])
    assert captions(empty) == {"a.png": "green bottle", "a (2).png": ""}
    assert undo_last(empty) == "caption"
    assert captions(empty)["a.png"] == "red bottle"


def test_a_double_that_says_the_same_or_nothing_changes_nothing(workspace: Workspace, project: Project):
    take_in(workspace, project, [upload(workspace, "a.png", 3), upload(workspace, "a.txt", content=b"a cup")])
    for words in (b" a  cup\n", b""):
        intake = take_in(workspace, project, [upload(workspace, "other.png", 3), upload(workspace, "other.txt", content=words)])
        assert intake.captions == ()


def test_twins_of_one_drop_that_say_different_things_are_told(workspace: Workspace, empty: Project):
    intake = take_in(workspace, empty, [upload_zip(workspace, "set.zip", {"a.png": 1, "a.txt": "one", "b.png": 1, "b.txt": "two"})])
    assert captions(empty) == {"a.png": "one"}
    assert (intake.doubles, [entry.name for entry in intake.refused]) == (("b.png",), ["b.txt"])


def test_a_caption_without_its_picture_changes_the_one_that_is_here_or_waits(workspace: Workspace, project: Project):
    words = [upload(workspace, "00.txt", content=b"on grass"), upload(workspace, "new.txt", content=b"a cup")]
    intake = take_in(workspace, project, words)
    assert (intake.added, intake.captions, captions(project)["00.png"]) == (("new.txt",), ("00.png",), "on grass")
    take_in(workspace, project, [upload(workspace, "new.png", 50)])
    assert captions(project)["new.png"] == "a cup"


def test_a_waiting_caption_is_not_overwritten_and_not_given_to_a_renamed_picture(workspace: Workspace, project: Project):
    take_in(workspace, project, [upload(workspace, "b.txt", content=b"waits"), upload(workspace, "00 (2).txt", content=b"waits too")])
    take_in(
        workspace,
        project,
        [upload(workspace, "b.png", 50), upload(workspace, "b.txt", content=b"its own"), upload(workspace, "00.png", 51)],
    )
    assert captions(project)["b (2).png"] == "its own" and captions(project)["00 (3).png"] == ""
    assert (project.pictures / "b.txt").read_text() == "waits"


def test_edits_of_a_picture_that_was_removed_are_not_applied_to_another(workspace: Workspace, project: Project):
    apply_edits(project, [Caption("00.png", "typed")], label="caption")
    (project.pictures / "00.png").unlink()
    (project.pictures / "00.txt").unlink()
    take_in(workspace, project, [upload(workspace, "00.png", 50)])
    assert captions(project)["00 (2).png"] == ""


def test_two_formats_of_one_picture_share_their_caption(workspace: Workspace, empty: Project):
    files = [upload(workspace, "a.png", 1), upload(workspace, "a.webp", 2), upload(workspace, "a.txt", content=b"a cup")]
    take_in(workspace, empty, [*files, upload(workspace, "b.png", 3), upload(workspace, "b.png.txt", content=b"b")])
    assert captions(empty) == {"a.png": "a cup", "a.webp": "a cup", "b.png": "b"}


@pytest.mark.parametrize(("mask", "renamed"), [("00.mask.png", "00 (2).mask.png"), ("mask/00.png", "mask/00 (2).png")])
def test_a_mask_goes_with_its_picture(workspace: Workspace, project: Project, mask: str, renamed: str):
    take_in(workspace, project, [upload(workspace, "00.png", 50), upload(workspace, mask, 51)])
    assert read_shelf(project).by_key["00 (2).png"].mask == project.pictures / renamed


def test_a_file_never_takes_the_place_of_another(workspace: Workspace, project: Project):
    for content in (b"one", b"one", b"two"):
        intake = take_in(workspace, project, [upload(workspace, "notes.csv", content=content)])
    assert "is here already" in intake.refused[0].reason
    assert (project.pictures / "notes.csv").read_bytes() == b"one"


def test_a_name_of_many_bytes_is_cut_with_its_caption_and_the_others_arrive(workspace: Workspace, empty: Project):
    long = "写" * 100
    files = [upload(workspace, "1.png", 1), upload(workspace, f"{long}.png", 2), upload(workspace, f"{long}.txt", content=b"long")]
    intake = take_in(workspace, empty, [*files, upload(workspace, "3.png", 3)])
    assert len(intake.added) == 4 and sorted(captions(empty).values()) == ["", "", "long"]


def test_a_file_that_cannot_be_kept_is_refused_alone(workspace: Workspace, project: Project):
    deep = "/".join(["folder" * 20] * 60) + "/a.png"
    intake = take_in(workspace, project, [upload(workspace, deep, 50), upload(workspace, "b.png", 51)])
    assert (intake.added, intake.refused[0].reason) == (("b.png",), "cannot be kept: File name too long")


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
