"""Do I need a LoRA? Alike pictures say no, different ones yes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.families.base import load_base
from training.config import SubjectSettings, TrainSettings
from training.dataset import load_dataset
from training.need import measure_need, need_of


def rows(chance: np.random.Generator, count: int, *, shift: float = 0.0) -> np.ndarray:
    features = chance.standard_normal((count, 64)).astype(np.float32)
    features[:, 0] += shift
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def test_a_base_that_draws_something_else_leaves_a_need():
    chance = np.random.default_rng(1)
    need = need_of(rows(chance, 12, shift=8), rows(chance, 12, shift=-8))
    assert need.told_apart == 1 and not need.is_close and need.advice is None


def test_a_base_whose_pictures_cannot_be_told_apart_is_called_close():
    close = [need_of(rows(np.random.default_rng(seed), 12), rows(np.random.default_rng(100 + seed), 12)).is_close for seed in range(30)]
    assert sum(close) >= 24


def test_the_advice_gives_the_figures_and_the_plan_shows_it():
    from tests.training.test_plan import planned
    from training.need import Need

    need = Need(told_apart=0.5, similarity=0.9, pairs=12)
    assert need.advice is not None and "6 of 12" in need.advice.message
    assert planned(60, need=need).warnings[0].code == "already-close"


def test_too_few_pairs_say_nothing():
    chance = np.random.default_rng(1)
    assert not need_of(rows(chance, 3), rows(chance, 3)).is_close
    assert not need_of(rows(chance, 1), rows(chance, 1)).is_close


def test_the_base_is_asked_for_the_captions_of_the_set(tmp_path: Path, tiny_sd1: Path):
    for number, place in enumerate(("on a table", "in the grass", "beside a red chair")):
        Image.effect_noise((64, 64), 40 + 30 * number).convert("RGB").save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text(place)
    settings = TrainSettings(base=str(tiny_sd1), subject=SubjectSettings(intent="product", trigger="tinbot", noun="robot"))
    work = measure_need(load_base(str(tiny_sd1)), load_dataset(tmp_path), settings, folder=tmp_path / "drawn")
    phases = []
    while True:
        try:
            phases.append(next(work))
        except StopIteration as end:
            need = end.value
            break
    assert phases[-1].done == phases[-1].total == need.pairs == 3
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 3 and 0 <= need.told_apart <= 1
