"""The page's process: light, closed, and with no endpoint that was not meant."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app import ui
from app.projects import Workspace
from pipelines.errors import ConfigError

HEAVY = ("torch", "diffusers", "transformers", "peft", "accelerate")
LOOK_AT_EVERYTHING = """
import sys
from pathlib import Path
from app.answers import answering
from app.projects import open_workspace
from app.ui import PARTS, build_page
workspace = open_workspace(Path(sys.argv[1]))
build_page(workspace)
for name, part in PARTS.items():
    answer = answering(name, workspace, part.look, part.ACTIONS)({"do": "look", "project": sys.argv[2]})
    assert answer["ok"], (name, answer)
print([name for name in %r if name in sys.modules])
"""


def test_the_pages_process_never_imports_what_draws_or_trains(workspace: Workspace, project, tmp_path: Path):
    (workspace.jobs / "workers").mkdir(parents=True)
    for device in ("auto",):
        (workspace.jobs / "workers" / f"{device}.beat").touch()  # no worker is to be started by the look
    (project.path / ".report.running").write_text("0 6")
    run = subprocess.run(
        [sys.executable, "-c", LOOK_AT_EVERYTHING % (HEAVY,), str(workspace.path), project.id],
        capture_output=True,
        text=True,
        cwd=Path(ui.__file__).parent.parent,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"


def test_only_the_named_endpoints_are_public(workspace: Workspace):
    info = ui.build_page(workspace).get_api_info()
    named = set(info["named_endpoints"])
    assert named == {
        f"/{name}" for name in ("create_project", "add_pictures", "start", "status", "preview", "pictures", "export", "bundle")
    }
    assert info["unnamed_endpoints"] == {}


def test_endpoints_have_types(workspace: Workspace):
    parameters = ui.build_page(workspace).get_api_info()["named_endpoints"]["/create_project"]["parameters"]
    assert [(one["parameter_name"], one["python_type"]["type"]) for one in parameters] == [
        ("name", "str"),
        ("intent", "str"),
        ("trigger", "str"),
        ("noun", "str"),
    ]


def test_endpoints_say_what_they_give_back(workspace: Workspace):
    endpoints = ui.build_page(workspace).get_api_info()["named_endpoints"]
    given = {name: endpoint["returns"][0]["python_type"]["type"] for name, endpoint in endpoints.items()}
    assert given["/create_project"] == given["/start"] == "str"
    assert given["/status"].startswith("dict")
    assert given["/pictures"] == "list[filepath]"
    assert given["/bundle"] == "filepath"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::"])
def test_an_open_address_demands_a_login(tmp_path: Path, host: str):
    with pytest.raises(ConfigError, match="there is no login"):
        ui.serve(tmp_path / "w", host=host)
    assert not (tmp_path / "w").exists()


def test_a_login_is_read_from_a_file(tmp_path: Path):
    (tmp_path / "word").write_text("long enough\n")
    assert ui.read_auth(f"ana:{tmp_path / 'word'}") == (("ana", "long enough"),)
    (tmp_path / "word").write_text("short")
    for text in (f"ana:{tmp_path / 'word'}", f"ana:{tmp_path / 'missing'}", f":{tmp_path / 'word'}"):
        with pytest.raises(ConfigError):
            ui.read_auth(text)


def test_a_taken_port_is_named_with_another(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"Port {port} is in use"):
            ui.serve(tmp_path / "w", port=port)


def test_a_models_folder_must_exist(tmp_path: Path):
    with pytest.raises(ConfigError, match="does not exist"):
        ui.serve(tmp_path / "w", models_folders=(tmp_path / "loras",))


def test_the_head_is_whole_and_asks_nothing_of_other_machines(workspace: Workspace):
    head = ui.page_head(workspace)
    told = re.search(r'<script type="application/json" id="bp-settings">(.*?)</script>', head, re.DOTALL)
    assert told
    assert json.loads(told.group(1))["words"]["step.teach"] == "Teach"
    assert not re.search(r"""(src|href)=["']https?://|url\(["']?https?://|@import""", head)


def test_scripts_hold_no_closing_tag_that_would_end_them_early():
    for path in ui.ASSETS.glob("*.js"):
        assert "</script" not in path.read_text("utf-8").lower(), path.name


def test_every_button_has_a_hand_that_does_it():
    """data-do in a script is an action of that script's part or of its tab."""
    for name, part in ui.PARTS.items():
        script = (ui.ASSETS / f"{name}.js").read_text("utf-8")
        if name == "teach":
            script += (ui.ASSETS / "run.js").read_text("utf-8")
        if name == "pictures":
            script += (ui.ASSETS / "captions.js").read_text("utf-8") + (ui.ASSETS / "fixes.js").read_text("utf-8")
        asked = set(re.findall(r'data-(?:do|submit|on\w+)="([a-z_]+)"', script))
        own = set(re.findall(r"^\s+(?:async )?(\w+)\(", script, re.MULTILINE)) | set(
            re.findall(r"[,{] (?:async )?(\w+)\((?:\w*)(?:, \w+)?\) \{", script)
        )
        lightbox = {"look_at", "close_look"}  # shared by both steps that show run pictures, in run.js
        assert asked - own - set(part.ACTIONS) - lightbox == set(), name
