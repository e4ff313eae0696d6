"""Do I need a LoRA? The base draws the captions; if nobody could tell its pictures from the user's, there is little to teach.

In: a base, a dataset, the subject. Out: `Need`. "Nobody" is a simple classifier: for each pair of a real picture and the base's drawing of its caption,
the direction that tells all other pairs apart is asked which of the two is real. Half right is chance. Trains nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.events import Advice, Phase
from training.scores.closeness import Features, paired

if TYPE_CHECKING:
    from pipelines.families.base import Base
    from training.config import TrainSettings
    from training.dataset import Dataset

PAIRS = 12
CLOSE = 0.7  # share told apart up to which the base is called close already: 9 of 12, one in fourteen by chance


@dataclass(frozen=True)
class Need:
    """told_apart: share of pairs in which the real picture is found, 0.5 = chance. similarity: mean over the pairs, 0..1."""

    told_apart: float
    similarity: float
    pairs: int

    @property
    def is_close(self) -> bool:
        return self.pairs >= 6 and self.told_apart <= CLOSE

    @property
    def advice(self) -> Advice | None:
        """What the plan says, where there is something to say."""
        if not self.is_close:
            return None
        found = round(self.told_apart * self.pairs)
        message = f"The base is close already: its drawings of your captions could be told from your pictures in only {found} of {self.pairs} cases."
        return Advice("already-close", message, "Try the base with good prompts first; train if details still matter.")


def measure_need(
    base: Base, dataset: Dataset, settings: TrainSettings, *, folder: Path, pairs: int = PAIRS
) -> Generator[Phase, None, Need]:
    """The base draws the captions, without trigger, of the pictures most unlike each other. folder: where drawings are kept."""
    from pipelines.encoders import efficientnet
    from training.captions import with_trigger
    from training.preview_prompts import varied
    from training.scene import redraw
    from training.scores.encoding import open_square
    from training.scores.gallery import Gallery
    from training.scores.probes import FIRST_SEED, Probe, Thoroughness

    by_caption = {item.caption: item for item in reversed(dataset.items)}
    items = [by_caption[caption] for caption in varied([item.caption for item in dataset.items], pairs) if caption in by_caption]
    subject, side_px = settings.subject, base.native_size_px
    probes = [
        Probe(with_trigger(item.caption, "", subject.noun, subject.intent), FIRST_SEED + 500 + place) for place, item in enumerate(items)
    ]
    drawn = yield from Gallery(base, folder, Thoroughness(), total=len(probes)).draw_base(probes)
    real = redraw(base, [open_square(item, side_px, background=settings.pictures.background) for item in items])
    encoder = efficientnet()
    return need_of(encoder.encode_pictures(real), encoder.encode_pictures(drawn))


def need_of(real: Features, drawn: Features) -> Need:
    """From features, row i of both being of the same caption."""
    if len(real) < 2:
        return Need(1.0, float(paired(real, drawn).mean()) if len(real) else 0.0, len(real))
    apart = real - drawn
    others = (apart.sum(axis=0)[None] - apart) / (len(real) - 1)  # the direction without the pair in question
    margin = np.einsum("nd,nd->n", apart, others)
    return Need(float((margin > 0).mean()), float(paired(real, drawn).mean()), len(real))
