"""Who writes captions: offline from names, embedded descriptions and colours; from a hub by a vision-language model, when the user
says yes.

In: items (and pictures). Out: captions. The offline members need nothing; those of a hub are loaded at their first picture.
Captions are proposals: the page turns the ones that the user takes into edits.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Protocol

from PIL import Image

from pipelines.errors import DatasetError
from training.captions import decoded
from training.dataset import Item
from training.images import open_item
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


class HubCaptioner:
    """A vision-language model from a hub. Loaded at the first picture; raises DatasetError with the way out where it cannot be had."""

    needs_hub = True

    def __init__(self, name: str, *, device: str = "cpu") -> None:
        """name: one of HUB_MODELS."""
        self.name = name
        self._device = device
        self._model = HUB_MODELS[name]

    def caption(self, items: Sequence[Item]) -> Iterator[str]:
        """Captions by the model, one picture at a time."""
        if not items:
            return
        say = _loaded(self.name, self._model, self._device)
        for item in items:
            yield " ".join(say(open_item(item, at_least_px=1024)).split())


@dataclass(frozen=True)
class HubModel:
    """One line of the table of hub captioners. prompt: what the model is asked; only what varies is wanted."""

    id: str
    kind: str  # "florence": task prompts; "chat": a conversation with a picture; "tags": a tagger
    prompt: str
    licence: str


_ASK = (
    "Describe this picture for training an image generator in one line of at most 40 words. Say what varies: view, pose, place, background, light. "
    "Do not name the main object's kind, brand or style. No introduction."
)
HUB_MODELS: dict[str, HubModel] = {
    "florence-2": HubModel("florence-community/Florence-2-base-ft", "florence", "<DETAILED_CAPTION>", "MIT"),
    "qwen3-vl": HubModel("Qwen/Qwen3-VL-4B-Instruct", "chat", _ASK, "Apache-2.0"),
    "joycaption": HubModel("fancyfeast/llama-joycaption-beta-one-hf-llava", "chat", _ASK, "Llama 3.1 Community"),
    "wd14": HubModel("SmilingWolf/wd-vit-tagger-v3", "tags", "0.35", "Apache-2.0"),
}


def _loaded(name: str, model: HubModel, device: str) -> Callable[[Image.Image], str]:
    """The model as a function picture -> words."""
    try:
        if model.kind == "tags":
            from training.tagger import load_tagger

            return load_tagger(model.id, threshold=float(model.prompt))
        return _vision_language(model, device)
    except (OSError, ImportError, ValueError) as error:
        message = f"{name} ({model.id}) cannot be loaded: {str(error).splitlines()[0] if str(error) else type(error).__name__}."
        raise DatasetError(message, fix="Connect to the hub once so that it can be downloaded, or use the offline captions.") from error


def _vision_language(model: HubModel, device: str) -> Callable[[Image.Image], str]:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor, Florence2ForConditionalGeneration

    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    processor = AutoProcessor.from_pretrained(model.id)
    kind = Florence2ForConditionalGeneration if model.kind == "florence" else AutoModelForImageTextToText
    network = kind.from_pretrained(model.id, dtype=dtype).to(device).eval()

    def say(picture: Image.Image) -> str:
        if model.kind == "florence":
            inputs = processor(text=model.prompt, images=picture, return_tensors="pt")
        else:
            turn = [{"role": "user", "content": [{"type": "image", "image": picture}, {"type": "text", "text": model.prompt}]}]
            inputs = processor.apply_chat_template(turn, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt")
        inputs = inputs.to(device, dtype)
        with torch.inference_mode():
            tokens = network.generate(**inputs, max_new_tokens=120, do_sample=False)
        if model.kind == "florence":
            text = processor.batch_decode(tokens, skip_special_tokens=False)[0]
            return str(processor.post_process_generation(text, task=model.prompt, image_size=picture.size)[model.prompt])
        return str(processor.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)[0])

    return say
