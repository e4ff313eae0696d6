"""What varies from picture to picture, and which captions say nothing about it.

In: captions in English. Out: for an aspect (view, place, light, ...) the captions without any of its words. A list of usual words, not an understanding of
sentences: captions in other languages are passed over instead of being called silent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipelines.card import Intent
from training.captions import words
from training.languages import language

_COLOURS = "white black grey gray red green blue yellow orange purple pink brown beige cream mint teal navy lavender silver gold"
ASPECTS: dict[str, str] = {
    "view": "view seen above below front side back behind close-up closeup close up distance far eye level angle left right turned top down macro portrait profile "
    "three-quarter overhead centred centered",
    "place": "on in at beside near under inside outside outdoors indoors table desk shelf street room kitchen office beach forest garden park city snow sand grass "
    "water rock stone wood wooden marble concrete podium studio field mountain sky floor wall",
    "light": "light lit lighting shadow shadows sun sunlight sunny bright dark dim night day evening morning sunset backlit soft hard warm cool neon candle flash",
    "pose": "standing lying sitting leaning tilted walking running jumping dancing holding waving pointing floating flying hanging upright open closed arms hands "
    "crossed kneeling sleeping stacked",
    "background": f"background backdrop surroundings scenery gradient plain blurred {_COLOURS}",
    "mood": "happy sad angry surprised curious laughing smiling smile tired calm serious excited scared proud sleepy shy",
    "colours": f"{_COLOURS} colourful colorful monochrome pastel",
}
OFFERED: dict[Intent, tuple[str, ...]] = {
    "product": ("view", "place", "light", "pose", "background"),
    "character": ("view", "place", "light", "pose", "mood", "background"),
    "style": ("view", "place", "colours", "background"),
}
_WORDS = {aspect: frozenset(text.split()) for aspect, text in ASPECTS.items()}


def silent(captions: Sequence[str], aspect: str) -> tuple[int, ...]:
    """Places in `captions` of those that say nothing about the aspect. Empty captions are; such in another language than English are not."""
    known = _WORDS[aspect]
    return tuple(place for place, caption in enumerate(captions) if language(caption) in ("", "en") and not _says(caption, known))


def _says(caption: str, known: frozenset[str]) -> bool:
    return any(word in known or any(part in known for part in re.split(r"[-'’]", word)) for word in words(caption))
