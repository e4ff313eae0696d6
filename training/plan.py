"""Intent, pictures, base, device and dial -> settings, with a reason in one sentence for every line, and a forecast.

In: what the user answered, the pictures' sizes and captions, facts of base and device, and what the user changed. Out: `Plan`.
Lines are decided in order, so that a change (a batch, a size) is taken up by those below. Imports no torch; starts nothing; reads no files but headers.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import ValidationError

from pipelines.card import Intent
from pipelines.errors import ConfigError
from pipelines.events import Advice
from pipelines.settings import with_values
from training.base_facts import BaseFacts
from training.captions import words
from training.config import TrainSettings
from training.device import DeviceFacts
from training.forecast import Forecast, Speed, activation_bytes, duration, make_forecast, size
from training.need import Need
from training.preview_prompts import preview_prompts
from training.recipes import Dial, Recipe, exposures, exposures_of, held_out_count, recipe

FieldPath = tuple[str, ...]
LETTERING = frozenset(
    (
        "text",
        "letter",
        "letters",
        "lettering",
        "logo",
        "word",
        "words",
        "sign",
        "number",
        "numbers",
        "label",
        "typography",
        "caption",
        "slogan",
        "writing",
    )
)
HOPELESS_SECONDS = 24 * 3600
LONG_SECONDS = 6 * 3600
SMALLEST_SHARE = 0.75  # of the native size: below it a base draws doubled or cropped subjects
ROOM = 0.9  # share of the memory that a plan may fill


class PlannedPicture(Protocol):
    """What the plan reads of a picture; `training.dataset.Item` fits."""

    @property
    def caption(self) -> str: ...
    @property
    def size_hw(self) -> tuple[int, int]: ...


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
class Plan:
    """settings: ready for a run. exposures: how often each picture is seen. warnings: what the user should know before the start."""

    settings: TrainSettings
    lines: tuple[Line, ...]
    exposures: float
    warnings: tuple[Advice, ...]
    forecast: Forecast
    refusal: Advice | None = None

    @property
    def words(self) -> str:
        """The plan in one sentence for people."""
        loop = self.settings.loop
        return (
            f"I will look at each picture about {self.exposures:.0f} times ({loop.steps} steps of {loop.batch * loop.accumulation} pictures), "
            f"with rank {self.settings.adapter.rank}: about {duration(self.forecast.seconds)}."
        )

    def check(self) -> None:
        """Raises ConfigError with an alternative where the plan is hopeless on this device."""
        if self.refusal:
            raise ConfigError(self.refusal.message, fix=self.refusal.fix)


@dataclass(frozen=True)
class _Case:
    """What all lines look at."""

    intent: Intent
    trigger: str
    noun: str
    captions: tuple[str, ...]
    sides_px: tuple[int, ...]
    base: BaseFacts
    device: DeviceFacts
    dial: Dial
    speed: Speed | None = None

    @property
    def pictures(self) -> int:
        return len(self.captions)


@dataclass
class _Draft:
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
    case = _Case(
        intent,
        trigger.strip(),
        noun.strip(),
        tuple(item.caption for item in items),
        tuple(min(item.size_hw) for item in items),
        base_facts,
        device,
        dial,
        speed,
    )
    draft = _Draft(TrainSettings(), dict(overrides or {}))
    for decide in (_subject, _adapter, _pictures, _loss, _batch, _length, _rates, _watch):
        decide(draft, case)
    _rest(draft)
    held_out = held_out_count(case.pictures, share=draft.settings.pictures.held_out)
    forecast = make_forecast(draft.settings, base_facts, device, pictures=case.pictures - held_out, held_out=held_out, speed=speed)
    return Plan(
        settings=draft.settings,
        lines=tuple(draft.lines),
        exposures=exposures_of(draft.settings, pictures=case.pictures - held_out),
        warnings=(*((need.advice,) if need and need.advice else ()), *_warnings(draft.settings, case, forecast)),
        forecast=forecast,
        refusal=_refusal(draft.settings, case, forecast),
    )


def _subject(draft: _Draft, case: _Case) -> None:
    draft.decide(
        "base",
        case.base.source,
        "The starter ships with Brandprint and learns on any CPU." if case.base.is_starter else "The base you chose.",
    )
    draft.decide("subject.intent", case.intent, f"You said that it is a {case.intent}.")
    draft.decide("subject.trigger", case.trigger, "The word that calls it up in a prompt.")
    draft.decide("subject.noun", case.noun, "The kind of thing it is, so that the base's own knowledge of it is used.")


def _recipe(case: _Case) -> Recipe:
    return recipe(case.base, case.intent, pictures=case.pictures)


def _adapter(draft: _Draft, case: _Case) -> None:
    chosen = _recipe(case)
    kind = {"style": "a style", "product": "one product", "character": "one character"}[case.intent]
    draft.decide("adapter.kind", "lora", "Plain LoRA opens in every app.")
    rank = draft.decide("adapter.rank", chosen.rank, f"Rank {chosen.rank} is plenty for {kind} taught from {case.pictures} pictures.")
    draft.decide("adapter.alpha", None, f"Equal to the rank, {rank}, so that strength 1 means the same in every app.")
    wide = (
        "The starter is small: adapters on all layers let it change enough."
        if chosen.targets == "all"
        else "Attention and feed-forward layers carry subject and style; convolutions add size more than likeness."
    )
    draft.decide("adapter.targets", chosen.targets, wide)
    teach = (
        case.intent != "style" and case.pictures <= 30 and case.base.family != "sdxl" and not case.base.is_starter and case.dial != "quick"
    )
    draft.decide("adapter.text_encoder", teach, _text_reason(case, teach))


def _text_reason(case: _Case, teach: bool) -> str:
    if teach:
        return f"With only {case.pictures} pictures, teaching the text encoder a little helps the new word stick."
    return "The text encoder stays as it is: captions are encoded once, and old words are not forgotten."


def _pictures(draft: _Draft, case: _Case) -> None:
    advice, reason = _resolution(case)
    draft.decide("pictures.resolution_px", advice, reason)
    draft.decide("pictures.buckets", True, "Pictures keep their shape instead of being cut to squares.")
    draft.decide("pictures.flip", *_flip(case))
    share = 0.1 if case.base.is_starter else 0.05
    draft.decide(
        "pictures.caption_dropout", share, f"{share:.0%} of the pictures are shown without caption, so that guidance keeps working."
    )
    kept = held_out_count(case.pictures, share=0.05)
    held = (
        f"{kept} of {case.pictures} pictures are never trained on: they show whether it learns or copies."
        if kept
        else f"{case.pictures} pictures are too few to keep any aside; overfitting cannot be measured."
    )
    draft.decide("pictures.held_out", 0.05, held)


def _resolution(case: _Case) -> tuple[int, str]:
    """The base's own size, less where three quarters of the pictures are smaller."""
    native, stride = case.base.native_size_px, max(case.base.stride_px, 8)
    lower = statistics.quantiles(case.sides_px, n=4)[2] if len(case.sides_px) > 1 else case.sides_px[0]
    if lower >= native:
        return native, f"{native} px is what this base was made for."
    step = max(64, stride)
    fitting = max(int(lower) // step * step, int(SMALLEST_SHARE * native) // step * step, step)
    if fitting >= native:
        return native, f"{native} px is what this base was made for; your pictures are close to it."
    return (
        fitting,
        f"Three quarters of your pictures are {lower:.0f} px or less on their short side: {fitting} px needs little enlarging; the base's own size is {native} px.",
    )


def _flip(case: _Case) -> tuple[bool, str]:
    if case.intent == "product":
        return False, "Never for products: logos, text and handles would be learnt mirrored."
    if case.intent == "character":
        return False, "Off for characters: partings, badges and asymmetric details would be learnt mirrored."
    lettered = sorted({word for caption in case.captions for word in words(caption)} & LETTERING)
    if lettered:
        return False, f"Off: captions mention {', '.join(lettered[:3])}, and mirrored letters would be learnt."
    return True, "Mirrored pictures double the variety; no caption mentions text or logos."


def _loss(draft: _Draft, case: _Case) -> None:
    base = case.base
    if base.prediction == "v_prediction" and base.zero_terminal_snr:
        draft.decide(
            "loss.weighting",
            "none",
            "This base learns colours at the noisiest step, where min-SNR's weight is zero; so all steps count alike.",
        )
        draft.decide(
            "loss.noise_offset", 0.0, "Not needed: this base was trained down to pure noise and reaches deep darks and lights by itself."
        )
    else:
        draft.decide("loss.weighting", "min_snr", "Min-SNR 5 balances fine detail against composition and helps larger sets most.")
        offset = 0.05 if case.intent == "style" else 0.03
        draft.decide("loss.noise_offset", offset, f"{offset:g} gives deeper darks and lights, which this kind of base lacks.")
    advice, reason = _prior(case)
    weight = draft.decide("loss.prior_weight", advice, reason)
    if weight:
        count = min(200, max(20, 10 * case.pictures))
        draft.decide(
            "loss.prior_pictures", count, f"{count} pictures of any {case.noun}, drawn by the base first, keep the word {case.noun!r} free."
        )


def _prior(case: _Case) -> tuple[float, str]:
    if case.intent == "style":
        return 0.0, "A style has no class word to protect."
    if not case.noun:
        return 0.0, "Off: it needs a noun to protect."
    if case.base.is_starter:
        return 0.0, "Off: the starter learns too briefly to forget; the verdict checks for leaks."
    if case.pictures >= 40:
        return 0.0, f"Off: {case.pictures} pictures vary enough; the verdict checks whether {case.noun!r} alone stays free."
    return 1.0, f"With only {case.pictures} pictures, every {case.noun} would turn into yours; class pictures prevent it."


def _batch(draft: _Draft, case: _Case) -> None:
    """The largest batch that fits, the rest by accumulation; checkpointing before anything else."""
    wanted = min(_recipe(case).batch, max(1, case.pictures))
    wanted_now = 1 if case.device.kind == "cpu" and not _is_small(case.base) else wanted
    checkpointing = False
    while not _fits(draft.settings, case, batch=wanted_now, checkpointing=checkpointing):
        if not checkpointing:
            checkpointing = True
        elif wanted_now > 1:
            wanted_now //= 2
        else:
            break
    room = f"{size(case.device.memory_bytes)} of memory"
    why = (
        f"{wanted} pictures together steady each step."
        if wanted_now == wanted
        else f"{wanted_now} at once is what {case.device.words} with {room} can carry."
    )
    batch = draft.decide("loop.batch", wanted_now, why)
    accumulation = max(1, round(wanted / batch))
    draft.decide(
        "loop.accumulation", accumulation, f"Each step counts {batch * accumulation} pictures." if accumulation > 1 else "Not needed."
    )
    draft.decide(
        "loop.gradient_checkpointing",
        checkpointing,
        f"Needed to fit into {room}; it costs a third more time."
        if checkpointing
        else "Not needed: memory suffices, and it costs a third more time.",
    )
    draft.decide("loop.precision", "auto", "A short measured trial on this device picks the fastest that is safe.")


def _is_small(base: BaseFacts) -> bool:
    return base.denoiser.parameters < 100_000_000


def _fits(settings: TrainSettings, case: _Case, *, batch: int, checkpointing: bool) -> bool:
    tried = with_values(settings, {("loop", "batch"): batch, ("loop", "gradient_checkpointing"): checkpointing})
    return (
        make_forecast(tried, case.base, case.device, pictures=1, held_out=0, speed=case.speed).memory_bytes
        <= ROOM * case.device.memory_bytes
    )


def _length(draft: _Draft, case: _Case) -> None:
    kept = held_out_count(case.pictures, share=draft.settings.pictures.held_out)
    pictures = max(1, case.pictures - kept)
    together = draft.settings.loop.batch * draft.settings.loop.accumulation
    wanted = exposures(case.base, case.intent, pictures=pictures, dial=case.dial)
    steps = max(40, min(round(wanted * pictures / together), _recipe(case).most_steps))
    steps = round(steps, -1)
    seen = steps * together / pictures
    few = "few pictures need many looks" if pictures < 60 else "many pictures need fewer looks each"
    draft.decide(
        "loop.steps",
        steps,
        f"Each of {pictures} pictures is seen about {seen:.0f} times: {few}; the {case.dial} dial {_dial_words(case.dial)}.",
    )


def _dial_words(dial: Dial) -> str:
    return {
        "quick": "gives a first look",
        "balanced": "is the usual length",
        "thorough": "doubles it, and the verdict picks the best checkpoint",
    }[dial]


def _rates(draft: _Draft, case: _Case) -> None:
    chosen = _recipe(case)
    parameters = case.base.adapter_parameters(rank=draft.settings.adapter.rank, targets=draft.settings.adapter.targets)
    if draft.overrides.get(("optim", "optimizer")) == "prodigy":  # the settings refuse Prodigy beside an ordinary rate
        draft.settings = checked(draft.settings, {("optim", "learning_rate"): 1.0})
    optimizer = draft.decide(
        "optim.optimizer", "adamw", f"AdamW: the adapter's {parameters / 1e6:.1f} million numbers are few, so its memory costs little."
    )
    rate = 1.0 if optimizer == "prodigy" else chosen.learning_rate
    kind = "a small base" if _is_small(case.base) else f"rank {chosen.rank}"
    why = (
        "Prodigy finds its own rate; 1 is its neutral setting."
        if optimizer == "prodigy"
        else f"{rate:g} is the proven rate for {kind} with alpha equal to rank."
    )
    draft.decide("optim.learning_rate", rate, why)
    if draft.settings.adapter.text_encoder:
        draft.decide("optim.text_encoder_rate", 1e-5, "A tenth of the denoiser's rate, so that old words keep their meaning.")
    draft.decide("optim.schedule", "cosine", "The rate falls smoothly, so that the last checkpoints differ little and fine detail settles.")
    draft.decide("optim.warmup", 0.05, "The rate rises over the first 5 % of the steps.")


def _watch(draft: _Draft, case: _Case) -> None:
    checkpoints = min(10, max(1, draft.settings.loop.steps))
    draft.decide("loop.checkpoints", checkpoints, f"{checkpoints} to choose from: the verdict picks the best, which is often not the last.")
    draft.decide(
        "loop.validations", checkpoints, "The loss on held-out pictures is measured with every checkpoint, within 5 % of the time."
    )
    draft.decide("loop.early_stop", False, "Off: the verdict finds the best checkpoint afterwards anyway.")
    prompts = preview_prompts(case.captions, trigger=case.trigger, noun=case.noun, intent=case.intent, new_scenes=not case.base.is_starter)
    draft.decide("loop.preview_prompts", prompts, "Made from your captions and the trigger, as unlike each other as they come.")


def _rest(draft: _Draft) -> None:
    """Overrides of settings that the plan has no opinion on."""
    told = {line.path for line in draft.lines}
    for path in draft.overrides:
        if path not in told:
            advice = value_at(TrainSettings(), path)
            draft.decide(".".join(path), advice, "The default.")


def _warnings(settings: TrainSettings, case: _Case, forecast: Forecast) -> list[Advice]:
    found = []
    if case.pictures < 10:
        found.append(
            Advice("few-pictures", f"{case.pictures} pictures are few.", "Add at least 10 that differ in angle, light and background.")
        )
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


def _refusal(settings: TrainSettings, case: _Case, forecast: Forecast) -> Advice | None:
    if not forecast.fits:
        need, there = size(forecast.memory_bytes), size(case.device.memory_bytes)
        return Advice("too-big", f"This plan needs {need} of memory; {case.device.words} has {there}.", _smaller(settings, case))
    if forecast.seconds > HOPELESS_SECONDS:
        message = f"This plan would take about {duration(forecast.seconds)} on {case.device.words}."
        return Advice("too-slow", message, _faster(case))
    return None


def _smaller(settings: TrainSettings, case: _Case) -> str:
    """The nearest plan that fits."""
    fixed = make_forecast(settings, case.base, case.device, pictures=1, held_out=0).memory_bytes - activation_bytes(
        settings, case.base, case.device
    )
    if fixed < 0.85 * case.device.memory_bytes and (settings.loop.batch > 1 or not settings.loop.gradient_checkpointing):
        return "Use batch 1 with gradient checkpointing."
    resolution = settings.pictures.resolution_px or case.base.native_size_px
    halved = with_values(settings, {("pictures", "resolution_px"): max(64, resolution // 2 // 64 * 64)})
    if make_forecast(halved, case.base, case.device, pictures=1, held_out=0).fits:
        return f"Train at {halved.pictures.resolution_px} px, or use a smaller base."
    return "Use a smaller base (SD 1.5 needs about a third of SDXL's memory; the starter runs anywhere), or a GPU with more memory."


def _faster(case: _Case) -> str:
    if case.device.kind == "cpu" and not case.base.is_starter:
        return "Train on a GPU, or try it on the starter base, which learns on a CPU within minutes."
    return "Choose the quick dial, fewer steps or a smaller base."


def checked(settings: TrainSettings, values: Mapping[FieldPath, Any]) -> TrainSettings:
    """The settings with values replaced. Raises ConfigError naming the field and what it takes."""
    for path in values:
        value_at(settings, path)
    try:
        return with_values(settings, dict(values))
    except ValidationError as problem:
        first = problem.errors()[0]
        if not first["loc"]:
            raise ConfigError(_plain(first["msg"]) + ".", fix="Change one of the two.") from problem
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{name} cannot be {first.get('input')!r}: {_plain(first['msg'])}.", fix="Choose a value within its range."
        ) from problem


def value_at(settings: TrainSettings, path: FieldPath) -> Any:
    """The leaf at a path. Raises ConfigError where there is none."""
    value: Any = settings
    for name in path:
        if name not in getattr(type(value), "model_fields", {}):
            raise ConfigError(f"There is no setting named {'.'.join(path)}.", fix="`brandprint train --help` lists them all.")
        value = getattr(value, name)
    return value


def _plain(message: str) -> str:
    return re.sub(r"^(Value error, )?", "", message).rstrip(".")


def _shown(value: Any) -> str:
    if value is None:
        return "automatic"
    return f"{value:g}" if isinstance(value, float) else str(value)
