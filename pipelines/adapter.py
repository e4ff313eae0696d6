"""LoRA weights on a frozen base: create, attach, detach, weigh, read back, mix.

In: a `Base` and either settings (a new adapter) or an `Adapter` (weights from a file). Out: the base, changed only by removable layers.
An `Adapter` is plain tensors in PEFT spelling plus its settings and card. Other tools' files are formats/' work, training is training/'s.
"""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from pipelines.atomic import write_atomically
from pipelines.card import Card
from pipelines.errors import AdapterError
from pipelines.families.base import Base
from pipelines.settings import AdapterSettings

LARGEST_RANK = 256  # that settings can name; weights may hold more
KEY = re.compile(r"(unet|text_encoder|text_encoder_2)\..+\.(lora_A|lora_B|lora_magnitude_vector)\.weight")  # of a tensor in our own files
SHOWN_KEYS = 10
HEADER = "brandprint"  # the metadata key under which our own files keep settings and card


@dataclass(frozen=True)
class Adapter:
    """Weights, settings and card. tensors: "unet.<path>.lora_A.weight" and so on, float32 on the CPU; components: unet, text_encoder, text_encoder_2."""

    tensors: Mapping[str, Tensor]
    settings: AdapterSettings
    card: Card


@dataclass(frozen=True)
class Factor:
    """One module's share: delta W = scale x up @ down. down: (r, in[, k, k]); up: (out, r[, 1, 1])."""

    component: str
    path: str
    down: Tensor
    up: Tensor
    scale: float
    magnitude: Tensor | None = None  # DoRA's, one entry per output row

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    def delta(self) -> Tensor:
        """What plain LoRA adds to the weight, in the weight's shape, float32."""
        down, up = self.down.float(), self.up.float()
        product = up.flatten(1) @ down.flatten(1)
        return self.scale * product.reshape(up.shape[0], *down.shape[1:])


def components(base: Base) -> dict[str, nn.Module]:
    """The parts of a base that can carry an adapter, by their name in LoRA files."""
    names = ("text_encoder", "text_encoder_2")
    return {"unet": base.unet, **dict(zip(names, base.text_encoders, strict=False))}


def scale_of(settings: AdapterSettings, rank: int) -> float:
    """alpha / rank (arXiv 2106.09685, section 4.1); rsLoRA: alpha / sqrt(rank) (arXiv 2312.03732, eq. 3). alpha defaults to the rank."""
    alpha = settings.alpha if settings.alpha is not None else float(rank)
    return alpha / sqrt(rank) if settings.kind == "rslora" else alpha / rank


def factors(adapter: Adapter) -> Iterator[Factor]:
    """The adapter, module by module."""
    for key, down in adapter.tensors.items():
        if not key.endswith(".lora_A.weight"):
            continue
        stem = key.removesuffix(".lora_A.weight")
        component, path = stem.split(".", 1)
        magnitude = adapter.tensors.get(f"{stem}.lora_magnitude_vector.weight")
        yield Factor(component, path, down, adapter.tensors[f"{stem}.lora_B.weight"], scale_of(adapter.settings, down.shape[0]), magnitude)


def create(base: Base, settings: AdapterSettings, *, seed: int, name: str = "adapter") -> list[nn.Parameter]:
    """New trainable layers with no effect yet; returns their parameters, float32, the denoiser's first. Same seed, same layers."""
    wanted = {"unet": base.unet_targets(settings.targets)}
    if settings.text_encoder:
        wanted |= dict(zip(("text_encoder", "text_encoder_2"), base.text_targets(), strict=False))
    parameters: list[nn.Parameter] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for component, paths in wanted.items():
            ranks = dict.fromkeys(paths, settings.rank)
            _inject(components(base)[component], settings, ranks, name=name)
            parameters += _own_parameters(components(base)[component], name)
    for parameter in parameters:
        parameter.data = parameter.data.float()
        parameter.requires_grad_(True)
    return parameters


