"""Evaluate the packaged starter: reconstruction, concepts, styles, backgrounds, speed, and a contact sheet.

In: the package folder and the state folder's drawings. Out: `Figures` (written as JSON beside the logs) and a PNG sheet.
Pictures are drawn by plain StableDiffusionPipeline, 20 steps, guidance 4; judging is judge.py's.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline
from PIL import Image

from pipelines.encoders import picture_features
from training.starter.autoencoder import held_out_pictures, measure_psnr
from training.starter.compose import COLOURS
from training.starter.data import STYLES, Concept, load_concepts
from training.starter.judge import gallery_features, judge_background, retrieval_ranks
from training.starter.package import STARTER_FOLDER
from training.starter.style_judge import fit_style_judge, layer_statistics, style_gallery
from training.starter.text_image import to_pixels
from training.starter.wording import STYLE_WORDS, choose_concepts, name_of, with_article

SHEET = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "starter_sheet.png"
STEPS = 20
GUIDANCE = 4.0
BATCH = 16
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket", "camera")
BACKGROUND_THINGS = ("dog", "strawberry", "rocket")


@dataclass(frozen=True)
class Figures:
    """What the card states. Shares in 0..1, PSNR in dB."""

    psnr_graphics: float
    psnr_reserved: float
    psnr_photos: float
    pictures: int
    concept_top1: float
    concept_top5: float
    concept_top5_by_style: dict[str, float]
    style: float
    style_nearest: float  # share of pictures that are nearest to the right concept's drawing in the right style
    style_ceiling: float  # what the style judge makes of real drawings of unseen concepts, redrawn by the autoencoder
    background: float
    seconds_per_picture: float
    threads: int
    peak_memory_mb: int


def photos() -> torch.Tensor:
    """scikit-image's photos that come with the package, middle square at 256 px: [N, 3, 256, 256] in [-1, 1]. Never trained on."""
    from skimage import data

    squares = []
    for name in PHOTOS:
        try:
            photo = Image.fromarray(getattr(data, name)()).convert("RGB")
        except (OSError, ValueError, ModuleNotFoundError):  # this one is not in the package but behind a download
            continue
        side = min(photo.size)
        left, top = (photo.width - side) // 2, (photo.height - side) // 2
        squares.append(np.asarray(photo.crop((left, top, left + side, top + side)).resize((256, 256), Image.Resampling.LANCZOS)))
    return to_pixels(np.stack(squares))


def draw(pipeline: StableDiffusionPipeline, prompts: Sequence[str], *, seed: int = 0) -> list[Image.Image]:
    """One picture a prompt; the noise depends on the seed and the place in the list."""
    pictures: list[Image.Image] = []
    for start in range(0, len(prompts), BATCH):
        part = list(prompts[start : start + BATCH])
        generators = [torch.Generator().manual_seed(seed * 100_003 + start + index) for index in range(len(part))]
        pictures += pipeline(part, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generators).images
    return pictures


def prompt_for(concept: Concept, style: int, *, background: str | None = None) -> str:
    words = f"{STYLE_WORDS[style][0]} {with_article(name_of(concept))}"
    return words if background is None else f"{words} on a {background} background"


def measure_reconstruction(autoencoder: AutoencoderTiny, state_folder: Path) -> tuple[float, float, float]:
    """PSNR on unseen concepts, on the reserved set and on photos, dB."""
    reserved = np.load(state_folder / "data" / "reserved.npy", mmap_mode="r")[:, None]
    drawn = held_out_pictures(np.broadcast_to(reserved, (len(reserved), len(STYLES), *reserved.shape[2:])), count=24)
    graphics = held_out_pictures(np.load(state_folder / "data" / "emoji.npy", mmap_mode="r"))
    return measure_psnr(autoencoder, graphics), measure_psnr(autoencoder, drawn), measure_psnr(autoencoder, photos())


