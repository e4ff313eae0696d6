"""What is said about pictures: sidecar files, the trigger, and edits of many captions at once.

In: captions as text. Out: captions as text; every bulk edit is a pure function list -> list. Unicode stays as it was written:
normal forms (NFC) are used to compare, never to store. Does not judge captions (checks/) and does not write them (captioners.py, hub_captioners.py).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pipelines.atomic import write_atomically
from pipelines.card import Intent

SIDECARS = (".txt", ".caption")
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")


def with_trigger(caption: str, trigger: str, noun: str, intent: Intent) -> str:
    """The caption as the trainer says it: the trigger phrase exactly once, as words of their own.

    Product and character: "fjordbottle bottle, seen from above". Style: "a red apple, twemo style".
    A trigger that already stands in the caption is kept where it is, further ones are removed, and a fused one
    ("fjordbottleseen") is set free.
    """
    trigger, noun = _tidy(trigger), _tidy(noun)
    caption = _tidy(caption)
    if not trigger:
        return caption
    caption = _unfused(caption, trigger)
    if _find(caption, trigger):
        return _once(caption, trigger)
    phrase = trigger if not noun or _find(trigger, noun) else f"{trigger} {noun}"
    if not caption:
        return phrase
    return f"{caption}, {phrase}" if intent == "style" else f"{phrase}, {caption}"


def without_trigger(caption: str, trigger: str) -> str:
    """The caption with every trigger taken out, and the commas it leaves tidied."""
    trigger = _tidy(trigger)
    return _tidy_commas(_pattern(trigger).sub(" ", caption)) if trigger else caption


def _find(text: str, word: str) -> re.Match[str] | None:
    return _pattern(word).search(text)


def _pattern(word: str) -> re.Pattern[str]:
    """The word standing alone, in any letter case and normal form. Chinese, Japanese and Thai have no spaces: no word edges."""
    forms = "|".join(sorted({re.escape(form) for form in (word, _nfc(word), unicodedata.normalize("NFD", word))}))
    before = r"(?<!\w)" if _has_edges(word[:1]) else ""
    after = r"(?!\w)" if _has_edges(word[-1:]) else ""
    return re.compile(f"{before}(?:{forms}){after}", re.IGNORECASE)


def _has_edges(letter: str) -> bool:
    """True for letters of scripts that put spaces between words."""
    is_spaceless = "\u0e00" <= letter <= "\u0eff" or "\u3040" <= letter <= "\u30ff" or "\u3400" <= letter <= "\u9fff"
    return letter.isalnum() and not is_spaceless


def _unfused(caption: str, trigger: str) -> str:
    """Sets a trigger free that runs into the next word. Only for triggers of 4 letters or more: shorter ones stand in ordinary words."""
    if len(trigger) < 4 or _find(caption, trigger):
        return caption
    parts = re.split(f"({re.escape(trigger)})", caption, maxsplit=1, flags=re.IGNORECASE)
    return _tidy(" ".join(parts)) if len(parts) == 3 else caption


def _once(caption: str, trigger: str) -> str:
    first = _find(caption, trigger)
    if first is None:
        return caption
    head, tail = caption[: first.end()], caption[first.end() :]
    return _tidy_commas(head + _pattern(trigger).sub(" ", tail)) if _find(tail, trigger) else caption


def _tidy(text: str) -> str:
    return " ".join(text.split()).strip(" ,")


def _tidy_commas(text: str) -> str:
    return _tidy(re.sub(r"(\s*,)+", ",", " ".join(text.split())))


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def mended(text: str) -> str:
    """The text with half letters (lone surrogates, as a cut emoji leaves them in JSON) made "�": no file or page can hold one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def decoded(content: bytes) -> str:
    """The text of a file: UTF-8, UTF-16 with a byte order mark, else Windows Latin; never an error."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def read_caption(path: Path) -> str:
    """A sidecar's caption on one line."""
    return " ".join(decoded(path.read_bytes()).replace("\x00", " ").split())


def write_caption(path: Path, caption: str) -> None:
    """Writes a sidecar in one step: a reader sees the old text or the new, never half of it."""
    write_atomically(path, (caption + "\n").encode("utf-8"))


def replaced(captions: Sequence[str], find: str, replacement: str, *, whole_words: bool = True) -> list[str]:
    """Find and replace, in any letter case and either normal form. whole_words: "cat" leaves "catalogue" alone."""
    if not find.strip():
        return list(captions)
    pattern = _pattern(find) if whole_words else re.compile(re.escape(find), re.IGNORECASE)
    return [pattern.sub(lambda _: replacement, caption) for caption in captions]


def prefixed(captions: Sequence[str], prefix: str) -> list[str]:
    """Puts words before every caption that does not begin with them already."""
    start = _nfc(prefix).casefold()
    return [caption if _nfc(caption).casefold().startswith(start) else _joined(prefix, caption) for caption in captions]


def suffixed(captions: Sequence[str], suffix: str) -> list[str]:
    """Puts words behind every caption that does not end with them already."""
    end = _nfc(suffix).casefold()
    return [caption if _nfc(caption).casefold().endswith(end) else _joined(caption, suffix) for caption in captions]


def _joined(first: str, second: str) -> str:
    return ", ".join(part for part in (_tidy(first), _tidy(second)) if part)


def without_word(captions: Sequence[str], word: str) -> list[str]:
    """Takes a word or phrase out of every caption, with the commas that it leaves."""
    if not word.strip():
        return list(captions)
    return [_tidy_commas(_pattern(word.strip()).sub(" ", caption)) if _find(caption, word.strip()) else caption for caption in captions]


def words(caption: str) -> tuple[str, ...]:
    """The words of a caption, lower case, NFC; in scripts without spaces a run of letters counts as one word."""
    return tuple(match.casefold() for match in _WORD.findall(_nfc(caption)))


def coverage(captions: Sequence[str]) -> dict[str, int]:
    """In how many captions each word stands, the most frequent first."""
    return dict(Counter(word for caption in captions for word in sorted(set(words(caption)))).most_common())


def phrases(text: str) -> tuple[str, ...]:
    """The words or phrases of a list that a user typed, "orange cap, steel" -> ("orange cap", "steel"); commas of other scripts and semicolons part too."""
    return tuple(dict.fromkeys(part for part in (_tidy(part) for part in re.split(r"[,;\n，、،]", text)) if part))


def without_words(captions: Sequence[str], taken: Sequence[str]) -> list[str]:
    """Takes several words or phrases out of every caption, with the articles and prepositions that they leave hanging: "with an orange cap, on ice" -> "on ice"."""
    longest_first = sorted(filter(None, (word.strip() for word in taken)), key=len, reverse=True)
    if not longest_first:
        return list(captions)
    word = f"(?:{'|'.join(_pattern(word).pattern for word in longest_first)})"
    hanging = r"(?<![\w'’-])(?:a|an|the|in|of|with|and)\s+"
    gone = re.compile(rf"(?:(?:{hanging}){{0,2}}{word}\s*)+(?=,|$)|{word}", re.IGNORECASE)
    return [_tidy_commas(gone.sub(" ", caption)) if gone.search(caption) else caption for caption in captions]
