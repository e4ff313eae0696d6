"""The doctor's process: one at a time for a project, and at work until its report fits the pictures that lie there."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from app import doctor
from app.answers import answering
from app.doctor import RUNNING, ask_report, examine, facts_of, read_report, report_signature, running_progress
from app.projects import Project, Workspace
from app.tabs import images
from tests.app.drawn import draw_picture


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What happens during each look of the doctor, first to last; its checks themselves are tests/training's."""
    during: list[Callable[[], object]] = []

    def inspect(dataset: Any, **_: object) -> SimpleNamespace:
        if during:
            during.pop(0)()
        return SimpleNamespace(score=len(dataset.items), summary="", problems=(), top3=())

    monkeypatch.setattr("training.inspect.inspect_dataset", inspect)
    monkeypatch.setattr("training.survey.look_at", lambda items, **_: ({}, {}))
    monkeypatch.setattr("pipelines.encoder_process.EncoderProcess.start", lambda self: None)
    return during


def test_pictures_that_arrive_while_it_looks_are_in_its_report(workspace: Workspace, project: Project, looks: list):
    looks.append(lambda: draw_picture(project.pictures / "late.png", 90))
    examine(workspace, project.id)
    report = read_report(project)
    assert report is not None
    assert (report["score"], report["signature"]) == (7, report_signature(project))
    assert running_progress(project) is None


def test_it_waits_while_more_are_on_their_way_but_not_for_a_page_that_went_away(
    workspace: Workspace, project: Project, looks: list, monkeypatch: pytest.MonkeyPatch
):
    doctor.tell_arrival(project, are_more_coming=True)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        draw_picture(project.pictures / f"late{len(waited)}.png", 90 + len(waited))
        if len(waited) == 3:
            doctor.tell_arrival(project, are_more_coming=False)

    monkeypatch.setattr(doctor.time, "sleep", sleep)
    examine(workspace, project.id)
    assert (len(waited), (read_report(project) or {})["score"]) == (3, 9)
    doctor.tell_arrival(project, are_more_coming=True)
    monkeypatch.setattr(doctor, "ARRIVAL_SECONDS", -1.0)
    draw_picture(project.pictures / "last.png", 99)
    examine(workspace, project.id)
    assert (len(waited), (read_report(project) or {})["score"]) == (3, 10)


def test_many_pictures_are_looked_at_while_the_rest_arrives(
    workspace: Workspace, project: Project, looks: list, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(doctor, "WORTH_A_REPORT", 4)
    doctor.tell_arrival(project, are_more_coming=True)
    seen: list[object] = []

    def meanwhile() -> None:
        seen.append(len(list(project.pictures.glob("*.png"))))
        draw_picture(project.pictures / "late.png", 90)
        doctor.tell_arrival(project, are_more_coming=False)

    looks.append(meanwhile)
    examine(workspace, project.id)
    assert (seen, (read_report(project) or {})["score"]) == ([6], 7)


def test_what_has_arrived_is_looked_at_while_the_rest_is_on_its_way(
    workspace: Workspace, project: Project, looks: list, monkeypatch: pytest.MonkeyPatch
):
    doctor.tell_arrival(project, are_more_coming=True)
    seen: list[tuple[int, object]] = []

    def look_at(items: Any, *, encoder: object, **_: object) -> None:
        seen.append((len(items), encoder))
        draw_picture(project.pictures / f"late{len(seen)}.png", 90 + len(seen))
        if len(seen) == 3:
            doctor.tell_arrival(project, are_more_coming=False)

    monkeypatch.setattr("training.survey.look_at", look_at)
    examine(workspace, project.id)
    assert [count for count, _ in seen] == [6, 7, 8]
    assert len({encoder for _, encoder in seen}) == 1  # its start is the dearest part of a small look
    assert (read_report(project) or {})["score"] == 9


def test_a_second_process_leaves_the_project_to_the_first(workspace: Workspace, project: Project, looks: list, no_workers: list):
    seen: list[object] = []

    def meanwhile() -> None:
        (project.path / RUNNING).write_text("3 6")
        examine(workspace, project.id)  # as another process would: it finds the lock held
        ask_report(workspace, project)
        seen.extend((read_report(project), running_progress(project)))

    looks.append(meanwhile)
    examine(workspace, project.id)
    assert seen == [None, (3, 6)]
    assert no_workers == []


def test_one_that_was_killed_is_asked_for_again(workspace: Workspace, project: Project, no_workers: list, monkeypatch: pytest.MonkeyPatch):
    ask_report(workspace, project)
    ask_report(workspace, project)
    assert len(no_workers) == 1  # it is only starting
    monkeypatch.setattr(doctor, "START_SECONDS", -1.0)
    ask_report(workspace, project)
    assert len(no_workers) == 2


def test_a_look_that_breaks_is_recorded_and_not_tried_again_and_again(
    workspace: Workspace, project: Project, looks: list, no_workers: list
):
    looks.append(lambda: 1 / 0)
    examine(workspace, project.id)
    report = read_report(project)
    assert report is not None
    assert (report["score"], report["error"]) == (None, "division by zero")
    answer = answering("pictures", workspace, images.look, images.ACTIONS)
    assert answer({"do": "look", "project": project.id})["view"]["broke"]
    assert no_workers == []
    assert not answer({"do": "check_again", "project": project.id})["view"]["broke"]
    assert len(no_workers) == 1


def test_its_progress_reaches_the_page_without_a_new_view(workspace: Workspace, project: Project, no_workers: list):
    answer = answering("pictures", workspace, images.look, images.ACTIONS)
    first = answer({"do": "look", "project": project.id})
    (project.path / RUNNING).write_text("2 6")
    again = answer({"do": "look", "project": project.id, "seen": first["view"]["version"]})
    assert again == {"ok": True, "now": {"looking": (2, 6), "writing": None}}
    assert json.dumps(again)


def test_a_base_that_cannot_be_told_is_looked_at_as_the_starter(tmp_path):
    assert facts_of("starter").native_size_px == 256
    assert facts_of(str(tmp_path / "torn.safetensors")) == facts_of("starter")
