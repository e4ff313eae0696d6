"""Checks of captions: missing, identical, too long, in another language, naming what is constant; and of the trigger.

In: a `Scene`. Out: faults whose fixes are new captions. A caption should say what varies from picture to picture; what all pictures
share is learned under the trigger.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from training.captioners import Offline
from training.captions import coverage, phrases, with_trigger, without_words, words
from training.checks.base import Fault, Scene, SetFault
from training.edits import Caption
from training.languages import SMALL_WORDS, language

MAX_TOKENS = 75  # of CLIP's 77, start and end left out
STYLE_WORDS = (
    *(
        "flat style",
        "vector style",
        "vector art",
        "digital art",
        "flat vector",
        "cartoon style",
        "illustration",
        "illustrated",
        "vector",
        "artwork",
    ),
    *(
        "drawing",
        "painting",
        "watercolor",
        "watercolour",
        "cartoon",
        "sketch",
        "render",
        "rendering",
        "clipart",
        "clip art",
        "emoji",
        "art style",
        "style",
    ),
)
CONTEXT_WORDS = frozenset(
    (
        *("background", "light", "lit", "view", "seen", "photo", "picture", "standing", "sitting", "plain"),
        *("white", "black", "red", "green", "blue", "yellow", "orange", "purple", "pink", "grey"),
        *("gray", "brown", "front", "side", "back", "top", "bottom", "table", "studio", "outdoors"),
        *("indoors", "close", "full", "body", "one", "two"),
    )
)
FEWEST = 8


def caption_missing(scene: Scene) -> list[Fault]:
    """No caption; the fix writes what can be told offline."""
    offline = Offline(scene.looks)
    return [Fault(item.key, "no caption", _caption(item.key, offline.describe(item))) for item in scene.items if not item.caption.strip()]


def _caption(key: str, text: str) -> Caption | None:
    return Caption(key, text) if text else None


def caption_identical(scene: Scene) -> list[Fault]:
    """One caption on three or more pictures that differ. The fix adds what can be told apart offline."""
    offline = Offline(scene.looks)
    groups: dict[str, list] = {}
    for item in scene.items:
        if item.caption.strip():
            groups.setdefault(unicodedata.normalize("NFC", item.caption).casefold(), []).append(item)
    faults = []
    for items in groups.values():
        if len({item.content for item in items}) >= 3:
            faults += [
                Fault(item.key, f"same caption as {len(items) - 1} others", _extended(item, offline.describe(item))) for item in items
            ]
    return faults


def _extended(item, more: str) -> Caption | None:
    return Caption(item.key, f"{item.caption}, {more}") if more and more not in item.caption else None


def caption_too_long(scene: Scene) -> list[Fault]:
    """More tokens than the text encoder reads, the trigger included; the fix drops the last parts."""
    faults = []
    for item in scene.items:
        tokens = scene.count_tokens(_spoken(scene, item.caption))
        if tokens > MAX_TOKENS:
            faults.append(Fault(item.key, f"{tokens} tokens", Caption(item.key, _shortened(scene, item.caption))))
    return faults


def _spoken(scene: Scene, caption: str) -> str:
    return with_trigger(caption, scene.trigger, scene.noun, scene.intent)


def _shortened(scene: Scene, caption: str) -> str:
    """The longest beginning that fits, cut at a comma or full stop, else at a word."""
    for pattern in (r"(?<=[,.;])\s+", r"\s+"):
        parts = re.split(pattern, caption)
        fitting = [part for part in range(1, len(parts)) if scene.count_tokens(_spoken(scene, " ".join(parts[:part]))) <= MAX_TOKENS]
        if fitting:
            return " ".join(parts[: fitting[-1]]).rstrip(" ,;")
    return caption[:200]


def caption_language(scene: Scene) -> list[Fault]:
    """Not English, which is what text encoders of these bases read. The fix says in English what can be told offline."""
    offline = Offline(scene.looks)
    found = [(item, language(item.caption)) for item in scene.items if item.caption]
    return [
        Fault(item.key, f"caption in {code}", _caption(item.key, offline.describe(item))) for item, code in found if code not in ("", "en")
    ]


def caption_names_subject(scene: Scene) -> list[Fault]:
    """Names the constant thing (the noun; for a style, the style; what the user called constant): what is named is learned under that name, not under the
    trigger.
    """
    named = [scene.noun] if scene.intent != "style" else list(STYLE_WORDS)
    named = [word for word in (*named, *phrases(scene.dataset.hints.constant)) if word.strip()]
    rest = without_words([item.caption for item in scene.items], named)
    pairs = zip(scene.items, rest, strict=True)
    return [Fault(item.key, "names what is constant", Caption(item.key, text)) for item, text in pairs if text != item.caption]


def trigger_fused(scene: Scene) -> list[Fault]:
    """The trigger runs into another word, so that the text encoder reads neither. The fix sets it free."""
    trigger = scene.trigger.strip()
    if len(trigger) < 4:
        return []
    alone = re.compile(rf"(?<!\w){re.escape(trigger)}(?!\w)", re.IGNORECASE)
    fused = [item for item in scene.items if trigger.casefold() in alone.sub("", item.caption).casefold()]
    return [Fault(item.key, "trigger fused", Caption(item.key, _freed(item.caption, trigger))) for item in fused]


def _freed(caption: str, trigger: str) -> str:
    return " ".join(re.sub(rf"(\w)?({re.escape(trigger)})(\w)?", r"\1 \2 \3", caption, flags=re.IGNORECASE).split())


def trigger_missing(scene: Scene) -> list[SetFault]:
    """Nothing to call it up by, or a trigger that is the noun itself."""
    if not scene.trigger.strip():
        return [SetFault(1.0, "There is no trigger: choose a rare word that calls it up, such as fjordbottle.")]
    if scene.trigger.strip().casefold() == scene.noun.strip().casefold():
        return [
            SetFault(0.7, f"The trigger is the ordinary word {scene.noun!r}: every {scene.noun} would become yours. Choose a rare word.")
        ]
    return []


def constant_word(scene: Scene) -> list[SetFault]:
    """A word in nearly every caption that says nothing about the view: it will compete with the trigger."""
    captions = [item.caption for item in scene.items]
    constant = constant_words(captions, trigger=scene.trigger, noun=scene.noun)
    if not constant:
        return []
    pairs = zip(scene.items, without_words(captions, constant), strict=True)
    fixes = tuple(Caption(item.key, text) for item, text in pairs if text != item.caption)
    sentence = f"Nearly every caption says {', '.join(constant[:4])}: leave it to the trigger."
    return [SetFault(1.0, sentence, tuple(fix.key for fix in fixes), fixes)]


def constant_words(captions: Sequence[str], *, trigger: str, noun: str) -> list[str]:
    """Words of at least 3 letters in 95 % of eight or more captions that are neither the trigger's nor tell a view, a place or a colour."""
    if len(captions) < FEWEST:
        return []
    usual = set(SMALL_WORDS["en"].split()) | CONTEXT_WORDS | set(words(trigger)) | set(words(noun))
    return [word for word, count in coverage(captions).items() if count >= 0.95 * len(captions) and word not in usual and len(word) > 2]
