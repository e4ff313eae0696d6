"""Which language a caption is written in, from its letters and its small words.

In: a caption. Out: a language code, or "" where nothing can be said (too short, only names). Knows the scripts of the world roughly
and small words of six languages in Latin letters; good enough to notice that a caption is not English, which is all that is asked.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

SMALL_WORDS = {
    "en": "the a an of and on in with from at by is are its over under near behind beside above below into to it for seen view left right",
    "de": "der die das ein eine einen einem einer und auf mit von aus im am dem den des ist sind über unter neben vor hinter nicht zum zur",
    "fr": "le la les un une des et sur avec de du dans au aux est sont sous devant derrière près par pour une vue",
    "es": "el la los las un una unos y en con de del sobre bajo desde junto por para es son muy delante detrás al",
    "it": "il lo la gli le un una e su con di del della nel nella sopra sotto da per è sono vista al",
    "nl": "de het een en op met van uit in aan onder boven naast voor achter is zijn bij naar",
    "pt": "o a os as um uma e em com de do da no na sobre sob para por é são ao visto",
}
_SETS = {code: frozenset(text.split()) for code, text in SMALL_WORDS.items()}
_SCRIPTS = (
    ("HIRAGANA", "ja"),
    ("KATAKANA", "ja"),
    ("HANGUL", "ko"),
    ("CJK", "zh"),
    ("CYRILLIC", "ru"),
    ("ARABIC", "ar"),
    ("HEBREW", "he"),
    ("THAI", "th"),
    ("DEVANAGARI", "hi"),
    ("GREEK", "el"),
)


def language(text: str) -> str:
    """ISO 639-1 code of the most likely language; "" where it cannot be told."""
    script = _script(text)
    if script:
        return script
    found = re.findall(r"[^\W\d_]+", unicodedata.normalize("NFC", text).casefold())
    scores = Counter({code: sum(word in small for word in found) for code, small in _SETS.items()})
    best, hits = scores.most_common(1)[0]
    if hits == 0 or (best != "en" and hits - scores["en"] < 2):
        return "en" if scores["en"] else ""
    return best


def _script(text: str) -> str:
    """The language of a script other than Latin that makes up a third of the letters; "" for Latin and for emoji."""
    letters = [letter for letter in text if letter.isalpha()]
    counts = Counter(code for letter in letters for code in [_code(letter)] if code)
    if not counts or sum(counts.values()) < max(1, len(letters) / 3):
        return ""
    return "ja" if counts["ja"] else counts.most_common(1)[0][0]


def _code(letter: str) -> str:
    name = unicodedata.name(letter, "") if ord(letter) > 0x24F else ""
    return next((code for start, code in _SCRIPTS if name.startswith(start)), "")
