"""Lets the denoiser use the deep features of an earlier step again, for as long as a `with` block lasts: only its outermost blocks compute anew.

In: a UNet of diffusers. Out: a `DeepFeatures` that is told before each pass whether to reuse. From step to step deep features change slowly, the outermost
blocks carry what does change (Ma et al. 2024, DeepCache, arXiv 2312.00858, section 3). Pictures differ a little: only for drawing that may be inexact.
Does not decide which steps reuse (sampling.py does). At the end every block is as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

from torch import Tensor, nn

Features: TypeAlias = Any  # a tensor, or a tuple of such


class DeepFeatures:
    """What the deep blocks gave last. is_reused: whether they give it again instead of computing."""

    def __init__(self) -> None:
        self.is_reused = False
        self.kept: dict[nn.Module, Features] = {}

    def keep_second_half(self) -> None:
        """After a pass with both halves of guidance: what is kept is the prompt's half alone."""
        self.kept = {block: _second_half(features) for block, features in self.kept.items()}

    def forward(self, block: nn.Module, own: Callable[..., Features], *args: Any, **kwargs: Any) -> Features:
        """The block's features, kept or new."""
        if not self.is_reused:
            self.kept[block] = own(*args, **kwargs)
        return self.kept[block]


@contextmanager
def deep_features(unet: Any) -> Iterator[DeepFeatures]:
    """All blocks but the first on the way down and the last on the way up answer through the DeepFeatures inside the block."""
    deep = DeepFeatures()
    blocks = [*unet.down_blocks[1:], *([unet.mid_block] if unet.mid_block is not None else []), *unet.up_blocks[:-1]]
    for block in blocks:
        block.forward = partial(deep.forward, block, block.forward)
    try:
        yield deep
    finally:
        for block in blocks:
            del block.forward


def _second_half(features: Features) -> Features:
    return features.chunk(2)[1] if isinstance(features, Tensor) else tuple(_second_half(part) for part in features)
