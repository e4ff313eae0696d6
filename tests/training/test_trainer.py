"""The loop: what it teaches, what it leaves alone, and that a stop or a kill costs nothing."""

from __future__ import annotations

import hashlib
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from pipelines.adapter import attach, load_adapter
from pipelines.errors import OutOfMemory, TrainingDiverged
from pipelines.events import Advice, Event, Finished, Picture, Saved, Step, Stopped, Validated
from pipelines.families.base import load_base
from pipelines.generation import Wish, draw
from pipelines.settings import DrawSettings, with_values
from training.checkpoint import load_newest
from training.config import LoopSettings, SubjectSettings, TrainSettings
from training.execute import execute, train
from training.runs import Job, Run, checkpoint_folders, create_run, last_of, open_run
from training.trainer import Trainer

DUE = (Step, Validated, Saved, Picture)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(12):
        image = Image.new("RGB", (64, 64) if number % 3 else (96, 64), (number * 20, 80, 255 - number * 20))
        ImageDraw.Draw(image).ellipse((10 + number, 10, 50, 50), fill=(250, 200, number * 10))
        image.save(folder / f"{number:02d}.png")
        (folder / f"{number:02d}.txt").write_text(f"on a blue background {number}")
    return folder


def settings_for(base: Path, **changes) -> TrainSettings:
    plain = TrainSettings(base=str(base), subject=SubjectSettings(intent="product", trigger="tinbot", noun="robot"))
    loop = {"steps": 6, "batch": 2, "checkpoints": 2, "validations": 2, "precision": "fp32"}
    values = {("loop", name): value for name, value in loop.items()} | {("optim", "learning_rate"): 1e-2}
    return with_values(plain, values | {tuple(path.split("__")): value for path, value in changes.items()})


def new_run(folder: Path, pictures: Path, settings: TrainSettings) -> Run:
    return create_run(folder, Job(kind="train", name=folder.name, dataset=str(pictures), settings=settings.model_dump(mode="json")))


def weights_of(run: Run) -> dict[str, torch.Tensor]:
    return dict(load_adapter(run.adapter_path).tensors)


def assert_equal_weights(one: Run, other: Run) -> None:
    first, second = weights_of(one), weights_of(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, tiny_sd1: Path, pictures: Path) -> Run:
    run = new_run(tmp_path_factory.mktemp("runs") / "unbroken", pictures, settings_for(tiny_sd1))
    execute(run)
    return run


def test_a_run_reports_steps_checkpoints_held_out_loss_and_its_end(unbroken: Run) -> None:
    events = list(unbroken.events())
    assert [event.step for event in events if isinstance(event, Step)] == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in events if isinstance(event, Saved)] == [2, 6]
    assert [event.step for event in events if isinstance(event, Validated)] == [2, 6]
    assert isinstance(events[-1], Finished)
    assert unbroken.state() == "finished"


def test_training_changes_the_adapter(unbroken: Run) -> None:
    assert any(tensor.abs().max() > 0 for key, tensor in weights_of(unbroken).items() if "lora_B" in key)


