"""Draws pictures: one handed over as soon as it is done, base and adapters at chosen strengths, the same seed giving the same picture.

In: a `Base`, `DrawSettings`, strengths of attached adapters. Out: `Drawn` pictures, one by one. Cancel by closing the generator: between two pictures
the base is always as it was found. Does not attach adapters (adapter.py), save files (provenance.py) or lay out grids (board.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from pipelines import adapter
from pipelines.errors import AdapterError, OutOfMemory
from pipelines.events import Advice
from pipelines.families.base import Base, Conditioning
from pipelines.quicken import quick_decoder, quickened
from pipelines.sampling import StepReport, generator_for, sample
from pipelines.settings import DrawSettings

TOKENS_THAT_FIT = 75
LAST_SEED = 2**32
# Latent pixels drawn at once: small pictures leave a processor idle one by one (4 at 256 px take 1.8 times as long as 1, not 4 times).
TOGETHER_LATENT_PIXELS = {"cpu": 1024, "cuda": 16384}
TOGETHER_AT_MOST = 8
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Drawn:
    """One picture and everything that made it. settings: with the size really drawn; prompt and seed are this picture's own."""

    image: Image.Image
    prompt: str
    seed: int
    strengths: Mapping[str, float]
    settings: DrawSettings


@dataclass(frozen=True)
class Wish:
    """One picture to be drawn."""

    prompt: str
    negative_prompt: str
    seed: int


def generate(
    base: Base, settings: DrawSettings, *, strengths: Mapping[str, float] | None = None, on_step: Callable[[int, int], None] | None = None
) -> Iterator[Drawn]:
    """settings.pictures pictures, seeds counting up. strengths: None leaves what is attached as it is; {} draws the base alone.

    on_step(done, total) counts the steps of all pictures together. Raises OutOfMemory, and AdapterError for a name that is not attached.
    """
    yield from draw(base, settings, wishes(settings), strengths=strengths, first_alone=True, on_step=on_step)


def compare(base: Base, settings: DrawSettings, *, strengths: Mapping[str, float] | None = None) -> Iterator[tuple[Drawn, Drawn]]:
    """Pairs on the same noise: the base alone, and the adapters at `strengths` (None: as they are)."""
    plain = generate(base, settings, strengths={})
    taught = generate(base, settings, strengths=strengths)
    yield from zip(plain, taught, strict=True)


def wishes(settings: DrawSettings) -> list[Wish]:
    """What settings ask for, picture by picture."""
    return [Wish(settings.prompt, settings.negative_prompt, (settings.seed + number) % LAST_SEED) for number in range(settings.pictures)]


def draw(
    base: Base,
    settings: DrawSettings,
    wanted: Sequence[Wish],
    *,
    strengths: Mapping[str, float] | None = None,
    first_alone: bool = False,
    on_step: StepReport | None = None,
) -> Iterator[Drawn]:
    """A picture per wish, in order; several are drawn at once where that is faster. Prompts, seeds and count come from the wishes.

    first_alone: the first picture does not wait for others. Otherwise as generate().
    """
    settings = with_size(base, settings)
    told = _Told(on_step, total=settings.steps * len(wanted))
    position = 0
    while position < len(wanted):
        count = 1 if first_alone and position == 0 else together(base, settings)
        group = list(wanted[position : position + count])
        yield from _draw_group(base, settings, group, strengths=strengths, told=told)
        position += len(group)


def _draw_group(
    base: Base, settings: DrawSettings, group: list[Wish], *, strengths: Mapping[str, float] | None, told: _Told
) -> Iterator[Drawn]:
    """Halves the group where memory does not suffice, down to one picture."""
    try:
        latents, used = _latents(base, settings, group, strengths=strengths, told=told)
    except OutOfMemory:
        if len(group) == 1:
            raise
        half = len(group) // 2
        for part in (group[:half], group[half:]):
            yield from _draw_group(base, settings, part, strengths=strengths, told=told)
        return
    for wish, latent in zip(group, latents, strict=True):
        picture = decode(base, latent[None], lossy=settings.speed == "fast")
        yield Drawn(picture, wish.prompt, wish.seed, used, settings.model_copy(update={"negative_prompt": wish.negative_prompt}))


