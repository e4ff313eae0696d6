"""Bring in a LoRA file from elsewhere: kohya in both namings, LyCORIS, diffusers old and new, PEFT folders, ComfyUI names, our own.

In: a path and the base it should fit. Out: an `Imported`: an adapter with every scale folded in, and a report. Nothing is half-loaded in silence: keys
that find no place are an error unless asked for. LoHa and LoKr become the plain LoRA that they equal; other kinds are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from pipelines.adapter import HEADER, Adapter, factors, load_adapter
from pipelines.card import Card
from pipelines.errors import AdapterError
from pipelines.families.base import Base, FamilyName
from pipelines.formats.dialects import BUNDLED, WIDTHS, dialect_of, family_of, parse_key, refuse_other_kinds, text_width_of
from pipelines.formats.products import SCALES, is_whole, pair_of, rank_of
from pipelines.formats.scales import Scales, scales_of
from pipelines.formats.source import Source, open_source
from pipelines.formats.spellings import Layer, Names, names_of
from pipelines.settings import AdapterSettings

LARGEST_RANK = 256  # that our settings can name; the weights keep whatever rank they have
SHOWN_KEYS = 10
LONGEST_TEXT = 4000
FAMILY = {"sd1": "SD 1.x", "sd2": "SD 2.x", "sdxl": "SDXL"}


@dataclass(frozen=True)
class Imported:
    """A foreign LoRA as an adapter. matched: modules taken over; unmatched: keys left out (only where that was allowed)."""

    adapter: Adapter
    dialect: str
    matched: int
    unmatched: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class _Taken:
    """What has been read so far."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)
    bundled: int = 0
    without_alpha: int = 0
    ranks: list[int] = field(default_factory=list)


def detect_family(path: Path) -> FamilyName | None:
    """The family that a LoRA file is made for; None if it does not tell. Raises AdapterError for an unreadable file."""
    return family_of(open_source(path))


def import_lora(path: Path, base: Base, *, allow_partial: bool = False) -> Imported:
    """The adapter in a file or PEFT folder, under the names of this base.

    allow_partial: leave out what finds no place, and list it. Raises AdapterError for pickles, damaged files, other kinds than LoRA, another base,
    and (unless allowed) for keys without a place.
    """
    sources = open_source(path)
    if HEADER in sources[0].metadata:
        return _import_own(sources[0], base)
    refuse_other_kinds(sources)
    _check_family(sources, base)
    names, taken = names_of(base), _Taken()
    for source in sources:
        _take(source, names, scales_of(source), taken)
    _check_complete(path, taken, allow_partial=allow_partial)
    adapter = Adapter(taken.tensors, _settings(taken), _card(path, sources[0].metadata, base))
    return Imported(adapter, dialect_of(sources), len(taken.ranks), tuple(taken.unmatched), _notes(taken))


def _import_own(source: Source, base: Base) -> Imported:
    _check_family((source,), base)
    adapter, names = load_adapter(source.path), names_of(base)
    shares = list(factors(adapter))
    for share in shares:
        shape = (share.up.shape[0], *share.down.shape[1:])
        if not any(layer.shape == shape for layer in names.find(share.path, share.component)):
            raise AdapterError(
                f"{source.path.name}: {share.component}.{share.path} does not fit this base.", fix="Choose the base it was made for."
            )
        parts = {"down": share.down, "up": share.up} | ({} if share.magnitude is None else {"magnitude": share.magnitude})
        _check_numbers(source.path, f"{share.component}.{share.path}", parts)
    return Imported(adapter, "brandprint", len(shares))


def _check_family(sources: tuple[Source, ...], base: Base) -> None:
    width, family = text_width_of(sources), family_of(sources)
    own_width = base.unet.config.cross_attention_dim  # type: ignore[union-attr]
    if width is not None and width == own_width:
        return
    if width is not None or (family is not None and family != base.family):
        made_for = FAMILY[family] if family and (width is None or width in WIDTHS) else f"text {width} wide"
        raise AdapterError(
            f"{sources[0].path.name} is made for {made_for}; this base is {FAMILY[base.family]}, its text {own_width} wide.",
            fix=f"Choose a base of the {FAMILY[family]} family."
            if family and family != base.family
            else "Choose the base it was made for.",
        )


