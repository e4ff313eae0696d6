"""Everything that is encoded once and read many times: latents of the pictures, embeddings of the captions, keyed by content.

In: a dataset, a base, settings. Out: a `CachedDataset` whose batches come from disk, so memory stays flat however many pictures there are.
A second run over unchanged pictures encodes nothing; a half-written or damaged entry is made anew. Does not decide what is held out by hand.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import functional

from pipelines.errors import DatasetError
from pipelines.events import Advice, Phase
from pipelines.families.base import Base, Conditioning, Frame
from pipelines.quicken import quick_encoders
from training.captions import with_trigger
from training.config import PictureSettings, TrainSettings
from training.dataset import Dataset, Item
from training.images import bucket_of, cut_for, frame, mask_for, open_item
from training.recipes import held_out_count

OPENED_AHEAD = 8  # pictures opened before their turn, so that memory stays flat


@dataclass(frozen=True)
class CachedPicture:
    """One picture as the denoiser will see it. latents: one file, and a second for its mirror image where flips are on."""

    key: str
    latents: tuple[Path, ...]
    caption: str
    bucket: tuple[int, int]  # height and width in px
    frame: Frame
    repeats: int = 1
    is_masked: bool = False


@dataclass(frozen=True)
class Batch:
    """Pictures of one bucket. latents: [B, C, h, w], float32; mask: [B, 1, h, w] or None."""

    latents: Tensor
    captions: tuple[str, ...]
    frames: tuple[Frame, ...]
    mask: Tensor | None


@dataclass(frozen=True)
class CachedDataset:
    """Cached pictures, apart by use, and where the caption embeddings stand (empty when the text encoder is taught)."""

    training: tuple[CachedPicture, ...]
    held_out: tuple[CachedPicture, ...]
    prompts: dict[str, Path]

    def batch(self, pictures: Sequence[CachedPicture], *, mirrored: Sequence[bool]) -> Batch:
        """Read a batch from disk. pictures: of one bucket."""
        entries = [
            load_entry(picture.latents[1] if flip and len(picture.latents) > 1 else picture.latents[0])
            for picture, flip in zip(pictures, mirrored, strict=True)
        ]
        masks = [entry["mask"] if "mask" in entry else torch.ones(1, *entry["latents"].shape[1:]) for entry in entries]
        return Batch(
            latents=torch.stack([entry["latents"] for entry in entries]),
            captions=tuple(picture.caption for picture in pictures),
            frames=tuple(picture.frame for picture in pictures),
            mask=torch.stack(masks) if any(picture.is_masked for picture in pictures) else None,
        )

    def conditioning(self, captions: Sequence[str]) -> Conditioning:
        """Cached embeddings of captions, in order."""
        entries = [load_entry(self.prompts[caption]) for caption in captions]
        pooled = torch.stack([entry["pooled"] for entry in entries]) if "pooled" in entries[0] else None
        return Conditioning(torch.stack([entry["hidden"] for entry in entries]), pooled)


def cache_dataset(dataset: Dataset, base: Base, settings: TrainSettings, *, folder: Path) -> Generator[Phase | Advice, None, CachedDataset]:
    """Encode what is not in the cache yet; yields progress, returns the cached dataset.

    A file that turns out damaged when its pixels are read is named in an Advice and left out. Raises DatasetError if no picture is left to train on.
    """
    if not dataset.items:
        raise DatasetError(
            f"No usable picture in {dataset.root.name} ({len(dataset.rejected)} rejected).",
            fix="`brandprint check` names each and its reason.",
        )
    pictures = settings.pictures
    held_out = {item.key for item in split_held_out(dataset.items, pictures.held_out, settings.loop.seed)}
    if len(held_out) == len(dataset.items):
        raise DatasetError(f"All {len(held_out)} pictures are held out: none is left to train on.", fix="Take some back.")
    if len(dataset.items) > 1 and len({item.content for item in dataset.items}) == 1:
        yield Advice("all-the-same", f"All {len(dataset.items)} pictures are the same file.", "Add pictures that differ.")
    plans = [_plan(item, base, settings, folder) for item in dataset.items]
    lost = yield from _encode_pictures([(plan, item) for plan, item in zip(plans, dataset.items, strict=True)], base, pictures)
    plans = [plan for plan in plans if plan.key not in lost]
    if all(plan.key in held_out for plan in plans):
        raise DatasetError(
            f"Of {len(dataset.items)} pictures {len(lost)} are damaged, and none is left to train on.",
            fix="`brandprint check` names each and its reason.",
        )
    prompts: dict[str, Path] = {}
    if not settings.adapter.text_encoder:
        prompts = yield from cache_prompts(base, ("", *(plan.caption for plan in plans)), folder=folder)
    return CachedDataset(
        training=tuple(plan for plan in plans if plan.key not in held_out),
        held_out=tuple(plan for plan in plans if plan.key in held_out),
        prompts=prompts,
    )


def cache_prompts(base: Base, prompts: Iterable[str], *, folder: Path) -> Generator[Phase, None, dict[str, Path]]:
    """Encode the prompts that are not in the cache yet; yields progress, returns where each embedding stands."""
    unique = list(dict.fromkeys(prompts))
    paths = {prompt: _entry_path(folder, "prompt", base.fingerprint, base.dtype, prompt) for prompt in unique}
    missing = [prompt for prompt in unique if not is_whole(paths[prompt])]
    with quick_encoders(base):
        for done, prompt in enumerate(missing):
            yield Phase("captions", done, len(missing))
            with torch.no_grad():
                encoded = base.encode_prompts([prompt])
            entry = {"hidden": encoded.hidden[0]}
            if encoded.pooled is not None:
                entry["pooled"] = encoded.pooled[0]
            _write_entry(paths[prompt], entry)
    if missing:
        yield Phase("captions", len(missing), len(missing))
    return paths


def split_held_out(items: Sequence[Item], share: float, seed: int) -> list[Item]:
    """Pictures kept for measuring: those the user chose, else a share drawn by content, 4 to 16 where the set allows.

    Doubles stay together; more of them than the share holds are all trained on.
    """
    chosen = [item for item in items if item.held_out]
    if chosen:
        return chosen
    room = held_out_count(len(items), share=share)
    ranked = sorted(items, key=lambda item: hashlib.sha256(f"{seed}/{item.content}".encode()).digest())
    kept: list[Item] = []
    for _, doubles in groupby(ranked, key=lambda item: item.content):
        alike = list(doubles)
        if len(kept) + len(alike) <= room:
            kept += alike
    return kept


def load_entry(path: Path) -> dict[str, Tensor]:
    """One cache entry."""
    return load(path.read_bytes())


def is_whole(path: Path) -> bool:
    """True if the entry stands on disk and can be read."""
    try:
        load_entry(path)
    except (OSError, SafetensorError):
        return False
    return True


def to_tensor(image: Image.Image) -> Tensor:
    """[3, H, W] in [-1, 1], float32."""
    return torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1) / 127.5 - 1


def _plan(item: Item, base: Base, settings: TrainSettings, folder: Path) -> CachedPicture:
    """Where the picture's entries will stand, and how it will be cut; reads no pixels."""
    pictures = settings.pictures
    resolution_px = pictures.resolution_px or base.native_size_px
    bucket = bucket_of(item.size_hw, resolution_px, base_stride_px=base.stride_px, is_square=not pictures.buckets, upscale=pictures.upscale)
    cut = cut_for(item.size_hw, bucket, focus=item.focus)
    offset = (round(cut.box[1] * cut.scale), round(cut.box[0] * cut.scale))
    mask = hashlib.sha256(item.mask.read_bytes()).hexdigest() if pictures.masked_loss and item.mask else ""
    recipe = (item.content, item.geometry, bucket, pictures.background, pictures.masked_loss, mask)
    sides = (False, True) if pictures.flip else (False,)
    subject = settings.subject
    return CachedPicture(
        key=item.key,
        latents=tuple(_entry_path(folder, "latents", base.fingerprint, recipe, flipped) for flipped in sides),
        caption=with_trigger(item.caption, subject.trigger, subject.noun, subject.intent),
        bucket=bucket,
        frame=Frame(original_hw=item.size_hw, crop_yx=offset, target_hw=bucket),
        repeats=item.repeats,
        is_masked=pictures.masked_loss,
    )