def _latents(
    base: Base, settings: DrawSettings, group: Sequence[Wish], *, strengths: Mapping[str, float] | None, told: _Told
) -> tuple[Tensor, dict[str, float]]:
    """The group's latents, and the strengths in force. The base is as before when this returns or raises."""
    with in_force(base, strengths), _memory_named(settings):
        used = adapter.strengths(base)
        with quickened(base, lossy=settings.speed == "fast"):
            positive = encode(base, [wish.prompt for wish in group])
            negative = _unwanted(base, [wish.negative_prompt for wish in group])
            generators = [generator_for(wish.seed) for wish in group]
            latents = sample(
                base, settings, positive=positive, negative=negative, generators=generators, on_step=told.for_pictures(len(group))
            )
    if not torch.isfinite(latents).all():
        acting = ", ".join(f"{name} at {strength:g}" for name, strength in used.items() if strength) or "the base alone"
        raise AdapterError(f"The picture came out as NaN with {acting}.", fix="Lower the strength, or take an earlier checkpoint.")
    return latents.clone(), used


def encode(base: Base, prompts: Sequence[str]) -> Conditioning:
    """Conditioning for the prompts, in order; each different prompt goes through the text encoder once."""
    different = list(dict.fromkeys(prompts))
    coded = base.encode_prompts(different)
    rows = torch.tensor([different.index(prompt) for prompt in prompts], device=coded.hidden.device)
    return Conditioning(coded.hidden[rows], None if coded.pooled is None else coded.pooled[rows])


def _unwanted(base: Base, prompts: Sequence[str]) -> Conditioning:
    """Conditioning for negative prompts. Where the base has pooled text (SDXL), an empty one is all zeros, as StableDiffusionXLPipeline has it."""
    coded = encode(base, prompts)
    if coded.pooled is None:
        return coded
    said = torch.tensor([bool(prompt) for prompt in prompts], device=coded.hidden.device)
    return Conditioning(coded.hidden * said.view(-1, 1, 1), coded.pooled * said.view(-1, 1))


def decode(base: Base, latents: Tensor, *, lossy: bool = False) -> Image.Image:
    """The picture of one latent [1, C, h, w]; in tiles where memory does not suffice for the whole. lossy: as quicken.py has it. Raises OutOfMemory."""
    height_px, width_px = (side * base.stride_px for side in latents.shape[-2:])
    size = DrawSettings(width_px=width_px, height_px=height_px)
    try:
        with _memory_named(size), quick_decoder(base, lossy=lossy):
            return to_picture(base.decode_latents(latents)[0])
    except OutOfMemory:
        if not hasattr(base.vae, "enable_tiling"):
            raise
    log.warning("Not enough memory to decode %d x %d px at once: decoding in tiles.", width_px, height_px)
    base.vae.enable_tiling()
    try:
        with _memory_named(size):
            return to_picture(base.decode_latents(latents)[0])
    finally:
        base.vae.disable_tiling()


