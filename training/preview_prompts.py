"""Four preview prompts out of the user's own captions: unlike each other, with the trigger where it belongs, and one scene that no picture shows.

In: captions, trigger, noun, intent. Out: prompts, always the same for the same captions. Draws nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipelines.card import Intent
from training.captions import with_trigger, without_trigger, words

NEW_SCENES = {
    "product": ("on a beach at sunset", "on a wooden table, morning light"),
    "character": ("sitting on a park bench", "holding a balloon"),
    "style": ("a lighthouse", "a bicycle"),
}
LONGEST_WORDS = 24  # longer captions make poor prompts: 77 tokens are all that the text encoder reads


def preview_prompts(
    captions: Sequence[str], *, trigger: str, noun: str, intent: Intent, count: int = 4, new_scenes: bool = True
) -> tuple[str, ...]:
    """`count` prompts: a typical caption, then the ones least like those chosen, and last a new scene. new_scenes: False for bases of few words."""
    own = count - (1 if new_scenes else 0)
    prompts = [with_trigger(caption, trigger, noun, intent) for caption in varied(captions, own, trigger=trigger)]
    scenes = [with_trigger(scene, trigger, noun, intent) for scene in NEW_SCENES[intent] if new_scenes or len(prompts) < own]
    named = with_trigger("", trigger, noun, intent)
    return tuple(dict.fromkeys([*prompts, *scenes[: count - len(prompts)], named]))[:count]


def varied(captions: Sequence[str], count: int, *, trigger: str = "") -> list[str]:
    """The most typical caption, then, one by one, the caption whose words lie farthest from all chosen ones. Ties go to the first."""
    pool = [
        text
        for text in dict.fromkeys(without_trigger(caption, trigger).strip() for caption in captions)
        if text and len(words(text)) <= LONGEST_WORDS
    ]
    if not pool:
        return []
    sets = [frozenset(words(text)) for text in pool]
    seen = Counter(word for each in sets for word in each)
    chosen = [max(range(len(pool)), key=lambda index: sum(seen[word] for word in sets[index]) / max(1, len(sets[index])))]
    while len(chosen) < min(count, len(pool)):
        rest = [index for index in range(len(pool)) if index not in chosen]
        chosen.append(max(rest, key=lambda index: min(_distance(sets[index], sets[other]) for other in chosen)))
    return [pool[index] for index in chosen]


def _distance(left: frozenset[str], right: frozenset[str]) -> float:
    """1 - Jaccard's overlap."""
    return 1 - len(left & right) / max(1, len(left | right))
