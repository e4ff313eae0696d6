"""The whole job from Python, through gradio_client, with the same checks as the page's."""

from __future__ import annotations

from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from app import jobs
from app.projects import open_workspace
from tests.app.drawn import draw_picture
from tests.e2e.conftest import LONG, Studio


@pytest.fixture(scope="module")
def client(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(studio.url, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


def test_a_project_is_made_filled_started_and_asked_about(client: Client, studio: Studio, tmp_path: Path):
    project = client.predict("From Python", "product", "pythonmug", "mug", api_name="/create_project")
    assert project == "from-python"
    files = [handle_file(str(draw_picture(tmp_path / f"{number}.png", number))) for number in range(6)]
    (tmp_path / "notes.docx").write_bytes(b"x")
    taken = client.predict(project, [*files, handle_file(str(tmp_path / "notes.docx"))], api_name="/add_pictures")
    assert len(taken["added"]) == 6
    assert taken["refused"][0].startswith("notes.docx")
    run = client.predict(project, "quick", LONG, api_name="/start")
    now = client.predict(project, run, api_name="/status")
    assert now["run"] == run
    assert now["state"] in ("queued", "running")
    workspace = open_workspace(studio.workspace)
    jobs.cancel(workspace, workspace.project(project).all_runs()[0])


@pytest.mark.parametrize(
    ("endpoint", "values", "says"),
    [("/create_project", ("", "product", "", ""), "1 to 80 letters"), ("/start", ("no-such", "quick", {}), "no project"), ("/preview", ("twemoji-graphics", "x", 0, 1, 0.0, "square"), "Nothing has been taught"), ("/export", ("twemoji-graphics", None), "Nothing has been taught")],
)  # fmt: skip
def test_what_cannot_be_is_said_to_the_caller(client: Client, endpoint: str, values: tuple, says: str):
    with pytest.raises(AppError, match=says):
        client.predict(*values, api_name=endpoint)


def test_nothing_else_can_be_called(client: Client):
    with pytest.raises((ValueError, AppError)):
        client.predict({"do": "look"}, api_name="/pictures_step")
    assert not [name for name in client.view_api(return_format="dict")["named_endpoints"] if "lambda" in name]