def _take(source: Source, names: Names, scales: Scales, taken: _Taken) -> None:
    """Resolve every module of one file and fold its scale in."""
    modules: dict[str, dict[str, str]] = {}
    for key in source.shapes:
        parsed = parse_key(key)
        if key.startswith(BUNDLED):
            taken.bundled += 1
        elif parsed is None:
            taken.unmatched.append(key)
        else:
            modules.setdefault(parsed[0], {})[parsed[1]] = key
    tensors = source.tensors()
    for stem, keys in modules.items():
        layers = names.find(stem, source.component)
        if not layers or not is_whole(keys):
            taken.unmatched += keys.values()
            continue
        _check_rank(source, stem, keys)
        _take_module(source.path, stem, {part: tensors[key] for part, key in keys.items()}, layers, scales, taken)


def _take_module(path: Path, stem: str, parts: Mapping[str, Tensor], layers: tuple[Layer, ...], scales: Scales, taken: _Taken) -> None:
    _check_numbers(path, stem, parts)
    try:
        pair = pair_of(parts)
    except (RuntimeError, IndexError, ValueError) as error:  # torch, where shapes of LoHa or LoKr do not belong together
        raise AdapterError(
            f"{path.name}: the factors of {stem} do not multiply out: {error}.", fix="Get another copy of the file."
        ) from error
    down, up = pair.down, pair.up
    rank = down.shape[0] if down.ndim else 0
    fitted = next(((layer, *shaped) for layer in layers if (shaped := _shaped(down, up, layer)) is not None), None)
    if fitted is None:
        raise AdapterError(
            f"{path.name}: {stem} has shapes {tuple(down.shape)} and {tuple(up.shape)}, the layer {layers[0].shape}.",
            fix="Choose the base it was made for.",
        )
    layer, down, up = fitted
    scale = _scale(parts, scales.of(layer.component, layer.path, rank), pair.alpha_rank)
    taken.without_alpha += scale is None
    name = f"{layer.component}.{layer.path}"
    if f"{name}.lora_A.weight" in taken.tensors:
        raise AdapterError(f"{path.name} teaches {name} twice, under two names.", fix="Keep one of the spellings.")
    taken.tensors |= {
        f"{name}.lora_A.weight": down.contiguous(),
        f"{name}.lora_B.weight": (up * (1.0 if scale is None else scale)).contiguous(),
    }
    taken.ranks.append(rank)


def _check_rank(source: Source, stem: str, keys: Mapping[str, str]) -> None:
    """A product's exact LoRA form can be as large as the layer itself; a plain LoRA keeps whatever rank it has."""
    rank = rank_of({part: source.shapes[key] for part, key in keys.items()})
    if "down" not in keys and rank > LARGEST_RANK:
        kind = "LoHa" if "hada_w1_a" in keys else "LoKr"
        raise AdapterError(
            f"{source.path.name} holds {kind}; as a plain LoRA, {stem} would need rank {rank}, and at most {LARGEST_RANK} is taken in.",
            fix="Use a smaller one, or a whole model with this one merged into it as the base.",
        )


def _shaped(down: Tensor, up: Tensor, layer: Layer) -> tuple[Tensor, Tensor] | None:
    """The pair in the layer's own number of dimensions (tools write 1x1 convolutions and linear layers alike, LyCORIS kernels flat); None if it does not fit."""
    inner, kernel = layer.shape[1], layer.shape[2:]
    if min(down.ndim, up.ndim) < 2 or not 0 < down.shape[0] == up.shape[1]:
        return None
    if down.ndim == 2 and down.shape[1] == prod(layer.shape[1:]):
        down = down.reshape(-1, *layer.shape[1:])
    fits = down.shape[1] == inner and up.shape[0] == layer.shape[0] and up[0, 0].numel() == 1
    same_kernel = tuple(down.shape[2:]) == tuple(kernel) or {*down.shape[2:], *kernel} <= {1}
    if not (fits and same_kernel):
        return None
    return down.reshape(-1, inner, *kernel), up.reshape(layer.shape[0], -1, *[1] * len(kernel))


