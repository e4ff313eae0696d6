"""Each button's action on real folders; jobs are asked for, not done."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app import jobs
from app.answers import answering
from app.projects import Project, Workspace, open_workspace
from app.results import chosen_result
from app.shelf import make_thumbs, read_shelf
from app.ui import PARTS
from pipelines.events import Finished, Picture, Saved, Started, Step, Validated
from tests.app.drawn import draw_picture
from training.runs import Job, Run, create_run

Call = Callable[..., dict]


@pytest.fixture
def call(workspace: Workspace, project: Project, no_workers: list) -> Call:
    def do(part: str, action: str = "look", **values: object) -> dict:
        return answering(part, workspace, PARTS[part].look, PARTS[part].ACTIONS)({"do": action, "project": project.id, **values})

    return do


def header_only_adapter(path: Path, **card: object) -> None:
    """A file with our header and no weights: enough for the page, which reads nothing else."""
    told = {
        "name": "Fjord bottle",
        "trigger": "fjordbottle",
        "noun": "bottle",
        "base": "starter",
        "base_family": "sd1",
        "intent": "product",
        **card,
    }
    header = json.dumps({"__metadata__": {"brandprint": json.dumps({"settings": {}, "card": told})}}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header)


@pytest.fixture
def taught(project: Project) -> Run:
    """A finished training of three checkpoints with previews and a verdict."""
    run = create_run(
        project.runs / "taught",
        Job(
            kind="train",
            name="Fjord bottle",
            dataset="../../pictures",
            settings={"base": "starter", "loop": {"preview_prompts": ["fjordbottle bottle on snow"]}},
        ),
    )
    run.append(Started(30))
    for step in range(1, 31):
        run.append(Step(step, 1 / step, 1e-3, 0.1))
        if step % 10 == 0:
            header_only_adapter(run.path / "checkpoints" / f"{step:06d}" / "adapter.safetensors")
            run.append(Validated(step, 0.5, 0.9))
            run.append(Saved(step, f"checkpoints/{step:06d}"))
            draw_picture(run.path / "previews" / f"{step:06d}" / "00.png", step)
            run.append(Picture(f"previews/{step:06d}/00.png", "fjordbottle bottle on snow", 0, step))
    run.append(Finished("adapter.safetensors", 3.0))
    (run.path / "verdict.json").write_text(
        json.dumps({"pick": {"step": 20, "strength": 0.9, "utility": 1.0}, "sentence": "Checkpoint 20 at strength 0.9.", "findings": []})
    )
    return run


def test_pictures_show_captions_and_unfinished_thumbnails(call: Call):
    view = call("pictures")["view"]
    assert [item["caption"] for item in view["items"]][:2] == ["on a table, view 0", "on a table, view 1"]
    made = call("pictures", "thumbs", keys=[item["key"] for item in view["items"]])["made"]
    assert len(made) == 6
    assert all(item["has_thumb"] for item in call("pictures")["view"]["items"])


def test_a_caption_is_saved_without_a_new_view(call: Call, project: Project):
    answer = call("pictures", "caption", key="00.png", text="  in   the snow ")
    assert (answer["saved"], answer["text"], "view" in answer) == ("00.png", "in the snow", False)
    assert read_shelf(project).by_key["00.png"].caption == "in the snow"


def test_a_bulk_edit_changes_the_chosen_captions_and_can_be_undone(call: Call, project: Project):
    answer = call("pictures", "bulk", keys=["00.png", "01.png"], how="replace", first="table", second="shelf")
    assert answer["note"] == "2 captions changed."
    assert read_shelf(project).by_key["01.png"].caption == "on a shelf, view 1"
    assert read_shelf(project).by_key["02.png"].caption == "on a table, view 2"
    call("pictures", "undo")
    assert read_shelf(project).by_key["01.png"].caption == "on a table, view 1"


def test_pictures_are_left_out_and_taken_back(call: Call, project: Project):
    assert call("pictures", "leave_out", keys=["00.png"])["view"]["count"] == 5
    assert call("pictures", "take_back", keys=["00.png"])["view"]["count"] == 6


def test_removed_pictures_come_back_by_the_undo_that_the_page_was_given(call: Call, project: Project):
    answer = call("pictures", "remove", keys=["00.png", "01.png"])
    assert (answer["view"]["count"], answer["note"]) == (4, "2 pictures are in the bin.")
    undo = dict(answer["undo"])
    assert call("pictures", undo.pop("do"), **undo)["view"]["count"] == 6


@pytest.mark.parametrize("action", ["caption", "leave_out", "rotate", "large", "focus", "remove"])
def test_a_key_that_is_not_there_is_answered_in_words(call: Call, action: str):
    answer = call("pictures", action, key="../../etc/passwd", keys=["../../etc/passwd"], text="x", x=0.5, y=0.5)
    assert not answer["ok"]
    assert "Reload" in answer["fix"]


def test_findings_become_badges_and_their_fix_an_undoable_action(call: Call, project: Project):
    from app.doctor import REPORT, report_signature

    problem = {
        "code": "blurred",
        "severity": "serious",
        "keys": ["00.png"],
        "words": ["blurred"],
        "sentence": "00.png is blurred.",
        "cost": "Results become soft.",
        "points": 3.2,
        "fixes": [{"kind": "leave_out", "key": "00.png", "why": "blurred"}],
    }
    (project.path / REPORT).write_text(
        json.dumps({"signature": report_signature(project), "score": 71, "summary": "", "problems": [problem], "top": [0]})
    )
    view = call("pictures")["view"]
    assert (view["report"]["score"], view["is_fresh"], view["items"][0]["badges"][0]["says"]) == (71, True, "blurred")
    after = call("pictures", "fix", index=0, code="blurred")["view"]
    assert (after["count"], after["undo"]) == (5, "the doctor's fix")
    assert not after["is_fresh"]


def test_answers_change_the_plan(call: Call):
    before = call("teach")["view"]
    after = call("teach", "answer", name="dial", value="thorough")["view"]
    assert after["plan"]["seconds"] > before["plan"]["seconds"]
    assert len({dial["seconds"] for dial in after["dials"]}) > 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("dial", "overnight"), ("intent", "logo"), ("base", "/etc/passwd"), ("base", "../x"), ("base", "~/model"), ("chosen_run", "x")],
)
def test_answers_that_cannot_be_are_refused(call: Call, name: str, value: str):
    assert not call("teach", "answer", name=name, value=value)["ok"]


def test_settings_that_contradict_each_other_are_refused_and_not_kept(call: Call, project: Project, workspace: Workspace):
    call("teach", "set", name="optim.optimizer", value="prodigy")
    answer = call("teach", "set", name="optim.learning_rate", value="0.0001")
    assert not answer["ok"]
    assert "optim.learning_rate" not in workspace.project(project.id).about.overrides


def test_all_changes_go_back_to_the_advice(call: Call):
    call("teach", "set", name="loop.steps", value="70")
    assert call("teach")["view"]["plan"]["changes"] == 1
    assert call("teach", "unset", name="")["view"]["plan"]["changes"] == 0


def test_start_queues_the_plan_once(call: Call, project: Project):
    assert call("teach", "start")["view"]["run"]["state"] == "queued"
    assert "being taught already" in call("teach", "start")["message"]
    run = project.all_runs()[0]
    assert (run.job.dataset, run.job.settings["subject"]["trigger"]) == ("../../pictures", "fjordbottle")


def test_a_plan_without_pictures_is_answered_in_words(workspace: Workspace, call: Call):
    empty = workspace.create("Empty")
    answer = answering("teach", workspace, PARTS["teach"].look, PARTS["teach"].ACTIONS)({"do": "start", "project": empty.id})
    assert "pictures" in answer["message"]


def test_a_finished_run_shows_its_verdict_curves_and_previews(call: Call, taught: Run):
    run = call("teach")["view"]["run"]
    assert (run["state"], run["percent"], run["verdict"]["pick"]["step"]) == ("finished", 100.0, 20)
    assert [row["step"] for row in run["strip"]["rows"]] == [30, 20, 10]
    assert (len(run["curve"]), len(run["held_out"]), run["base_loss"]) == (30, 3, 0.9)


def test_the_verdicts_pick_is_what_is_compared_until_the_user_chooses(call: Call, taught: Run, project: Project, workspace: Workspace):
    chosen = call("compare")["view"]["chosen"]
    assert (chosen["step"], chosen["strength"]) == (20, 0.9)
    assert call("compare", "choose", run="taught", step=10, strength=1.2)["ok"]
    fresh = workspace.project(project.id)
    result = chosen_result(fresh, fresh.all_runs())
    assert result
    assert (result.step, result.strength, result.adapter_path.parent.name) == (10, 1.2, "000010")


def test_drawing_asks_for_base_and_adapter_on_the_same_seed(call: Call, taught: Run, project: Project):
    answer = call("compare", "draw", prompt="fjordbottle bottle on sand", seed=7, pictures=2, shape="story", step=20, strength=0.8)
    run = next(run for run in project.all_runs() if run.path.name == answer["drawing"])
    told = run.job.settings
    assert (told["draw"]["seed"], told["draw"]["pictures"], told["adapters"][0]["strength"]) == (7, 2, 0.8)
    assert told["draw"]["height_px"] > told["draw"]["width_px"]
    assert (run.path / told["adapters"][0]["path"]).resolve() == (taught.path / "checkpoints" / "000020" / "adapter.safetensors").resolve()
    assert told["adapters"][0]["path"][0] != "/"
    assert [frame["seed"] for frame in call("compare")["view"]["film"]] == [7, 8]


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": " "},
        {"prompt": "x", "shape": "round"},
        {"prompt": "x", "pictures": 99},
        {"prompt": "x", "seed": -1},
        {"prompt": "x", "strength": 50},
    ],
)
def test_drawings_that_cannot_be_are_refused(call: Call, taught: Run, values: dict):
    assert not call("compare", "draw", **values)["ok"]


def test_a_star_comes_and_goes(call: Call, taught: Run):
    call("compare", "draw", prompt="x", seed=1)
    frame = call("compare")["view"]["film"][0]["id"]
    assert call("compare", "star", id=frame)["view"]["starred"] == [frame]
    assert call("compare", "star", id=frame)["view"]["starred"] == []


def test_a_board_has_the_picked_checkpoint_among_its_rows(call: Call, taught: Run):
    board = call("compare", "board", prompt="")["view"]["board"]
    assert 20 in board["steps"]
    assert board["strengths"][0] == 0.0


def test_nothing_taught_is_said_with_what_to_do(call: Call):
    assert call("compare")["view"]["chosen"] is None
    assert call("handover")["view"]["result"] is None
    assert "Teach it first" in call("compare", "draw", prompt="x")["fix"]


def test_handing_over_asks_for_each_format_once_and_keeps_paths_relative(call: Call, taught: Run, project: Project):
    assert call("handover", "make", apps=["comfyui", "a1111", "diffusers"], name="Fjord Löwe!", licence="CC0")["ok"]
    job = next(run for run in project.all_runs() if run.job.kind == "export").job
    assert (job.settings["formats"], job.settings["name"], job.settings["card"]["licence"]) == (["kohya", "diffusers"], "fjord-lowe", "CC0")
    assert not [value for value in (job.settings["adapter"], job.settings["zip"], job.settings["thumbnail"]) if Path(value).is_absolute()]
    assert "already" in call("handover", "make", apps=["comfyui"], name="x")["message"]


def test_rights_are_stated_with_a_proof_and_go_onto_the_card(call: Call, taught: Run, project: Project, workspace: Workspace):
    workspace.uploads.mkdir(parents=True, exist_ok=True)
    proof = workspace.uploads / "release.pdf"
    proof.write_bytes(b"%PDF signed")
    told = call("handover", "state", owner="Nord GmbH", ground="release", note="all media", pictures="all", proofs=[str(proof)])
    assert told["ok"] and told["view"]["rights"]["stated"][0]["proofs"] == 1 and told["view"]["rights"]["uncovered"] == 0
    assert not proof.exists() and list((project.path / "rights").iterdir())
    assert call("handover", "make", apps=["comfyui"], name="x")["ok"]
    job = next(run for run in project.all_runs() if run.job.kind == "export").job
    assert job.settings["card"]["rights"] == "Nord GmbH (release: all media)"
    assert call("handover", "withdraw", index=0)["view"]["rights"]["stated"] == []


def test_rights_without_owner_or_with_a_file_of_the_server_are_refused(call: Call, taught: Run, tmp_path: Path):
    assert "owner" in call("handover", "state", owner=" ", ground="licence")["message"]
    assert "no ground" in call("handover", "state", owner="us", ground="because")["message"]
    secret = tmp_path / "secret.txt"
    secret.write_text("x")
    assert "not uploaded here" in call("handover", "state", owner="us", ground="licence", proofs=[str(secret)])["message"]
    assert secret.exists()


def test_an_unknown_app_is_refused(call: Call, taught: Run):
    assert "no app" in call("handover", "make", apps=["photoshop"], name="x")["message"]


def test_files_are_copied_only_into_the_named_folder(taught: Run, project: Project, workspace: Workspace, tmp_path: Path, no_workers: list):
    folder = tmp_path / "loras"
    folder.mkdir()
    named = open_workspace(workspace.path, models_folders=(folder,))
    export = create_run(
        project.runs / "z-export",
        Job(
            kind="export",
            name="x",
            settings={"what": "bundle", "step": 20, "taught": "taught", "apps": ["comfyui"], "zip": "../../exports/x.zip"},
        ),
    )
    (export.path / "files").mkdir()
    (export.path / "files" / "fjord.safetensors").write_bytes(b"weights")
    (export.path / "bundle.json").write_text(
        json.dumps({"files": [{"path": "files/fjord.safetensors", "kind": "kohya", "bytes": 7, "checks": [], "sha256": "0"}]})
    )
    answer = answering("handover", named, PARTS["handover"].look, PARTS["handover"].ACTIONS)(
        {"do": "copy", "project": project.id, "index": 0}
    )
    assert answer["ok"], answer
    assert (folder / "fjord.safetensors").read_bytes() == b"weights"
    assert not answering("handover", workspace, PARTS["handover"].look, PARTS["handover"].ACTIONS)(
        {"do": "copy", "project": project.id, "index": 0}
    )["ok"]


def test_the_library_shows_every_adapter_and_its_bin_gives_back(call: Call, taught: Run, project: Project):
    card = call("library")["view"]["adapters"][0]
    assert (card["name"], card["trigger"], card["state"]) == ("Fjord bottle", "fjordbottle bottle", "ready")
    gone = call("library", "delete", of=project.id, run="taught")
    assert gone["view"]["adapters"] == []
    assert len(call("library", gone["undo"]["do"], of=project.id, run="taught")["view"]["adapters"]) == 1


def test_an_adapter_without_previews_shows_a_picture_of_what_it_was_taught_from(
    call: Call, taught: Run, project: Project, workspace: Workspace
):
    shutil.rmtree(taught.path / "previews")
    assert call("library")["view"]["adapters"][0]["picture"] == ""
    make_thumbs(workspace, read_shelf(project).items)
    assert Path(call("library")["view"]["adapters"][0]["picture"]).exists()


def test_what_waits_for_a_training_names_it(call: Call, taught: Run, project: Project, workspace: Workspace):
    call("teach", "start")
    assert jobs.claim(workspace, "cpu")  # as a worker does, which also gives signs of life
    jobs.beat_path(workspace, "cpu").touch()
    other = workspace.create("Mug", trigger="mug", noun="cup")
    draw_picture(other.pictures / "0.png", 1)
    run = call("teach", "start", project=other.id)["view"]["run"]
    assert (run["state"], run["turn"], run["behind"]) == ("queued", 1, "Fjord bottle")
    assert call("compare")["view"]["busy"] == call("handover")["view"]["busy"] == "Fjord bottle"
    jobs.note_work(workspace, "cuda:0", taught)  # its verdict gives way to whoever waits
    jobs.done(jobs.claimed(workspace)[0])
    assert call("teach", project=other.id)["view"]["run"]["behind"] == ""


def test_an_imported_file_becomes_a_project_that_can_be_compared(call: Call, workspace: Workspace):
    path = workspace.uploads / "abc" / "brand.safetensors"
    header_only_adapter(path)
    answer = call("library", "import", path=str(path), name="brand.safetensors")
    assert answer["ok"], answer
    imported = workspace.project("brand")
    assert (imported.all_runs()[0].path / "source.safetensors").exists()
    assert not path.exists()


def test_a_pickle_is_refused_by_name(call: Call, workspace: Workspace):
    path = workspace.uploads / "brand.ckpt"
    path.write_bytes(b"x")
    assert "refused" in call("library", "import", path=str(path), name="brand.ckpt")["fix"]


def test_the_frame_shows_the_job_and_every_steps_state(call: Call, taught: Run, project: Project):
    call("teach", "start")
    view = call("frame")["view"]
    assert (view["job"]["kind"], view["job"]["waiting"], view["job"]["project"]) == ("train", True, project.id)
    assert view["steps"]["pictures"]["says"] == "6 pictures"
    assert view["steps"]["teach"]["done"]


def test_a_project_that_is_gone_is_said_once(call: Call, project: Project, workspace: Workspace):
    workspace.delete(project.id)
    assert call("frame")["view"]["gone"]


def test_home_creates_renames_copies_and_brings_back(call: Call, workspace: Workspace, project: Project):
    assert call("home", "create", name="Mug")["go"] == {"project": "mug", "step": "pictures"}
    call("home", "rename", id="mug", name="Cup")
    assert workspace.project("mug").about.name == "Cup"
    gone = call("home", "delete", id="mug")
    assert gone["undo"]["do"] == "restore"
    call("home", "restore", ticket=gone["undo"]["ticket"])
    assert workspace.project("mug").about.name == "Cup"


def test_a_project_at_work_is_not_deleted(call: Call, taught: Run, project: Project):
    (taught.path / "heartbeat").write_text(str(os.getpid()))
    assert "being trained" in call("home", "delete", id=project.id)["message"]


def test_a_project_that_waits_for_its_training_is_not_deleted_and_teaches_again_after_a_stop(call: Call, project: Project):
    call("teach", "start")
    assert "waits for it" in call("home", "delete", id=project.id)["message"]
    run = project.all_runs()[0].path.name
    assert call("teach", "stop", run=run)["view"]["run"]["state"] == "stopped"
    assert call("home", "delete", id=project.id)["ok"]


def test_no_view_tells_where_the_server_keeps_its_code(call: Call, taught: Run, workspace: Workspace):
    for part in PARTS:
        told = json.dumps(call(part)).replace(str(workspace.path), "")
        assert str(Path(jobs.__file__).parent) not in told, part


def test_a_taught_sample_without_checkpoints_can_have_a_board_too(call: Call, project: Project):
    run = create_run(project.runs / "sample", Job(kind="train", name="Fjord bottle", settings={"base": "starter"}))
    header_only_adapter(run.path / "adapter.safetensors")
    (run.path / "verdict.json").write_text(json.dumps({"pick": {"step": 700, "strength": 0.9}}))
    assert call("compare", "board", prompt="a bottle")["view"]["board"]["steps"] == [700]


@pytest.fixture
def neighbour(workspace: Workspace) -> Project:
    """A whole project beside the one that has a fault."""
    other = workspace.create("Mug")
    draw_picture(other.pictures / "0.png", 1)
    run = create_run(other.runs / "sample", Job(kind="train", name="Mug", settings={"base": "starter"}))
    header_only_adapter(run.path / "adapter.safetensors")
    return other


def torn_edits(project: Project) -> None:
    (project.pictures / "edits.json").write_text('{"edits": [{"id"')


def empty_job(project: Project) -> None:
    (project.runs / "odd").mkdir()
    (project.runs / "odd" / "job.json").write_bytes(b"")


def copied_checkpoint(project: Project) -> None:
    shutil.copytree(project.runs / "taught" / "checkpoints" / "000020", project.runs / "taught" / "checkpoints" / "000020 copy")


def odd_verdict(project: Project) -> None:
    (project.runs / "taught" / "verdict.json").write_text('{"pick": 5}')


@pytest.mark.parametrize("fault", [torn_edits, empty_job, copied_checkpoint, odd_verdict])
def test_a_fault_in_one_project_takes_down_no_page(call: Call, taught: Run, project: Project, neighbour: Project, fault: Callable):
    fault(project)
    shutil.rmtree(taught.path / "previews")
    for part in ("home", "library", "frame", "compare", *(() if fault is torn_edits else ("pictures", "teach", "handover"))):
        assert call(part)["ok"], part
    assert {card["name"] for card in call("library")["view"]["adapters"] if card["state"] == "ready"} == {"Fjord bottle", "Mug"}


def test_what_is_wrong_with_a_project_stands_on_its_card(call: Call, project: Project, neighbour: Project):
    torn_edits(project)
    cards = {card["id"]: card for card in call("home")["view"]["projects"]}
    assert "edits.json cannot be understood" in cards[project.id]["error"][0] and "move it away" in cards[project.id]["error"][1]
    assert cards[neighbour.id]["error"] is None and cards[neighbour.id]["is_trained"]
    assert call("frame")["view"]["steps"]["pictures"] == {"says": "cannot be read", "done": False}
    assert "edits.json" in call("pictures")["message"]


def test_a_fault_of_ours_in_one_project_leaves_the_library_open(
    call: Call, taught: Run, neighbour: Project, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("app.tabs.library.cover_of", lambda run, step: {}["x"] if run.path.name == "taught" else "")
    cards = {card["name"]: card for card in call("library")["view"]["adapters"]}
    assert (cards["Fjord bottle"]["state"], cards["Mug"]["state"]) == ("failed", "ready")
    assert "KeyError" in cards["Fjord bottle"]["error"][0] and cards["Fjord bottle"]["run"] == ""


def test_a_project_that_cannot_be_read_is_shown_closed_with_the_reason(call: Call, project: Project, workspace: Workspace):
    (project.path / "project.json").write_text('{"name": "Fjord bottle", "intent": "product",}')
    card = call("home")["view"]["projects"][0]
    assert (card["id"], card["can_open"]) == (project.id, False)
    assert "trailing comma at line 1" in card["error"][0] and "Correct it" in card["error"][1]
    assert call("frame")["view"]["gone"]
    assert "trailing comma" in call("pictures")["message"]


def test_a_verdict_that_cannot_be_read_counts_as_none_and_is_said(call: Call, taught: Run, project: Project):
    odd_verdict(project)
    assert "cannot be read" in call("teach")["view"]["run"]["verdict"]["sentence"]
    assert "cannot be read" in call("handover")["view"]["result"]["sentence"]
    chosen = call("compare")["view"]["chosen"]
    assert (chosen["step"], chosen["strength"], chosen["pick"]) == (30, 1.0, None)
