"""Who writes captions offline: file and folder names, descriptions inside the files, a template, and what the doctor measured.

In: items, and their looks. Out: captions; "" where nothing can be said. Nothing is guessed: a thing's name comes from the user's own words, never from a
model. Captions are proposals (proposals.py). Models that are downloaded stand in hub_captioners.py.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image

from pipelines.errors import DatasetError
from training.captions import decoded
from training.dataset import Item

if TYPE_CHECKING:
    from training.looks import Look

# CIE Lab of named colours, as people name large areas; vivid blue lies far from the others.
COLOURS: tuple[tuple[str, tuple[float, float, float]], ...] = (
    ("white", (98, 0, 0)),
    ("light grey", (80, 0, 0)),
    ("grey", (55, 0, 0)),
    ("dark grey", (30, 0, 0)),
    ("black", (8, 0, 0)),
    ("red", (45, 65, 42)),
    ("orange", (66, 42, 66)),
    ("yellow", (85, 2, 75)),
    ("green", (55, -48, 38)),
    ("light green", (82, -32, 32)),
    ("mint", (88, -24, 6)),
    ("teal", (52, -30, -8)),
    ("light blue", (78, -12, -24)),
    ("blue", (42, 14, -55)),
    ("navy", (18, 10, -30)),
    ("purple", (40, 45, -45)),
    ("lavender", (75, 18, -22)),
    ("pink", (75, 32, 2)),
    ("brown", (38, 18, 28)),
    ("beige", (85, 3, 16)),
    ("cream", (94, 0, 10)),
    ("blue", (32, 79, -108)),
)
SOURCES = ("names", "folders", "embedded", "template", "seen")


class Captioner(Protocol):
    """Writes one caption per picture. needs_hub: something is downloaded first, so the user is asked."""

    name: str
    needs_hub: bool

    def caption(self, items: Sequence[Item]) -> Iterator[str]:
        """Captions in the order of the items, each as soon as it is ready; "" where nothing can be said."""
        ...


def colour_name(lab: tuple[float, float, float]) -> str:
    """The nearest named colour; lightness counts half."""
    return min(COLOURS, key=lambda entry: 0.5 * abs(lab[0] - entry[1][0]) + abs(lab[1] - entry[1][1]) + abs(lab[2] - entry[1][2]))[0]


def background_words(look: Look) -> str:
    """ "on a mint background" where the background is plain, else "in green surroundings"."""
    name = colour_name(look.ground.colour)
    if look.ground.plain < 0.7:
        return f"in {name} surroundings"
    return f"on {'an' if name[0] in 'aeiou' else 'a'} {name} background"


@dataclass(frozen=True)
class Offline:
    """What can be told without any model, best first: an embedded description, a telling file or folder name, the background's colour."""

    looks: Mapping[str, Look]
    name: str = "offline"
    needs_hub: bool = False

    def caption(self, items: Sequence[Item]) -> Iterator[str]:
        """Captions from the first source that says something, with the background's colour."""
        return (self.describe(item) for item in items)

    def describe(self, item: Item) -> str:
        """One caption."""
        first = embedded_description(item) or from_file_name(item.key) or from_folder_name(item.key)
        look = self.looks.get(item.key)
        ground = background_words(look) if look else ""
        return ", ".join(part for part in (first, ground) if part)


@dataclass(frozen=True)
class ByFunction:
    """A captioner from any function of one item: file names, folders, embedded text, templates."""

    name: str
    function: Callable[[Item], str]
    needs_hub: bool = False

    def caption(self, items: Sequence[Item]) -> Iterator[str]:
        """The function's words for each item."""
        return (self.function(item) for item in items)


