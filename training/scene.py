"""What all checkpoints of a run are measured against: real pictures encoded, the base's own pictures drawn, limits and scales taken from both.

In: a run, its base and dataset, which probes. Out: events while the base draws, then a `Scene`. Measures no checkpoint (verdict.py does).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pipelines.encoders import PictureEncoder, TextPictureEncoder, layer_statistics
from pipelines.errors import DatasetError
from pipelines.events import Advice, Event, Phase
from training.captions import without_trigger
from training.config import TrainSettings
from training.dataset import Dataset, Item
from training.runs import CACHE, Run
from training.scores import closeness, colour, copying, health
from training.scores.encoding import Lens, encode_items, open_square, text_encoder_of
from training.scores.probes import Probe, Probes, Thoroughness, make_probes
from training.scores.styling import Styling, styling_of

if TYPE_CHECKING:
    from pipelines.families.base import Base
    from training.scores.gallery import Gallery

FOLDER = "verdict"
MOST_REAL = 400  # training pictures that neighbours are looked for among
UNDERSTOOD = 0.7  # text match of real pictures from which an encoder's reading counts; 0.5 is chance


@dataclass(frozen=True)
class StyleAims:
    """What a style's pictures are measured against beside the held-out ones. wanted: what the unseen things should look like, one row a probe."""

    wanted: closeness.Features
    scale: closeness.Scale
    styling: Styling


@dataclass
class Scene:
    """Everything that all checkpoints are measured against."""

    run: Run
    gallery: Gallery
    probes: Probes
    held_out: tuple[Item, ...]
    training: tuple[Item, ...]
    is_held_out_real: bool
    is_base_changed: bool
    lens: Lens
    held_features: closeness.Features
    training_features: closeness.Features
    training_hashes: np.ndarray
    limit: copying.CopyLimit
    scale: closeness.Scale
    look: health.Look
    palette: colour.Palette
    base_core: closeness.Features
    base_rest: closeness.Features
    base_other_seeds: closeness.Features
    style: StyleAims | None  # None for a subject
    reader: TextPictureEncoder | None  # where its texts tell this set's real pictures apart
    texts: closeness.Features | None


def set_up_scene(
    run: Run, base: Base, dataset: Dataset, *, how: Thoroughness, encoders: tuple[PictureEncoder, ...], checkpoints: int
) -> Generator[Event, None, Scene]:
    """Real pictures encoded, the base's pictures drawn, limits and scales taken from both."""
    from training.latents import split_held_out
    from training.scores.gallery import Gallery

    settings = TrainSettings.model_validate(run.job.settings)
    side_px, background = base.native_size_px, settings.pictures.background
    kept = split_held_out(dataset.items, settings.pictures.held_out, settings.loop.seed)
    keys = {item.key for item in kept}
    taught = [item for item in dataset.items if item.key not in keys][:MOST_REAL]
    yield Phase("reading", 0, 1)
    opened = yield from _open_whole([*taught, *kept], side_px, background=background)
    training, held = (tuple(item for item in items if item.key in opened) for items in (taught, kept))
    if not training:
        message = f"None of the {len(taught)} pictures that {run.path.name} was trained on can be read."
        raise DatasetError(message, fix="`brandprint check` names each and its reason.")
    held_out = held or training
    probes = make_probes(held_out, training, settings.subject, how=how)
    gallery = Gallery(base, run.path / FOLDER, how)
    gallery.total = (
        (checkpoints + 1 + len(how.strengths)) * (len(probes.core) + len(probes.unseen))
        + (how.finalists + 1 + len(how.strengths)) * len(probes.rest)
        + len(probes.unrelated)
        + len(probes.unseen)
    )
    cache = run.path.parent / CACHE / "features"
    raw_held, raw_training = (
        [encode_items(items, encoder, side_px=side_px, background=background, folder=cache) for encoder in encoders]
        for items in (held_out, training)
    )
    real = [opened[item.key] for item in training[:64]]
    held_pictures, trained_pictures = (
        [opened[items[probe.item].key] for probe in asked] for items, asked in ((held_out, probes.held_out), (training, probes.trained))
    )
    hashes = copying.perceptual_hashes([opened[item.key] for item in training])
    del opened  # hundreds of pictures
    yield Phase("reading", 1, 1)
    core = yield from gallery.draw_base(probes.core)
    rest = yield from gallery.draw_base(probes.rest)
    other = yield from gallery.draw_base([_reseeded(probe) for probe in probes.unrelated])
    lens = Lens(encoders)
    held_features, training_features = lens.place(raw_held), lens.place(raw_training)
    real_redrawn = redraw(base, real)
    redrawn = lens.see(real_redrawn)
    base_core = lens.see(core)
    wanted = held_features[[probe.item for probe in probes.held_out]]
    best = float(closeness.paired(lens.see(redraw(base, held_pictures)), wanted).mean())
    scale = closeness.Scale(float(closeness.paired(base_core[: len(wanted)], wanted).mean()), best)
    style = None
    if settings.subject.intent == "style":
        plain = [replace(probe, prompt=without_trigger(probe.prompt, settings.subject.trigger)) for probe in probes.unseen]
        things = yield from gallery.draw_base(plain)
        again = yield from gallery.draw_base([_reseeded(probe) for probe in plain])
        styling = styling_of(layer_statistics(real_redrawn), layer_statistics(core + things))
        style = _style_aims(lens.see(things), lens.see(again), real=wanted, by_base=base_core[: len(wanted)], scale=scale, styling=styling)
    reader, texts = _reader(encoders, probes, held_pictures + trained_pictures, settings)
    return Scene(
        reader=reader, texts=texts, run=run, gallery=gallery, probes=probes, held_out=held_out, training=training, is_held_out_real=bool(held), is_base_changed=_is_base_changed(run, base), lens=lens, held_features=held_features,
        training_features=training_features, training_hashes=hashes, limit=copying.copy_limit(redrawn, training_features[: len(real)], hashes), scale=scale,
        look=health.usual_look(real + core, side_px=side_px), palette=colour.palette_of(real), base_core=base_core, base_rest=lens.see(rest),
        base_other_seeds=lens.see(other), style=style,
    )  # fmt: skip


