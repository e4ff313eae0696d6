"""Finds a base and reads it: first everything that can be known without weights, then the weights.

In: a hub id, a diffusers folder, one .safetensors file, or "starter". Out: `Located` (what it is, and that it is complete), then a frozen `Base`.
`locate` imports no torch, so that the page and the plan may call it. Nothing here knows how a family thinks.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import BaseModelError
from pipelines.families.base import Base, FamilyName
from pipelines.families.folder import locate_folder
from pipelines.families.located import CONFIGS, Located
from pipelines.families.single_file import locate_file

if TYPE_CHECKING:
    import torch

STARTER = Path(__file__).resolve().parent.parent / "starter"
PICKLES = {".ckpt", ".pt", ".pth", ".bin", ".pkl"}


def locate(source: str, *, family: FamilyName | None = None, allow_download: bool = True) -> Located:
    """What `source` is, and that it is complete. Reads headers only; BaseModelError names exactly what is missing and what to do.

    family: told from the files; give it only to overrule. allow_download: whether a hub id that is not on this machine yet may be fetched.
    """
    path = _path(source)
    if path is None:
        from pipelines.families.hub import fetch

        return locate_folder(fetch(source, allow_download=allow_download), source=source, family=family)
    if path.is_dir():
        return locate_folder(path, source=source, family=family)
    return locate_file(path, source=source, family=family)


def _path(source: str) -> Path | None:
    """The place on this machine that `source` names; None: a hub id."""
    if source == "starter":
        if not (STARTER / "model_index.json").is_file():
            raise BaseModelError(
                "The starter that ships with Brandprint is not installed.", fix="Install Brandprint again, or give another base."
            )
        return STARTER
    path = Path(source).expanduser()
    if path.suffix.lower() in PICKLES:
        raise BaseModelError(
            f"{path.name} is a pickle, which can run code when it is opened.", fix="Use the .safetensors version of the same base."
        )
    if source.strip() and path.exists():
        return path
    if path.suffix.lower() == ".safetensors" or path.is_absolute() or source.startswith((".", "~")) or source.count("/") != 1:
        raise BaseModelError(
            f'There is no base at "{source}".',
            fix='Give a diffusers folder, a .safetensors file, a hub id such as "owner/name", or "starter".',
        )
    return None


def read_base(located: Located, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None, configs: Path = CONFIGS) -> Base:
    """The base in memory, frozen. dtype: of unet and text encoders; None: float32 on a CPU, else bfloat16 or float16. configs: for single files."""
    from pipelines.families import read

    target = read.placement(device, dtype, family=located.family)
    if located.kind == "folder":
        return read.from_folder(located, target)
    return read.from_file(located, target, configs=configs)
