"""Put scenes into words, and choose which concepts the starter is taught first.

In: `Scene`s and `Concept`s. Out: captions, several wordings of the same picture, in plain lower-case English.
It draws nothing; the order of words is the same in training and evaluation.
"""

from __future__ import annotations

import numpy as np

from training.starter.compose import DEFAULT_BACKGROUND, Scene
from training.starter.data import Concept

# style column -> the two wordings: before the thing ("a 3d render of a red apple") and in a list ("3d render, red apple").
STYLE_WORDS = (("a 3d render of", "3d render"), ("a flat design of", "flat design"), ("a cartoon drawing of", "cartoon drawing"))
EMPTY_CAPTION = ""

# Subgroups of emojibase whose members look like one clear thing each.
FIRST_SUBGROUPS = (
    "animal-mammal", "animal-bird", "animal-amphibian", "animal-reptile", "animal-marine", "animal-bug", "plant-flower", "plant-other", "food-fruit",
    "food-vegetable", "food-prepared", "food-asian", "food-sweet", "drink", "dishware", "transport-ground", "transport-water", "transport-air", "sport",
    "clothing", "musical-instrument", "tool", "household", "light-video", "music", "science", "writing",
)  # fmt: skip
# Members of other subgroups that are clear things all the same.
FIRST_EXTRAS = frozenset(
    part.strip()
    for part in """house|castle|tent|mountain|volcano|desert island|church|sun|star|cloud|rainbow|snowman|fire|umbrella|crescent moon|ringed planet|
    balloon|wrapped gift|christmas tree|jack-o-lantern|trophy|crystal ball|teddy bear|puzzle piece|game die|kite|yo-yo|joystick|
    video game|robot|ghost|alien|skull|red heart|smiling face with sunglasses|clown face|luggage|alarm clock|hourglass done|laptop|
    television|mobile phone|telephone|printer|battery|briefcase|scissors|pushpin|key|locked|envelope|package|money bag|books|notebook|
    bell|megaphone|gem stone|bullseye|artist palette|yarn|magic wand|water pistol|slot machine|ferris wheel|barber pole|moai|
    globe showing americas|snowflake|pill|syringe|stethoscope|droplet|high voltage|party popper""".split("|")
)
# Near-identical to another member, or no clear picture at small size.
LEFT_OUT = frozenset(
    part.strip()
    for part in """monkey face|dog face|guide dog|service dog|cat face|black cat|tiger face|horse face|cow face|pig face|mouse face|rabbit face|
    dragon face|pig nose|paw prints|ox|water buffalo|ewe|two-hump camel|rat|hatching chick|front-facing baby chick|dodo|feather|wing|
    black bird|goose|moose|bison|spouting whale|dolphin|oyster|cricket|cockroach|mosquito|fly|microbe|spider web|rosette|
    wilted flower|blossom|herb|shamrock|leaf fluttering in wind|empty nest|sheaf of rice|tangerine|flatbread|tamale|stuffed flatbread|
    falafel|cut of meat|cooked rice|rice cracker|shallow pan of food|oden|moon cake|curry rice|shaved ice|custard|
    teacup without handle|clinking beer mugs|clinking glasses|pouring liquid|mate|fork and knife|roasted sweet potato|salt|beans|
    ginger root|olive|railway car|high-speed train|bullet train|train|metro|light rail|station|tram|mountain railway|tram car|
    oncoming bus|trolleybus|minibus|oncoming police car|oncoming taxi|oncoming automobile|sport utility vehicle|motorized wheelchair|
    bus stop|motorway|railway track|police car light|horizontal traffic light|construction|seat|suspension railway|mountain cableway|
    aerial tramway|airplane departure|airplane arrival|small airplane|ferry|motor boat|ship|canoe|softball|rugby football|
    cricket game|field hockey|lacrosse|martial arts uniform|running shirt|skis|goal net|diving mask|badminton|lab coat|sari|
    one-piece swimsuit|briefs|woman’s clothes|folding hand fan|clutch bag|flat shoe|woman’s sandal|woman’s boot|hair pick|
    military helmet|prayer beads|safety vest|coat|hammer and pick|hammer and wrench|pick|crossed swords|link|chains|hook|white cane|
    clamp|nut and bolt|elevator|mouse trap|razor|safety pin|bubbles|shower|window|mirror|film frames|camera with flash|videocassette|
    magnifying glass tilted right|diya lamp|film projector|musical score|musical notes|level slider|control knobs|studio microphone|
    long drum|flute|petri dish|alembic|satellite antenna|memo|black nib|pen|bikini|ballet shoes|plunger|roll of paper|sponge|soap|
    boomerang""".split("|")
)


def choose_concepts(concepts: list[Concept]) -> np.ndarray:
    """Rows of the concepts taught first, int64: clear animals, plants, food, vehicles and everyday things."""
    return np.array(
        [
            row
            for row, concept in enumerate(concepts)
            if (concept.subgroup in FIRST_SUBGROUPS and concept.label not in LEFT_OUT)
            or (concept.label in FIRST_EXTRAS and concept.group != 1)
        ]
    )


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


def write_caption(rng: np.random.Generator, scene: Scene, concepts: list[Concept]) -> str:
    """One caption. A plain white background is named half of the time, every other background always."""
    names = [name_of(concepts[row]) for row in scene.things]
    if rng.random() < 0.35:
        names = [ALIASES.get(name, name) for name in names]
    before, listed = STYLE_WORDS[scene.style]
    names_background = scene.background != DEFAULT_BACKGROUND or rng.random() < 0.5
    if rng.random() < 0.6:
        things = " and ".join(with_article(name) for name in names)
        return f"{before} {things}" + (f" on a {background_words(scene)}" if names_background else "")
    return ", ".join([listed, " and ".join(names), *([background_words(scene)] if names_background else [])])
