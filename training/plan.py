"""Intent, pictures, base, device and dial -> settings, with a reason in one sentence for every line, and a forecast.

In: what the user answered, the pictures' sizes and captions, facts of base and device, and what the user changed. Out: `Plan`.
Lines are decided in order (plan_rules.py), so that a change (a batch, a size) is taken up by those below. Imports no torch; starts nothing; reads no
files but headers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipelines.card import Intent
from pipelines.errors import ConfigError
from pipelines.events import Advice
from training.base_facts import BaseFacts
from training.config import FieldPath, TrainSettings
from training.device import DeviceFacts
from training.forecast import Forecast, Speed, duration, make_forecast
from training.need import Need
from training.plan_draft import Case, Draft, Line
from training.plan_rules import RULES
from training.plan_warnings import refusal_of, warnings_of
from training.recipes import Dial, exposures_of


class PlannedPicture(Protocol):
    """What the plan reads of a picture; `training.dataset.Item` fits."""

    @property
    def caption(self) -> str: ...
    @property
    def size_hw(self) -> tuple[int, int]: ...
    @property
    def repeats(self) -> int: ...
    @property
    def held_out(self) -> bool: ...


@dataclass(frozen=True)
class Plan:
    """settings: ready for a run. exposures: how often each picture is seen. pictures_a_batch: on average. warnings: what the user should know before the start."""

    settings: TrainSettings
    lines: tuple[Line, ...]
    exposures: float
    pictures_a_batch: float
    warnings: tuple[Advice, ...]
    forecast: Forecast
    refusal: Advice | None = None

    @property
    def words(self) -> str:
        """The plan in one sentence for people."""
        loop = self.settings.loop
        return (
            f"I will look at each picture about {self.exposures:.0f} times ({loop.steps} steps of {self._together} pictures), "
            f"with rank {self.settings.adapter.rank}: about {duration(self.forecast.seconds)}."
        )

    @property
    def _together(self) -> str:
        """How many pictures a step sees; where shapes differ, batches are not full."""
        loop = self.settings.loop
        most, mean = loop.batch * loop.accumulation, loop.accumulation * self.pictures_a_batch
        return f"{most}" if mean > 0.9 * most else f"about {mean:.0f}"

    def check(self) -> None:
        """Raises ConfigError with an alternative where the plan is hopeless on this device."""
        if self.refusal:
            raise ConfigError(self.refusal.message, fix=self.refusal.fix)


def make_plan(
    *, intent: Intent, trigger: str, noun: str, pictures: Sequence[PlannedPicture], base_facts: BaseFacts, device: DeviceFacts, dial: Dial = "balanced",
    overrides: Mapping[FieldPath, Any] | None = None, speed: Speed | None = None, need: Need | None = None,
) -> Plan:  # fmt: skip
    """The plan. pictures: a Dataset's items. overrides: settings path -> the user's value. speed: steps timed on this device (timing.py).
    need: how near the base comes without an adapter (need.py).

    Raises ConfigError for values that the settings refuse and for paths that do not exist. Hopeless plans are returned with `refusal`; `check` raises.
    """
    items = tuple(getattr(pictures, "items", pictures))
    if not items:
        raise ConfigError("A plan needs pictures, and there are none.", fix="Add pictures first.")
    case = Case(
        intent,
        trigger.strip(),
        noun.strip(),
        tuple(item.caption for item in items),
        tuple(item.size_hw for item in items),
        tuple(item.repeats for item in items),
        sum(item.held_out for item in items),
        base_facts,
        device,
        dial,
        speed,
    )
    draft = Draft(TrainSettings(), dict(overrides or {}))
    for decide in RULES:
        decide(draft, case)
    held_out, batches = case.held_out(draft.settings), case.batches(draft.settings)
    forecast = make_forecast(
        draft.settings,
        base_facts,
        device,
        pictures=case.pictures - held_out,
        held_out=held_out,
        batches=batches,
        speed=speed,
        shapes=case.shapes(draft.settings),
    )
    return Plan(
        settings=draft.settings,
        lines=tuple(draft.lines),
        exposures=exposures_of(draft.settings, batches=batches),
        pictures_a_batch=(case.pictures - held_out) / batches,
        warnings=(*((need.advice,) if need and need.advice else ()), *warnings_of(draft.settings, case, forecast)),
        forecast=forecast,
        refusal=refusal_of(draft.settings, case, forecast),
    )
