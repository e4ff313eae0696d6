"""The scale of a foreign LoRA module where it is written beside the weights: PEFT's adapter_config.json, diffusers' lora_adapter_metadata.

In: an opened `Source`. Out: a scale per module. Files that keep alpha among their tensors don't need this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any

from pipelines.errors import AdapterError
from pipelines.formats.diffusers import METADATA_KEY
from pipelines.formats.paths import without_level
from pipelines.formats.source import Source, read_json

PLAIN = re.compile(r"^\^?[\w.]+$")  # the patterns that tools write: paths or their ends


@dataclass(frozen=True)
class Scales:
    """PEFT configurations by component; "" serves any."""

    configs: Mapping[str, Mapping[str, Any]]

    def of(self, component: str, path: str, rank: int) -> float | None:
        """alpha / rank (rsLoRA: alpha / sqrt(rank)); None if the file does not say. Raises AdapterError for values that make no sense."""
        config = self.configs.get(component, self.configs.get("", {}))
        if "lora_alpha" not in config:
            return None
        alpha = _lookup(config.get("alpha_pattern") or {}, path, config["lora_alpha"])
        if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not isfinite(alpha):
            raise AdapterError(f"The file gives {component}.{path} an alpha of {alpha!r}.", fix="Download or copy it again.")
        return alpha / sqrt(rank) if config.get("use_rslora") else alpha / rank


def scales_of(source: Source) -> Scales:
    """What the file, or the configuration beside it, says about scales."""
    if source.config is not None:
        return Scales({source.component: source.config})
    if METADATA_KEY not in source.metadata:
        return Scales({})
    configs: dict[str, dict[str, Any]] = {}
    for key, value in read_json(source.metadata[METADATA_KEY], where=f"{METADATA_KEY} of {source.path.name}").items():
        component, _, name = key.partition(".")
        configs.setdefault(component if name else "", {})[name or component] = value
    return Scales(configs)


def _lookup(patterns: object, path: str, usual: Any) -> Any:
    """PEFT's rule: the first pattern that the path ends with. Only literal ones: a stranger's regular expression is not run."""
    if not isinstance(patterns, dict):
        raise AdapterError("The file's alpha_pattern is no table.", fix="Download or copy it again.")
    for pattern, value in patterns.items():
        if not PLAIN.match(str(pattern)):
            raise AdapterError(
                f'The file sets alpha by the pattern "{str(pattern)[:80]}".',
                fix="Only plain layer names are read; save it without patterns.",
            )
        wanted = without_level(str(pattern).removeprefix("^"))
        if without_level(path) == wanted or path.endswith(f".{wanted}"):
            return value
    return usual