def to_picture(pixels: Tensor) -> Image.Image:
    """pixels: [3, H, W] in [-1, 1]."""
    values = ((pixels.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(values.permute(1, 2, 0).cpu().numpy())


@contextmanager
def in_force(base: Base, wanted: Mapping[str, float] | None) -> Iterator[None]:
    """The strengths inside the block, the earlier ones after it. None: as they are."""
    if wanted is None:
        yield
        return
    before = adapter.strengths(base)
    adapter.set_strengths(base, wanted)
    try:
        yield
    finally:
        adapter.set_strengths(base, before)


def with_size(base: Base, settings: DrawSettings) -> DrawSettings:
    """Settings with both sides given, in multiples of the base's stride; an empty side is the base's own."""
    width_px, height_px = (_fitting(base, side) for side in (settings.width_px, settings.height_px))
    return settings.model_copy(update={"width_px": width_px, "height_px": height_px})


def _fitting(base: Base, side_px: int | None) -> int:
    return max(base.stride_px, round((side_px or base.native_size_px) / base.stride_px) * base.stride_px)


def together(base: Base, settings: DrawSettings) -> int:
    """How many pictures of this size are drawn at once."""
    sized = with_size(base, settings)
    latent_pixels = (sized.width_px or 0) * (sized.height_px or 0) // base.stride_px**2
    budget = TOGETHER_LATENT_PIXELS.get(base.device.type, TOGETHER_LATENT_PIXELS["cuda"])
    return min(TOGETHER_AT_MOST, max(1, budget // latent_pixels))


def drawing_advice(base: Base, settings: DrawSettings, *, trigger: str = "") -> tuple[Advice, ...]:
    """What the user should know before drawing: prompts that are cut, sizes that are rounded or far from what the base knows."""
    texts = (("prompt", settings.prompt), ("negative prompt", settings.negative_prompt))
    return tuple(advice for name, text in texts for advice in _prompt_advice(base, text, name=name, trigger=trigger)) + _size_advice(
        base, settings
    )


def _prompt_advice(base: Base, text: str, *, name: str, trigger: str) -> list[Advice]:
    tokens = base.token_count(text)
    if tokens <= TOKENS_THAT_FIT:
        return []
    kept = fitting_part(base, text)
    lost = f'The {name} has {tokens} tokens; {TOKENS_THAT_FIT} fit. Left out: "{text[len(kept) :].strip()}".'
    if trigger and trigger.casefold() in text.casefold() and trigger.casefold() not in kept.casefold():
        return [Advice("trigger_cut", f"{lost} The trigger {trigger} is in the part left out.", f"Say {trigger} at the beginning.")]
    return [Advice("prompt_cut", lost, "Say the most important things first, or shorten it.")]


def fitting_part(base: Base, text: str) -> str:
    """The longest run of whole words from the start that fits the text encoder."""
    ends = [index for index in range(1, len(text) + 1) if index == len(text) or text[index].isspace()]
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if base.token_count(text[: ends[middle - 1]]) <= TOKENS_THAT_FIT else (low, middle - 1)
    return text[: ends[low - 1]] if low else ""


def _size_advice(base: Base, settings: DrawSettings) -> tuple[Advice, ...]:
    sized = with_size(base, settings)
    asked = settings.width_px or sized.width_px, settings.height_px or sized.height_px
    drawn = sized.width_px, sized.height_px
    found = []
    if asked != drawn:
        found.append(
            Advice(
                "size_rounded",
                f"{asked[0]} x {asked[1]} px becomes {drawn[0]} x {drawn[1]} px.",
                f"This base draws in steps of {base.stride_px} px.",
            )
        )
    area = (drawn[0] or 0) * (drawn[1] or 0) / base.native_size_px**2
    if not 0.5 <= area <= 2:
        native = f"{base.native_size_px} x {base.native_size_px} px"
        found.append(
            Advice(
                "size_unusual",
                f"This base learned at about {native}; {drawn[0]} x {drawn[1]} px may repeat or lose things.",
                f"Stay near {native}.",
            )
        )
    return tuple(found)


class _Told:
    """Adds up the steps of groups of pictures for one report."""

    def __init__(self, report: StepReport | None, *, total: int) -> None:
        self.report, self.total, self.done = report, total, 0

    def for_pictures(self, count: int) -> StepReport | None:
        if self.report is None:
            return None
        report, before = self.report, self.done

        def told(step: int, steps: int) -> None:
            self.done = before + step * count
            report(self.done, self.total)

        return told


@contextmanager
def _memory_named(settings: DrawSettings) -> Iterator[None]:
    """The device's and the processor's ways of saying that memory is out become OutOfMemory."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise OutOfMemory(
            f"{settings.width_px} x {settings.height_px} px needs more memory than there is.",
            fix="Draw smaller, or end other work on this device.",
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """True for CUDA's error, Python's, and the allocator's of a CPU, which is a plain RuntimeError."""
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "can't allocate memory" in str(error)
        or "not enough memory" in str(error)
    )
