"""`brandprint export`, `import` and `report`: files for other tools, files from other tools, a page for the client."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.fields import as_choice
from app.terminal import say, show_json, show_table

FORMATS = "kohya, diffusers, merged"


def export(
    run_path: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, or an adapter.safetensors.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the files. Empty: export/ in the run.")] = None,
    name: Annotated[str, typer.Option(help="Name of the files. Empty: the adapter's.")] = "",
    formats: Annotated[list[str] | None, typer.Option("--format", help=f"{FORMATS}; may be given several times.")] = None,
    precision: Annotated[str, typer.Option(metavar="fp16|bf16|fp32", help="Number format of the weights.")] = "fp16",
    strength: Annotated[float | None, typer.Option(help="Recommended strength. Empty: the card's.")] = None,
    captions: Annotated[bool, typer.Option("--captions", help="Put statistics of your captions into the file.")] = False,
    thumbnail: Annotated[Path | None, typer.Option(help="Picture to show in other tools.")] = None,
    as_zip: Annotated[bool, typer.Option("--zip", help="Also one zip of everything.")] = False,
    base: Annotated[str, typer.Option(help="Base to verify with. Empty: the one it was made for.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="List the files as JSON.")] = False,
) -> None:
    """Write LoRA files for other tools; each is loaded back and compared before this returns."""
    from app.commands.draw import open_adapter, read_wish
    from pipelines.export import Format, export_bundle, zip_bundle
    from pipelines.families.base import load_base
    from training.execute import best_device

    path, _, made_for = read_wish(str(run_path))
    loaded = load_base(base or made_for or "starter", device=best_device())
    adapter = open_adapter(path, loaded)
    if strength is not None:
        adapter = type(adapter)(adapter.tensors, adapter.settings, adapter.card.model_copy(update={"recommended_strength": strength}))
    bundle = export_bundle(
        loaded, adapter, out or path.parent / "export", formats=tuple(as_choice(kind, Format, name="format") for kind in formats or ("kohya", "diffusers")), precision=precision, name=name or None,
        thumbnail=thumbnail or _newest_preview(path.parent), include_captions=_captions(path.parent) if captions else None, strength=strength,
    )  # fmt: skip
    folder = bundle.folder.resolve()  # "." has no name to call the zip by
    zipped = zip_bundle(bundle, folder.with_name(f"{folder.name}.zip")) if as_zip else None
    if as_json:
        show_json(
            {
                "files": [{"path": str(file.path), "kind": file.kind, "sha256": file.sha256} for file in bundle.files],
                "zip": zipped,
                "effect": bundle.effect_size,
                "warnings": [warning.message for warning in bundle.warnings],
            }
        )
        return
    show_table(
        ("file", "kind", "verified"),
        [(file.path.name, file.kind, "; ".join(str(check) for check in file.verified)) for file in bundle.files],
    )
    for warning in bundle.warnings:
        say(f"{warning.message} {warning.fix}", style="yellow")
    say(f"{zipped or bundle.folder}")


def import_file(
    file: Annotated[Path, typer.Argument(help="A LoRA file or PEFT folder from another tool.")],
    out: Annotated[Path, typer.Option(help="Where the adapter is written.")] = Path("imported.safetensors"),
    base: Annotated[str, typer.Option(help="Base that it belongs to.")] = "starter",
    partial: Annotated[bool, typer.Option("--partial", help="Take what fits even if some keys do not.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON.")] = False,
) -> None:
    """Read another tool's LoRA. Keys that do not fit are listed, never dropped in silence."""
    from pipelines.adapter import save_adapter
    from pipelines.families.base import load_base
    from pipelines.formats.read import import_lora

    imported = import_lora(file, load_base(base), allow_partial=partial)
    save_adapter(imported.adapter, out)
    if as_json:
        show_json(
            {
                "adapter": out,
                "dialect": imported.dialect,
                "matched": imported.matched,
                "unmatched": list(imported.unmatched),
                "notes": list(imported.notes),
            }
        )
        return
    say(f"{file.name}: {imported.dialect}, {imported.matched} layers. {' '.join(imported.notes)}")
    for key in imported.unmatched:
        say(f"not used: {key}", style="yellow")
    say(f"{out}")


def report(
    run_path: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    out: Annotated[Path | None, typer.Option(help="Where the page is written. Empty: report.html in the run.")] = None,
) -> None:
    """One page for the client: what was taught, before and after, scores in plain words, how to use it."""
    from training.report import write_report
    from training.runs import open_run

    say(f"{write_report(open_run(run_path), out or run_path / 'report.html')}")


def _newest_preview(run_path: Path) -> Path | None:
    return next(iter(sorted(run_path.glob("previews/*/*.png"), reverse=True)), None)


def _captions(run_path: Path) -> list[str]:
    from training.dataset import load_dataset
    from training.runs import open_run

    return [item.caption for item in load_dataset(open_run(run_path).dataset_path).items]
