"""What a user should know before the start, and plans that cannot work here, each with what to do instead.

In: settings, the case, the forecast. Out: `Advice` in plain words. Changes no setting.
"""

from __future__ import annotations

from typing import Any

from pipelines.events import Advice
from pipelines.settings import with_values
from training.config import FieldPath, TrainSettings
from training.forecast import Forecast, duration, make_forecast, size
from training.plan_draft import Case

HOPELESS_SECONDS = 24 * 3600
LONG_SECONDS = 6 * 3600


def warnings_of(settings: TrainSettings, case: Case, forecast: Forecast) -> list[Advice]:
    found = []
    if case.pictures < 10:
        few = "One picture is" if case.pictures == 1 else f"{case.pictures} pictures are"
        found.append(Advice("few-pictures", f"{few} few.", "Add at least 10 that differ in angle, light and background."))
    empty = sum(not caption.strip() for caption in case.captions)
    if empty:
        found.append(
            Advice(
                "empty-captions",
                f"{empty} of {case.pictures} pictures have no caption.",
                "Caption them, so that what varies is not taken for what is taught.",
            )
        )
    distinct = len({caption.strip().casefold() for caption in case.captions})
    if case.pictures >= 10 and distinct <= case.pictures // 3 and not empty:
        message = f"{case.pictures} pictures share {distinct} different caption{'s' if distinct > 1 else ''}."
        found.append(Advice("same-captions", message, "Say what varies (angle, background, light), so that it stays free to vary."))
    if not case.trigger:
        found.append(Advice("no-trigger", "There is no trigger word.", "Choose a rare word; without it every prompt is affected."))
    if case.base.is_guess:
        found.append(
            Advice(
                "base-not-here",
                f"{case.base.source} is not on this machine yet: figures are those of the {case.base.family} family.",
                "It is downloaded when the run starts.",
            )
        )
    if case.intent != "style" and settings.pictures.flip:
        found.append(Advice("flip", f"Mirrored pictures of a {case.intent} teach mirrored text and details.", "Turn flip off."))
    if LONG_SECONDS < forecast.seconds <= HOPELESS_SECONDS:
        found.append(
            Advice(
                "long",
                f"This will take about {duration(forecast.seconds)} on {case.device.words}.",
                "Choose the quick dial, or run it overnight.",
            )
        )
    return found


def refusal_of(settings: TrainSettings, case: Case, forecast: Forecast) -> Advice | None:
    if not forecast.fits:
        need, there = size(forecast.memory_bytes), size(case.device.memory_bytes)
        return Advice("too-big", f"This plan needs {need} of memory; {case.device.words} has {there}.", _smaller(settings, case))
    if forecast.seconds > HOPELESS_SECONDS:
        message = f"This plan would take about {duration(forecast.seconds)} on {case.device.words}."
        return Advice("too-slow", message, _faster(case))
    return None


def _smaller(settings: TrainSettings, case: Case) -> str:
    """The nearest plan that fits."""
    light = with_values(settings, {("loop", "batch"): 1, ("loop", "gradient_checkpointing"): True})
    if _fits(light, case):
        return "Use batch 1 with gradient checkpointing."
    resolution = settings.pictures.resolution_px or case.base.native_size_px
    halved: dict[FieldPath, Any] = {("pictures", "resolution_px"): max(64, resolution // 2 // 64 * 64)}
    for tried, beside in ((settings, ""), (light, " with batch 1 and gradient checkpointing")):
        small = with_values(tried, halved)
        if _fits(small, case):
            return f"Train at {small.pictures.resolution_px} px{beside}, or use a smaller base."
    return "Use a smaller base (SD 1.5 needs about a third of SDXL's memory; the starter runs anywhere), or a GPU with more memory."


def _fits(settings: TrainSettings, case: Case) -> bool:
    return make_forecast(settings, case.base, case.device, pictures=1, held_out=0, speed=case.speed, shapes=case.shapes(settings)).fits


def _faster(case: Case) -> str:
    if case.device.kind == "cpu" and not case.base.is_starter:
        return "Train on a GPU, or try it on the starter base, which learns on a CPU within minutes."
    return "Choose the quick dial, fewer steps or a smaller base."
