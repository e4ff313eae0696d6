"""`brandprint train`: a folder of pictures in, a run with an adapter out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from app.fields import as_choice, flag_names, with_flags
from app.terminal import EventPrinter, say, show_json, show_table
from training.config import TrainSettings

DIALS = "quick|balanced|thorough"


@with_flags(TrainSettings)
def train(
    pictures: Annotated[Path | None, typer.Argument(help="Folder or zip of pictures. Not needed with --resume.")] = None,
    name: Annotated[str, typer.Option(help="Name of the run. Empty: the folder's.")] = "",
    dial: Annotated[str, typer.Option(metavar=DIALS, help="How thorough; every other setting may still be given.")] = "balanced",
    runs: Annotated[Path, typer.Option(help="Folder in which runs are kept.")] = Path("runs"),
    resume: Annotated[Path | None, typer.Option(help="Go on with this run folder.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    ask_base: Annotated[bool, typer.Option("--ask-base", help="First let the base draw some captions: it may be close already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON record a line.")] = False,
    values: dict[tuple[str, ...], Any] | None = None,
) -> None:
    """Teach the base from PICTURES. Ctrl-C stops and keeps a checkpoint to resume from."""
    from pipelines.errors import ConfigError
    from training.runs import open_run

    if resume is None:
        if pictures is None:
            raise ConfigError("No pictures were given.", fix="brandprint train FOLDER, or brandprint train --resume runs/NAME.")
        run = plan_run(pictures, name=name, dial=dial, runs=runs, values=values or {}, dry_run=dry_run, ask_base=ask_base, as_json=as_json)
        if run is None:
            return
    else:
        own = {"PICTURES": pictures, "--name": name, "--dial": dial != "balanced", "--dry-run": dry_run, "--ask-base": ask_base}
        given = [flag for flag, value in own.items() if value] + [flag for flag, path in _setting_flags() if path in (values or {})]
        if given:
            raise ConfigError(
                f"{', '.join(given)} cannot be given with --resume: {resume.name} goes on as it was planned.",
                fix="Leave it out, or start a new run without --resume.",
            )
        run = open_run(resume)
    follow(run, as_json=as_json)
    if not as_json:
        say(f"Adapter: {run.adapter_path}\nNext: brandprint preview {run.path} --prompt '…', then brandprint export {run.path}")


def plan_run(
    pictures: Path, *, name: str, dial: str, runs: Path, values: dict[tuple[str, ...], Any], dry_run: bool = False, ask_base: bool = False,
    as_json: bool = False,
):  # fmt: skip
    """The run that the plan makes of pictures and the user's own values; None after a dry run. Raises ConfigError for a hopeless plan."""
    from pipelines.errors import ConfigError
    from training.dataset import load_dataset
    from training.forecast import write_forecast
    from training.runs import CACHE, Job, create_run

    if name in (".", "..") or Path(name).name != name:
        raise ConfigError(
            f"--name {name} is no name of a folder.", fix="Give a plain name, and the folder that holds the runs with --runs."
        )
    dataset = load_dataset(pictures)
    plan = make_plan_for(dataset, dial=dial, values=values, cache=runs / CACHE, ask_base=ask_base, as_json=as_json)
    if not as_json:
        for refused in dataset.rejected:
            say(f"left out: {refused.name} {refused.reason}", style="yellow")
        show_plan(plan, whole=dry_run)
    if dry_run:
        if as_json:
            show_json(
                {
                    "settings": plan.settings.model_dump(mode="json"),
                    "lines": [vars(line) for line in plan.lines],
                    "seconds": plan.forecast.seconds,
                }
            )
        return None
    plan.check()
    folder = free_folder(runs / (name or pictures.resolve().stem))  # "." has no stem
    run = create_run(
        folder, Job(kind="train", name=folder.name, dataset=str(pictures.resolve()), settings=plan.settings.model_dump(mode="json"))
    )
    write_forecast(run.path, plan.forecast)
    return run


def make_plan_for(dataset, *, dial: str, values: dict[tuple[str, ...], Any], cache: Path, ask_base: bool = False, as_json: bool = False):
    """The plan for a dataset; what the user did not say is taken from the folder's own hints, speeds from earlier runs beside the cache."""
    from training.base_facts import read_base_facts
    from training.device import find_device
    from training.plan import make_plan
    from training.recipes import Dial
    from training.timing import recall_speed

    hints = dataset.hints
    told = {"intent": hints.intent or "product", "trigger": hints.trigger, "noun": hints.noun}
    asked = {name: values.pop(("subject", name), told[name]) for name in told}
    facts, device = read_base_facts(values.pop(("base",), "starter")), find_device()
    plan_with = partial(
        make_plan,
        **asked,
        pictures=dataset.items,
        base_facts=facts,
        device=device,
        dial=as_choice(dial, Dial, name="dial"),
        overrides=values,
    )
    settings = plan_with().settings
    speed = recall_speed(cache, base=facts, device=device, settings=settings)
    return plan_with(speed=speed, need=asked_base(dataset, settings, cache=cache, as_json=as_json) if ask_base else None)


def asked_base(dataset, settings: TrainSettings, *, cache: Path, as_json: bool):
    """How near the base comes without an adapter."""
    from pipelines.families.base import load_base
    from training.execute import best_device
    from training.need import measure_need

    with EventPrinter(as_json=as_json) as printer:
        return printer.follow(measure_need(load_base(settings.base, device=best_device()), dataset, settings, folder=cache / "need"))


def show_plan(plan, *, whole: bool) -> None:
    """The plan in words; whole: every line with its reason."""
    say(f"{plan.words}\n{plan.forecast.words}")
    if whole:
        show_table(
            ("setting", "value", "why", ""),
            [(line.name, line.value, line.reason, line.mark if line.changed else "") for line in plan.lines],
        )
    for warning in (*plan.warnings, *filter(None, [plan.refusal])):
        say(f"{warning.message} {warning.fix}", style="yellow")


def follow(run, *, as_json: bool) -> None:
    """Do the run here, showing its events. After Ctrl-C the run can be resumed; that is said."""
    from pipelines.lean import load_libraries

    load_libraries()
    from training.execute import execute

    try:
        with EventPrinter(as_json=as_json) as printer:
            execute(run, watch=printer)
    except KeyboardInterrupt:
        say(f"Stopped. Go on with: brandprint train --resume {run.path}")
        raise


def _setting_flags() -> list[tuple[str, tuple[str, ...]]]:
    """Every setting's flag, with its path in the tree."""
    return [(f"--{name.replace('_', '-')}", leaf.path) for name, leaf in flag_names(TrainSettings).items()]


def free_folder(folder: Path) -> Path:
    """folder, or folder-2, folder-3 … where it is taken."""
    number, free = 1, folder
    while free.exists():
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free
