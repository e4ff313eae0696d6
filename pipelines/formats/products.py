"""What a module's tensors multiply out to, as one exact pair of LoRA factors: plain LoRA, LoCon's three-part convolutions, LoHa and LoKr.

In: the tensors of one module by part. Out: down, up and the rank by which its alpha is divided. Rebuilding is LyCORIS' (arXiv 2309.14859, section 3).
Does not know names or layers; DoRA is no product and is refused elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

KINDS: tuple[tuple[frozenset[str], frozenset[str]], ...] = (  # what a kind must have, what it may have besides
    (frozenset({"down", "up"}), frozenset({"mid"})),
    (frozenset({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"}), frozenset()),
    (frozenset({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"}), frozenset()),
    (frozenset({"lokr_w1", "lokr_w2"}), frozenset()),
    (frozenset({"lokr_w1_a", "lokr_w1_b", "lokr_w2"}), frozenset()),
    (frozenset({"lokr_w1", "lokr_w2_a", "lokr_w2_b"}), frozenset({"lokr_t2"})),
    (frozenset({"lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b"}), frozenset({"lokr_t2"})),
)
SCALES = frozenset({"alpha", "scale"})


@dataclass(frozen=True)
class Pair:
    """down [r, ...], up [out, r, ...], float32. alpha_rank: the file's own rank, or None where it keeps no scale (LoKr of two whole matrices)."""

    down: Tensor
    up: Tensor
    alpha_rank: int | None


def is_whole(parts: Collection[str]) -> bool:
    """Whether the parts are one kind's, complete, with nothing left over."""
    factors = set(parts) - SCALES
    return any(needed <= factors <= needed | allowed for needed, allowed in KINDS)


def rank_of(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """The rank that the pair will have, told by shapes alone, so that nothing huge is computed. parts must be whole. 0: a factor has no dimensions."""
    if any(not shape for part, shape in shapes.items() if part not in SCALES):
        return 0
    if "down" in shapes:
        return shapes["down"][0]
    if "hada_w1_b" in shapes:
        return shapes["hada_w1_b"][0] * shapes["hada_w2_b"][0]
    return _kronecker_rank(shapes, "lokr_w1") * _kronecker_rank(shapes, "lokr_w2")


def pair_of(parts: Mapping[str, Tensor]) -> Pair:
    """The factors that multiply out to what the module adds, before its scale. Raises RuntimeError or IndexError for shapes that don't belong together."""
    if "down" in parts:
        down, up = _with_middle(parts)
        return Pair(down, up, down.shape[0] if down.ndim else 0)
    if "hada_w1_a" in parts:
        return _hadamard(parts)
    return _kronecker(parts)


def _with_middle(parts: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """A convolution in three, up @ mid @ down: mid and down multiply out to an ordinary down."""
    down, up, middle = parts["down"].float(), parts["up"].float(), parts.get("mid")
    if middle is None or middle.ndim != 4 or down.ndim != 4 or middle.shape[1] != down.shape[0]:
        return down, up
    return torch.einsum("mnkl,ni->mikl", middle.float(), down[:, :, 0, 0]), up


def _hadamard(parts: Mapping[str, Tensor]) -> Pair:
    """(a1 b1) * (a2 b2), entry by entry: each column of a1 times each of a2, each row of b1 times each of b2; rank r x r."""
    (a1, b1), (a2, b2) = (_low_rank(parts, f"hada_w{n}_a", f"hada_w{n}_b", f"hada_t{n}") for n in (1, 2))
    up = (a1[:, :, None] * a2[:, None, :]).flatten(1)
    down = (b1[:, None, :] * b2[None, :, :]).flatten(0, 1)
    return Pair(down, up, parts["hada_w1_b"].shape[0])


def _kronecker(parts: Mapping[str, Tensor]) -> Pair:
    """(a1 b1) x (a2 b2), blockwise: (a1 x a2)(b1 x b2). A whole matrix is itself times the identity."""
    halves, alpha_rank = [], None
    for name in ("lokr_w1", "lokr_w2"):
        if name in parts:
            whole = parts[name].float().flatten(1)
            rows, columns = whole.shape
            halves.append((torch.eye(rows), whole) if rows <= columns else (whole, torch.eye(columns)))
        else:
            halves.append(_low_rank(parts, f"{name}_a", f"{name}_b", "lokr_t2" if name == "lokr_w2" else ""))
            alpha_rank = parts[f"{name}_b"].shape[0]
    (a1, b1), (a2, b2) = halves
    return Pair(torch.kron(b1, b2), torch.kron(a1, a2), alpha_rank)


def _low_rank(parts: Mapping[str, Tensor], left: str, right: str, core: str) -> tuple[Tensor, Tensor]:
    """[out, r] and [r, rest]. With a core (Tucker form, for convolutions) the left factor lies on its side and the core carries the kernel."""
    a, b = parts[left].float(), parts[right].float()
    if core not in parts:
        return a.flatten(1), b.flatten(1)
    return a.T.contiguous(), torch.einsum("ijkl,jr->irkl", parts[core].float(), b).flatten(1)


def _kronecker_rank(shapes: Mapping[str, tuple[int, ...]], name: str) -> int:
    return min(shapes[name][0], prod(shapes[name][1:])) if name in shapes else shapes[f"{name}_b"][0]
