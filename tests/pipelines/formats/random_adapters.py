"""Adapters with random weights for the tiny bases: what a training would give, without the training.

In: a family's folder or a loaded base, and settings. Out: bases (each loaded once) and adapters.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch

from pipelines.adapter import Adapter, components, factors
from pipelines.card import Card
from pipelines.families.base import Base, load_base
from pipelines.settings import AdapterSettings


@cache
def base_in(folder: Path) -> Base:
    """The base of a folder, float32 on the CPU, the same object every time."""
    return load_base(str(folder))


def card_for(base: Base) -> Card:
    """A card with something in every field that files carry."""
    return Card(
        name="Tin Bot", intent="character", trigger="tinbot", noun="robot", base="acme/tiny", base_family=base.family, base_fingerprint=base.fingerprint,
        prediction=base.prediction, resolution_px=64, pictures=200, steps=10, batch=4, seed=3, recommended_strength=0.8, description="A robot made of tin.",
        author="Acme", licence="CC-BY-4.0", rights="Acme owns the pictures", made_at="2026-11-23T04:00:00+00:00",
        settings={"optim": {"learning_rate": 0.0001, "optimizer": "adamw"}, "loop": {"steps": 10}, "adapter": {"text_encoder": False}},
    )  # fmt: skip


def random_adapter(base: Base, *, seed: int = 0, size: float = 0.1, **settings: object) -> Adapter:
    """An adapter with an effect, as a training would leave it (DoRA: with magnitudes off the base's own). size: of the up factors."""
    chosen = AdapterSettings(**{"rank": 4, **settings})  # type: ignore[arg-type]
    paths = {"unet": base.unet_targets(chosen.targets)}
    if chosen.text_encoder:
        paths |= dict(zip(("text_encoder", "text_encoder_2"), base.text_targets(), strict=False))
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    for component, own in paths.items():
        for path in own:
            layer = components(base)[component].get_submodule(path)
            weight = getattr(layer, "base_layer", layer).weight
            down = torch.randn(chosen.rank, *weight.shape[1:], generator=generator) * weight[0].numel() ** -0.5
            up = torch.randn(weight.shape[0], chosen.rank, *[1] * (weight.ndim - 2), generator=generator) * size
            tensors |= {f"{component}.{path}.lora_A.weight": down, f"{component}.{path}.lora_B.weight": up}
            if chosen.kind == "dora":
                lengths = weight.flatten(1).norm(dim=1) * (1 + size * torch.rand(weight.shape[0], generator=generator))
                tensors[f"{component}.{path}.lora_magnitude_vector.weight"] = lengths.view(1, -1, 1, 1) if weight.ndim == 4 else lengths
    return Adapter(tensors, chosen, card_for(base))


def deltas(adapter: Adapter) -> dict[str, torch.Tensor]:
    """What the adapter adds to each weight, by a name without text_model, which transformers versions write differently."""
    return {f"{share.component}.{share.path.removeprefix('text_model.')}": share.delta() for share in factors(adapter)}


def largest_difference(one: Adapter, other: Adapter) -> float:
    """Over all modules, relative to each one's largest entry. Both must hold the same modules."""
    ours, theirs = deltas(one), deltas(other)
    assert ours.keys() == theirs.keys()
    return max(((ours[key] - theirs[key]).abs().max() / ours[key].abs().max()).item() for key in ours)
