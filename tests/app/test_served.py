"""A served studio from outside: what may be fetched, by whom, and what never."""

from __future__ import annotations

import http.cookiejar
import json
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from app import ui
from app.projects import Limits, open_workspace
from tests.app.drawn import draw_picture


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """(address, workspace) of a studio with a login, one project and nothing to do."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "password").write_text("correct horse")
    workspace = open_workspace(folder / "w")
    project = workspace.create("Mug")
    draw_picture(project.pictures / "a.png", 1)
    (project.path / ".report.running").write_text("0 1")
    (workspace.jobs / "workers").mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = ui.serve(
        workspace.path, port=port, auth=f"ana:{folder / 'password'}", limits=Limits(file_bytes=100_000), samples=folder / "none", wait=False
    )
    yield address, workspace.path
    gr.close_all(verbose=False)


@pytest.fixture(scope="module")
def signed_in(served: tuple[str, Path]) -> urllib.request.OpenerDirector:
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    opener.open(f"{served[0]}login", urllib.parse.urlencode({"username": "ana", "password": "correct horse"}).encode())
    return opener


def status(opener: urllib.request.OpenerDirector, url: str, content: bytes | None = None, kind: str = "application/json") -> int:
    try:
        with opener.open(urllib.request.Request(url, content, {"Content-Type": kind} if content is not None else {})) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def file_url(address: str, path: Path) -> str:
    return f"{address}gradio_api/file={urllib.parse.quote(str(path))}"


def multipart(content: bytes) -> tuple[bytes, str]:
    body = (
        b'--line\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
        + content
        + b"\r\n--line--\r\n"
    )
    return body, "multipart/form-data; boundary=line"


def test_without_a_login_nothing_is_served(served: tuple[str, Path]):
    address, workspace = served
    stranger = urllib.request.build_opener()
    assert status(stranger, file_url(address, workspace / "mug" / "pictures" / "a.png")) == 401
    call = json.dumps({"data": {"do": "look"}, "fn_name": "home", "component_id": 2, "session_hash": "x"}).encode()
    assert status(stranger, f"{address}gradio_api/component_server/", call) == 401
    assert status(stranger, f"{address}gradio_api/upload", *multipart(b"x")) == 401
    assert status(stranger, f"{address}gradio_api/run/create_project", json.dumps({"data": ["x"]}).encode()) == 401


def test_a_wrong_password_opens_nothing(served: tuple[str, Path]):
    wrong = urllib.parse.urlencode({"username": "ana", "password": "guess"}).encode()
    assert status(urllib.request.build_opener(), f"{served[0]}login", wrong, "application/x-www-form-urlencoded") == 400


def test_half_an_emoji_in_a_call_does_no_harm(served: tuple[str, Path], signed_in: urllib.request.OpenerDirector):
    call = json.dumps({"data": ["cup \ud83d", "product", "tin\ud83dcup", ""]}).encode()
    assert status(signed_in, f"{served[0]}gradio_api/run/create_project", call) == 200


def test_only_project_files_are_served(served: tuple[str, Path], signed_in: urllib.request.OpenerDirector):
    address, workspace = served
    assert status(signed_in, file_url(address, workspace / "mug" / "pictures" / "a.png")) == 200
    for path in (
        Path("/etc/passwd"),
        Path(ui.__file__),
        workspace.parent / "password",
        workspace / "mug" / ".." / ".." / "password",
        workspace / ".jobs" / "devices.json",
    ):
        assert status(signed_in, file_url(address, path)) in (403, 404), path


def test_a_file_above_the_limit_is_not_taken(served: tuple[str, Path], signed_in: urllib.request.OpenerDirector):
    assert status(signed_in, f"{served[0]}gradio_api/upload", *multipart(b"x" * 1000)) == 200
    assert status(signed_in, f"{served[0]}gradio_api/upload", *multipart(b"x" * 200_000)) == 413


def test_the_page_comes_with_its_own_styles_words_and_icon(served: tuple[str, Path], signed_in: urllib.request.OpenerDirector):
    with signed_in.open(served[0]) as response:
        page = response.read().decode()
    assert "bp-settings" in page
    assert "--accent" in page
    assert status(signed_in, f"{served[0]}manifest.json") == 200
    assert status(signed_in, f"{served[0]}favicon.ico") == 200
