"""Builds the page and serves it: parts, theme, named API, safety. Nothing else happens here.

In: a workspace and how to serve it. Out: a `gr.Blocks`, or a running server. Imports no torch: what draws and trains lives in workers.
"""

from __future__ import annotations

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read at import: nothing is reported anywhere

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from app import api, jobs
from app.answers import answering
from app.intake import sweep_uploads
from app.projects import USUAL_LIMITS, Limits, Workspace, add_samples, open_workspace
from app.strings import EN
from app.tabs import compare, frame, handover, home, images, library, teach
from app.terminal import say
from app.theme import Studio
from pipelines.errors import ConfigError

ASSETS = Path(__file__).parent / "assets"
SAMPLES = Path(__file__).parent.parent / "sample_data"
PARTS = {"frame": frame, "home": home, "pictures": images, "teach": teach, "compare": compare, "handover": handover, "library": library}
SCRIPTS = (
    "studio.js",
    "frame.js",
    "home.js",
    "upload.js",
    "captions.js",
    "fixes.js",
    "pictures.js",
    "run.js",
    "teach.js",
    "compare.js",
    "handover.js",
    "library.js",
)
SWEEP_SECONDS = 3600
LOCAL = ("127.0.0.1", "localhost", "::1")


def build_page(workspace: Workspace) -> gr.Blocks:
    """The page: one piece of HTML a step, each with one server function, and the named API."""
    with gr.Blocks(title="Brandprint", fill_width=True, analytics_enabled=False, delete_cache=(SWEEP_SECONDS, 6 * SWEEP_SECONDS)) as page:
        for name, part in PARTS.items():
            _mount(name, answering(name, workspace, part.look, part.ACTIONS))
        api.publish(workspace)
    return page


def _mount(name: str, answer: Callable[[Any], dict[str, Any]]) -> None:
    """A piece of HTML that the part's script fills. User text never goes into Gradio's template, which would run `${...}` in it as code."""
    gr.HTML(
        value="", html_template='<div class="bp-mount"></div>', js_on_load=f"window.brandprint.mount({json.dumps(name)}, element.querySelector('.bp-mount'), server);",
        elem_id=f"bp-{name}", elem_classes=["bp"], server_functions=[answer], apply_default_css=False, container=False,
    )  # fmt: skip


def serve(
    workspace: Path, *, host: str = "127.0.0.1", port: int | None = None, auth: str = "", models_folders: tuple[Path, ...] = (), devices: tuple[str, ...] = ("auto",),
    limits: Limits = USUAL_LIMITS, samples: Path = SAMPLES, open_browser: bool = False, wait: bool = True,
) -> str:  # fmt: skip
    """Serve the studio of a workspace; returns its address. auth: "user:password-file"; else BRANDPRINT_AUTH in the environment. samples: folder of
    sample projects for a first visit. wait: until Ctrl-C.

    Raises ConfigError for an address that other machines reach without a login, for a taken port, and for a models folder that is not there.
    """
    login = read_auth(auth or os.environ.get("BRANDPRINT_AUTH", ""))
    _check(host, port, login, models_folders)
    opened = open_workspace(workspace, limits=limits, models_folders=models_folders)
    os.environ["GRADIO_TEMP_DIR"] = str(opened.uploads)
    sweep_uploads(opened)
    add_samples(opened, samples)
    jobs.set_devices(opened, devices)
    if jobs.waiting(opened) or jobs.claimed(opened):
        jobs.wake_workers(opened)
    page = build_page(opened)
    _, address, _ = page.launch(
        server_name=host, server_port=port, auth=list(login) or None, inbrowser=open_browser, prevent_thread_lock=True, quiet=True, theme=Studio(),
        head=page_head(opened), favicon_path=ASSETS / "icon.png", pwa=True, footer_links=[],
        allowed_paths=[str(opened.path)], blocked_paths=[str(opened.jobs), str(opened.bin)], max_file_size=limits.file_bytes, run_history=False,
        share=False, ssr_mode=False, show_error=False,
    )  # fmt: skip
    if wait:
        say(f"Brandprint is open at {address}  (projects in {opened.path}; Ctrl-C ends the page, running jobs go on)")
        page.block_thread()
    return address


def page_head(workspace: Workspace) -> str:
    """Words, limits, styles and scripts, inline: nothing more to fetch. Styles go here because Gradio's `css=` pins every rule below its container."""
    settings = {"words": EN, "limits": {"file_bytes": workspace.limits.file_bytes, "pictures": workspace.limits.pictures}}
    told = json.dumps(settings, ensure_ascii=False).replace("</", "<\\/")
    scripts = "".join(f"<script>\n{(ASSETS / name).read_text('utf-8')}\n</script>" for name in SCRIPTS)
    styles = (ASSETS / "studio.css").read_text("utf-8")
    return f'<meta name="description" content="Teach an image generator your brand"><style>{styles}</style><script type="application/json" id="bp-settings">{told}</script>{scripts}'


def read_auth(text: str) -> tuple[tuple[str, str], ...]:
    """`user:password-file` -> the login; "" -> none. The password stands in a file, so that it shows in no process list. Raises ConfigError if it cannot be read."""
    if not text:
        return ()
    user, _, file = text.partition(":")
    try:
        password = Path(file).expanduser().read_text("utf-8").strip()
    except OSError as error:
        raise ConfigError(
            f"The password file {Path(file).name!r} cannot be read ({error.strerror}).",
            fix="Give --auth user:path-of-a-file-with-the-password.",
        ) from error
    if not user or len(password) < 8:
        raise ConfigError("The login needs a user name and a password of at least 8 letters.", fix="Write a longer password into the file.")
    return ((user, password),)


def _check(host: str, port: int | None, login: tuple[tuple[str, str], ...], models_folders: tuple[Path, ...]) -> None:
    if host not in LOCAL and not login:
        raise ConfigError(
            f"{host} can be reached from other machines, and there is no login.", fix="Add --auth user:password-file, or keep to 127.0.0.1."
        )
    missing = next((folder for folder in models_folders if not folder.is_dir()), None)
    if missing is not None:
        raise ConfigError(f"The models folder {missing.name!r} does not exist.", fix="Name ComfyUI's models/loras or A1111's models/Lora.")
    if port is not None and _is_taken(host, port):
        raise ConfigError(f"Port {port} is in use.", fix=f"Choose another: --port {port + 1}.")


def _is_taken(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False
