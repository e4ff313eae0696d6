"""`brandprint caption` and `rights`: what is said about pictures, and who owns them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.fields import as_choice
from app.terminal import say, show_json, show_table
from training.rights import Ground

SHOWN = 40


def caption(
    pictures: Annotated[Path, typer.Argument(help="Folder or zip of pictures.")],
    source: Annotated[
        str,
        typer.Option(
            "--from", metavar="names|folders|embedded|template|seen|florence-2|qwen3-vl|joycaption|wd14", help="Where the words come from."
        ),
    ] = "names",
    template: Annotated[str, typer.Option(help="For --from template: words with {name}, {folder} and {caption}.")] = "{name}",
    mode: Annotated[
        str, typer.Option(metavar="empty|replace|behind", help="Only where nothing stands; instead of what stands; behind what stands.")
    ] = "empty",
    replace: Annotated[bool, typer.Option("--replace", help="The same as --mode replace.")] = False,
    only_empty: Annotated[bool, typer.Option("--only-empty", help="The same as --mode empty, which is usual.")] = False,
    download: Annotated[bool, typer.Option("--download", help="Yes, fetch the model from its hub; pictures stay on this machine.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Put the captions into the edit list. Without it they are only shown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The proposals as JSON.")] = False,
) -> None:
    """Propose captions from names, descriptions, a template or a model; --apply puts them into the edit list."""
    from training.dataset import load_dataset
    from training.edit_log import EditLog
    from training.proposals import Mode, as_edits, proposals

    if replace and only_empty:
        raise typer.BadParameter("--replace and --only-empty exclude each other.")
    wanted = as_choice("replace" if replace else "empty" if only_empty else mode, Mode, name="mode")
    dataset = load_dataset(pictures)
    captioner = choose_captioner(source, dataset, pictures, template=template, may_download=download)
    found = proposals(dataset.items, captioner.caption(dataset.items), mode=wanted)
    ids = EditLog(dataset.root).apply(as_edits(found)) if apply else ()
    if as_json:
        show_json([{"picture": one.key, "old": one.old, "new": one.new} for one in found])
        return
    if found:
        show_table(("picture", "now", "proposed"), [(one.key, one.old or "-", one.new) for one in found[:SHOWN]])
    if len(found) > SHOWN:
        say(f"… and {len(found) - SHOWN} more; --json lists all.")
    if apply and ids:
        say(f"{len(ids)} captions written; brandprint check {pictures} --edits lists them, --undo takes them back.")
    else:
        say(f"{len(found)} captions would change. --apply does it." if found else "Nothing would change.")


def choose_captioner(source: str, dataset, pictures: Path, *, template: str, may_download: bool):
    """The captioner of a name. Raises ConfigError where a model would be downloaded and nobody said yes."""
    from pipelines.errors import ConfigError
    from training.captioners import offline_captioner
    from training.hub_captioners import HUB_MODELS, HubCaptioner

    if source not in HUB_MODELS:
        return offline_captioner(source, template=template, looks=_looks(dataset, pictures) if source == "seen" else {})
    if not may_download:
        model = HUB_MODELS[source]
        message = f"{model.title} is downloaded from {model.id} (about {model.download_gb:g} GB, licence {model.licence})."
        raise ConfigError(message, fix="Add --download to say yes.")
    from training.execute import best_device

    return HubCaptioner(source, device=best_device())


def _looks(dataset, pictures: Path):
    from app.commands.check import cache_of
    from training.survey import look_at

    return look_at(dataset.items, cache=cache_of(pictures))[0]


def rights(
    pictures: Annotated[Path, typer.Argument(help="Folder of pictures.")],
    owner: Annotated[str, typer.Option(help="Who owns the pictures: a person or a company. Empty: list what is stated.")] = "",
    ground: Annotated[
        str, typer.Option(metavar="own work|licence|consent|release|public domain|other", help="On what ground they may be used.")
    ] = "own work",
    note: Annotated[str, typer.Option(help="Anything that belongs to it: number of the licence, term, territory.")] = "",
    proof: Annotated[list[Path] | None, typer.Option(help="A file that proves it; may be given several times. It is copied.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Names that this is about, with * and ?; all without it.")] = None,
    people: Annotated[bool, typer.Option("--people", help="People can be recognised in the pictures.")] = False,
    withdraw: Annotated[int, typer.Option(help="Take the statement of this number back.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="The statements as JSON.")] = False,
) -> None:
    """State who owns the pictures and on what ground; it goes into the card of what is taught from them."""
    from pipelines.errors import DatasetError
    from training.rights import Batch, read_rights, state_rights, withdraw_rights

    if not pictures.is_dir():
        raise DatasetError(f"{pictures.name!r} is no folder.", fix="Give the folder of pictures; unpack a zip first.")
    if withdraw:
        withdraw_rights(pictures, withdraw - 1)
    if owner:
        batch = Batch(
            owner=owner, ground=as_choice(ground, Ground, name="ground"), note=note, pictures=tuple(only or ("*",)), people_shown=people
        )
        state_rights(pictures, batch, files=tuple(proof or ()))
    stated = read_rights(pictures)
    if as_json:
        show_json(stated.model_dump())
        return
    if not stated.batches:
        say("Nothing is stated yet. --owner says who owns the pictures.")
    for number, batch in enumerate(stated.batches, start=1):
        proofs = f"; {len(batch.proofs)} {'file' if len(batch.proofs) == 1 else 'files'} attached" if batch.proofs else ""
        about = "all pictures" if batch.pictures == ("*",) else ", ".join(batch.pictures)
        say(f"{number}  {batch.owner}: {batch.ground}{f', {batch.note}' if batch.note else ''} ({about}{proofs})")
