"""Saves a picture so that people and machines can tell how it was made; and reads that back from any picture.

In: a `Drawn` picture, the adapters' cards and hashes. Out: a PNG, JPEG or WebP with the prompt and settings as A1111 writes them, XMP that says "made by a trained
model" (IPTC's DigitalSourceType), an invisible mark (watermark.py) and, with credentials, a C2PA signature (credentials.py). `read_provenance` finds each of the four.
Draws nothing and does not judge whether the law is met.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipelines.atomic import write_atomically
from pipelines.card import Card
from pipelines.credentials import Credentials, sign, verify
from pipelines.errors import DatasetError, ExportError
from pipelines.watermark import carries_mark, is_available, with_mark

if TYPE_CHECKING:
    from pipelines.generation import Drawn

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
SAMPLERS = {"ddim": "DDIM", "euler": "Euler", "euler_a": "Euler a", "dpm++": "DPM++ 2M", "unipc": "UniPC"}  # A1111's names
EXIF_IFD, USER_COMMENT, UNICODE = 0x8769, 0x9286, b"UNICODE\0"
JPEG_BYTES = 65_000  # what a JPEG holds of EXIF, and of XMP: a segment's 65,533 less what frames them
DESCRIPTION_LETTERS = 10_000  # each takes up to six bytes in XMP
_NO_XML = re.compile(
    "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)  # XML 1.0, 2.2: every other character is forbidden, escaped too
_FIELD = re.compile(r'\s*([\w /]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


@dataclass(frozen=True)
class Provenance:
    """What a picture says about itself. has_invisible_mark: None where the reader is not installed or the picture is too small; credentials: see credentials.verify."""

    prompt: str
    negative_prompt: str
    settings: Mapping[str, str]
    digital_source_type: str
    has_invisible_mark: bool | None
    credentials: str | None

    @property
    def says_generated(self) -> bool:
        """True when any layer says that a trained model made the picture."""
        return self.digital_source_type == TRAINED or bool(self.has_invisible_mark) or self.credentials in ("Valid", "Trusted")


def save_picture(
    drawn: Drawn,
    path: Path,
    *,
    base: str = "",
    cards: Mapping[str, Card] | None = None,
    hashes: Mapping[str, str] | None = None,
    mark: bool = True,
    credentials: Credentials | None = None,
) -> Path:
    """Write the picture at path, whole or not at all, and return path. The suffix decides: .png, .jpg, .jpeg or .webp.

    base: the base's name, no path. cards and hashes (12 hex digits of the exported file): by the adapter's name. mark: XMP and, where the extra
    `provenance` is installed, the invisible mark; credentials: sign with C2PA as well. Raises ExportError.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ExportError(f"{path.name} cannot carry provenance: {path.suffix or 'no suffix'}.", fix=f"Use one of {', '.join(FORMATS)}.")
    image = with_mark(drawn.image) if mark and is_available(drawn.image) else drawn.image
    text = parameters_text(drawn, base=base, cards=cards or {}, hashes=hashes or {})
    content = _encoded(image, kind, text=text, xmp=xmp_packet(drawn.prompt) if mark else None)
    if credentials is not None:
        content = sign(content, f"image/{kind.lower()}", credentials=credentials, title=path.name)
    write_atomically(path, content)
    return path


