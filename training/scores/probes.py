"""Which pictures a verdict draws: prompts and seeds, the same for the base, every checkpoint and every strength.

In: the dataset's items apart by use, the subject, how thorough. Out: `Probes`. Draws nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from training.captions import with_trigger, without_trigger
from training.config import SubjectSettings
from training.dataset import Item
from training.preview_prompts import varied

UNRELATED = ("a red apple", "a car", "a cat", "a house")  # things that every base knows
# So are these; a style is also asked for those of them that its captions do not name. Plain ground: what stands around a thing is not what is looked at.
THINGS = (
    "cat", "house", "cup of coffee", "flower", "bird", "guitar", "boat", "key", "cake", "car", "tree", "fish", "hat", "chair", "clock", "book", "lamp",
    "shoe", "butterfly", "bicycle", "mountain", "mushroom", "robot", "train", "dog", "umbrella", "crown", "rocket", "pizza", "penguin", "bus", "strawberry",
    "bell", "drum", "snail", "horse", "cactus", "backpack", "owl", "star",
)  # fmt: skip
GROUND = "on a white background"
FIRST_SEED = 7001  # far from preview seeds, so that nobody looks at these pictures and tunes by them


@dataclass(frozen=True)
class Thoroughness:
    """How many pictures of each kind; more is slower and surer."""

    held_out: int = 16
    trained: int = 6
    seeds: int = 3
    bare: int = 3
    unseen: int = 24  # of a style
    finalists: int = 3  # checkpoints that are also probed for variety, leak and drift
    strengths: tuple[float, ...] = (0.7, 0.85, 1.15)  # tried for the leading checkpoint, beside 1
    steps: int = 12
    guidance: float = 4.0


QUICK = Thoroughness(held_out=12, trained=4, seeds=2, bare=2, unseen=16, finalists=1, strengths=(0.8,), steps=8)
GLANCE = Thoroughness(held_out=2, trained=1, seeds=1, bare=1, unseen=0, finalists=0, strengths=(), steps=8)


@dataclass(frozen=True)
class Probe:
    """One picture to draw. item: index of the real picture with this caption, in held-out or training pictures; -1: none."""

    prompt: str
    seed: int
    item: int = -1


@dataclass(frozen=True)
class Probes:
    """held_out, trained: captions with their real pictures. unseen: things that the set does not show, in its style; none for subjects.
    seeds: one prompt, many seeds. bare: the subject without trigger. unrelated: other things.
    """

    held_out: tuple[Probe, ...]
    trained: tuple[Probe, ...]
    unseen: tuple[Probe, ...]
    seeds: tuple[Probe, ...]
    bare: tuple[Probe, ...]
    unrelated: tuple[Probe, ...]

    @property
    def core(self) -> tuple[Probe, ...]:
        """What every checkpoint is drawn for that has a real picture."""
        return self.held_out + self.trained

    @property
    def rest(self) -> tuple[Probe, ...]:
        """What only finalists are drawn for."""
        return self.seeds + self.bare + self.unrelated


def make_probes(held_out: Sequence[Item], training: Sequence[Item], subject: SubjectSettings, *, how: Thoroughness) -> Probes:
    """The probes of a run. Few held-out pictures are drawn with several seeds each."""
    said = lambda item: with_trigger(item.caption, subject.trigger, subject.noun, subject.intent)  # noqa: E731 - one line, used twice
    held = _chosen(held_out, how.held_out)
    learnt = _chosen(training, how.trained)
    first = said((held_out or training)[held[0] if held else learnt[0]])
    bare = _bare_prompts(training, subject, count=how.bare)
    unseen = unseen_things([*training, *held_out], count=how.unseen) if subject.intent == "style" else ()
    return Probes(
        held_out=tuple(Probe(said(held_out[index]), FIRST_SEED + place, index) for place, index in enumerate(held)),
        trained=tuple(Probe(said(training[index]), FIRST_SEED + 100 + place, index) for place, index in enumerate(learnt)),
        unseen=tuple(
            Probe(with_trigger(thing, subject.trigger, subject.noun, subject.intent), FIRST_SEED + 500 + place)
            for place, thing in enumerate(unseen)
        ),
        seeds=tuple(Probe(first, FIRST_SEED + 200 + number) for number in range(how.seeds)),
        bare=tuple(Probe(prompt, FIRST_SEED + 300 + place) for place, prompt in enumerate(bare)),
        unrelated=tuple(Probe(prompt, FIRST_SEED + 400 + place) for place, prompt in enumerate(UNRELATED[: how.bare])),
    )


def unseen_things(items: Sequence[Item], *, count: int) -> tuple[str, ...]:
    """Prompts, without trigger, for things that no caption names; fewer than count where the captions name most."""
    named = {word for item in items for word in re.findall(r"\w+", item.caption.lower())}
    return tuple(f"a {thing} {GROUND}" for thing in THINGS if not named & {thing.split()[-1], f"{thing.split()[-1]}s"})[:count]


def _chosen(items: Sequence[Item], count: int) -> list[int]:
    """Indices of items with captions unlike each other, repeated where there are fewer than count."""
    if not items:
        return []
    places = {item.caption: index for index, item in reversed(list(enumerate(items)))}
    order = [places[caption] for caption in varied([item.caption for item in items], count) if caption in places]
    order += [index for index in range(len(items)) if index not in order]
    return [order[number % len(order)] for number in range(count)]


def _bare_prompts(training: Sequence[Item], subject: SubjectSettings, *, count: int) -> list[str]:
    """The noun alone; for a style, whose noun says little, captions without the trigger."""
    if subject.noun and subject.intent != "style":
        return [f"a {subject.noun}"] * count
    captions = varied([item.caption for item in training], count, trigger=subject.trigger) or ["a picture"]
    return [without_trigger(captions[number % len(captions)], subject.trigger) for number in range(count)]
