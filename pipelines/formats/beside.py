"""The files that stand beside a LoRA file: settings for web interfaces, a preview picture, notes for people, the card.

In: a card, and a picture where there is one. Out: bytes. Writes nothing; export.py does.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from pipelines.card import Card
from pipelines.errors import ExportError
from pipelines.formats.metadata import usage_hint, without_paths

EMBEDDED_PX = 256  # SAI ModelSpec's limit for thumbnails in the header
PREVIEW_PX = 512
SHOWN_VERSION = {"sd1": "SD1", "sd2": "SD2", "sdxl": "SDXL"}
FAMILY = {"sd1": "Stable Diffusion 1.x", "sd2": "Stable Diffusion 2.x", "sdxl": "SDXL"}


def webui_record(card: Card, family: str) -> bytes:
    """NAME.json as A1111, Forge and InvokeAI read it: trigger and preferred weight are set when the LoRA is chosen."""
    record = {
        "description": card.description,
        "sd version": SHOWN_VERSION.get(family, "Unknown"),
        "activation text": card.trigger_phrase,
        "preferred weight": card.recommended_strength,
        "negative text": "",
        "notes": usage_hint(card),
    }
    return _json(record)


def card_record(card: Card) -> bytes:
    """card.json: the whole card, without paths of this machine."""
    return _json(without_paths(card.model_dump(mode="json")))


def embedded_thumbnail(picture: bytes) -> str:
    """The picture as a data URL, at most 256 px, JPEG, nothing of the original's metadata."""
    return "data:image/jpeg;base64," + b64encode(_shrunk(picture, EMBEDDED_PX, "JPEG")).decode()


def preview_picture(picture: bytes) -> bytes:
    """NAME.png, at most 512 px: what web interfaces show on the LoRA's tile."""
    return _shrunk(picture, PREVIEW_PX, "PNG")


def install_notes(card: Card, name: str, *, family: str, kinds: Sequence[str]) -> str:
    """README.txt: which file goes where in which program, and what to write."""
    parts = [f"{name}: a LoRA for {FAMILY[family]}", card.description, usage_hint(card)]
    if "kohya" in kinds:
        parts += [_kohya_notes(name, card.recommended_strength)]
    if "diffusers" in kinds:
        parts += [_diffusers_notes(card.recommended_strength)]
    if "merged" in kinds:
        parts += [
            'merged/ - a whole model in diffusers\' layout with the LoRA in its weights.\n  Python: DiffusionPipeline.from_pretrained("merged")'
        ]
    parts += [f"{label}: {value}" for label, value in (("Licence", card.licence), ("Rights", card.rights), ("Made", card.made_at)) if value]
    parts += [f"Note: {warning}" for warning in card.warnings]
    return "\n\n".join(part for part in parts if part) + "\n"


def _kohya_notes(name: str, strength: float) -> str:
    return f"""{name}.safetensors - copy it, with {name}.json and {name}.png if they are there, into:
  ComfyUI         models/loras            then add a "Load LoRA" node, strength {strength:g}
  A1111, Forge    models/Lora             then write <lora:{name}:{strength:g}> in the prompt
  InvokeAI        Model Manager, "Scan Folder" or "Import Model"; then add it under "Concepts" / LoRA
  sd-scripts      --network_weights {name}.safetensors"""


def _diffusers_notes(strength: float) -> str:
    return f"""diffusers/pytorch_lora_weights.safetensors - for Python with diffusers; the programs above do not read it:
  pipe.load_lora_weights("diffusers", weight_name="pytorch_lora_weights.safetensors", adapter_name="brand")
  pipe.set_adapters(["brand"], [{strength:g}])"""


def _shrunk(picture: bytes, side_px: int, kind: str) -> bytes:
    try:
        with Image.open(BytesIO(picture)) as opened:
            image = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise ExportError(f"The preview picture cannot be read: {error}.", fix="Use a PNG or JPEG.") from error
    image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    plain = Image.new("RGB", image.size)
    plain.paste(image)
    out = BytesIO()
    plain.save(out, kind, **({"quality": 85} if kind == "JPEG" else {}))
    return out.getvalue()


def _json(record: object) -> bytes:
    return json.dumps(record, indent=2, ensure_ascii=False, sort_keys=True).encode() + b"\n"
