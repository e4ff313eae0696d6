"""Looks at every picture of a set, once: what was looked at before comes from the cache, and no picture is opened for it.

In: items of a dataset. Out: a `Look` per item, kept where a cache folder is given. Pictures are decoded in threads, a few at
a time; the encoder runs in a process of its own, so the caller never loads torch. Who looks again and again keeps that process open.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import zip_longest
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
_CHUNK = 16  # pictures that the encoder gets at once; three times as many are in memory


def look_at(
    items: Sequence[Item], *, cache: Path | None = None, progress: Progress | None = None, encoder: EncoderProcess | None = None
) -> tuple[dict[str, Look], Failures]:
    """(look by item key, what is wrong with items that cannot be decoded). cache: folder for looks; None keeps nothing.

    encoder: one that stays open after this look; None: one of its own.
    """
    kept = LookCache(cache)
    known = kept.read({look_id(item) for item in items})
    missing = list({look_id(item): item for item in items if look_id(item) not in known}.values())
    failures: dict[str, DatasetError] = {}
    done = len(items) - len(missing)
    for chunk in _measured_chunks(missing, failures, encoder):
        kept.append(chunk)
        known |= {look.id: look for look in chunk}
        done += _CHUNK
        if progress:
            progress(min(done, len(items)), len(items))
    looks = {item.key: known[look_id(item)] for item in items if look_id(item) in known}
    return looks, {item.key: failures[look_id(item)] for item in items if look_id(item) in failures}


def _measured_chunks(items: Sequence[Item], failures: Failures, kept: EncoderProcess | None) -> Iterator[list[Look]]:
    """Looks by the chunk. While the encoder is at one chunk, the threads measure the next two: none waits for another's last picture."""
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    if not chunks:
        return
    with nullcontext(kept) if kept else EncoderProcess() as encoder, _one_core_each(), ThreadPoolExecutor(_usable_cores()) as threads:
        encoder.start()
        running = deque(threads.map(_measured, chunk) for chunk in chunks[:2])
        for chunk, later in zip_longest(chunks, chunks[2:], fillvalue=()):
            results = list(running.popleft())
            running.append(threads.map(_measured, later))
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