def attach(base: Base, adapter: Adapter, *, name: str = "adapter", strength: float = 1.0) -> None:
    """Lay the adapter over the base for drawing. Raises AdapterError, the base untouched, if any weight does not fit."""
    _refuse_taken(base, name)
    fitted = {component: _fit(base, component, adapter) for component in _components_of(adapter)}
    for component, shares in fitted.items():
        module = components(base)[component]
        _inject(module, adapter.settings, {path: share.rank for path, share in shares.items()}, name=name)
        for path, share in shares.items():
            _fill(module.get_submodule(path), share, name=name)
        for parameter in _own_parameters(module, name):
            parameter.requires_grad_(False)
    set_strengths(base, {**strengths(base), name: strength})


def detach(base: Base, name: str = "adapter") -> None:
    """Take the adapter off. Without any left, outputs and state-dict keys are as before the first."""
    for module in components(base).values():
        for path, layer in list(_layers(module)):
            if name in layer.lora_A:
                with _same_gradients(layer):
                    layer.set_adapter([other for other in layer.active_adapters if other != name])  # else PEFT wakes a silent one
                    layer.delete_adapter(name)
            if not layer.lora_A:
                parent, _, leaf = path.rpartition(".")
                setattr(module.get_submodule(parent), leaf, layer.get_base_layer())
        configs = getattr(module, "peft_config", {})
        configs.pop(name, None)
        if not configs and hasattr(module, "peft_config"):
            del module.peft_config


def attached(base: Base) -> tuple[str, ...]:
    """Names of the adapters on the base."""
    return tuple(dict.fromkeys(name for module in components(base).values() for _, layer in _layers(module) for name in layer.lora_A))


def set_strengths(base: Base, wanted: Mapping[str, float]) -> None:
    """How strongly each attached adapter acts; 0 or left out: not at all, exactly. Raises AdapterError for a name that is not attached."""
    unknown = sorted(set(wanted) - set(attached(base)))
    if unknown:
        raise AdapterError(f"No adapter named {unknown[0]} is attached.", fix=f"Attached are: {', '.join(attached(base)) or 'none'}.")
    for module in components(base).values():
        for _, layer in _layers(module):
            active = [name for name in layer.lora_A if wanted.get(name, 0.0) != 0.0]
            with _same_gradients(layer):
                layer.set_adapter(active)
                for name in layer.lora_A:
                    layer.set_scale(name, wanted.get(name, 0.0))


def strengths(base: Base) -> dict[str, float]:
    """The strengths now in force."""
    found: dict[str, float] = {}
    for module in components(base).values():
        for _, layer in _layers(module):
            for name in layer.lora_A:
                full = layer.lora_alpha[name] / (sqrt(layer.r[name]) if layer.use_rslora[name] else layer.r[name])
                found[name] = layer.scaling[name] / full if name in layer.active_adapters else 0.0
    return found


@contextmanager
def bare(base: Base) -> Iterator[None]:
    """The base as if nothing were attached, bit for bit; everything comes back at the end."""
    layers = [layer for module in components(base).values() for _, layer in _layers(module)]
    for layer in layers:
        with _same_gradients(layer):
            layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            with _same_gradients(layer):
                layer.enable_adapters(True)


def read(base: Base, settings: AdapterSettings, card: Card, *, name: str = "adapter") -> Adapter:
    """The attached adapter's weights as they are now, copied to the CPU in float32."""
    tensors: dict[str, Tensor] = {}
    for component, module in components(base).items():
        for path, layer in _layers(module):
            if name not in layer.lora_A:
                continue
            parts = {"lora_A": layer.lora_A[name], "lora_B": layer.lora_B[name]}
            if name in layer.lora_magnitude_vector:
                parts["lora_magnitude_vector"] = layer.lora_magnitude_vector[name]
            tensors |= {f"{component}.{path}.{part}.weight": linear.weight.detach().float().cpu().clone() for part, linear in parts.items()}
    return Adapter(tensors, settings, card)


