"""Draws, lays boards, makes files and judges, with a base that stays warm: the process behind every click that needs a model.

In: one run folder per line on standard input. Out: events and files in the run, and one line per job on standard output. Imports torch.
Each job is one library call; what it is told stands in job.json. Does not train (training/execute.py does).
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from app.results import adapter_at, checkpoint_steps
from pipelines import adapter as adapters
from pipelines.adapter import Adapter
from pipelines.atomic import write_atomically
from pipelines.errors import BrandprintError, ConfigError, ExportError, RunError
from pipelines.events import Advice, Event, Failed, Finished, Phase, Picture, Started, Stopped
from pipelines.families.base import Base, load_base
from pipelines.generation import Drawn, generate
from pipelines.provenance import save_picture
from pipelines.settings import DrawSettings
from training.execute import best_device
from training.runs import CACHE, Run, open_run

if TYPE_CHECKING:
    from pipelines.export import Bundle

logger = logging.getLogger(__name__)
TELL_SECONDS = 0.25


def serve(source: str) -> None:
    """Load the base, then do jobs until standard input closes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not pass for an answer
    base: Base | None = None
    try:
        base = load_base(source, device=best_device())
        _warm_up(base)
    except BrandprintError as error:
        logger.error("%s", error)
    for line in sys.stdin:
        run = open_run(Path(line.strip()))
        do(run, base or source)
        answers.write("done\n")
        answers.flush()


def _warm_up(base: Base) -> None:
    """The first picture pays for kernels and caches: draw it before anyone waits for it."""
    for _ in generate(base, DrawSettings(prompt="warm", steps=2)):
        pass


def do(run: Run, base: Base | str) -> None:
    """One job to its end; its events and its failure are recorded in the run, nothing is raised."""
    if run.is_asked_to_stop():  # cancelled while the base was loading
        run.append(Stopped(0))
        return
    with run.held():
        began = time.monotonic()
        run.append(Started(0, device=str(getattr(base, "device", "cpu"))))
        try:
            loaded = load_base(base, device=best_device()) if isinstance(base, str) else base
            for event in JOBS[run.job.kind](run, loaded):
                run.append(event)
                if run.is_asked_to_stop():
                    run.append(Stopped(0))
                    return
            run.append(Finished("", time.monotonic() - began))
        except Exception as error:
            logger.error("%s", traceback.format_exc())
            run.append(_failure(error))


def _failure(error: Exception) -> Failed:
    if isinstance(error, BrandprintError):
        return Failed(error.message, error.fix)
    return Failed(f"{type(error).__name__}: {error}", "This is a fault of ours; the worker's log holds the details.")


def draw_preview(run: Run, base: Base) -> Iterator[Event]:
    """Adapter pictures first, since they are what was asked for; then the base on the same seeds, from the cache where it was drawn before."""
    told = run.job.settings
    settings = DrawSettings.model_validate(told["draw"])
    chosen = [(f"adapter{number or ''}", wish) for number, wish in enumerate(told.get("adapters", []))]
    loaded = {name: _open(run, wish["path"], base) for name, wish in chosen}
    strengths = {name: float(wish["strength"]) for name, wish in chosen}
    cards = {name: adapter.card for name, adapter in loaded.items()}
    with _attached(base, loaded):
        if loaded:
            yield from _drawn(
                run,
                base,
                settings,
                strengths,
                "taught",
                save=lambda drawn, path: save_picture(drawn, path, base=Path(base.source).name, cards=cards),
            )
        yield from _base_drawn(run, base, settings)


def _drawn(
    run: Run, base: Base, settings: DrawSettings, strengths: dict[str, float], name: str, *, save: Callable[[Drawn, Path], Path]
) -> Iterator[Event]:
    pictures = generate(base, settings, strengths=strengths, on_step=_teller(run))
    for number, drawn in enumerate(pictures):
        path = run.path / "previews" / f"{name}_{number:02d}.png"
        save(drawn, path)
        yield Picture(path.relative_to(run.path).as_posix(), drawn.prompt, drawn.seed, strength=max(strengths.values(), default=0.0))


