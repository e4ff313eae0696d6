"""What a plan's rules look at and write into: the case, and the draft that grows by a line for each setting.

In: what the user answered and changed, facts of pictures, base and device. Out: settings with the user's changes in force, and their lines.
Decides nothing (plan_rules.py does).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.card import Intent
from training.base_facts import BaseFacts
from training.config import FieldPath, TrainSettings, checked, value_at
from training.device import DeviceFacts
from training.forecast import Speed
from training.images import bucket_of
from training.recipes import Dial, held_out_count


@dataclass(frozen=True)
class Line:
    """One setting, why it is what it is, and whether the user changed it. advice: what the plan would have chosen."""

    path: FieldPath
    value: Any
    advice: Any
    reason: str
    changed: bool = False

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def mark(self) -> str:
        """How the line stands to the advice."""
        return f"changed by you (advice: {_shown(self.advice)})" if self.changed else "unchanged from advice"


@dataclass(frozen=True)
class Case:
    """What all lines look at. captions, sizes_hw, repeats: one for each picture."""

    intent: Intent
    trigger: str
    noun: str
    captions: tuple[str, ...]
    sizes_hw: tuple[tuple[int, int], ...]
    repeats: tuple[int, ...]
    kept_by_user: int  # pictures that the user keeps aside
    base: BaseFacts
    device: DeviceFacts
    dial: Dial
    speed: Speed | None = None

    @property
    def pictures(self) -> int:
        return len(self.captions)

    @property
    def sides_px(self) -> tuple[int, ...]:
        """The shorter side of each picture."""
        return tuple(min(size) for size in self.sizes_hw)

    def held_out(self, settings: TrainSettings) -> int:
        """How many pictures are kept aside: the user's own choice, or the share."""
        return self.kept_by_user or held_out_count(self.pictures, share=settings.pictures.held_out)

    def shapes(self, settings: TrainSettings) -> int:
        """How many different shapes the pictures are trained in."""
        return len(self._shown(settings))

    def batches(self, settings: TrainSettings) -> float:
        """Micro-batches for one look at every picture that is taught: those of a shape go together, so the last of each shape is seldom full (batches.py)."""
        taught = max(1, self.pictures - self.held_out(settings))
        shown = self._shown(settings).values()
        return sum(-(-count * taught // (self.pictures * settings.loop.batch)) for count in shown) * self.pictures / sum(self.repeats)

    def _shown(self, settings: TrainSettings) -> Counter[tuple[int, int]]:
        """Pictures an epoch by the shape that they are trained in, repeats counted."""
        pictures, side_px = settings.pictures, settings.pictures.resolution_px or self.base.native_size_px
        shown: Counter[tuple[int, int]] = Counter()
        for size_hw, times in zip(self.sizes_hw, self.repeats, strict=True):
            bucket = bucket_of(
                size_hw, side_px, base_stride_px=self.base.stride_px, is_square=not pictures.buckets, upscale=pictures.upscale
            )
            shown[bucket] += times
        return shown


@dataclass
class Draft:
    """Lines so far. `decide` gives the value in force: the user's where there is one."""

    settings: TrainSettings
    overrides: Mapping[FieldPath, Any]
    lines: list[Line] = field(default_factory=list)

    def decide(self, name: str, advice: Any, reason: str) -> Any:
        path = tuple(name.split("."))
        value = self.overrides.get(path, advice)
        self.settings = checked(self.settings, {path: value})
        kept = value_at(self.settings, path)
        self.lines.append(Line(path, kept, advice, reason, changed=path in self.overrides and kept != advice))
        return kept


def _shown(value: Any) -> str:
    if value is None:
        return "automatic"
    return f"{value:g}" if isinstance(value, float) else str(value)
