"""`brandprint runs`, `doctor`, `demo` and `ui`: what is here, what it can do, the tour, the studio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.terminal import say, show_json, show_table


def runs(
    folder: Annotated[Path, typer.Argument(help="Folder in which runs are kept.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List runs, newest first."""
    from pipelines.events import Step
    from training.runs import last_of, list_runs

    rows = [
        (run.path.name, run.job.kind, run.state(), getattr(last_of(run, Step), "step", 0), run.job.made_at) for run in list_runs(folder)
    ]
    headings = ("name", "kind", "state", "steps", "made at")
    if as_json:
        show_json([dict(zip(headings, row, strict=True)) for row in rows])
    elif rows:
        show_table(headings, rows)
    else:
        say(f"No runs in {folder}. Start one: brandprint train FOLDER")


def doctor(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """What this machine can do: device, precision, memory, disk, and which bases will fit."""
    from app.capability import examine

    found = examine()
    if as_json:
        show_json(found.record())
        return
    show_table(("", ""), found.facts)
    show_table(("base", "training", "drawing", "note"), [(fit.base, fit.training, fit.drawing, fit.note) for fit in found.bases])


def demo(
    pictures: Annotated[Path | None, typer.Argument(help="Pictures to teach. Empty: the shipped product.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for everything that the demo makes.")] = Path("demo"),
    dial: Annotated[str, typer.Option(metavar="quick|balanced|thorough", help="How thorough.")] = "balanced",
) -> None:
    """The whole way on sample pictures: check, train, compare, export; ends with a page to look at."""
    from app.demo import run_demo

    page = run_demo(pictures, out, dial=dial)
    say(f"Look at {page}")


def ui(
    workspace: Annotated[Path, typer.Option(help="Folder in which projects are kept.")] = Path("projects"),
    host: Annotated[str, typer.Option(help="Address to listen on; any but localhost demands --auth.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port.", min=1, max=65535)] = 7860,
    auth: Annotated[str, typer.Option(help="user:password-file.")] = "",
    models_folder: Annotated[
        list[Path] | None, typer.Option(help="ComfyUI or A1111 LoRA folder that finished files may be copied into.")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """Open the studio in the browser."""
    from app.ui import serve

    serve(workspace, host=host, port=port, auth=auth, models_folders=tuple(models_folder or ()), open_browser=open_browser)