def test_no_base_weight_changes(tmp_path: Path, tiny_sd1: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = load_base(str(tiny_sd1))
    before = digest(base)
    monkeypatch.setattr("training.execute.load_base", lambda *_, **__: base)
    for _ in train(new_run(tmp_path / "run", pictures, settings_for(tiny_sd1, adapter__targets="all", adapter__text_encoder=True))):
        pass
    assert digest(base) == before


def digest(base) -> str:
    summary = hashlib.sha256()
    for module in (base.unet, base.vae, *base.text_encoders):
        for name, tensor in sorted(
            (name.replace(".base_layer", ""), tensor) for name, tensor in module.state_dict().items() if ".lora_" not in name
        ):
            summary.update(name.encode() + tensor.numpy().tobytes())
    return summary.hexdigest()


def test_previews_show_each_checkpoint_and_change_nothing(tmp_path: Path, tiny_sd1: Path, pictures: Path, unbroken: Run) -> None:
    prompts = ("tinbot robot, on a table", "a mug")
    run = new_run(tmp_path / "run", pictures, settings_for(tiny_sd1, loop__preview_prompts=prompts))
    execute(run)
    drawn = [event for event in run.events() if isinstance(event, Picture)]
    assert [(event.step, event.prompt, event.seed) for event in drawn] == [
        (step, prompt, seed) for step in (2, 6) for seed, prompt in enumerate(prompts)
    ]
    assert_equal_weights(run, unbroken)
    base = load_base(str(tiny_sd1))
    attach(base, load_adapter(run.adapter_path))
    again = draw(base, DrawSettings(speed="fast"), [Wish(prompt, "", seed) for seed, prompt in enumerate(prompts)])
    for event, picture in zip(drawn[2:], again, strict=True):
        with Image.open(run.path / event.path) as shown:
            assert np.abs(np.asarray(shown, np.int16) - np.asarray(picture.image, np.int16)).mean() < 1
            assert shown.text["parameters"].startswith(event.prompt)


@pytest.mark.parametrize("stop_after", [1, 3, 4])
def test_stop_and_resume_give_the_very_same_adapter(tmp_path: Path, tiny_sd1: Path, pictures: Path, unbroken: Run, stop_after: int) -> None:
    run = new_run(tmp_path / "run", pictures, settings_for(tiny_sd1))
    execute(run, watch=lambda event: run.ask_to_stop() if isinstance(event, Step) and event.step == stop_after else None)
    assert run.state() == "stopped"
    assert any(isinstance(event, Stopped) for event in run.events())
    execute(open_run(run.path))
    assert_equal_weights(run, unbroken)


def test_a_stop_leaves_nothing_out_of_what_is_due_at_a_step(tmp_path: Path, tiny_sd1: Path, pictures: Path) -> None:
    """A stop may be asked for at any event; validations, checkpoints and previews come all the same, if later."""
    settings = settings_for(tiny_sd1, loop__steps=2, loop__checkpoints=2, loop__validations=2, loop__preview_prompts=("a mug",))
    whole = new_run(tmp_path / "whole", pictures, settings)
    execute(whole)
    told = [_told(event) for event in whole.events() if isinstance(event, DUE)]
    assert len({kind for kind, *_ in told}) == 4
    for stop_at in range(len(told)):
        run = new_run(tmp_path / f"run-{stop_at}", pictures, settings)
        execute(run, watch=_stops_after(run, stop_at))
        if run.state() == "stopped":
            execute(open_run(run.path))
        again = [_told(event) for event in run.events() if isinstance(event, DUE)]
        assert sorted(set(again)) == sorted(told), told[stop_at]
        assert_equal_weights(run, whole)


def _stops_after(run: Run, count: int) -> Callable[[Event], None]:
    places = iter(range(100))

    def watch(event: Event) -> None:
        if isinstance(event, DUE) and next(places) == count:
            run.ask_to_stop()

    return watch


def _told(event: Event) -> tuple[str, int, str]:
    return type(event).__name__, event.step, getattr(event, "path", "")  # type: ignore[attr-defined]


def test_the_time_of_a_resumed_run_is_that_of_all_its_parts(tmp_path: Path, tiny_sd1: Path, pictures: Path) -> None:
    run = new_run(tmp_path / "run", pictures, settings_for(tiny_sd1, loop__steps=6))
    execute(run, watch=lambda event: run.ask_to_stop() if isinstance(event, Step) and event.step == 4 else None)
    before = load_newest(run.path).seconds
    execute(open_run(run.path))
    ends = {record["kind"]: record["at"] for record in run.records()[0]}
    assert 0 < before < last_of(run, Finished).seconds <= before + ends["finished"] - ends["stopped"]


def test_a_resume_with_other_pictures_says_so_and_begins_its_held_out_figures_anew(tmp_path: Path, tiny_sd1: Path, pictures: Path) -> None:
    own = tmp_path / "pictures"
    shutil.copytree(pictures, own)
    run = new_run(tmp_path / "run", own, settings_for(tiny_sd1, loop__steps=6, loop__validations=6))
    execute(run, watch=lambda event: run.ask_to_stop() if isinstance(event, Step) and event.step == 3 else None)
    next(iter(sorted(own.glob("*.png")))).unlink()
    execute(open_run(run.path))
    assert last_of(run, Finished) is not None
    codes = [event.code for event in run.events() if isinstance(event, Advice)]
    assert codes.count("pictures-changed") == 1


def test_the_first_interrupt_finishes_the_step_and_keeps_it(
    tmp_path: Path, tiny_sd1: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C comes in the middle of a step, not between two."""
    run = new_run(tmp_path / "run", pictures, settings_for(tiny_sd1, loop__steps=6, loop__checkpoints=1))
    learn = Trainer._learn

    def interrupted(self, cached, order, number, *, weight):
        if number == 3:
            signal.raise_signal(signal.SIGINT)
        return learn(self, cached, order, number, weight=weight)

    monkeypatch.setattr(Trainer, "_learn", interrupted)
    before = signal.getsignal(signal.SIGINT)  # ignored where the tests run in the background
    with pytest.raises(KeyboardInterrupt):
        execute(run)
    assert run.state() == "stopped" and [folder.name for folder in checkpoint_folders(run.path)] == ["000004"]
    assert signal.getsignal(signal.SIGINT) is before


def test_two_trainings_of_one_process_may_have_different_formats(tmp_path: Path, tiny_sd1: Path, pictures: Path) -> None:
    for precision in ("fp32", "bf16"):
        execute(new_run(tmp_path / precision, pictures, settings_for(tiny_sd1, loop__steps=1, loop__precision=precision)))


@pytest.mark.parametrize(
    "changes",
    [
        {"adapter__kind": "rslora"},
        {"adapter__kind": "dora"},
        {"adapter__targets": "all", "adapter__dropout": 0.1},
        {"adapter__text_encoder": True},
        {"loss__kind": "huber", "loss__noise_offset": 0.05},
        {"optim__optimizer": "prodigy", "optim__learning_rate": 1.0},
        {"optim__optimizer": "adafactor", "optim__schedule": "linear"},
        {"optim__ema_decay": 0.9, "pictures__flip": True, "pictures__caption_dropout": 0.5},
        {"loop__accumulation": 2, "loop__gradient_checkpointing": True},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_every_option_resumes_exactly(tmp_path: Path, tiny_sd1: Path, pictures: Path, changes: dict) -> None:
    changes = {"loop__steps": 4, **changes}
    whole = new_run(tmp_path / "whole", pictures, settings_for(tiny_sd1, **changes))
    execute(whole)
    broken = new_run(tmp_path / "broken", pictures, settings_for(tiny_sd1, **changes))
    execute(broken, watch=lambda event: broken.ask_to_stop() if isinstance(event, Step) and event.step == 1 else None)
    execute(broken)
    assert_equal_weights(whole, broken)
    assert any(tensor.abs().max() > 0 for key, tensor in weights_of(whole).items() if "lora_B" in key)


def test_a_second_run_encodes_nothing(tmp_path: Path, tiny_sd1: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = load_base(str(tiny_sd1))
    monkeypatch.setattr("training.execute.load_base", lambda *_, **__: base)
    execute(new_run(tmp_path / "first", pictures, settings_for(tiny_sd1, loop__steps=1)))
    from pipelines.adapter import detach

    detach(base)

    def fail(*_: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(base, "encode_images", fail, raising=False)
    monkeypatch.setattr(base, "encode_prompts", fail, raising=False)
    execute(new_run(tmp_path / "second", pictures, settings_for(tiny_sd1, loop__steps=1)))


def test_not_a_number_stops_the_run_and_keeps_the_last_checkpoint(tmp_path: Path, tiny_sd1: Path, pictures: Path) -> None:
    run = new_run(tmp_path / "run", pictures, settings_for(tiny_sd1, loop__checkpoints=6))

    def poison(event) -> None:
        if isinstance(event, Saved) and event.step == 2:
            for entry in (run.path.parent / ".cache").rglob("*.safetensors"):
                spoil(entry)

    with pytest.raises(TrainingDiverged, match="step 3"):
        execute(run, watch=poison)
    assert run.state() == "failed"
    assert load_newest(run.path).step == 2


def test_a_crash_between_checkpoints_costs_no_more_than_the_last_state(
    tmp_path: Path, tiny_sd1: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import trainer

    monkeypatch.setattr(trainer, "STATE_SECONDS", 0.0)
    whole = new_run(tmp_path / "whole", pictures, settings_for(tiny_sd1, loop__checkpoints=1))
    execute(whole)
    run = new_run(tmp_path / "run", pictures, settings_for(tiny_sd1, loop__checkpoints=1))

    real_save = trainer.save_state

    def save_and_crash(folder, state) -> None:
        real_save(folder, state)
        if state.step == 4:
            raise ZeroDivisionError

    monkeypatch.setattr(trainer, "save_state", save_and_crash)
    with pytest.raises(ZeroDivisionError):
        execute(run)
    assert load_newest(run.path).step == 4 and checkpoint_folders(run.path) == []
    monkeypatch.setattr(trainer, "save_state", real_save)
    execute(open_run(run.path))
    assert_equal_weights(run, whole)


def spoil(entry: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(entry)
    if "latents" in tensors:
        save_file({name: torch.full_like(tensor, float("nan")) for name, tensor in tensors.items()}, entry)


def test_out_of_memory_halves_the_micro_batch_and_learns_the_same(
    tmp_path: Path, tiny_sd1: Path, pictures: Path, unbroken: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = load_base(str(tiny_sd1))
    whole_predict = type(base).predict

    def small_device(self, noisy, *args, **kwargs):
        if torch.is_grad_enabled() and len(noisy) > 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return whole_predict(self, noisy, *args, **kwargs)

    monkeypatch.setattr(type(base), "predict", small_device)
    run = new_run(tmp_path / "run", pictures, settings_for(tiny_sd1))
    execute(run)
    advice = [event for event in run.events() if isinstance(event, Advice)]
    assert len(advice) == 1 and "1 at a time; a step still learns from 2" in advice[0].message
    one, other = weights_of(run), weights_of(unbroken)
    assert all(torch.allclose(one[key], other[key], atol=2e-3) for key in one)


def test_hopeless_memory_is_said(tmp_path: Path, tiny_sd1: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = load_base(str(tiny_sd1))

    def no_memory(self, *args, **kwargs):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")

    monkeypatch.setattr(type(base), "predict", no_memory)
    with pytest.raises(OutOfMemory, match="one picture at a time"):
        execute(new_run(tmp_path / "run", pictures, settings_for(tiny_sd1, loop__validations=0)))


def test_a_full_disk_leaves_the_previous_checkpoint_whole(
    tmp_path: Path, tiny_sd1: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from pipelines.errors import RunError
    from training import checkpoint

    run = new_run(tmp_path / "run", pictures, settings_for(tiny_sd1))
    real_save = checkpoint.save_file

    def full_disk(tensors, path, **kwargs):
        if "000006" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        real_save(tensors, path, **kwargs)

    monkeypatch.setattr(checkpoint, "save_file", full_disk)
    with pytest.raises(RunError, match="disk is full"):
        execute(run)
    assert [folder.name for folder in checkpoint_folders(run.path)] == ["000002"]
    assert load_newest(run.path).step == 2


def test_early_stop_ends_a_run_that_gets_worse(tmp_path: Path, tiny_sd1: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = iter([1.0, 0.9, 0.8, 0.85, 0.9, 0.95, 1.0, 1.1])  # the base, then after each step
    monkeypatch.setattr("training.validation.held_out_loss", lambda *_, **__: next(measured))
    run = new_run(tmp_path / "run", pictures, settings_for(tiny_sd1, loop__steps=7, loop__validations=7, loop__early_stop=True))
    execute(run)
    assert [event.code for event in run.events() if isinstance(event, Advice)] == ["overfitting"]
    assert max(event.step for event in run.events() if isinstance(event, Step)) == 5
    assert run.state() == "finished"


def test_loop_settings_refuse_zero_steps() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        LoopSettings(steps=0)
