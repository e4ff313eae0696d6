"""The whole way on a tiny base: train, score, decide, apply; stopped and resumed; read back."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipelines.errors import DatasetError, RunError
from pipelines.events import Advice, Phase
from training.runs import Job, Run, create_run
from training.scores.probes import Probe, Thoroughness, make_probes

FEW = Thoroughness(held_out=3, trained=2, seeds=2, bare=1, finalists=1, strengths=(0.5,), steps=2)


@pytest.fixture(scope="module")
def finished(tiny_sd1: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """A run of 4 steps with 2 checkpoints over 10 pictures."""
    from training.execute import execute

    root = tmp_path_factory.mktemp("project")
    pictures = root / "pictures"
    pictures.mkdir()
    for number in range(10):
        image = Image.new("RGB", (64, 64), (20 * number, 120, 255 - 20 * number))
        ImageDraw.Draw(image).ellipse((8 + number, 10, 40 + number, 50), fill=(255, 200, 20 * number))
        image.save(pictures / f"{number}.png")
        (pictures / f"{number}.txt").write_text(f"on shelf {number}, view {number % 3}", encoding="utf-8")
    settings = {
        "base": str(tiny_sd1), "subject": {"intent": "product", "trigger": "zop", "noun": "mug"}, "adapter": {"rank": 2},
        "loop": {"steps": 4, "batch": 2, "checkpoints": 2, "validations": 2, "precision": "fp32"}, "optim": {"learning_rate": 0.01},
    }  # fmt: skip
    run = create_run(root / "runs" / "one", Job(kind="train", name="zop", dataset="../../pictures", settings=settings))
    execute(run)
    return run, pictures


def scored(run: Run, pictures: Path, how: Thoroughness = FEW):
    from pipelines.families.base import load_base
    from training.dataset import load_dataset
    from training.verdict import score_run

    base = load_base(run.job.settings["base"])
    work = score_run(run, base, load_dataset(pictures), how=how)
    events = []
    while True:
        try:
            events.append(next(work))
        except StopIteration as end:
            return events, end.value, base


def test_several_seeds_of_a_held_out_picture_count_as_one_sample():
    from training.verdict import by_picture

    probes = [Probe("a", seed, item) for seed, item in enumerate((4, 1, 4, 1, 4))]
    assert by_picture(np.array([0.1, 0.5, 0.2, 0.7, 0.3]), probes) == pytest.approx((0.2, 0.6))
    assert by_picture(np.zeros(0), []) == ()


def test_a_run_is_scored_and_its_pick_written_into_the_adapter(finished):
    from pipelines.adapter import attached, load_adapter
    from training.verdict import apply_verdict, read_verdict

    run, pictures = finished
    before = run.adapter_path.read_bytes()
    events, verdict, base = scored(run, pictures)
    assert {score.step for score in verdict.scores} == {2, 4}
    assert any(score.strength == 0.5 for score in verdict.scores)
    assert verdict.picked.variety is not None and verdict.picked.leak is not None
    assert verdict.held_out == 2 and verdict.encoders
    assert all((run.path / pair.picture).exists() for pair in verdict.nearest)
    assert events and all(isinstance(event, Phase) for event in events)
    assert events[-1].done <= events[-1].total
    assert attached(base) == ()
    assert read_verdict(run) == verdict
    assert run.adapter_path.read_bytes() == before

    apply_verdict(run, verdict, step=2, strength=0.5)
    card = load_adapter(run.adapter_path).card
    assert card.recommended_strength == 0.5 and card.steps == 2
    assert "fidelity" in card.scores
    assert (run.path / "card.json").exists()


@pytest.mark.parametrize("step", [2, 4])
def test_what_is_picked_has_been_probed_for_leaks_whatever_came_first_before(finished, monkeypatch, step):
    from training import decision

    decide, run, pictures = decision.decide, *finished

    def another_at_first(scores, curve):
        decided, is_first = decide(scores, curve), all(score.leak is None for score in scores)
        return replace(decided, pick=decided.pick.model_copy(update={"step": step})) if is_first else decided

    monkeypatch.setattr(decision, "decide", another_at_first)
    verdict = scored(run, pictures)[1]
    assert verdict.picked.leak is not None and verdict.picked.drift is not None
    assert verdict.score_of(step, 1.0).leak is not None


def test_a_second_scoring_draws_nothing_anew(finished):
    run, pictures = finished
    scored(run, pictures)
    events, verdict, _ = scored(run, pictures)
    assert not [event for event in events if event.name == "scoring"]
    assert verdict.pick.step in (2, 4)


def damage(path: Path, *, number: int) -> None:
    """A JPEG whose header and end are as they should be, and whose middle is not; its content differs with the number."""
    Image.fromarray(np.random.default_rng(number).integers(0, 255, (96, 96, 3), np.uint8)).save(path, quality=95)
    content = path.read_bytes()
    path.write_bytes(content[:2000] + b"\xff\xd8\xff\xe0" * 100 + content[2400:])


@pytest.mark.parametrize("is_held_out", [False, True])
def test_a_damaged_picture_is_left_out_of_the_verdict_as_of_the_training(finished, tmp_path, is_held_out):
    from training.dataset import load_dataset
    from training.latents import split_held_out

    run, pictures = finished
    folder = shutil.copytree(pictures, tmp_path / "pictures")
    for number in range(100):
        damage(folder / "damaged.jpg", number=number)
        split = {item.key for item in split_held_out(load_dataset(folder).items, 0.05, 0)}
        if ("damaged.jpg" in split) == is_held_out:
            break
    events, verdict, _ = scored(run, folder)
    (advice,) = (event for event in events if isinstance(event, Advice))
    assert advice.code == "unreadable" and "damaged.jpg" in advice.message
    assert {example.real for example in verdict.examples} == split - {"damaged.jpg"}
    assert verdict.held_out == len(split - {"damaged.jpg"})


def test_a_verdict_needs_a_training_picture_that_can_be_read(finished, tmp_path):
    run, pictures = finished
    folder = shutil.copytree(pictures, tmp_path / "pictures")
    for number in range(10):
        (folder / f"{number}.png").unlink()
        damage(folder / f"{number}.jpg", number=number)
    with pytest.raises(DatasetError, match="None of the 8 pictures"):
        scored(run, folder)


def test_a_run_without_checkpoints_says_so(tmp_path, finished):
    run, pictures = finished
    empty = create_run(tmp_path / "empty", run.job)
    with pytest.raises(RunError, match="no checkpoint"):
        scored(empty, pictures)


def test_probes_are_the_same_every_time_and_few_held_out_pictures_are_drawn_more_often(finished):
    from training.config import SubjectSettings
    from training.dataset import load_dataset

    _, pictures = finished
    items = load_dataset(pictures).items
    subject = SubjectSettings(intent="product", trigger="zop", noun="mug")
    probes = make_probes(items[:2], items[2:], subject, how=replace(FEW, held_out=5))
    assert probes == make_probes(items[:2], items[2:], subject, how=replace(FEW, held_out=5))
    assert len(probes.held_out) == 5 and {probe.item for probe in probes.held_out} == {0, 1}
    assert len({probe.seed for probe in probes.core}) == len(probes.core)
    assert all(probe.prompt.startswith("zop mug") for probe in probes.core)
    assert all("zop" not in probe.prompt for probe in probes.bare + probes.unrelated)


def test_a_style_is_probed_without_its_trigger_by_its_own_captions(finished):
    from training.config import SubjectSettings
    from training.dataset import load_dataset

    _, pictures = finished
    items = load_dataset(pictures).items
    probes = make_probes(items[:2], items[2:], SubjectSettings(intent="style", trigger="zop", noun="style"), how=FEW)
    assert all("shelf" in probe.prompt and "zop" not in probe.prompt for probe in probes.bare)


def test_a_style_is_asked_for_things_that_its_captions_do_not_name(finished):
    from training.config import SubjectSettings
    from training.dataset import load_dataset

    _, pictures = finished
    items = [replace(item, caption=caption) for item, caption in zip(load_dataset(pictures).items, ("two cats", "a House"), strict=False)]
    style, product = (
        make_probes(items[:1], items[1:], SubjectSettings(intent=intent, trigger="zop", noun="style"), how=replace(FEW, unseen=30))
        for intent in ("style", "product")
    )
    assert [probe.prompt for probe in style.unseen][:2] == [
        f"a {thing} on a white background, zop style" for thing in ("cup of coffee", "flower")
    ]
    assert len({probe.seed for probe in style.unseen}) == len(style.unseen) > 15
    assert product.unseen == ()


def test_a_style_is_scored_by_things_that_it_was_not_shown_too(finished, tmp_path):
    import json
    import shutil

    from training.runs import open_run

    run, pictures = finished
    assert all(score.unseen is score.styled is None and score.unseen_samples == () for score in scored(run, pictures)[1].scores)
    shutil.copytree(run.path, tmp_path / "runs" / "style")
    job = json.loads((tmp_path / "runs" / "style" / "job.json").read_text())
    job["settings"]["subject"]["intent"] = "style"
    (tmp_path / "runs" / "style" / "job.json").write_text(json.dumps(job))
    events, verdict, _ = scored(open_run(tmp_path / "runs" / "style"), pictures, how=replace(FEW, unseen=3))
    assert all(len(score.unseen_samples) == 3 for score in verdict.scores)
    assert all(score.styled < 1 for score in verdict.scores)
    assert verdict.picked.unseen == pytest.approx(sum(verdict.picked.unseen_samples) / 3, abs=1e-6)
    assert events[-1].done <= events[-1].total


def test_a_dead_adapter_is_named_after_a_glance(finished, tmp_path):
    import shutil

    from pipelines.adapter import load_adapter, save_adapter
    from training.runs import checkpoint_folders, open_run

    run, pictures = finished
    shutil.copytree(run.path, tmp_path / "runs" / "dead")
    for folder in checkpoint_folders(tmp_path / "runs" / "dead"):
        adapter = load_adapter(folder / "adapter.safetensors")
        none = {key: tensor * (0 if ".lora_B." in key else 1) for key, tensor in adapter.tensors.items()}
        save_adapter(type(adapter)(none, adapter.settings, adapter.card), folder / "adapter.safetensors")
    _, verdict, _ = scored(open_run(tmp_path / "runs" / "dead"), pictures)
    assert [finding.code for finding in verdict.findings] == ["dead"]
    assert verdict.drawn < 15
    assert len(verdict.scores) == 1
