"""Put scenes into words, and choose which concepts the starter is taught first.

In: `Scene`s and `Concept`s. Out: captions, several wordings of the same picture, in plain lower-case English.
It draws nothing; the order of words is the same in training and evaluation.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.starter.compose import DEFAULT_BACKGROUND, Scene
from training.starter.data import Concept

# style column -> the two wordings: before the thing ("a 3d render of a red apple") and in a list ("3d render, red apple").
STYLE_WORDS = (("a 3d render of", "3d render"), ("a flat design of", "flat design"), ("a cartoon drawing of", "cartoon drawing"))
EMPTY_CAPTION = ""
UNSTYLED_SHARE = 0.2  # of captions name no style: prompts of people who name none, and captions of a style lesson, must lie on the map
# So many captions carry a made-up word, placed as a trigger is (captions.with_trigger). A base that never met one forgot the thing beside it: with
# ", twemo style" behind the prompt the right concept fell from 66 to 11 % of the first five, before any lesson.
MADE_UP_SHARE = 0.4

# Labels of emojibase, one a line: clear animals, plants, food, vehicles and everyday things that look like nothing else in the list. No people, gestures,
# symbols or clocks. Widen it when there is more training time.
FIRST_CONCEPTS = Path(__file__).with_name("first_concepts.txt")


def choose_concepts(concepts: list[Concept], *, names: Path = FIRST_CONCEPTS) -> np.ndarray:
    """Rows of the concepts that the denoiser is taught first, int64."""
    wanted = set(names.read_text(encoding="utf-8").splitlines())
    return np.array([row for row, concept in enumerate(concepts) if concept.label in wanted], np.int64)


def name_of(concept: Concept) -> str:
    """The label without emoji jargon: 'magnifying glass tilted left' -> 'magnifying glass'."""
    label = concept.label.replace("’", "'")
    for jargon in (" tilted left", " done", " with cover", " showing americas", " with peel"):
        label = label.replace(jargon, "")
    return label


# What people say instead of emojibase's label. Its tags are too loose to serve ("safari" for lion, "stubborn" for donkey).
ALIASES = {
    "hot beverage": "cup of coffee", "automobile": "car", "hamburger": "burger", "doughnut": "donut", "red heart": "heart", "locked": "padlock",
    "tennis": "tennis ball", "ping pong": "ping pong paddle", "cooking": "frying pan", "high voltage": "lightning bolt", "headphone": "headphones",
    "red apple": "apple", "lady beetle": "ladybug", "honeybee": "bee", "t-rex": "dinosaur", "birthday cake": "cake", "evergreen tree": "pine tree",
    "deciduous tree": "tree", "ear of corn": "corn", "leafy green": "lettuce", "hot pepper": "chili pepper", "poultry leg": "chicken leg",
    "glass of milk": "milk", "wrapped gift": "gift", "speedboat": "boat", "passenger ship": "ship", "articulated lorry": "truck",
    "motor scooter": "scooter", "carpentry saw": "saw", "kitchen knife": "knife", "thong sandal": "sandal", "billed cap": "cap", "man's shoe": "shoe",
    "gem stone": "diamond", "mobile phone": "smartphone", "beer mug": "beer", "red paper lantern": "lantern", "couch and lamp": "couch",
    "bow and arrow": "bow", "spiral shell": "shell", "woman's hat": "hat", "musical keyboard": "piano", "baguette bread": "baguette",
    "steaming bowl": "noodle soup", "green salad": "salad", "cocktail glass": "cocktail", "flying saucer": "ufo", "baby chick": "chick",
    "rescue worker's helmet": "helmet", "four leaf clover": "clover", "lotion bottle": "bottle", "luggage": "suitcase", "pushpin": "pin",
    "jack-o-lantern": "pumpkin", "smiling face with sunglasses": "smiley with sunglasses", "television": "tv", "american football": "football",
    "kiwi fruit": "kiwi", "cheese wedge": "cheese", "ice hockey": "hockey stick", "bowling": "bowling ball", "fire engine": "fire truck",
}  # fmt: skip


def with_article(name: str) -> str:
    """'red apple' -> 'a red apple'; plural and uncountable names stay bare."""
    if name.endswith("s") and not name.endswith(("ss", "us", "s head")):
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def background_words(scene: Scene) -> str:
    return f"{scene.background} gradient background" if scene.fill == "gradient" else f"{scene.background} background"


def made_up_word(rng: np.random.Generator) -> str:
    """Two to four syllables that mean nothing: 'twemo', 'zalbirun'."""
    syllables = ("".join(str(rng.choice(list(part))) for part in ("bcdfghjklmnprstvwz", "aeiou")) for _ in range(rng.integers(2, 5)))
    return "".join(syllable + (str(rng.choice(list("lmnrst"))) if rng.random() < 0.3 else "") for syllable in syllables)


def with_made_up_word(rng: np.random.Generator, caption: str, name: str) -> str:
    """The caption with a word that says nothing of the picture: as a style's trigger behind it, or as a subject's before its class word."""
    word = made_up_word(rng)
    if rng.random() < 0.6:
        return f"{caption}, {word} style"
    return f"{word} {name}, {caption}" if rng.random() < 0.5 else caption.replace(name, f"{word} {name}", 1)


def write_caption(rng: np.random.Generator, scene: Scene, concepts: list[Concept]) -> str:
    """One caption, now and then with a made-up word in it."""
    caption, name = _plain_caption(rng, scene, concepts)
    return with_made_up_word(rng, caption, name) if rng.random() < MADE_UP_SHARE else caption


def _plain_caption(rng: np.random.Generator, scene: Scene, concepts: list[Concept]) -> tuple[str, str]:
    """(caption, name of the first thing). The style goes unsaid now and then, a white background half of the time; every other is always named."""
    names = [name_of(concepts[row]) for row in scene.things]
    if rng.random() < 0.35:
        names = [ALIASES.get(name, name) for name in names]
    before, listed = STYLE_WORDS[scene.style] if rng.random() >= UNSTYLED_SHARE else ("", "")
    names_background = scene.background != DEFAULT_BACKGROUND or rng.random() < 0.5
    if rng.random() < 0.6:
        things = " and ".join(with_article(name) for name in names)
        caption = f"{before} {things}".strip() + (f" on a {background_words(scene)}" if names_background else "")
    else:
        said = (listed, " and ".join(names), background_words(scene) if names_background else "")
        caption = ", ".join(part for part in said if part)
    return caption, names[0]
