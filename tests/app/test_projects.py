"""Projects are folders: create, rename, duplicate, bin, samples."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.projects import About, Project, Workspace, add_samples, open_workspace, slug
from app.shelf import read_shelf
from pipelines.errors import ConfigError
from training.runs import Job, create_run


def test_two_projects_of_one_name_stand_side_by_side(workspace: Workspace):
    first, second = workspace.create("Mug"), workspace.create("Mug")
    assert (first.id, second.id) == ("mug", "mug-2")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Fjörd Bottle №1", "fjord-bottle-no1"), ("../../etc", "etc"), ("水筒", "project"), ("a" * 200, "a" * 48), ("con/../x", "con-x")],
)
def test_folder_names_are_plain(name: str, expected: str):
    assert slug(name) == expected


@pytest.mark.parametrize("name", ["", "   ", "x" * 81])
def test_a_name_that_is_empty_or_too_long_is_refused(workspace: Workspace, name: str):
    with pytest.raises(ConfigError, match="1 to 80 letters"):
        workspace.create(name)


@pytest.mark.parametrize("id", ["../fjord-bottle", "/etc", "", ".bin", "no-such", "a/b"])
def test_ids_from_the_page_cannot_leave_the_workspace(workspace: Workspace, project: Project, id: str):
    with pytest.raises(ConfigError, match="no project"):
        workspace.project(id)


def test_a_deleted_project_comes_back_whole(workspace: Workspace, project: Project):
    ticket = workspace.delete(project.id)
    assert workspace.projects() == []
    restored = workspace.restore(ticket)
    assert restored.about == project.about
    assert len(read_shelf(restored)) == 6


def test_a_deleted_project_comes_back_beside_one_that_took_its_name(workspace: Workspace, project: Project):
    ticket = workspace.delete(project.id)
    workspace.create("Fjord bottle")
    assert workspace.restore(ticket).id == "fjord-bottle-2"


def test_two_tabs_that_change_a_project_at_once_lose_nothing(workspace: Workspace, project: Project):
    def tab(field: str) -> None:
        stale = workspace.project(project.id)
        for number in range(20):
            stale.changed(**{field: f"word{number}"})
            with stale.alone() as now:
                now.changed(overrides={**now.about.overrides, f"{field}.{number}": number})

    with ThreadPoolExecutor(2) as tabs:
        list(tabs.map(tab, ("trigger", "noun")))
    about = workspace.project(project.id).about
    assert (about.trigger, about.noun, len(about.overrides)) == ("word19", "word19", 40)


def test_a_late_change_does_not_bring_a_deleted_project_back(workspace: Workspace, project: Project):
    workspace.delete(project.id)
    with pytest.raises(ConfigError, match="not there any more"):
        project.changed(trigger="late")
    assert not project.path.exists()


def test_a_copy_has_the_pictures_and_edits_but_no_runs(workspace: Workspace, project: Project):
    create_run(project.runs / "one", Job(kind="train", name="x"))
    copy = workspace.duplicate(project.id)
    assert (copy.about.trigger, len(read_shelf(copy)), copy.all_runs()) == ("fjordbottle", 6, [])
    (copy.pictures / "00.png").unlink()
    assert len(read_shelf(project)) == 6


def test_a_value_out_of_range_leaves_project_json_as_it_was(project: Project, workspace: Workspace):
    with pytest.raises(ConfigError, match="dial cannot be 'overnight'"):
        project.changed(dial="overnight")
    assert workspace.project(project.id).about.dial == "balanced"


def test_samples_come_once_and_not_again_after_they_were_deleted(tmp_path: Path, workspace: Workspace, project: Project):
    source = tmp_path / "samples"
    for name in ("product", "style"):
        (source / name).mkdir(parents=True)
        (source / name / "1.txt").write_text("caption")
        (source / name / "project.json").write_text(json.dumps({"name": name, "intent": name, "trigger": "x", "noun": "y", "credit": "us"}))
    (source / "trained" / "product").mkdir(parents=True)
    (source / "trained" / "product" / "job.json").write_text(Job(kind="train", name="x").model_dump_json())
    fresh = open_workspace(tmp_path / "fresh")
    assert [sample.about.name for sample in add_samples(fresh, source)] == ["style", "product"]
    assert all(sample.about.is_sample for sample in fresh.projects())
    assert [len(sample.all_runs()) for sample in fresh.projects()] == [1, 0]  # the product comes taught
    assert add_samples(fresh, source) == []
    for sample in fresh.projects():
        fresh.delete(sample.id)
    assert add_samples(fresh, source) == []


def test_samples_stand_behind_own_projects(workspace: Workspace, project: Project):
    workspace.create("Sample").changed(is_sample=True)
    assert [one.about.is_sample for one in workspace.projects()] == [False, True]


def test_unknown_keys_in_project_json_do_no_harm():
    assert About.model_validate({"name": "x", "from_the_future": 1}).name == "x"
