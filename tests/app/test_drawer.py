"""The advanced drawer derives from the settings' own fields."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.drawer import HIDDEN, as_paths, drawer_groups, typed_value
from app.projects import Project
from app.shelf import read_shelf
from app.tabs.teach import plan_for
from pipelines.errors import ConfigError
from pipelines.settings import leaves
from training.config import TrainSettings


def fields(project: Project) -> Iterator[dict]:
    for group in drawer_groups(plan_for(project, read_shelf(project))):
        yield from group["fields"]


def test_every_setting_stands_in_the_drawer_with_help(project: Project):
    shown = {field["name"]: field for field in fields(project)}
    wanted = {".".join(leaf.path) for leaf in leaves(TrainSettings)} - HIDDEN
    assert wanted - set(shown) == set()
    assert all(field["help"] for field in shown.values())


def test_no_box_takes_a_path_of_the_server(project: Project):
    assert not [field["name"] for field in fields(project) if "folder" in field["name"] or "path" in field["name"]]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("loop.steps", "120", 120), ("optim.learning_rate", "0.0005", 0.0005), ("pictures.flip", True, True), ("pictures.flip", False, False), ("adapter.alpha", "", None), ("adapter.kind", "dora", "dora"),
     ("loop.preview_prompts", "a\n\n b \n", ("a", "b")), ("optim.optimizer", "prodigy", "prodigy"), ("loss.prior_weight", "1", 1.0)],
)  # fmt: skip
def test_what_was_typed_becomes_the_setting(name: str, text: object, value: object):
    assert typed_value(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("loop.steps", "many"),
        ("loop.steps", "-5"),
        ("adapter.rank", "100000"),
        ("adapter.kind", "magic"),
        ("no.such", "1"),
        ("loss.prior_folder", "/etc"),
    ],
)
def test_what_cannot_be_is_refused_in_words(name: str, text: str):
    with pytest.raises(ConfigError):
        typed_value(name, text)


def test_a_change_is_marked_and_taken_up_by_the_plan(project: Project):
    changed = project.changed(overrides={"loop.steps": 60})
    steps = next(field for field in fields(changed) if field["name"] == "loop.steps")
    assert steps["changed"]
    assert steps["value"] == 60
    assert plan_for(changed, read_shelf(changed)).settings.loop.steps == 60


def test_lists_from_json_become_tuples():
    assert as_paths({"loop.preview_prompts": ["a"]}) == {("loop", "preview_prompts"): ("a",)}