def _teller(run: Run) -> Callable[[int, int], None]:
    """Steps of drawing as events, a few a second; raises the stop that was asked for."""
    last = [0.0]

    def tell(done: int, total: int) -> None:
        if time.monotonic() - last[0] > TELL_SECONDS or done == total:
            last[0] = time.monotonic()
            run.append(Phase("drawing", done, total))
            if run.is_asked_to_stop():
                raise RunError("The drawing was stopped.", fix="Draw again when you like.")

    return tell


def _base_drawn(run: Run, base: Base, settings: DrawSettings) -> Iterator[Event]:
    """The bare base's pictures. They depend on nothing but base and settings, so each is drawn once per project."""
    key = sha256(f"{base.fingerprint}|{settings.model_dump_json()}".encode()).hexdigest()[:24]
    cache = run.path.parent / CACHE / "base-pictures" / key
    whole = cache / "whole"
    if not whole.exists():
        for event in _drawn(
            run, base, settings, {}, "base", save=lambda drawn, path: save_picture(drawn, cache / path.name, base=Path(base.source).name)
        ):
            assert isinstance(event, Picture)
            _put(cache / Path(event.path).name, run.path / event.path)
            yield event
        whole.touch()
        return
    for number in range(settings.pictures):
        path = run.path / "previews" / f"base_{number:02d}.png"
        _put(cache / path.name, path)
        yield Picture(path.relative_to(run.path).as_posix(), settings.prompt, settings.seed + number, strength=0.0)


def _put(source: Path, target: Path) -> None:
    write_atomically(target, source.read_bytes())


class _attached:
    """Adapters on the base for as long as it lasts, and off again whatever happens."""

    def __init__(self, base: Base, loaded: dict[str, Adapter]) -> None:
        self.base, self.loaded = base, loaded

    def __enter__(self) -> None:
        for name in adapters.attached(self.base):
            adapters.detach(self.base, name)
        for name, adapter in self.loaded.items():
            adapters.attach(self.base, adapter, name=name)

    def __exit__(self, *error: object) -> None:
        for name in adapters.attached(self.base):
            adapters.detach(self.base, name)


def _open(run: Run, relative: str, base: Base) -> Adapter:
    """Our own file, or another tool's through the importer. relative: to the run's folder."""
    from pipelines.formats.read import import_lora

    return import_lora((run.path / relative).resolve(), base).adapter


def lay_board(run: Run, base: Base) -> Iterator[Event]:
    """Checkpoint x strength x prompt, as pipelines/board.py draws it."""
    from pipelines.board import draw_board

    told = run.job.settings
    taught = open_run((run.path / told["run"]).resolve())
    steps = told.get("steps") or list(checkpoint_steps(taught))
    files = {int(step): adapter_at(taught, int(step)) for step in steps}
    settings = DrawSettings.model_validate(told.get("draw", {}))
    yield from draw_board(
        base,
        files,
        settings,
        strengths=told["strengths"],
        prompts=told["prompts"],
        seeds=told["seeds"],
        folder=run.path,
        title=run.job.name,
    )


def hand_over(run: Run, base: Base) -> Iterator[Event]:
    """Files for other tools, each proven by loading it back; the bundle's list stands in bundle.json, the zip beside it."""
    from pipelines.export import zip_bundle

    told = run.job.settings
    adapter = _open(run, told["adapter"], base)
    card = adapter.card.model_copy(update={key: value for key, value in told.get("card", {}).items() if value})
    thumbnail = (run.path / told["thumbnail"]).resolve() if told.get("thumbnail") else None
    bundle, precision = _proven(run, base, Adapter(adapter.tensors, adapter.settings, card), thumbnail)
    if precision != told.get("precision", "fp16"):
        yield Advice(
            "precision",
            "Half precision cannot hold this adapter's weights: the files are in full precision, twice as large.",
        )
    archive = zip_bundle(bundle, (run.path / told["zip"]).resolve())
    files = [
        {"path": file.path.relative_to(run.path).as_posix(), "kind": file.kind, "bytes": _bytes(file.path), "sha256": file.sha256, "autov2": file.autov2, "checks": [asdict(check) for check in file.verified]}
        for file in bundle.files
    ]  # fmt: skip
    record = {
        "name": bundle.name,
        "files": files,
        "zip": archive.name,
        "effect_size": bundle.effect_size,
        "warnings": [asdict(advice) for advice in bundle.warnings],
    }
    write_atomically(run.path / "bundle.json", json.dumps(record, indent=1).encode())
    yield from (Advice(advice.code, advice.message, advice.fix) for advice in bundle.warnings)


