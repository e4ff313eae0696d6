"""Frozen weights that a training hardly ever reads, in a file instead of in memory: the system brings back what is asked for, and may let go of it again.

In: modules on the CPU and a folder on disk. Out: the same weights, to the bit, mapped from a nameless file that goes with the last of them. What is read at every step stays
in memory all the same; what goes is weights that stand beside a copy in another layout (onednn.py), text encoders and autoencoder once everything is cached.
"""

from __future__ import annotations

import logging
import mmap
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

MOST_OF_DISK = 0.1  # of what is free, so that checkpoints still find room
logger = logging.getLogger(__name__)


def set_aside(modules: Iterable[nn.Module], folder: Path) -> list[nn.Parameter]:
    """Map the modules' frozen weights from a file in `folder`. Returns those that moved: none where the disk has no room, and everything stays as it is."""
    weights = list({id(weight): weight for module in modules for weight in module.parameters() if _can_go(weight)}.values())
    total = sum(_room_for(weight) for weight in weights)
    try:
        if not weights or total > MOST_OF_DISK * shutil.disk_usage(folder).free:
            return []
        with tempfile.TemporaryFile(dir=folder) as file:
            for weight in weights:
                file.write(weight.detach().contiguous().flatten().view(torch.uint8).numpy())
                file.seek(-file.tell() % mmap.PAGESIZE, 1)
            file.truncate(total)
            file.flush()
            mapped = mmap.mmap(file.fileno(), total, access=mmap.ACCESS_COPY)
    except OSError as error:
        logger.warning("%s takes no weights: %s", folder, error)
        return []
    first = 0
    for weight in weights:
        weight.data = torch.frombuffer(mapped, dtype=weight.dtype, count=weight.numel(), offset=first).view(weight.shape)
        weight.mapped = mapped, first  # type: ignore[attr-defined]
        first += _room_for(weight)
    return weights


def let_go(*weights: Tensor) -> None:
    """Give the memory of weights back, of those that were set aside; it comes back from the file when they are read again."""
    for weight in weights:
        mapped, first = getattr(weight, "mapped", (None, 0))
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED, first, weight.nbytes)


def _room_for(weight: Tensor) -> int:
    """Whole pages."""
    return weight.nbytes + -weight.nbytes % mmap.PAGESIZE


def _can_go(weight: nn.Parameter) -> bool:
    """Small ones would fill a page each and save nothing."""
    return weight.device.type == "cpu" and not weight.requires_grad and weight.nbytes >= mmap.PAGESIZE and not hasattr(weight, "mapped")