def offline_captioner(source: str, *, template: str = "", looks: Mapping[str, Look] | None = None) -> ByFunction:
    """The captioner of one of SOURCES. looks: by item key, for "seen". Raises DatasetError for another name and for a template that asks for
    something else than {name}, {folder} and {caption}.
    """
    known = looks or {}
    functions: dict[str, Callable[[Item], str]] = {
        "names": lambda item: from_file_name(item.key),
        "folders": lambda item: from_folder_name(item.key),
        "embedded": embedded_description,
        "template": from_template(template),
        "seen": lambda item: background_words(known[item.key]) if item.key in known else "",
    }
    if source not in functions:
        raise DatasetError(f"Captions cannot come from {source!r}.", fix=f"Choose one of {', '.join(SOURCES)}.")
    return ByFunction(source, functions[source])


def from_file_name(key: str) -> str:
    """A file name as words: "red_bottle-on-snow_03.jpg" -> "red bottle on snow"; "" for camera names such as IMG_2041."""
    return _as_words(PurePosixPath(key).stem)


def from_folder_name(key: str) -> str:
    """The nearest folder's name as words; kohya's repeats are left out."""
    folder = PurePosixPath(key).parent.name
    return _as_words(re.sub(r"^\d+_", "", folder))


_CAMERA = re.compile(
    r"(?i)(img|image|dsc[fn]?|pict?|pxl|photo|screenshot|scan|file|untitled|unnamed|whatsapp|signal|frame|picture|download|copy|final|good)\b"
)


def _as_words(stem: str) -> str:
    """Words of three letters and more; "" if fewer than two such words are left (one, where it is not a camera's)."""
    spaced = re.sub(r"(?<=[a-zà-ÿ])(?=[A-Z])", " ", stem)
    spaced = re.sub(r"[_\-.+()\[\]]+", " ", spaced)
    spaced = re.sub(r"\b\w*\d\w*\b", " ", spaced)
    spaced = _CAMERA.sub(" ", spaced)
    found = spaced.split()
    return " ".join(found) if any(len(word) > 2 or not word.isascii() for word in found) else ""


def from_template(template: str) -> Callable[[Item], str]:
    """A function that fills a template: {name} file words, {folder} folder words, {caption} the present caption. Raises
    DatasetError for other fields.
    """
    fields = {field for _, field, _, _ in string.Formatter().parse(template) if field is not None}
    unknown = fields - {"name", "folder", "caption"}
    if unknown:
        raise DatasetError(f"The template asks for {{{sorted(unknown)[0]}}}.", fix="Use {name}, {folder} and {caption}.")

    def fill(item: Item) -> str:
        text = template.format(name=from_file_name(item.key), folder=from_folder_name(item.key), caption=item.caption)
        return re.sub(r"(\s*,)+", ",", " ".join(text.split())).strip(" ,")

    return fill


def embedded_description(item: Item) -> str:
    """The description inside the file: XMP dc:description, IPTC caption (2:120), or EXIF ImageDescription; "" if none, or if a
    camera wrote it.
    """
    try:
        with Image.open(item.path) as image:
            found = (_xmp_description(image), _iptc_caption(image), _exif_description(image))
    except (OSError, ValueError, SyntaxError):
        return ""
    text = next((" ".join(text.split()) for text in found if text and text.strip()), "")
    return "" if _CAMERA.match(text) or re.fullmatch(r"[A-Z0-9 _\-]+", text) else text


def _xmp_description(image: Image.Image) -> str:
    content = image.info.get("xmp") or b""
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else str(content)
    match = re.search(r"<dc:description>.*?<rdf:li[^>]*>([^<]+)<", text, re.DOTALL)
    return _unescaped(match[1]) if match else ""


def _unescaped(text: str) -> str:
    from html import unescape

    return unescape(text)


def _iptc_caption(image: Any) -> str:
    from PIL import IptcImagePlugin

    records = IptcImagePlugin.getiptcinfo(image) or {}
    value = records.get((2, 120), b"")
    first = value[0] if isinstance(value, list) else value
    return decoded(first) if isinstance(first, bytes) else ""


def _exif_description(image: Image.Image) -> str:
    if image.format == "PNG" and "exif" not in image.info:
        return ""
    value = image.getexif().get(0x010E, "")
    return value if isinstance(value, str) else ""
