"""Class pictures: drawn once by the bare base, taken from a folder where one is given, and without the trigger."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pipelines.families.base import load_base
from pipelines.settings import with_values
from training.config import LossSettings, SubjectSettings, TrainSettings
from training.prior import cache_prior


def finish(work):
    events = []
    while True:
        try:
            events.append(next(work))
        except StopIteration as end:
            return events, end.value


@pytest.fixture
def settings() -> TrainSettings:
    plain = TrainSettings(
        subject=SubjectSettings(trigger="tinbot", noun="robot"),
        loss=LossSettings.model_validate({"prior_weight": 1.0, "prior_pictures": 2}),
    )
    return with_values(plain, {("pictures", "buckets"): False, ("pictures", "upscale"): True})


def test_missing_class_pictures_are_drawn_once_without_the_trigger(tmp_path: Path, tiny_sd1: Path, settings: TrainSettings) -> None:
    base = load_base(str(tiny_sd1))
    events, cached = finish(cache_prior(base, settings, folder=tmp_path))
    assert len(cached.training) == 2 and cached.held_out == ()
    assert {picture.caption for picture in cached.training} == {"a robot"}
    assert {event.name for event in events} == {"class pictures", "pictures", "captions"}
    again, _ = finish(cache_prior(base, settings, folder=tmp_path))
    assert [event.name for event in again] == ["class pictures"]


def test_a_class_picture_that_is_missing_comes_back_the_same(tmp_path: Path, tiny_starter: Path, settings: TrainSettings) -> None:
    base = load_base(str(tiny_starter))
    six = with_values(settings, {("loss", "prior_pictures"): 6})
    finish(cache_prior(base, six, folder=tmp_path))
    drawn = {path: path.read_bytes() for path in sorted(tmp_path.glob("prior/*/*.png"))}
    assert len(drawn) == 6 and len(set(drawn.values())) == 6
    for path in (list(drawn)[1], list(drawn)[5]):
        path.unlink()
    finish(cache_prior(base, six, folder=tmp_path))
    assert {path: path.read_bytes() for path in drawn} == drawn


def test_a_given_folder_keeps_its_captions(tmp_path: Path, tiny_sd1: Path, settings: TrainSettings) -> None:
    given = tmp_path / "robots"
    given.mkdir()
    for number in range(3):
        Image.effect_noise((64, 64), 40 + number).convert("RGB").save(given / f"{number}.png")
    (given / "0.txt").write_text("an old robot")
    told = with_values(settings, {("loss", "prior_folder"): str(given)})
    _, cached = finish(cache_prior(load_base(str(tiny_sd1)), told, folder=tmp_path / "cache"))
    assert [picture.caption for picture in cached.training] == ["an old robot", "a robot"]


def test_a_prior_without_a_noun_is_refused() -> None:
    with pytest.raises(ValueError, match="need a noun"):
        TrainSettings(loss=LossSettings(prior_weight=1.0))