def _encode_pictures(
    work: list[tuple[CachedPicture, Item]], base: Base, settings: PictureSettings
) -> Generator[Phase | Advice, None, set[str]]:
    """Write the missing latents, files being opened while the base encodes; returns the keys of files that cannot be read whole.

    One picture at a time: in a batch the last bits depend on the neighbours, and a run that was killed while encoding would not go on as an unbroken one.
    """
    missing = sorted(
        ((plan, item) for plan, item in work if not all(is_whole(path) for path in plan.latents)), key=lambda pair: pair[0].bucket
    )
    done, lost = 0, set[str]()
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as readers:
        opened = iter(_ahead(readers, lambda pair: _read(pair[0], pair[1], settings), missing, ahead=OPENED_AHEAD))
        for _, alike in groupby(missing, key=lambda pair: pair[0].bucket):
            with quick_encoders(base):
                for plan, _ in alike:
                    yield Phase("pictures", done, len(missing))
                    pixels = next(opened)
                    if isinstance(pixels, DatasetError):
                        lost.add(plan.key)
                        yield Advice("unreadable", f"{plan.key} was left out: {pixels.message}", pixels.fix)
                    else:
                        _encode_picture(base, plan, *pixels)
                    done += 1
    if missing:
        yield Phase("pictures", done, done)
    return lost


