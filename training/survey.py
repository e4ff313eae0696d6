"""Looks at every picture of a set, once: what was looked at before comes from the cache, and no picture is opened for it.

In: items of a dataset. Out: a `Look` per item; a thumbnail on disk where a cache folder is given. Pictures are decoded in threads, a few at
a time; the encoder runs in a process of its own, so the caller never loads torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipelines.encoder_process import EncoderProcess, encoder_input
from pipelines.errors import DatasetError
from training.dataset import Item
from training.decode import jpeg_quality, open_alpha
from training.images import open_item
from training.look_cache import LookCache
from training.looks import SIDE_PX, Look, look_id, measure

Progress = Callable[[int, int], None]
Failures = dict[str, DatasetError]
_CHUNK = 32  # pictures in memory at once


def look_at(items: Sequence[Item], *, cache: Path | None = None, progress: Progress | None = None) -> tuple[dict[str, Look], Failures]:
    """(look by item key, what is wrong with items that cannot be decoded). cache: folder for measures and thumbnails; None keeps
    nothing.
    """
    kept = LookCache(cache)
    known = kept.read({look_id(item) for item in items})
    missing = list({look_id(item): item for item in items if look_id(item) not in known or not kept.has_thumbnail(look_id(item))}.values())
    failures: dict[str, DatasetError] = {}
    done = len(items) - len(missing)
    for chunk in _measured_chunks(missing, kept, failures):
        kept.append(chunk)
        known |= {look.id: look for look in chunk}
        done += _CHUNK
        if progress:
            progress(min(done, len(items)), len(items))
    looks = {item.key: known[look_id(item)] for item in items if look_id(item) in known}
    return looks, {item.key: failures[look_id(item)] for item in items if look_id(item) in failures}


def _measured_chunks(items: Sequence[Item], kept: LookCache, failures: Failures) -> Iterator[list[Look]]:
    if not items:
        return
    with EncoderProcess() as encoder, ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as threads:
        encoder.start()
        for start in range(0, len(items), _CHUNK):
            measured: list[tuple[Look, np.ndarray]] = []
            for item, result in zip(
                items[start : start + _CHUNK], threads.map(lambda item: _measured(item, kept), items[start : start + _CHUNK]), strict=True
            ):
                if isinstance(result, DatasetError):
                    failures[look_id(item)] = result
                else:
                    measured.append(result)
            if not measured:
                yield []
                continue
            features = encoder.encode(np.stack([pixels for _, pixels in measured]))
            yield [replace(look, features=row.astype(np.float16)) for (look, _), row in zip(measured, features, strict=True)]


def _measured(item: Item, kept: LookCache) -> tuple[Look, np.ndarray] | DatasetError:
    try:
        picture = open_item(item, at_least_px=round(SIDE_PX / _kept_share(item)))
        transparent, quality = _file_facts(item)
    except DatasetError as error:
        return error
    kept.write_thumbnail(look_id(item), picture)
    return measure(picture, id=look_id(item), size_hw=item.size_hw, transparent=transparent, quality=quality), encoder_input(picture)


def _kept_share(item: Item) -> float:
    left, top, right, bottom = item.geometry.box
    return max(min(right - left, bottom - top), 0.05)


def _file_facts(item: Item) -> tuple[float, int | None]:
    """(share of transparent pixels, JPEG quality) from the file itself."""
    if item.path.suffix.lower() in (".jpg", ".jpeg", ".jpe", ".jfif"):
        return 0.0, jpeg_quality(item.path)
    alpha = None if item.geometry.background else open_alpha(item.path)
    return (0.0 if alpha is None else float((np.asarray(alpha) < 128).mean())), None
