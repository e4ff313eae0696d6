"""Class pictures: ordinary pictures of the noun, so that teaching one bottle does not turn every bottle into it (DreamBooth, arXiv 2208.12242).

In: settings, a base. Out: a cached dataset of class pictures, from a folder that the user gave or drawn by the bare base and kept for the next run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from pipelines.adapter import bare
from pipelines.errors import DatasetError
from pipelines.events import Advice, Phase
from pipelines.families.base import Base
from pipelines.settings import DrawSettings, with_values
from training.config import TrainSettings
from training.dataset import Dataset, load_dataset
from training.latents import CachedDataset, cache_dataset


def cache_prior(base: Base, settings: TrainSettings, *, folder: Path) -> Generator[Phase | Advice, None, CachedDataset]:
    """Class pictures, drawn first where there are too few. Raises DatasetError for a folder without pictures."""
    given = settings.loss.prior_folder
    if given:
        dataset = load_dataset(Path(given))
    else:
        dataset = yield from _drawn(base, settings, folder)
    caption = f"a {settings.subject.noun}"
    captioned = replace(
        dataset,
        items=tuple(replace(item, caption=item.caption or caption, edits=()) for item in dataset.items[: settings.loss.prior_pictures]),
    )
    plain = with_values(
        settings,
        {
            ("subject", "trigger"): "",
            ("subject", "noun"): settings.subject.noun,
            ("pictures", "held_out"): 0.0,
            ("pictures", "masked_loss"): False,
        },
    )
    return (yield from cache_dataset(captioned, base, plain, folder=folder))


def _drawn(base: Base, settings: TrainSettings, folder: Path) -> Generator[Phase, None, Dataset]:
    """Several at once where that is faster, always the same ones: in a group the last bits depend on the neighbours, and a run killed here goes on as an unbroken one."""
    from pipelines.generation import Wish, draw, together

    noun, count = settings.subject.noun, settings.loss.prior_pictures
    recipe = hashlib.sha256(f"{base.fingerprint}/{noun}/{settings.loop.seed}".encode()).hexdigest()[:16]
    place = folder / "prior" / recipe
    place.mkdir(parents=True, exist_ok=True)
    how = DrawSettings(prompt=f"a {noun}")
    size = together(base, how)
    for start in range(0, count, size):
        paths = {number: place / f"{number:04d}.png" for number in range(start, min(start + size, count))}
        if all(path.exists() for path in paths.values()):
            continue
        yield Phase("class pictures", start, count)
        wishes = [Wish(how.prompt, "", settings.loop.seed + number) for number in paths]
        with bare(base):
            drawn = list(draw(base, how, wishes))
        for path, one in zip(paths.values(), drawn, strict=True):
            partial = path.with_suffix(".partial")
            one.image.save(partial, format="PNG")
            partial.replace(path)
    yield Phase("class pictures", count, count)
    dataset = load_dataset(place)
    if not dataset.items:
        raise DatasetError(
            f"The base drew no usable class picture of a {noun}.", fix="Give a folder of class pictures, or set the prior weight to 0."
        )
    return dataset
