"""`brandprint preview`, `board` and `verdict`: what an adapter does, as pictures and as figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.fields import build, with_flags
from app.terminal import say, show_json
from pipelines.settings import DrawSettings


@with_flags(DrawSettings)
def preview(
    adapters: Annotated[
        list[str],
        typer.Argument(
            help="Run folder or adapter file, with =STRENGTH behind it where it is not 1; several are mixed. none: the base alone."
        ),
    ],
    base: Annotated[str, typer.Option(help="Base to draw with. Empty: the one that the adapter was made for.")] = "",
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("previews"),
    compare: Annotated[bool, typer.Option(help="Also draw the base on the same seeds, side by side.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="List the files as JSON.")] = False,
    values: dict[tuple[str, ...], Any] | None = None,
) -> None:
    """Draw with an adapter, beside the base on the same seed."""
    from pipelines import generation
    from pipelines.provenance import save_picture

    settings = build(DrawSettings, values or {})
    loaded, strengths, taught = load_with_adapters(adapters, base=base)
    if not settings.prompt:
        settings = settings.model_copy(
            update={"prompt": next((adapter.card.trigger_phrase for adapter in taught.values()), "") or "a picture"}
        )
    cards = {name: adapter.card for name, adapter in taught.items()}
    files: list[Path] = []
    pairs = (
        generation.compare(loaded, settings, strengths=strengths)
        if compare and taught
        else ((None, drawn) for drawn in generation.generate(loaded, settings))
    )
    for plain, drawn in pairs:
        for kind, picture in (("base", plain), ("adapter" if taught else "base", drawn)):
            if picture is not None:
                files.append(save_picture(picture, out / f"{picture.seed:06d}-{kind}.png", base=Path(loaded.source).name, cards=cards))
                if not as_json:
                    say(f"{files[-1]}")
    if as_json:
        show_json([str(path) for path in files])


def load_with_adapters(names: list[str], *, base: str):
    """(base, strengths, adapters by name): the base that the first adapter asks for, everything attached."""
    from pipelines.adapter import attach
    from pipelines.families.base import load_base
    from training.execute import best_device

    wanted = [read_wish(name) for name in names if name != "none"]
    loaded = load_base(base or next((card_base for _, _, card_base in wanted if card_base), "starter"), device=best_device())
    taught, strengths = {}, {}
    for number, (path, strength, _) in enumerate(wanted):
        name = f"adapter{number or ''}"
        taught[name] = open_adapter(path, loaded)
        attach(loaded, taught[name], name=name, strength=strength)
        strengths[name] = strength
    return loaded, strengths, taught


def read_wish(text: str) -> tuple[Path, float, str]:
    """ "runs/mug=0.8" -> (adapter file, 0.8, base that it was made for or "")."""
    from pipelines.errors import AdapterError

    place, _, strength = text.rpartition("=") if "=" in text else (text, "", "1")
    path = Path(place)
    path = path / "adapter.safetensors" if path.is_dir() else path
    if not path.exists():
        raise AdapterError(f"There is no adapter at {place}.", fix="Give a run folder that has finished, or a .safetensors file.")
    try:
        return path, float(strength), _base_of(path)
    except ValueError:
        raise AdapterError(f"{strength!r} is not a strength.", fix="Write it as a number: runs/mug=0.8.") from None


def open_adapter(path: Path, base):
    """Our own file as it is; another tool's file through the importer."""
    from pipelines.adapter import load_adapter
    from pipelines.errors import AdapterError
    from pipelines.formats.read import import_lora

    try:
        return load_adapter(path)
    except AdapterError:
        return import_lora(path, base).adapter


def _base_of(path: Path) -> str:
    """Where the base stands that a run was taught on: its job knows the place, the card only the name."""
    from training.runs import open_run

    for folder in (path.parent, path.parent.parent.parent):
        if (folder / "job.json").exists():
            return str(open_run(folder).job.settings.get("base", ""))
    return ""


def board(
    run_path: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    prompt: Annotated[list[str] | None, typer.Option(help="Prompts. Empty: the run's own preview prompts.")] = None,
    strength: Annotated[list[float] | None, typer.Option(help="Strengths.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Seeds.")] = None,
    checkpoints: Annotated[int, typer.Option(help="How many of the checkpoints, evenly chosen.", min=1)] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON record a line.")] = False,
) -> None:
    """Checkpoint x strength x prompt, base in column 0: PNG, PDF and an HTML page that opens anywhere."""
    from app.terminal import EventPrinter
    from pipelines.adapter import load_adapter
    from pipelines.board import draw_board
    from pipelines.errors import RunError
    from pipelines.families.base import load_base
    from training.execute import best_device
    from training.runs import checkpoint_folders, open_run

    run = open_run(run_path)
    folders = checkpoint_folders(run.path)
    stride = max(1, len(folders) // checkpoints)
    chosen = folders[::-1][::stride][:checkpoints][::-1]
    adapters = {int(folder.name): folder / "adapter.safetensors" for folder in chosen}
    if not adapters:
        raise RunError(f"{run.path.name} has no checkpoint yet.", fix="Train it first, or wait for the first checkpoint.")
    base = load_base(run.job.settings["base"], device=best_device())
    prompts = prompt or run.job.settings["loop"]["preview_prompts"] or [load_adapter(next(iter(adapters.values()))).card.trigger_phrase]
    folder = run.path / "board"
    with EventPrinter(as_json=as_json) as printer:
        for event in draw_board(
            base,
            adapters,
            DrawSettings(speed="fast"),  # as the page's board
            strengths=strength or [0.7, 1.0],
            prompts=prompts,
            seeds=seed or [0],
            folder=folder,
            title=run.job.name,
        ):
            printer(event)
    if not as_json:
        say(f"Board: {folder / 'board.html'}")


def verdict(
    run_path: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a training.")],
    as_json: Annotated[bool, typer.Option("--json", help="The verdict as JSON.")] = False,
) -> None:
    """Which checkpoint, at which strength, and why; written into the adapter's card."""
    from training.runs import open_run

    found = judge(open_run(run_path), as_json=as_json)
    if as_json:
        show_json(found.model_dump(mode="json"))
    else:
        say(f"{found.sentence} ({found.confidence_words})")
        for finding in found.findings:
            say(finding.message, style="yellow")


def judge(run, *, as_json: bool = False):
    """Score every checkpoint, make the pick the run's adapter, write the client's page; returns the verdict."""
    from app.terminal import EventPrinter
    from pipelines.families.base import load_base
    from training.dataset import load_dataset
    from training.execute import best_device
    from training.report import write_report
    from training.verdict import apply_verdict, score_run

    base = load_base(run.job.settings["base"], device=best_device())
    with EventPrinter(as_json=as_json, quiet=("picture",)) as printer:
        found = printer.follow(score_run(run, base, load_dataset(run.dataset_path)))
    apply_verdict(run, found)
    write_report(run)
    return found
