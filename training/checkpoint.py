"""What a run needs to go on exactly where it was, saved so that a kill, a crash or a full disk never costs the one before.

In: parameters, optimizer, averages, step. Out: checkpoints/000200/ with adapter.safetensors (usable on its own) and state.safetensors (to go on); between two
checkpoints, checkpoints/state.safetensors. Safetensors and JSON only, no pickles. Only the newest checkpoint keeps its state. Random numbers need no state: they come from (seed, step).
"""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from pipelines.adapter import Adapter, save_adapter
from pipelines.atomic import fill_atomically, fill_folder_atomically, sweep_partials
from pipelines.errors import RunError
from training.runs import CHECKPOINTS, checkpoint_folders, checkpoint_name

logger = logging.getLogger(__name__)
STATE = "state.safetensors"


@dataclass(frozen=True)
class TrainState:
    """Everything that changes during a training. optimizer, averages, scaler: state dicts; averages and scaler may be empty."""

    step: int
    parameters: tuple[Tensor, ...]
    optimizer: dict[str, Any]
    averages: dict[str, Any]
    scaler: dict[str, Any]
    chunks: int = 1  # how often a micro-batch had to be cut for memory
    held_out: tuple[tuple[int, float], ...] = ()  # (step, loss) measured so far
    seconds: float = 0.0  # that the training has taken so far
    pictures: str = ""  # which are taught and which are kept aside, as a digest


def save_checkpoint(run_path: Path, state: TrainState, adapter: Adapter) -> Path:
    """Write the checkpoint whole, then drop the state of older ones. Raises RunError on a full disk, older checkpoints untouched."""
    folder = run_path / checkpoint_name(state.step)

    def fill(partial: Path) -> None:
        save_adapter(adapter, partial / "adapter.safetensors")
        tensors, tree = _flatten(_as_tree(state))
        save_file(tensors, partial / STATE, metadata=tree)

    with _told_when_full(state.step):
        fill_folder_atomically(folder, fill)
    for older in checkpoint_folders(run_path):
        if older != folder:
            (older / STATE).unlink(missing_ok=True)
    (run_path / CHECKPOINTS / STATE).unlink(missing_ok=True)
    return folder


def save_state(run_path: Path, state: TrainState) -> None:
    """Write the state alone, to go on from; the checkpoints and the state of the newest stay. Raises RunError on a full disk."""
    tensors, tree = _flatten(_as_tree(state))
    with _told_when_full(state.step):
        fill_atomically(run_path / CHECKPOINTS / STATE, lambda partial: save_file(tensors, partial, metadata=tree))


@contextmanager
def _told_when_full(step: int) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if is_full or "No space left" in str(error):  # safetensors raises its own type
            raise RunError(
                f"The disk is full: checkpoint {step} could not be written; the one before is whole.", fix="Free some space, then resume."
            ) from error
        raise


def load_newest(run_path: Path) -> TrainState | None:
    """The newest state to go on from, or None where none was saved. Partial folders of killed writers are swept away, damaged states passed over.

    Raises RunError where states were saved and none can be read.
    """
    if (run_path / CHECKPOINTS).exists():
        sweep_partials(run_path / CHECKPOINTS)
    saved = [path for folder in (run_path / CHECKPOINTS, *checkpoint_folders(run_path)) if (path := folder / STATE).exists()]
    whole = [state for path in saved if (state := _load(path))]
    if saved and not whole:
        raise RunError(
            f"{run_path.name} cannot go on: {', '.join(path.relative_to(run_path).as_posix() for path in saved)} cannot be read.",
            fix="Copy the run again from where it is whole, or start a new training. The checkpoints' adapters can still be used.",
        )
    return max(whole, key=lambda state: state.step, default=None)


def restore(state: TrainState, parameters: Sequence[nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    """Put saved values into live parameters and their optimizer."""
    with torch.no_grad():
        for parameter, saved in zip(parameters, state.parameters, strict=True):
            parameter.copy_(saved)
    optimizer.load_state_dict(state.optimizer)


def _load(path: Path) -> TrainState | None:
    """The state in a file; None where the file is torn or holds something else."""
    try:
        with safe_open(path, framework="pt") as file:
            tree = _unflatten(json.loads(file.metadata()["tree"]), file.get_tensor)
        tree["parameters"] = tuple(tree["parameters"])
        tree["held_out"] = tuple((step, loss) for step, loss in tree["held_out"])
        return TrainState(**tree)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s cannot be read: %s", path, error)
        return None


def _as_tree(state: TrainState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in TrainState.__dataclass_fields__}


def _flatten(tree: Any) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Nested dicts and lists -> tensors by number, and a file's metadata: a JSON skeleton with {"t": number} in their place. Dict keys keep whether they were
    integers.
    """
    tensors: dict[str, Tensor] = {}

    def walk(node: Any) -> Any:
        if isinstance(node, Tensor):
            tensors[str(len(tensors))] = node.detach().cpu().contiguous().clone()
            return {"t": len(tensors) - 1}
        if isinstance(node, dict):
            return {"d": [[key, walk(value)] for key, value in node.items()]}
        if isinstance(node, (list, tuple)):
            return {"l": [walk(value) for value in node]}
        return {"v": node}

    skeleton = walk(tree)
    return tensors, {"tree": json.dumps(skeleton)}


def _unflatten(node: Any, tensor: Callable[[str], Tensor]) -> Any:
    if "t" in node:
        return tensor(str(node["t"]))
    if "d" in node:
        return {key: _unflatten(value, tensor) for key, value in node["d"]}
    if "l" in node:
        return [_unflatten(value, tensor) for value in node["l"]]
    return node["v"]
