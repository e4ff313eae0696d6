"""The process with the warm base does what job.json says: pictures, files, boards, mixes; and records what it cannot do."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from app.artist import do
from app.projects import Project, Workspace, open_workspace
from app.results import results
from app.worker import train_one
from pipelines import adapter as adapters
from pipelines.card import Card
from pipelines.families.base import Base, load_base
from pipelines.provenance import read_provenance
from pipelines.settings import AdapterSettings, DrawSettings
from training.runs import Job, Run, create_run

DRAW = DrawSettings(prompt="tinbot, a robot", seed=5, pictures=2, steps=2, width_px=64, height_px=64).model_dump()


@pytest.fixture(scope="module")
def base(tiny_sd1: Path) -> Base:
    return load_base(str(tiny_sd1))


@pytest.fixture(scope="module")
def studio(base: Base, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Project]:
    """A project with a training of two checkpoints whose adapters do something."""
    workspace = open_workspace(tmp_path_factory.mktemp("studio"))
    project = workspace.create("Tinbot", intent="character", trigger="tinbot", noun="robot")
    run = create_run(project.runs / "taught", Job(kind="train", name="Tinbot", settings={"base": base.source}))
    settings = AdapterSettings(rank=4, targets="attention")
    for step in (1, 2):
        adapters.create(base, settings, seed=step)
        for name, parameter in base.unet.named_parameters():
            if ".lora_B." in name:
                torch.nn.init.normal_(parameter, std=0.3 * step)
        card = Card(
            name="Tinbot",
            intent="character",
            trigger="tinbot",
            noun="robot",
            base="tiny",
            base_family="sd1",
            base_fingerprint=base.fingerprint,
        )
        adapters.save_adapter(adapters.read(base, settings, card), run.path / "checkpoints" / f"{step:06d}" / "adapter.safetensors")
        adapters.detach(base)
    return workspace, project


def job(project: Project, kind: str, id: str, **settings: object) -> Run:
    return create_run(project.runs / id, Job(kind=kind, name="Tinbot", settings=settings))  # type: ignore[arg-type]


def kinds(run: Run) -> list[str]:
    return [record["kind"] for record in run.records()[0] if record["kind"] != "phase"]


def preview(project: Project, base: Base, id: str, strength: float) -> Run:
    weights = "../taught/checkpoints/000002/adapter.safetensors"
    run = job(
        project, "preview", id, base=base.source, draw=DRAW, adapters=[{"path": weights, "strength": strength}], step=2, taught="taught"
    )
    do(run, base)
    return run


def test_a_drawing_gives_adapter_pictures_first_then_the_bases_on_the_same_seeds(base: Base, studio: tuple[Workspace, Project]):
    run = preview(studio[1], base, "p1", 1.0)
    assert kinds(run) == ["started", "picture", "picture", "picture", "picture", "finished"]
    taught, plain = (Image.open(run.path / "previews" / f"{name}_00.png") for name in ("taught", "base"))
    assert taught.tobytes() != plain.tobytes()
    assert adapters.attached(base) == ()


def test_strength_zero_is_the_base_itself(base: Base, studio: tuple[Workspace, Project]):
    run = preview(studio[1], base, "p2", 0.0)
    taught, plain = (Image.open(run.path / "previews" / f"{name}_01.png") for name in ("taught", "base"))
    assert taught.tobytes() == plain.tobytes()


def test_the_bases_pictures_are_drawn_once_and_taken_from_the_cache_then(base: Base, studio: tuple[Workspace, Project]):
    first = preview(studio[1], base, "p3", 0.5)
    second = preview(studio[1], base, "p4", 0.7)
    phases = [[record for record in run.records()[0] if record["kind"] == "phase"] for run in (first, second)]
    assert len(phases[1]) <= len(phases[0])
    assert (first.path / "previews/base_00.png").read_bytes() == (second.path / "previews/base_00.png").read_bytes()


def test_pictures_say_what_made_them_and_name_no_folder(base: Base, studio: tuple[Workspace, Project]):
    run = preview(studio[1], base, "p5", 0.8)
    told = read_provenance(run.path / "previews/taught_00.png")
    assert told.settings["Seed"] == "5"
    assert told.says_generated
    assert "/" not in told.settings.get("Model", "")


def test_files_are_proven_and_zipped(base: Base, studio: tuple[Workspace, Project]):
    project = studio[1]
    run = job(
        project, "export", "e1", what="bundle", base=base.source, adapter="../taught/checkpoints/000002/adapter.safetensors", formats=["kohya", "diffusers"], apps=["comfyui", "diffusers"],
        name="tinbot", zip="../../exports/tinbot.zip", step=2, taught="taught", card={"licence": "CC0"}, thumbnail="",
    )  # fmt: skip
    do(run, base)
    assert kinds(run)[-1] == "finished", run.records()[0][-1]
    bundle = json.loads((run.path / "bundle.json").read_text())
    assert all(file["checks"] for file in bundle["files"] if file["kind"] in ("kohya", "diffusers"))
    with zipfile.ZipFile(project.exports / "tinbot.zip") as archive:
        assert {"tinbot/tinbot.safetensors", "tinbot/README.txt", "tinbot/card.json"} <= set(archive.namelist())


def test_an_adapter_that_half_precision_cannot_hold_is_handed_over_in_full(base: Base, studio: tuple[Workspace, Project]):
    project = studio[1]
    wide = adapters.load_adapter(project.runs / "taught/checkpoints/000002/adapter.safetensors")
    tensors = {key: tensor.clone() for key, tensor in wide.tensors.items()}
    down = next(key for key in tensors if ".lora_A." in key)
    tensors[down][0] *= 1e-5
    tensors[down.replace("lora_A", "lora_B")][:, 0] = 1e5  # fp16 ends at 65504
    adapters.save_adapter(type(wide)(tensors, wide.settings, wide.card), project.runs / "wide.safetensors")
    run = job(
        project, "export", "e2", what="bundle", base=base.source, adapter="../wide.safetensors", formats=["kohya"], apps=["comfyui"], name="wide", zip="../../exports/wide.zip", step=2,
        taught="taught", card={}, thumbnail="",
    )  # fmt: skip
    do(run, base)
    assert kinds(run)[-1] == "finished", run.records()[0][-1]
    assert "precision" in [record["code"] for record in run.records()[0] if record["kind"] == "advice"]


def test_a_board_has_every_checkpoint_and_strength_beside_the_base(base: Base, studio: tuple[Workspace, Project]):
    run = job(
        studio[1],
        "board",
        "b1",
        base=base.source,
        run="../taught",
        taught="taught",
        steps=[1, 2],
        strengths=[0.5, 1.0],
        prompts=["tinbot"],
        seeds=[0],
        draw=DRAW,
    )
    do(run, base)
    shown = {(record["step"], record["strength"]) for record in run.records()[0] if record["kind"] == "picture"}
    assert shown == {(0, 0.0), (1, 0.5), (1, 1.0), (2, 0.5), (2, 1.0)}


def test_two_adapters_become_one_that_can_be_compared(base: Base, studio: tuple[Workspace, Project]):
    project = studio[1]
    parts = [{"path": f"../taught/checkpoints/{step:06d}/adapter.safetensors", "strength": 0.5} for step in (1, 2)]
    run = job(project, "export", "m1", what="mix", base=base.source, parts=parts, name="Both", trigger="tinbot")
    do(run, base)
    assert kinds(run)[-1] == "finished", run.records()[0][-1]
    mixed = next(result for result in results(project, project.all_runs()) if result.run.path.name == "m1")
    assert (mixed.card.name, mixed.steps) == ("Both", ())
    assert mixed.adapter_path.exists()


def test_what_cannot_be_done_is_recorded_with_what_to_do(base: Base, studio: tuple[Workspace, Project]):
    run = job(
        studio[1],
        "preview",
        "gone",
        base=base.source,
        draw=DRAW,
        adapters=[{"path": "../gone/adapter.safetensors", "strength": 1}],
        step=1,
        taught="gone",
    )
    do(run, base)
    last = run.records()[0][-1]
    assert last["kind"] == "failed"
    assert last["fix"]
    assert adapters.attached(base) == ()
    assert not run.is_alive()


def test_a_base_that_is_not_there_fails_the_job_in_words(studio: tuple[Workspace, Project], tmp_path: Path):
    run = job(studio[1], "preview", "no-base", base=str(tmp_path / "none"), draw=DRAW, adapters=[], step=1, taught="taught")
    do(run, str(tmp_path / "none"))
    last = run.records()[0][-1]
    assert (last["kind"], bool(last["fix"])) == ("failed", True)


def test_a_drawing_cancelled_while_the_base_was_loading_is_not_begun(studio: tuple[Workspace, Project], base: Base):
    run = job(studio[1], "preview", "cancelled", base=base.source, draw=DRAW)
    run.ask_to_stop()
    do(run, base)
    assert run.state() == "stopped"
    assert not list(run.path.rglob("*.png"))


def test_a_training_cancelled_while_its_process_was_starting_is_not_begun(studio: tuple[Workspace, Project]):
    run = job(studio[1], "train", "cancelled-training")  # its settings would fail if it were begun
    run.ask_to_stop()
    assert train_one(run, with_verdict=False) == 0
    assert run.state() == "stopped"