def _scale(parts: Mapping[str, Tensor], said: float | None, rank: int | None) -> float | None:
    """A "scale" tensor overrides alpha / rank (as in A1111), alpha among the tensors overrides what stands beside them; None: nobody says.

    rank None: a kind whose alpha means nothing (LoKr of two whole matrices).
    """
    if "scale" in parts:
        return parts["scale"].float().flatten()[0].item()
    if rank is None:
        return 1.0
    if "alpha" in parts:
        return parts["alpha"].float().flatten()[0].item() / rank
    return said


def _check_numbers(path: Path, stem: str, parts: Mapping[str, Tensor]) -> None:
    """Factors are finite floating numbers (whole ones are quantised, by a scale that nobody knows); an alpha may be whole."""
    for part, tensor in parts.items():
        numbers = _floats(tensor) if tensor.is_floating_point() or part in SCALES else None
        if numbers is None:
            raise AdapterError(
                f"{path.name}: {stem} holds {tensor.dtype} as its {part}, which cannot be read.", fix="Get its fp16, bf16 or fp32 version."
            )
        if numbers.numel() == 0 or not torch.isfinite(numbers).all():
            raise AdapterError(f"{path.name}: {stem} is empty or holds NaN or infinite values.", fix="Get another copy of the file.")


def _floats(tensor: Tensor) -> Tensor | None:
    try:
        return tensor.float()
    except NotImplementedError:  # torch stores kinds that it cannot compute with
        return None


def _check_complete(path: Path, taken: _Taken, *, allow_partial: bool) -> None:
    if not taken.ranks:
        raise AdapterError(
            f"{path.name} holds no LoRA weights for this base.",
            fix="Check that it is a LoRA for SD 1.x, SD 2.x or SDXL, and choose its base.",
        )
    if taken.unmatched and not allow_partial:
        shown = ", ".join(taken.unmatched[:SHOWN_KEYS]) + (", ..." if len(taken.unmatched) > SHOWN_KEYS else "")
        raise AdapterError(
            f"{path.name}: {len(taken.unmatched)} keys find no place in this base: {shown}.",
            fix="Choose its base, or allow a partial import.",
        )


def _settings(taken: _Taken) -> AdapterSettings:
    """alpha is left empty: with scales folded in, the effect is up @ down whatever the rank."""
    paths = [key for key in taken.tensors if key.startswith("unet.") and ".lora_A." in key]
    wide = any(re.search(r"conv|time_emb|embedding", path) for path in paths)
    forward = any(re.search(r"\.(ff|proj_in|proj_out)\b", path) for path in paths)
    text = any(key.startswith("text_encoder") for key in taken.tensors)
    return AdapterSettings(
        rank=min(max(taken.ranks), LARGEST_RANK), targets="all" if wide else "attention+ff" if forward else "attention", text_encoder=text
    )


def _card(path: Path, metadata: Mapping[str, str], base: Base) -> Card:
    def said(*keys: str) -> str:
        return next((metadata[key][:LONGEST_TEXT] for key in keys if metadata.get(key) not in (None, "", "None")), "")

    side = re.search(r"\d+", said("modelspec.resolution", "ss_resolution"))
    return Card(
        name=said("modelspec.title", "ss_output_name") or path.stem,
        trigger=said("modelspec.trigger_phrase"),
        base=said("ss_sd_model_name"),
        base_family=base.family,
        prediction=base.prediction,
        resolution_px=int(side[0][:5]) if side else 512,
        description=said("modelspec.description"),
        author=said("modelspec.author"),
        licence=said("modelspec.license"),
        made_at=said("modelspec.date"),
    )


def _notes(taken: _Taken) -> tuple[str, ...]:
    notes = []
    if taken.bundled:
        notes.append(f"{taken.bundled} tensors of bundled embeddings (bundle_emb) were dropped: they are no part of a LoRA.")
    if taken.without_alpha:
        notes.append(f"{taken.without_alpha} of {len(taken.ranks)} modules carry no alpha; as usual, it was taken to be their rank.")
    if max(taken.ranks) > LARGEST_RANK:
        notes.append(f"Its rank of {max(taken.ranks)} is kept, though settings name at most {LARGEST_RANK}.")
    if taken.unmatched:
        notes.append(f"{len(taken.unmatched)} keys found no place and were left out.")
    return tuple(notes)
