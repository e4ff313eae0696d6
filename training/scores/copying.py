"""How near drawn pictures come to single training pictures, and where likeness becomes copying: a limit that the set itself gives.

In: features and pictures. Out: `CopyLimit`, nearest training pictures, shares. The set's own pictures, redrawn by the base's autoencoder (the best that the
base could draw), say how near two different pictures of this set naturally are, and how near a true copy comes. Draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from training.scores.closeness import Features, nearest_similarity

NATURAL_SHARE = 0.05  # of different pictures in a set that lie beyond the limit: near doubles that the user took
HASH_BITS = 64
MOST_HASH_BITS = 10  # of 64: what a soft base drew of pictures learnt by heart lay at 4 to 10, other captions at 18 and more


@dataclass(frozen=True)
class CopyLimit:
    """similarity: above it a picture counts as a copy. hash_bits: perceptual hashes this near count too, -1: hashes are no use in this set.

    natural: share of the set's own different pictures beyond the limit.
    """

    similarity: float
    hash_bits: int
    natural: float


def copy_limit(redrawn: Features, originals: Features, hashes: NDArray[np.bool_]) -> CopyLimit:
    """The limit of a set. redrawn[i]: the autoencoder's version of originals[i]; hashes: [N, 64] of the originals."""
    if len(originals) < 3:
        return CopyLimit(0.98, MOST_HASH_BITS, 0.0)
    different = nearest_similarity(redrawn, originals, leave_self=True)
    same = np.einsum("nd,nd->n", redrawn, originals)
    natural = float(np.quantile(different, 1 - NATURAL_SHARE))
    halfway = (float(np.median(same)) + float(np.median(different))) / 2  # a copy lies between "different" and "same", beyond the middle
    similarity = min(max(natural, halfway), float(np.quantile(same, 0.5)))
    bits = hash_distances(hashes, hashes)
    np.fill_diagonal(bits, HASH_BITS)
    usual = int(np.quantile(bits.min(axis=1), NATURAL_SHARE))
    return CopyLimit(similarity, min(MOST_HASH_BITS, usual - 1), float((different > similarity).mean()))


def perceptual_hashes(pictures: Sequence[Image.Image]) -> NDArray[np.bool_]:
    """[N, 64] DCT hashes."""
    import imagehash

    if not pictures:
        return np.zeros((0, HASH_BITS), dtype=bool)
    return np.stack([imagehash.phash(picture).hash.ravel() for picture in pictures])


def hash_distances(left: NDArray[np.bool_], right: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Bits that differ, [N, M]."""
    return (left[:, None, :] != right[None, :, :]).sum(axis=2)


@dataclass(frozen=True)
class Neighbours:
    """For each drawn picture: the index of the nearest training picture, similarity to it, bits between hashes, and whether that is a copy."""

    index: NDArray[np.int64]
    similarity: NDArray[np.float32]
    hash_bits: NDArray[np.int64]
    is_copy: NDArray[np.bool_]


def neighbours(
    drawn: Features, pictures: Sequence[Image.Image], training: Features, training_hashes: NDArray[np.bool_], *, limit: CopyLimit
) -> Neighbours:
    """Nearest training pictures by features; a hash within the limit, also of the mirror image, counts as a copy by itself. drawn: features of pictures."""
    table = drawn @ training.T
    index = table.argmax(axis=1)
    similarity = table.max(axis=1)
    mirrored = [ImageOps.mirror(picture) for picture in pictures]
    bits = np.minimum(*(hash_distances(perceptual_hashes(seen), training_hashes) for seen in (pictures, mirrored)))
    by_hash = bits.min(axis=1) <= limit.hash_bits
    index = np.where(by_hash, bits.argmin(axis=1), index)
    return Neighbours(index, similarity, bits[np.arange(len(drawn)), index], (similarity > limit.similarity) | by_hash)


def copied_beyond(beside: Neighbours, limit: CopyLimit) -> float:
    """Share of copies among drawn pictures, less the share of the set's own different pictures that count as copies of each other: simple shapes look alike."""
    return max(0.0, float(beside.is_copy.mean()) - limit.natural)