def mix(parts: Sequence[tuple[Adapter, float]], *, card: Card) -> Adapter:
    """One adapter that acts as all parts together at their strengths: ranks are laid side by side, nothing is lost. Not for DoRA."""
    if any(part.settings.kind == "dora" for part, _ in parts):
        raise AdapterError("A DoRA adapter cannot be mixed: its weights do not add.", fix="Mix LoRA or rsLoRA adapters.")
    families = {part.card.base_family for part, _ in parts}
    if len(families) > 1:
        raise AdapterError(f"The adapters belong to different bases: {', '.join(sorted(families))}.", fix="Mix adapters of one base.")
    shares: dict[tuple[str, str], list[tuple[Tensor, Tensor]]] = {}
    for part, strength in parts:
        for factor in factors(part):
            shares.setdefault((factor.component, factor.path), []).append((factor.down, factor.up * (factor.scale * strength)))
    tensors: dict[str, Tensor] = {}
    for (component, path), pairs in shares.items():
        tensors[f"{component}.{path}.lora_A.weight"] = torch.cat([down for down, _ in pairs])
        tensors[f"{component}.{path}.lora_B.weight"] = torch.cat([up for _, up in pairs], dim=1)
    rank = max(tensor.shape[0] for key, tensor in tensors.items() if ".lora_A." in key)
    return Adapter(tensors, AdapterSettings(rank=min(rank, LARGEST_RANK)), card)  # alpha stays empty: the scale is 1 whatever the rank


def save_adapter(adapter: Adapter, path: Path) -> None:
    """Our own file: exact weights, settings and card. What other tools read is written by pipelines/export.py."""
    header = json.dumps({"settings": adapter.settings.model_dump(), "card": adapter.card.model_dump()})
    tensors = {key: tensor.contiguous() for key, tensor in adapter.tensors.items()}
    write_atomically(path, save(tensors, metadata={HEADER: header}))


