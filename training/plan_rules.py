"""What the plan decides, line by line: each rule looks at the case and at the lines above it, and gives a value with its reason in one sentence.

In: a `Case`, and a `Draft` of settings with the user's changes. Out: the draft, one `Line` longer for each setting; `RULES` holds the order.
Warns of nothing and refuses nothing (plan_warnings.py does).
"""

from __future__ import annotations

import statistics

from pipelines.settings import with_values
from training.base_facts import BaseFacts
from training.captions import words
from training.config import TrainSettings, checked, value_at
from training.forecast import make_forecast, size
from training.plan_draft import Case, Draft
from training.preview_prompts import preview_prompts
from training.recipes import Dial, Recipe, exposures, recipe

LETTERING = frozenset(
    ["text", "letter", "letters", "lettering", "logo", "word", "words", "sign", "number", "numbers", "label", "typography", "caption", "slogan", "writing"]
)  # fmt: skip
SMALLEST_SHARE = 0.75  # of the native size: below it a base draws doubled or cropped subjects
ROOM = 0.9  # share of the memory that a plan may fill


def _subject(draft: Draft, case: Case) -> None:
    draft.decide(
        "base",
        case.base.source,
        "The starter learns on any CPU; it draws simple things on plain grounds, photographs need a larger base."
        if case.base.is_starter
        else "The base you chose.",
    )
    draft.decide("subject.intent", case.intent, f"You said that it is a {case.intent}.")
    draft.decide("subject.trigger", case.trigger, "The word that calls it up in a prompt.")
    draft.decide("subject.noun", case.noun, "The kind of thing it is, so that the base's own knowledge of it is used.")


def _recipe(case: Case) -> Recipe:
    return recipe(case.base, case.intent, pictures=case.pictures)


def _adapter(draft: Draft, case: Case) -> None:
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


def _text_reason(case: Case, teach: bool) -> str:
    if teach:
        return f"With only {case.pictures} pictures, teaching the text encoder a little helps the new word stick."
    return "The text encoder stays as it is: captions are encoded once, and old words are not forgotten."


def _pictures(draft: Draft, case: Case) -> None:
    advice, reason = _resolution(case)
    draft.decide("pictures.resolution_px", advice, reason)
    draft.decide("pictures.buckets", True, "Pictures keep their shape instead of being cut to squares.")
    draft.decide("pictures.flip", *_flip(case))
    share = 0.1 if case.base.is_starter else 0.05
    draft.decide(
        "pictures.caption_dropout", share, f"{share:.0%} of the pictures are shown without caption, so that guidance keeps working."
    )
    kept = case.held_out(draft.settings)  # by the default share: the user's own comes after the advice
    held = (
        f"{kept} of {case.pictures} pictures are never trained on: they show whether it learns or copies."
        if kept
        else f"{case.pictures} pictures are too few to keep any aside; overfitting cannot be measured."
    )
    draft.decide("pictures.held_out", 0.05, held)


def _resolution(case: Case) -> tuple[int, str]:
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


def _flip(case: Case) -> tuple[bool, str]:
    if case.intent == "product":
        return False, "Never for products: logos, text and handles would be learnt mirrored."
    if case.intent == "character":
        return False, "Off for characters: partings, badges and asymmetric details would be learnt mirrored."
    lettered = sorted({word for caption in case.captions for word in words(caption)} & LETTERING)
    if lettered:
        return False, f"Off: captions mention {', '.join(lettered[:3])}, and mirrored letters would be learnt."
    return True, "Mirrored pictures double the variety; no caption mentions text or logos."


def _loss(draft: Draft, case: Case) -> None:
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


def _prior(case: Case) -> tuple[float, str]:
    if case.intent == "style":
        return 0.0, "A style has no class word to protect."
    if not case.noun:
        return 0.0, "Off: it needs a noun to protect."
    if case.base.is_starter:
        return 0.0, "Off: the starter learns too briefly to forget; the verdict checks for leaks."
    if case.pictures >= 40:
        return 0.0, f"Off: {case.pictures} pictures vary enough; the verdict checks whether {case.noun!r} alone stays free."
    return 1.0, f"With only {case.pictures} pictures, every {case.noun} would turn into yours; class pictures prevent it."


def _batch(draft: Draft, case: Case) -> None:
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


def _fits(settings: TrainSettings, case: Case, *, batch: int, checkpointing: bool) -> bool:
    tried = with_values(settings, {("loop", "batch"): batch, ("loop", "gradient_checkpointing"): checkpointing})
    return (
        make_forecast(tried, case.base, case.device, pictures=1, held_out=0, speed=case.speed).memory_bytes
        <= ROOM * case.device.memory_bytes
    )


def _length(draft: Draft, case: Case) -> None:
    pictures = max(1, case.pictures - case.held_out(draft.settings))
    steps_a_look = case.batches(draft.settings) / draft.settings.loop.accumulation
    wanted = exposures(case.base, case.intent, pictures=pictures, dial=case.dial)
    steps = max(40, min(round(wanted * steps_a_look), _recipe(case).most_steps))
    steps = round(steps, -1)
    seen = steps / steps_a_look
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


def _rates(draft: Draft, case: Case) -> None:
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
    draft.decide("optim.schedule", "cosine", "The rate falls smoothly, so that fine detail settles at the end.")
    draft.decide("optim.warmup", 0.05, "The rate rises over the first 5 % of the steps.")


def _watch(draft: Draft, case: Case) -> None:
    checkpoints = min(10, max(1, draft.settings.loop.steps))
    why = f"{checkpoints} to choose from, each with as much more learnt as the one before: the verdict picks the best, which is often not the last."
    draft.decide("loop.checkpoints", checkpoints, why)
    draft.decide(
        "loop.validations", checkpoints, "The loss on held-out pictures is measured with every checkpoint, within 5 % of the time."
    )
    draft.decide("loop.early_stop", False, "Off: the verdict finds the best checkpoint afterwards anyway.")
    prompts = preview_prompts(case.captions, trigger=case.trigger, noun=case.noun, intent=case.intent, new_scenes=not case.base.is_starter)
    draft.decide("loop.preview_prompts", prompts, "Made from your captions and the trigger, as unlike each other as they come.")


def _rest(draft: Draft, case: Case) -> None:
    """Overrides of settings that the plan has no opinion on."""
    told = {line.path for line in draft.lines}
    for path in draft.overrides:
        if path not in told:
            advice = value_at(TrainSettings(), path)
            draft.decide(".".join(path), advice, "The default.")


RULES = (_subject, _adapter, _pictures, _loss, _batch, _length, _rates, _watch, _rest)
