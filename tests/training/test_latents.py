"""The cache: keyed by what was encoded, whole or made anew, and honest about what it leaves out."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from pipelines.errors import DatasetError
from pipelines.events import Advice
from pipelines.families.base import load_base
from pipelines.settings import with_values
from training.config import SubjectSettings, TrainSettings
from training.dataset import load_dataset
from training.latents import cache_dataset, split_held_out
from training.recipes import held_out_count

SETTINGS = with_values(
    TrainSettings(subject=SubjectSettings(trigger="tinbot", noun="robot")),
    {("pictures", "resolution_px"): 64, ("pictures", "held_out"): 0.0},
)


def finish(work: Generator[Any, None, Any]) -> tuple[list[Any], Any]:
    """(events, result) of a generator."""
    events = []
    while True:
        try:
            events.append(next(work))
        except StopIteration as end:
            return events, end.value


@pytest.fixture(scope="module")
def base(tiny_sd1: Path):
    return load_base(str(tiny_sd1))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, size in enumerate([(64, 64), (128, 64), (64, 128), (70, 70)]):
        Image.effect_noise(size, 40).convert("RGB").save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"scene {number}")
    return folder


def test_pictures_keep_their_shape_and_captions_get_the_trigger(pictures: Path, base, tmp_path: Path) -> None:
    _, cached = finish(cache_dataset(load_dataset(pictures), base, SETTINGS, folder=tmp_path / "cache"))
    shapes = {picture.key: picture.bucket for picture in cached.training}
    assert shapes["1.png"][1] > shapes["1.png"][0] and shapes["2.png"][0] > shapes["2.png"][1] and shapes["0.png"] == (64, 64)
    assert [picture.caption for picture in cached.training][:2] == ["tinbot robot, scene 0", "tinbot robot, scene 1"]
    batch = cached.batch([cached.training[1]], mirrored=[False])
    height, width = cached.training[1].bucket
    assert batch.latents.shape == (1, 4, height // base.stride_px, width // base.stride_px)
    assert torch.isfinite(batch.latents).all()


def test_only_what_changed_is_encoded_again(pictures: Path, base, tmp_path: Path) -> None:
    first, _ = finish(cache_dataset(load_dataset(pictures), base, SETTINGS, folder=tmp_path / "cache"))
    assert {event.name for event in first} == {"pictures", "captions"}
    assert finish(cache_dataset(load_dataset(pictures), base, SETTINGS, folder=tmp_path / "cache"))[0] == []
    Image.effect_noise((64, 64), 90).convert("RGB").save(pictures / "0.png")
    again, _ = finish(cache_dataset(load_dataset(pictures), base, SETTINGS, folder=tmp_path / "cache"))
    assert {(event.name, event.total) for event in again} == {("pictures", 1)}


def test_a_torn_entry_is_made_anew(pictures: Path, base, tmp_path: Path) -> None:
    _, cached = finish(cache_dataset(load_dataset(pictures), base, SETTINGS, folder=tmp_path / "cache"))
    expected = cached.batch(cached.training[:1], mirrored=[False]).latents
    cached.training[0].latents[0].write_bytes(b"torn")
    _, again = finish(cache_dataset(load_dataset(pictures), base, SETTINGS, folder=tmp_path / "cache"))
    assert torch.equal(again.batch(again.training[:1], mirrored=[False]).latents, expected)


def test_mirrored_latents_are_those_of_the_mirrored_picture(pictures: Path, base, tmp_path: Path) -> None:
    flipped = with_values(SETTINGS, {("pictures", "flip"): True})
    _, cached = finish(cache_dataset(load_dataset(pictures), base, flipped, folder=tmp_path / "cache"))
    with Image.open(pictures / "0.png") as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(pictures / "0.png")
    _, mirror = finish(cache_dataset(load_dataset(pictures), base, SETTINGS, folder=tmp_path / "cache"))
    one = cached.batch(cached.training[:1], mirrored=[True]).latents
    assert torch.allclose(one, mirror.batch(mirror.training[:1], mirrored=[False]).latents, atol=1e-4)


def test_masks_come_at_the_size_of_the_latents(pictures: Path, base, tmp_path: Path) -> None:
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (0, 0, 32, 64))
    mask.save(pictures / "0.mask.png")
    masked = with_values(SETTINGS, {("pictures", "masked_loss"): True})
    _, cached = finish(cache_dataset(load_dataset(pictures), base, masked, folder=tmp_path / "cache"))
    mask_now = cached.batch(cached.training[:1], mirrored=[False]).mask
    side = 64 // base.stride_px
    assert mask_now.shape == (1, 1, side, side)
    assert mask_now[..., : side // 2].mean() == 1 and mask_now[..., side // 2 :].mean() == 0


def test_captions_are_not_cached_where_the_text_encoder_is_taught(pictures: Path, base, tmp_path: Path) -> None:
    taught = with_values(SETTINGS, {("adapter", "text_encoder"): True})
    events, cached = finish(cache_dataset(load_dataset(pictures), base, taught, folder=tmp_path / "cache"))
    assert cached.prompts == {} and {event.name for event in events} == {"pictures"}


def test_held_out_pictures_are_chosen_by_content_and_doubles_stay_together(pictures: Path) -> None:
    items = load_dataset(pictures).items * 6
    many = [replace(item, key=f"{place}", content=str(place // 2)) for place, item in enumerate(items)]
    chosen = {item.content for item in split_held_out(many, 0.1, 0)}
    assert 1 <= len(chosen) <= 3
    assert all(item.content in chosen for item in split_held_out(many, 0.1, 0))
    assert len(split_held_out(many, 0.1, 0)) == 2 * len(chosen)
    assert split_held_out(many[:4], 0.1, 0) == []
    assert [item.key for item in split_held_out([replace(many[0], held_out=True), *many[1:]], 0.1, 0)] == ["0"]


def test_a_set_without_doubles_is_split_as_ever(pictures: Path) -> None:
    """Runs are resumed, and caches and verdicts made, by this split: the first by the digest of seed and content."""
    one = load_dataset(pictures).items[0]
    for count in (8, 12, 39, 40, 100, 400):
        items = [replace(one, key=f"{place}", content=f"content {place}") for place in range(count)]
        for seed, share in ((0, 0.05), (1, 0.05), (7, 0.2), (7, 0.5)):
            ranked = sorted(items, key=lambda item: hashlib.sha256(f"{seed}/{item.content}".encode()).digest())
            assert split_held_out(items, share, seed) == ranked[: held_out_count(count, share=share)]


@pytest.mark.parametrize("seed", range(6))
def test_many_doubles_of_one_picture_are_never_held_out(pictures: Path, seed: int) -> None:
    one = load_dataset(pictures).items[0]
    items = [replace(one, key=f"{place}", content=str(min(place, 2))) for place in range(30)]  # 28 are one file
    assert {item.key for item in split_held_out(items, 0.05, seed)} == {"0", "1"}
    assert split_held_out(items[2:], 0.05, seed) == []


def test_that_all_pictures_are_the_same_is_said_and_they_are_trained_on(pictures: Path, base, tmp_path: Path) -> None:
    for place in range(1, 10):
        shutil.copy(pictures / "0.png", pictures / f"{place}.png")
    held_out = with_values(SETTINGS, {("pictures", "held_out"): 0.05})
    events, cached = finish(cache_dataset(load_dataset(pictures), base, held_out, folder=tmp_path / "cache"))
    (advice,) = (event for event in events if isinstance(event, Advice))
    assert advice.code == "all-the-same" and advice.message == "All 10 pictures are the same file."
    assert len(cached.training) == 10 and cached.held_out == ()


def test_a_set_without_a_usable_picture_is_an_error(pictures: Path, base, tmp_path: Path) -> None:
    empty = replace(load_dataset(pictures), items=())
    with pytest.raises(DatasetError, match="No usable picture"):
        finish(cache_dataset(empty, base, SETTINGS, folder=tmp_path / "cache"))
    all_held = replace(load_dataset(pictures), items=tuple(replace(item, held_out=True) for item in load_dataset(pictures).items))
    with pytest.raises(DatasetError, match="none is left"):
        finish(cache_dataset(all_held, base, SETTINGS, folder=tmp_path / "cache"))


def test_a_jpeg_damaged_in_the_middle_is_named_and_left_out_and_the_rest_goes_on(pictures: Path, base, tmp_path: Path) -> None:
    damaged = pictures / "damaged.jpg"
    Image.effect_noise((256, 256), 90).convert("RGB").save(damaged, quality=95)
    content = damaged.read_bytes()
    middle = len(content) // 2
    damaged.write_bytes(content[:middle] + b"\xff\xd8\xff\xe0" * 100 + content[middle + 400 :])
    dataset = load_dataset(pictures)
    assert "damaged.jpg" in dataset.by_key  # its header and its end are as they should be
    events, cached = finish(cache_dataset(dataset, base, SETTINGS, folder=tmp_path / "cache"))
    (advice,) = (event for event in events if isinstance(event, Advice))
    assert advice.code == "unreadable" and "damaged.jpg" in advice.message
    assert [picture.key for picture in cached.training] == ["0.png", "1.png", "2.png", "3.png"]
    for path in pictures.glob("?.*"):
        path.unlink()
    with pytest.raises(DatasetError):
        finish(cache_dataset(load_dataset(pictures), base, SETTINGS, folder=tmp_path / "cache"))