def _open_whole(items: Sequence[Item], side_px: int, *, background: str) -> Generator[Advice, None, dict[str, Image.Image]]:
    """Pictures at the size that is drawn, by key; a file that cannot be read whole is named and left out, as the training left it out."""
    opened: dict[str, Image.Image] = {}
    for item in items:
        try:
            opened[item.key] = open_square(item, side_px, background=background)
        except DatasetError as error:
            yield Advice("unreadable", f"{item.key} was left out: {error.message}", error.fix)
    return opened


def _style_aims(
    things: closeness.Features,
    again: closeness.Features,
    *,
    real: closeness.Features,
    by_base: closeness.Features,
    scale: closeness.Scale,
    styling: Styling,
) -> StyleAims:
    """things, again: the base's pictures of the unseen things, of two seeds; real, by_base: of the set's captions."""
    wanted = closeness.restyled(((things + again) / 2).astype(np.float32), real=real, by_base=by_base)
    start = float(closeness.paired(things, wanted).mean()) if len(things) else 0.0
    return StyleAims(wanted, closeness.Scale(start, start + scale.ceiling - scale.base), styling)


def _reseeded(probe: Probe) -> Probe:
    return replace(probe, seed=probe.seed + 50)


def _reader(
    encoders: Sequence[PictureEncoder], probes: Probes, real: Sequence[Image.Image], settings: TrainSettings
) -> tuple[TextPictureEncoder | None, closeness.Features | None]:
    """The encoder that reads captions, if it understands them: if it tells these real pictures apart by what they are called."""
    reader = text_encoder_of(encoders)
    if reader is None:
        return None, None
    texts = reader.encode_texts([without_trigger(probe.prompt, settings.subject.trigger) for probe in probes.core])
    understood = float(closeness.text_match(reader.encode_pictures(real), texts).mean())
    return (reader, texts) if understood >= UNDERSTOOD else (None, None)


def redraw(base: Base, pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """Pictures through the base's autoencoder and back: the best that this base could draw of them."""
    import torch

    from pipelines.generation import to_picture
    from training.latents import to_tensor

    if not pictures:
        return []
    pixels = torch.stack([to_tensor(picture) for picture in pictures]).to(base.device)
    return [to_picture(decoded) for decoded in base.decode_latents(base.encode_images(pixels))]


def _is_base_changed(run: Run, base: Base) -> bool:
    """True if the card of the run's adapters names other weights than this base has."""
    from pipelines.adapter import load_adapter
    from training.runs import checkpoint_folders

    known = load_adapter(checkpoint_folders(run.path)[-1] / "adapter.safetensors").card.base_fingerprint
    return bool(known) and known != base.fingerprint