def load_adapter(path: Path) -> Adapter:
    """Read back what save_adapter wrote. Raises AdapterError for anything else; pipelines/formats reads other tools' files."""
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(HEADER)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - the file is no dict and does not iterate
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise AdapterError(f"{path.name} cannot be read: {error}.", fix="Use the adapter.safetensors of a finished run.") from error
    if header is None:
        raise AdapterError(f"{path.name} was not written by Brandprint.", fix="Import it first: brandprint import FILE.")
    _check_pairs(tensors, path)
    try:
        record = json.loads(header)
        return Adapter(tensors, AdapterSettings(**record["settings"]), Card(**record["card"]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:  # pydantic's ValidationError is a ValueError
        raise AdapterError(
            f"The header of {path.name} is damaged: {error}.", fix="Use the adapter.safetensors of a finished run."
        ) from error


def _check_pairs(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raises AdapterError unless the tensors are whole pairs of one rank each, at least one, and nothing besides."""
    fix = "Use the adapter.safetensors of a finished run."
    stems = {key: key.rsplit(".", 2)[0] for key in tensors}
    strange = [key for key in tensors if not KEY.fullmatch(key)]
    halves = [key for key, stem in stems.items() if not {f"{stem}.lora_A.weight", f"{stem}.lora_B.weight"} <= tensors.keys()]
    for wrong, what in ((strange, "that no adapter has"), (halves, "without the other half of their pair (lora_A, lora_B)")):
        if wrong:
            shown = ", ".join(wrong[:SHOWN_KEYS]) + (", ..." if len(wrong) > SHOWN_KEYS else "")
            raise AdapterError(f"{path.name} holds {len(wrong)} tensors {what}: {shown}.", fix=fix)
    if not tensors:
        raise AdapterError(f"{path.name} holds no weights.", fix=fix)
    for stem in dict.fromkeys(stems.values()):
        down, up = tensors[f"{stem}.lora_A.weight"], tensors[f"{stem}.lora_B.weight"]
        if down.ndim < 2 or down.shape[0] == 0 or up.shape[1:] != (down.shape[0], *[1] * (down.ndim - 2)):
            shapes = f"{tuple(down.shape)} and {tuple(up.shape)}"
            raise AdapterError(f"{path.name}: the two halves of {stem} are {shapes}, which do not belong together.", fix=fix)


def effect_size(base: Base, adapter: Adapter) -> float:
    """Root mean square of |delta W| / |W| over the adapted modules: 0 is a dead adapter, 0.01-0.3 is usual, above 1 is fried."""
    ratios = []
    layers: dict[str, dict[str, Any]] = {component: dict(module.named_modules()) for component, module in components(base).items()}
    for factor in factors(adapter):
        layer = layers[factor.component][_spelled(factor.path, layers[factor.component])]
        weight = getattr(layer, "base_layer", layer).weight.float()
        ratios.append((factor.delta().norm() / weight.norm().clamp_min(1e-12).cpu()).item() ** 2)
    return sqrt(sum(ratios) / len(ratios)) if ratios else 0.0


def _components_of(adapter: Adapter) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key.split(".", 1)[0] for key in adapter.tensors))


def _layers(module: nn.Module) -> Iterator[tuple[str, LoraLayer]]:
    return ((path, layer) for path, layer in module.named_modules() if isinstance(layer, LoraLayer))


def _own_parameters(module: nn.Module, name: str) -> list[nn.Parameter]:
    return [parameter for path, parameter in module.named_parameters() if f".{name}." in f"{path}.".partition(".lora_")[2]]


def _refuse_taken(base: Base, name: str) -> None:
    if "." in name or not name:
        raise AdapterError(f'"{name}" cannot name an adapter: points separate modules.', fix="Use letters, digits, - and _.")
    if name in attached(base):
        raise AdapterError(f"An adapter named {name} is already attached.", fix="Detach it, or attach this one under another name.")


def _inject(module: nn.Module, settings: AdapterSettings, ranks: Mapping[str, int], *, name: str) -> None:
    """PEFT layers with the given rank per path; the usual rank is the config's, the others its patterns."""
    usual = Counter(ranks.values()).most_common(1)[0][0]
    unusual = {path: rank for path, rank in ranks.items() if rank != usual}
    alphas = {} if settings.alpha is not None else {path: float(rank) for path, rank in unusual.items()}
    config = LoraConfig(
        r=usual,
        lora_alpha=settings.alpha if settings.alpha is not None else usual,
        target_modules=list(ranks),
        rank_pattern=unusual,
        alpha_pattern=alphas,
        lora_dropout=settings.dropout,
        use_rslora=settings.kind == "rslora",
        use_dora=settings.kind == "dora",
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # several adapters on one base are meant
        inject_adapter_in_model(config, module, adapter_name=name)


def _fit(base: Base, component: str, adapter: Adapter) -> dict[str, Factor]:
    """The component's factors under the module names of this base. Raises AdapterError naming what does not fit."""
    module = components(base).get(component)
    if module is None:
        raise AdapterError(
            f"The adapter teaches a {component}, which this {base.family} base does not have.", fix="Choose the base it was made for."
        )
    paths = {path.replace(".base_layer", ""): layer for path, layer in module.named_modules()}
    fitted: dict[str, Factor] = {}
    for factor in factors(adapter):
        if factor.component != component:
            continue
        path = _spelled(factor.path, paths)
        layer = paths.get(path)
        weight = getattr(getattr(layer, "base_layer", layer), "weight", None)
        if weight is None or tuple(weight.shape) != (factor.up.shape[0], *factor.down.shape[1:]):
            there = "missing" if weight is None else f"{tuple(weight.shape)}"
            shape = (factor.up.shape[0], *factor.down.shape[1:])
            raise AdapterError(
                f"{component}.{factor.path} is made for a layer of shape {shape}; here it is {there}.",
                fix="Choose the base it was made for.",
            )
        fitted[path] = factor
    return fitted


def _spelled(path: str, paths: Mapping[str, nn.Module]) -> str:
    """transformers 5.6 dropped the text_model level of CLIPTextModel: take whichever spelling this model has."""
    other = path.removeprefix("text_model.") if path.startswith("text_model.") else f"text_model.{path}"
    return other if path not in paths and other in paths else path


@torch.no_grad()
def _fill(layer: nn.Module, factor: Factor, *, name: str) -> None:
    layer.lora_A[name].weight.copy_(factor.down)  # type: ignore[index,union-attr]
    layer.lora_B[name].weight.copy_(factor.up)  # type: ignore[index,union-attr]
    if factor.magnitude is not None:
        layer.lora_magnitude_vector[name].weight.copy_(factor.magnitude)  # type: ignore[index,union-attr]


@contextmanager
def _same_gradients(layer: LoraLayer) -> Iterator[None]:
    """PEFT turns gradients on and off as adapters are switched; ours stay as they were."""
    before = [(parameter, parameter.requires_grad) for parameter in layer.parameters()]
    yield
    for parameter, wanted in before:
        parameter.requires_grad_(wanted)
