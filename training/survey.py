"""Looks at every picture of a set, once: what was looked at before comes from the cache, and no picture is opened for it.

In: items of a dataset. Out: a `Look` per item, kept where a cache folder is given. Pictures are decoded in threads, a few at
a time; the encoder runs in a process of its own, so the caller never loads torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
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
    """(look by item key, what is wrong with items that cannot be decoded). cache: folder for looks; None keeps nothing."""
    kept = LookCache(cache)
    known = kept.read({look_id(item) for item in items})
    missing = list({look_id(item): item for item in items if look_id(item) not in known}.values())
    failures: dict[str, DatasetError] = {}
    done = len(items) - len(missing)
    for chunk in _measured_chunks(missing, failures):
        kept.append(chunk)
        known |= {look.id: look for look in chunk}
        done += _CHUNK
        if progress:
            progress(min(done, len(items)), len(items))
    looks = {item.key: known[look_id(item)] for item in items if look_id(item) in known}
    return looks, {item.key: failures[look_id(item)] for item in items if look_id(item) in failures}


def _measured_chunks(items: Sequence[Item], failures: Failures) -> Iterator[list[Look]]:
    """Looks by the chunk. While the encoder is at one chunk, the threads measure the next."""
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    if not chunks:
        return
    with EncoderProcess() as encoder, _one_core_each(), ThreadPoolExecutor(_usable_cores()) as threads:
        encoder.start()
        running = threads.map(_measured, chunks[0])
        for chunk, following in zip(chunks, [*chunks[1:], []], strict=True):
            results = list(running)
            running = threads.map(_measured, following)
            failures |= {look_id(item): result for item, result in zip(chunk, results, strict=True) if isinstance(result, DatasetError)}
            yield _encoded(encoder, [result for result in results if not isinstance(result, DatasetError)])


@contextmanager
def _one_core_each() -> Iterator[None]:
    """OpenCV keeps each call to its own thread: with a picture per core, its own threads would only wait for one another."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _usable_cores() -> int:
    """Cores that this process may use, which a container or `taskset` may have limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _encoded(encoder: EncoderProcess, measured: Sequence[tuple[Look, np.ndarray]]) -> list[Look]:
    if not measured:
        return []
    features = encoder.encode(np.stack([pixels for _, pixels in measured]))
    return [replace(look, features=row.astype(np.float16)) for (look, _), row in zip(measured, features, strict=True)]


def _measured(item: Item) -> tuple[Look, np.ndarray] | DatasetError:
    try:
        picture = open_item(item, at_least_px=round(SIDE_PX / _kept_share(item)))
        transparent, quality = _file_facts(item)
    except DatasetError as error:
        return error
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