def read_provenance(path: Path, *, trust_anchors: str = "") -> Provenance:
    """What the picture at path says about itself, each layer on its own. trust_anchors: PEM certificates of those you trust. Raises DatasetError."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            text, xmp, kind = _text_of(image), image.info.get("xmp", b""), image.format or ""
            has_mark = carries_mark(image) if is_available(image) else None
    except Image.DecompressionBombError as error:
        raise DatasetError(f"{path.name} is too large: {error}", fix="Give a smaller picture; none of ours comes near.") from error
    except (
        OSError,
        ValueError,
        SyntaxError,
        struct.error,
        EOFError,
        IndexError,
        TypeError,
        KeyError,
    ) as error:  # Pillow's for damaged files
        raise DatasetError(f"{path.name} cannot be read as a picture: {error}.", fix="Use a PNG, JPEG or WebP file.") from error
    prompt, negative, settings = parse_parameters(text)
    signed = verify(content, f"image/{kind.lower()}", trust_anchors=trust_anchors) if kind in FORMATS.values() else None
    return Provenance(prompt, negative, settings, source_type_of(xmp), has_mark, signed)


def parameters_text(
    drawn: Drawn, *, base: str = "", cards: Mapping[str, Card] | None = None, hashes: Mapping[str, str] | None = None
) -> str:
    """Prompt, negative prompt and settings as A1111 writes and reads them; the adapters stand in the prompt as <lora:name:strength>."""
    settings = drawn.settings
    names = {name: _plain((cards or {}).get(name, Card(name=name)).name) for name, strength in drawn.strengths.items() if strength}
    prompt = " ".join([drawn.prompt, *(f"<lora:{shown}:{drawn.strengths[name]:g}>" for name, shown in names.items())]).strip()
    pairs = {
        "Steps": settings.steps,
        "Sampler": SAMPLERS[settings.scheduler],
        "CFG scale": f"{settings.guidance:g}",
        "Seed": drawn.seed,
        "Size": f"{drawn.image.width}x{drawn.image.height}",
        "Model": _plain(base),
        "Lora hashes": _quoted(", ".join(f"{names[name]}: {value}" for name, value in (hashes or {}).items() if name in names)),
        "Version": "Brandprint",
    }
    last = ", ".join(f"{key}: {value}" for key, value in pairs.items() if value != "")
    negative = [f"Negative prompt: {settings.negative_prompt}"] if settings.negative_prompt else []
    return "\n".join([prompt, *negative, last])


def parse_parameters(text: str) -> tuple[str, str, dict[str, str]]:
    """Prompt, negative prompt and settings from an A1111 text; empty where there is none."""
    lines = text.strip().split("\n")
    settings = {key.strip(): _unquoted(value) for key, value in _FIELD.findall(lines[-1])}
    if "Steps" not in settings:
        settings = {}
    else:
        lines = lines[:-1]
    whole = "\n".join(lines)
    prompt, _, negative = (
        whole.partition("\nNegative prompt: ") if not whole.startswith("Negative prompt: ") else ("", "", whole[len("Negative prompt: ") :])
    )
    return prompt.strip(), negative.strip(), settings


def xmp_packet(description: str = "") -> bytes:
    """XMP that says: made by a trained model. The property is IPTC's (Photo Metadata Standard 2023.1, Digital Source Type).

    description: without characters that XML forbids, and cut to what fits into a JPEG.
    """
    told = escape(_NO_XML.sub("", description)[:DESCRIPTION_LETTERS])
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f' Iptc4xmpExt:DigitalSourceType="{TRAINED}" xmp:CreatorTool="Brandprint"><dc:description><rdf:Alt><rdf:li xml:lang="x-default">{told}'
        '</rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def source_type_of(xmp: bytes | str) -> str:
    """The DigitalSourceType in an XMP packet, as attribute or element; empty where there is none. Only looks, expands no entity."""
    text = xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else xmp
    found = re.search(r"""DigitalSourceType\s*(?:=\s*["']|>\s*)([^"'<\s]+)""", text)
    return found.group(1) if found else ""


def _encoded(image: Image.Image, kind: str, *, text: str, xmp: bytes | None) -> bytes:
    target = io.BytesIO()
    if kind == "PNG":
        notes = PngInfo()
        notes.add_text("parameters", text)
        if xmp is not None:
            notes.add_itxt("XML:com.adobe.xmp", xmp.decode())
        image.save(target, "PNG", pnginfo=notes)
    else:
        exif = Image.Exif()
        exif.get_ifd(EXIF_IFD)[USER_COMMENT] = UNICODE + (_cut(text) if kind == "JPEG" else text).encode("utf-16-be")
        image.save(target, kind, quality=95, exif=exif, **({} if xmp is None else {"xmp": xmp}))
    return target.getvalue()


def _cut(text: str) -> str:
    """The last line, which holds the settings, and as much of the prompts before it as fits into a JPEG."""
    prompts, _, settings = text.rpartition("\n")
    room = max(0, JPEG_BYTES - len(settings.encode("utf-16-be")))
    return prompts.encode("utf-16-be")[:room].decode("utf-16-be", "ignore") + "\n" + settings


def _text_of(image: Image.Image) -> str:
    """The A1111 text: PNG's "parameters", else EXIF's UserComment in either byte order."""
    if "parameters" in image.info:
        return str(image.info["parameters"])
    comment = image.getexif().get_ifd(EXIF_IFD).get(USER_COMMENT, b"")
    if not isinstance(comment, bytes):
        return str(comment)
    if not comment.startswith(UNICODE):
        return comment.removeprefix(b"ASCII\0\0\0").decode("utf-8", "replace").strip("\0")
    body = comment[len(UNICODE) :]
    return body.decode("utf-16-be" if body[:1] == b"\0" or b"\0" not in body[:2] else "utf-16-le", "replace")


def _plain(name: str) -> str:
    """A name that cannot break the text: no folders, commas, colons, brackets or line ends."""
    return " ".join(re.sub(r"[,:<>\"]", " ", re.split(r"[/\\]", name)[-1]).split())


def _quoted(value: str) -> str:
    return f'"{value}"' if value else ""


def _unquoted(value: str) -> str:
    return value[1:-1].replace('\\"', '"') if len(value) > 1 and value[0] == value[-1] == '"' else value.strip()