def measure_speed(pipeline: StableDiffusionPipeline) -> tuple[float, int]:
    """Seconds for one picture, warm, the best of three; and the process's peak memory up to here, MB. Call it before anything else needs memory."""
    spent = []
    for _ in range(4):
        started = time.monotonic()
        pipeline("a 3d render of a fox", num_inference_steps=STEPS, guidance_scale=GUIDANCE)
        spent.append(time.monotonic() - started)
    return min(spent[1:]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure_background(pipeline: StableDiffusionPipeline, concepts: list[Concept]) -> float:
    """Share of pictures whose frame has the colour asked for: every named colour, three things, styles in turn."""
    things = [next(concept for concept in concepts if concept.label == label) for label in BACKGROUND_THINGS]
    wanted = [
        (name, prompt_for(thing, (index + shift) % len(STYLES), background=name))
        for index, thing in enumerate(things)
        for shift, name in enumerate(COLOURS)
    ]
    pictures = draw(pipeline, [prompt for _, prompt in wanted], seed=3)
    return float(np.mean([judge_background(picture) == name for (name, _), picture in zip(wanted, pictures, strict=True)]))


def contact_sheet(rows: Sequence[Sequence[Image.Image]], path: Path, *, side_px: int = 96, limit_bytes: int = 400_000) -> None:
    """A grid as a PNG below the limit: colours are cut to a palette, then the tiles shrink."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        sheet = Image.new("RGB", (side_px * len(rows[0]), side_px * len(rows)), "white")
        for y, row in enumerate(rows):
            for x, picture in enumerate(row):
                sheet.paste(picture.resize((side_px, side_px), Image.Resampling.LANCZOS), (x * side_px, y * side_px))
        sheet.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= limit_bytes or side_px <= 48:
            return
        side_px -= 8


def load_pipeline(folder: Path) -> StableDiffusionPipeline:
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def evaluate(state_folder: Path, *, folder: Path = STARTER_FOLDER, sheet: Path = SHEET, concepts_drawn: int = 200) -> Figures:
    """All figures. Draws concepts_drawn x 3 + 42 pictures: about ten minutes on two cores for 200."""
    pipeline = load_pipeline(folder)
    seconds, peak_memory_mb = measure_speed(pipeline)
    concepts = load_concepts(state_folder)
    taught = choose_concepts(concepts)
    rows = np.random.default_rng(11).permutation(taught)[:concepts_drawn]
    asked = [(int(row), style) for row in rows for style in range(len(STYLES))]
    pictures = draw(pipeline, [prompt_for(concepts[row], style) for row, style in asked])
    contact_sheet(sheet_rows(pictures, columns=18), sheet)
    gallery, features = gallery_features(state_folder), picture_features(pictures)
    drawn_styles, statistics = style_gallery(state_folder, pipeline.vae), layer_statistics(pictures)
    judge = fit_style_judge(drawn_styles)
    own = drawn_styles[[row for row, _ in asked], : len(STYLES), 1]
    ranks = retrieval_ranks(features, gallery, [row for row, _ in asked])
    styles = np.array([style for _, style in asked])
    figures = Figures(
        *measure_reconstruction(pipeline.vae, state_folder),
        pictures=len(pictures),
        concept_top1=float((ranks < 1).mean()),
        concept_top5=float((ranks < 5).mean()),
        concept_top5_by_style={name: float((ranks[styles == index] < 5).mean()) for index, name in enumerate(STYLES)},
        style=float((judge(statistics) == styles).mean()),
        style_nearest=float((judge.nearest(statistics, own) == styles).mean()),
        style_ceiling=judge.ceiling,
        background=measure_background(pipeline, concepts),
        seconds_per_picture=seconds,
        threads=torch.get_num_threads(),
        peak_memory_mb=peak_memory_mb,
    )
    (state_folder / "logs").mkdir(exist_ok=True)
    (state_folder / "logs" / "figures.json").write_text(json.dumps(asdict(figures), indent=2))
    return figures


def sheet_rows(pictures: Sequence[Image.Image], *, columns: int, rows: int = 10) -> list[Sequence[Image.Image]]:
    """The first pictures in full rows; a concept's three styles stand side by side."""
    columns = min(columns, len(pictures))
    return [pictures[start : start + columns] for start in range(0, min(len(pictures) // columns, rows) * columns, columns)]
