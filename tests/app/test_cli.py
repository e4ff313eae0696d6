"""The command line as a user or a script meets it: help, exit codes, JSON, errors with a fix."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from app.cli import COMMANDS, DRAWING, load_command
from app.fields import flag_names
from pipelines.settings import leaves
from training.config import TrainSettings
from training.dataset import load_dataset
from training.runs import Job, create_run


def brandprint(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments], capture_output=True, text=True, cwd=folder, env={**os.environ, "COLUMNS": "240"}
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set") / "mugs"
    folder.mkdir()
    for number in range(8):
        Image.effect_noise((72, 72), 30 + number).convert("RGB").save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"on table {number}")
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_list_of_commands_says_what_each_command_says(name: str) -> None:
    command = load_command(name)
    assert (command.__doc__ or "").strip().split("\n")[0] == COMMANDS[name][1]


@pytest.mark.parametrize("name", sorted(DRAWING))
def test_a_command_that_draws_takes_the_options_that_its_function_has(name: str) -> None:
    module, function = COMMANDS[name][0].split(":")
    plain = getattr(importlib.import_module(f"app.commands.{module}"), function)
    assert inspect.signature(load_command(name)) == inspect.signature(plain)


def test_every_setting_is_a_flag_of_train() -> None:
    assert len(flag_names(TrainSettings)) == len(list(leaves(TrainSettings)))
    help_text = brandprint("train", "--help", folder=Path.cwd()).stdout
    missing = [name for name in flag_names(TrainSettings) if f"--{name.replace('_', '-')}" not in help_text]
    assert missing == []


def test_a_missing_folder_is_an_error_with_a_fix(tmp_path: Path) -> None:
    done = brandprint("train", "nowhere", folder=tmp_path)
    assert done.returncode == 1
    assert "nowhere" in done.stderr and "Give a folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_is_json_where_json_was_asked_for(tmp_path: Path) -> None:
    done = brandprint("train", "nowhere", "--json", folder=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stderr).keys() == {"error", "fix"}


def test_a_wrong_flag_is_wrong_usage(tmp_path: Path) -> None:
    assert brandprint("train", "--no-such-flag", folder=tmp_path).returncode == 2


def test_a_wrong_value_names_the_setting(tmp_path: Path, pictures: Path, tiny_sd1: Path) -> None:
    done = brandprint("train", str(pictures), "--base", str(tiny_sd1), "--rank", "0", folder=tmp_path)
    assert done.returncode == 1
    assert "rank" in done.stderr


def test_a_dry_run_shows_the_plan_and_makes_nothing(tmp_path: Path, pictures: Path, tiny_sd1: Path) -> None:
    done = brandprint(
        "train", str(pictures), "--base", str(tiny_sd1), "--trigger", "tinbot", "--rank", "4", "--dry-run", "--json", folder=tmp_path
    )
    plan = json.loads(done.stdout)
    assert plan["settings"]["adapter"]["rank"] == 4
    assert next(line for line in plan["lines"] if line["path"] == ["adapter", "rank"])["changed"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [".", "..", "a/b"])
def test_a_run_is_called_by_one_plain_name(pictures: Path, tmp_path: Path, name: str) -> None:
    found = brandprint("train", str(pictures), "--name", name, folder=tmp_path)
    assert found.returncode == 1 and "is no name of a folder" in found.stderr and not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "named"), [(["--dry-run"], "--dry-run"), (["--rank", "8", "--adapter-kind", "dora"], "--adapter-kind, --rank")]
)
def test_a_resumed_run_takes_no_other_wishes(tmp_path: Path, flags: list[str], named: str) -> None:
    run = create_run(tmp_path / "mug", Job(kind="train", name="mug", dataset="none"))
    done = brandprint("train", "--resume", "mug", *flags, folder=tmp_path)
    assert done.returncode == 1 and f"{named} cannot be given with --resume" in " ".join(done.stderr.split())
    assert not run.events_path.exists()


def test_the_folder_one_stands_in_gives_the_run_its_name(tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.commands.teach import plan_run

    monkeypatch.chdir(pictures)
    run = plan_run(Path(), name="", dial="quick", runs=tmp_path / "runs", values={}, as_json=True)
    assert (run.path, run.job.name) == (tmp_path / "runs" / "mugs", "mugs")


def test_captions_of_a_run_are_read_from_the_runs_own_pictures(tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.commands.handover import _captions

    run = create_run(tmp_path / "mug" / "runs" / "one", Job(kind="train", name="mug", dataset="../../pictures"))
    shutil.copytree(pictures, tmp_path / "mug" / "pictures")
    monkeypatch.chdir(pictures)
    assert len(_captions(run.path)) == 8


def test_train_preview_export_import_and_runs(tmp_path: Path, pictures: Path, tiny_sd1: Path) -> None:
    flags = (
        "--base",
        str(tiny_sd1),
        "--trigger",
        "tinbot",
        "--noun",
        "robot",
        "--steps",
        "3",
        "--checkpoints",
        "1",
        "--rank",
        "2",
        "--learning-rate",
        "0.05",
        "--precision",
        "fp32",
        "--prior-weight",
        "0",
    )
    trained = brandprint("train", str(pictures), *flags, "--preview-prompts", "a tinbot robot", "--json", folder=tmp_path)
    assert trained.returncode == 0, trained.stderr
    kinds = [json.loads(line)["kind"] for line in trained.stdout.splitlines()]
    assert kinds.count("step") == 3 and "finished" in kinds and "picture" in kinds
    assert kinds[-1] == "advice"  # how far off the forecast was

    listed = json.loads(brandprint("runs", "--json", folder=tmp_path).stdout)
    assert [(run["name"], run["state"], run["steps"]) for run in listed] == [("mugs", "finished", 3)]

    drawn = brandprint("preview", "runs/mugs=0.8", "--prompt", "a tinbot", "--steps", "2", "--json", folder=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    assert sorted(Path(path).name for path in json.loads(drawn.stdout)) == ["000000-adapter.png", "000000-base.png"]

    (tmp_path / "out.v1").mkdir()
    here = brandprint("export", str(tmp_path / "runs" / "mugs"), "--out", ".", "--format", "kohya", "--zip", folder=tmp_path / "out.v1")
    assert here.returncode == 0 and (tmp_path / "out.v1.zip").exists(), here.stderr

    exported = brandprint("export", "runs/mugs", "--zip", "--json", folder=tmp_path)
    assert exported.returncode == 0, exported.stderr
    assert json.loads(exported.stdout)["zip"] == str(tmp_path / "runs" / "mugs" / "export.zip")
    files = {file["kind"]: tmp_path / file["path"] for file in json.loads(exported.stdout)["files"]}
    assert {"kohya", "diffusers", "card"} <= files.keys() and all(path.exists() for path in files.values())

    imported = brandprint("import", str(files["kohya"]), "--base", str(tiny_sd1), "--json", folder=tmp_path)
    assert imported.returncode == 0, imported.stderr
    assert json.loads(imported.stdout)["unmatched"] == []


def test_doctor_names_the_bases(tmp_path: Path) -> None:
    record = json.loads(brandprint("doctor", "--json", folder=tmp_path).stdout)
    assert {"memory", "disk", "torch"} <= record["facts"].keys()
    assert {"SD 1.5", "SDXL"} <= {fit["base"] for fit in record["bases"]}


def test_captions_are_shown_first_written_on_demand_and_undone_one_by_one(tmp_path: Path, pictures: Path) -> None:
    folder = shutil.copytree(pictures, tmp_path / "mugs")
    wish = ("caption", "mugs", "--from", "template", "--template", "{caption}, 雪", "--replace")
    shown = json.loads(brandprint(*wish, "--json", folder=tmp_path).stdout)
    assert shown[0] == {"picture": "0.png", "old": "on table 0", "new": "on table 0, 雪"} and not (folder / "edits.json").exists()
    assert "8 captions written" in brandprint(*wish, "--apply", folder=tmp_path).stdout
    listed = json.loads(brandprint("check", "mugs", "--edits", "--json", folder=tmp_path).stdout)
    assert (len(listed), listed[0]["text"]) == (8, "on table 0, 雪")
    assert "1 edit taken back" in brandprint("check", "mugs", "--undo-id", "1", folder=tmp_path).stdout
    brandprint("check", "mugs", "--undo", folder=tmp_path)
    assert not (folder / "edits.json").exists()


def test_a_model_is_downloaded_only_after_a_yes(tmp_path: Path, pictures: Path) -> None:
    done = brandprint("caption", str(pictures), "--from", "florence-2", folder=tmp_path)
    assert done.returncode == 1 and "--download" in done.stderr and "MIT" in done.stderr


def test_rights_are_stated_listed_and_withdrawn(tmp_path: Path, pictures: Path) -> None:
    folder = shutil.copytree(pictures, tmp_path / "mugs")
    (tmp_path / "release.png").write_bytes((folder / "0.png").read_bytes())
    told = brandprint("rights", "mugs", "--owner", "Nord GmbH", "--ground", "release", "--proof", "release.png", folder=tmp_path)
    assert told.stdout.strip() == "1  Nord GmbH: release (all pictures; 1 file attached)"
    assert len(load_dataset(folder).items) == 8
    assert json.loads(brandprint("rights", "mugs", "--json", folder=tmp_path).stdout)["batches"][0]["owner"] == "Nord GmbH"
    assert "Nothing is stated" in brandprint("rights", "mugs", "--withdraw", "1", folder=tmp_path).stdout
