"""The whole job from Python, through gradio_client, with the same checks as the page's."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from app import jobs
from app.projects import open_workspace
from tests.app.drawn import draw_picture
from tests.e2e.conftest import LONG, SHORT
from tests.e2e.served import ROOT, Studio, wait_until


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


def test_the_lines_in_the_docs_do_the_whole_job(client: Client, studio: Studio, tmp_path: Path):
    archive = tmp_path / "pictures.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for number in range(6):
            zipped.write(draw_picture(tmp_path / f"{number}.png", 10 + number), f"{number}.png")
    lines = (ROOT / "docs" / "api.md").read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    for shown, here in (
        ("http://127.0.0.1:7860/", studio.url),
        ("pictures.zip", str(archive)),
        ("{}", repr(SHORT)),
        ("sleep(5)", "sleep(1)"),
    ):
        assert lines.count(shown) == 1, shown
        lines = lines.replace(shown, here)
    told: dict[str, Any] = {}
    exec(lines, told)
    project = told["project"]
    for run in (told["drawing"], told["files"]):
        wait_until(
            lambda run=run: client.predict(project, run, api_name="/status")["state"] not in ("queued", "running"), f"{run} comes to an end"
        )
    pictures = client.predict(project, told["drawing"], api_name="/pictures")
    assert len(pictures) == 8  # four seeds, base and taught
    with zipfile.ZipFile(client.predict(project, api_name="/bundle")) as bundle:
        assert [name for name in bundle.namelist() if name.endswith(".safetensors")]


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