def _encode_picture(base: Base, plan: CachedPicture, pixels: Tensor, mask: Tensor | None) -> None:
    """Write the picture's latents, and those of its mirror image where there is to be one."""
    for side, path in enumerate(plan.latents):
        with torch.no_grad():
            latent = base.encode_images((pixels.flip(2) if side else pixels)[None].to(base.device))[0].float().cpu()
        _write_entry(path, {"latents": latent, **_latent_mask(mask, latent, flipped=bool(side))})


def _read(plan: CachedPicture, item: Item, settings: PictureSettings) -> tuple[Tensor, Tensor | None] | DatasetError:
    """The picture's pixels, or what is wrong with its file: a JPEG may be damaged behind a good header and a good end."""
    try:
        return _pixels(plan, item, settings)
    except DatasetError as error:
        return error


def _pixels(plan: CachedPicture, item: Item, settings: PictureSettings) -> tuple[Tensor, Tensor | None]:
    """The cut picture, and its mask as [1, H, W] in [0, 1] where one is wanted and there is one."""
    cut, _ = frame(open_item(item, background=settings.background), plan.bucket, focus=item.focus)
    mask = mask_for(item, plan.bucket) if settings.masked_loss else None
    return to_tensor(cut), None if mask is None else torch.from_numpy(np.array(mask, dtype=np.float32))[None] / 255


def _latent_mask(mask: Tensor | None, latent: Tensor, *, flipped: bool) -> dict[str, Tensor]:
    if mask is None:
        return {}
    shrunk = functional.interpolate(mask[None], size=latent.shape[1:], mode="area")[0]
    return {"mask": shrunk.flip(2) if flipped else shrunk}


def _ahead(pool: ThreadPoolExecutor, work: Callable, tasks: Sequence, *, ahead: int) -> Iterable:
    """Results in order, at most `ahead` of them being made in advance."""
    waiting = iter(tasks)
    futures = [pool.submit(work, task) for task in islice(waiting, ahead)]
    while futures:
        yield futures.pop(0).result()
        futures += [pool.submit(work, task) for task in islice(waiting, 1)]


def _entry_path(folder: Path, *recipe: object) -> Path:
    name = hashlib.sha256(repr(recipe).encode()).hexdigest()
    return folder / name[:2] / f"{name}.safetensors"


def _write_entry(path: Path, tensors: dict[str, Tensor]) -> None:
    """Whole or not at all after a kill; not flushed, for a lost cache entry costs only its encoding."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_bytes(save({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}))
    partial.replace(path)