def _proven(run: Run, base: Base, adapter: Adapter, thumbnail: Path | None) -> tuple[Bundle, str]:
    """The bundle and its precision: the one asked for, or fp32 where only that acts as the adapter does. Raises ExportError if not even that."""
    from pipelines.export import export_bundle

    told = run.job.settings
    asked = told.get("precision", "fp16")
    for precision in dict.fromkeys((asked, "fp32")):
        try:
            bundle = export_bundle(
                base, adapter, run.path / "files", formats=tuple(told["formats"]), precision=precision, name=told["name"], thumbnail=thumbnail,
                progress=lambda what, done, total: run.append(Phase(what, done, total)),
            )  # fmt: skip
            return bundle, precision
        except ExportError:
            if precision == "fp32":
                raise
    raise AssertionError("fp32 either returns or raises")


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size


def take_in_lora(run: Run, base: Base) -> Iterator[Event]:
    """A LoRA file from elsewhere, or a mix of two, as an adapter of the library."""
    from pipelines.card import Card
    from pipelines.formats.read import import_lora

    told = run.job.settings
    target = run.path / "adapter.safetensors"
    if told["what"] == "mix":
        parts = [(_open(run, part["path"], base), float(part["strength"])) for part in told["parts"]]
        card = Card(
            **{
                **parts[0][0].card.model_dump(),
                "name": told["name"],
                "trigger": told.get("trigger", ""),
                "noun": "",
                "recommended_strength": 1.0,
                "scores": {},
                "warnings": (),
            }
        )
        adapters.save_adapter(adapters.mix(parts, card=card), target)
    else:
        imported = import_lora((run.path / told["path"]).resolve(), base)
        card = imported.adapter.card.model_copy(update={"name": told["name"] or imported.adapter.card.name})
        adapters.save_adapter(Adapter(imported.adapter.tensors, imported.adapter.settings, card), target)
        yield from (Advice("import", note) for note in imported.notes)
    yield Phase("reading", 1, 1)
    cover = DrawSettings(prompt=card.trigger_phrase or "a picture", seed=1)
    with _attached(base, {"adapter": adapters.load_adapter(target)}):
        yield from _drawn(
            run,
            base,
            cover,
            {"adapter": card.recommended_strength},
            "taught",
            save=lambda drawn, path: save_picture(drawn, path, base=Path(base.source).name, cards={"adapter": card}),
        )


def make_verdict(run: Run) -> None:
    """The verdict on a training, put into its adapter, and the page for the client; progress stands in the run's events."""
    from training.dataset import load_dataset
    from training.report import write_report
    from training.scores.probes import QUICK, Thoroughness
    from training.verdict import apply_verdict, score_run

    base = load_base(str(run.job.settings.get("base", "starter")), device=best_device())
    with run.held():
        work = score_run(run, base, load_dataset(run.dataset_path), how=QUICK if base.device.type == "cpu" else Thoroughness())
        while True:
            try:
                run.append(next(work))
            except StopIteration as ended:
                apply_verdict(run, ended.value)
                write_report(run)
                return
            if run.is_asked_to_stop():
                work.close()
                return


def _export(run: Run, base: Base) -> Iterator[Event]:
    """What kind of files: a bundle for other tools, or an adapter for the library."""
    what = run.job.settings.get("what", "bundle")
    if what not in ("bundle", "mix", "import"):
        raise ConfigError(f"An export cannot make {what!r}.", fix="Use bundle, mix or import.")
    yield from hand_over(run, base) if what == "bundle" else take_in_lora(run, base)


JOBS: dict[str, Callable[[Run, Base], Iterator[Event]]] = {"preview": draw_preview, "board": lay_board, "export": _export}
