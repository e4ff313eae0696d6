"""What a LoRA file says about itself: modelspec.* (SAI ModelSpec 1.0.1), kohya's ss_* fields, and hashes. All values are strings.

In: an adapter with its card, the base, and what the user chose to add. Out: metadata by key, the same for the same input.
Writes no files. Paths of this machine never go in; caption statistics only when captions are handed over.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from pipelines.adapter import Adapter, Factor, factors
from pipelines.card import Card
from pipelines.families.base import Base
from pipelines.formats.container import legacy_hash, tensor_hash, with_metadata
from pipelines.formats.kohya import shared_alpha

ABSOLUTE = re.compile(r"^(/|~|[A-Za-z]:[\\/]|\\\\|file:)")
IMPLEMENTATION = {"sdxl": "https://github.com/Stability-AI/generative-models"}  # what kohya writes; else "diffusers"
BASE_VERSION = {"sd1": "sd_v1", "sd2": "sd_v2", "sdxl": "sdxl_base_v1-0"}
SETTINGS = {  # where the training settings keep what kohya's fields tell
    "ss_learning_rate": ("optim", "learning_rate"),
    "ss_unet_lr": ("optim", "learning_rate"),
    "ss_text_encoder_lr": ("optim", "text_encoder_rate"),
    "ss_optimizer": ("optim", "optimizer"),
    "ss_lr_scheduler": ("optim", "schedule"),
    "ss_max_train_steps": ("loop", "steps"),
    "ss_gradient_accumulation_steps": ("loop", "accumulation"),
    "ss_mixed_precision": ("loop", "precision"),
    "ss_noise_offset": ("loss", "noise_offset"),
    "ss_caption_dropout_rate": ("pictures", "caption_dropout"),
    "ss_network_dropout": ("adapter", "dropout"),
}


def modelspec_fields(card: Card, base: Base, *, name: str, thumbnail_url: str = "") -> dict[str, str]:
    """SAI ModelSpec: what the file is, how to call it up, who may use it. Unknown fields are left out."""
    fields = {
        "sai_model_spec": "1.0.1",
        "architecture": base.architecture,
        "implementation": IMPLEMENTATION.get(base.family, "diffusers"),
        "title": name,
        "resolution": f"{card.resolution_px}x{card.resolution_px}",
        "prediction_type": "v" if base.prediction == "v_prediction" else "epsilon",
        "description": card.description,
        "author": card.author,
        "date": card.made_at,
        "license": card.licence,
        "trigger_phrase": card.trigger_phrase,
        "tags": ", ".join(part for part in (card.intent or "", card.noun) if part),
        "usage_hint": usage_hint(card),
        "thumbnail": thumbnail_url,
    }
    return {f"modelspec.{key}": value for key, value in fields.items() if value}


def usage_hint(card: Card) -> str:
    """One sentence: what to write and how strongly."""
    say = f'Write "{card.trigger_phrase}" in the prompt; s' if card.trigger_phrase else "S"
    return f"{say}trength {card.recommended_strength:g}."


def kohya_fields(adapter: Adapter, base: Base, *, name: str, captions: Sequence[str] | None = None) -> dict[str, str]:
    """The ss_* fields that some tool reads. captions: given only if the user wants their statistics in the file."""
    card, shares = adapter.card, list(factors(adapter))
    unet = [share for share in shares if share.component == "unet"] or shares
    version = BASE_VERSION[base.family] + ("_v" if base.family == "sd2" and base.prediction == "v_prediction" else "")
    fields: dict[str, Any] = {
        "ss_base_model_version": version,
        "ss_v2": base.family == "sd2",
        "ss_network_module": "networks.lora",
        "ss_network_dim": Counter(share.rank for share in unet).most_common(1)[0][0],
        "ss_network_alpha": shared_alpha(unet),
        "ss_network_args": json.dumps(_convolution_args(unet)),
        "ss_output_name": name,
        "ss_resolution": f"({card.resolution_px}, {card.resolution_px})",
        "ss_sd_model_name": without_path(card.base) or None,
    }
    fields |= _training_fields(card)
    if captions is not None:
        fields |= caption_statistics(captions, folder=f"1_{card.trigger_phrase or name}")
    return {key: str(value) for key, value in fields.items() if value is not None}


def caption_statistics(captions: Sequence[str], *, folder: str) -> dict[str, str]:
    """How often each comma-separated tag occurs: feeds the tag lists of web interfaces."""
    counts = Counter(tag.strip() for caption in captions for tag in caption.split(",") if tag.strip())
    return {
        "ss_tag_frequency": json.dumps({folder: dict(counts.most_common())}, ensure_ascii=False),
        "ss_dataset_dirs": json.dumps({folder: {"n_repeats": 1, "img_count": len(captions)}}, ensure_ascii=False),
    }


def hash_fields(packed: bytes, ss_fields: Mapping[str, str]) -> dict[str, str]:
    """By these, Civitai and the web interfaces match pictures to a file. packed: the tensors as a file without metadata."""
    digest = tensor_hash(packed)
    return {
        "sshs_model_hash": digest,
        "sshs_legacy_hash": legacy_hash(with_metadata(packed, ss_fields)),
        "modelspec.hash_sha256": f"0x{digest}",
    }


def without_path(text: str) -> str:
    """A file's own name where the text is an absolute path, the text itself otherwise."""
    if not ABSOLUTE.match(text):
        return text
    return PureWindowsPath(text).name if "\\" in text else PurePosixPath(text).name


def without_paths(value: Any) -> Any:
    """The same JSON value with every absolute path in it cut down to its name."""
    if isinstance(value, dict):
        return {key: without_paths(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(inner) for inner in value]
    return without_path(value) if isinstance(value, str) else value


def _training_fields(card: Card) -> dict[str, Any]:
    known = {"ss_num_train_images": card.pictures, "ss_steps": card.steps, "ss_batch_size_per_device": card.batch}
    fields: dict[str, Any] = {key: value for key, value in known.items() if value}
    for key, (branch, leaf) in SETTINGS.items():
        branch_values = card.settings.get(branch)
        if isinstance(branch_values, dict) and branch_values.get(leaf) is not None:
            fields[key] = branch_values[leaf]
    loss, layers = card.settings.get("loss"), card.settings.get("adapter")
    if isinstance(loss, dict) and loss.get("weighting") == "min_snr":
        fields["ss_min_snr_gamma"] = loss.get("min_snr_gamma")
    if isinstance(layers, dict) and not layers.get("text_encoder"):
        fields["ss_text_encoder_lr"] = "None"  # kohya's word for: not taught
    if card.steps:
        fields["ss_seed"] = card.seed
    started = _unix_time(card.made_at)
    return fields | ({"ss_training_started_at": started} if started else {})


def _unix_time(moment: str) -> float | None:
    try:
        return datetime.fromisoformat(moment).timestamp() if moment else None
    except ValueError:
        return None


def _convolution_args(shares: Sequence[Factor]) -> dict[str, str]:
    """kohya says by these that 3x3 convolutions are taught too."""
    ranks = [share.rank for share in shares if share.down.ndim == 4 and share.down.shape[-1] > 1]
    if not ranks:
        return {}
    return {"conv_dim": str(Counter(ranks).most_common(1)[0][0]), "conv_alpha": str(shared_alpha(shares))}
