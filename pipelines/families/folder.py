"""Checks a diffusers folder before a weight is read: which family it is, that every part is there, and that no file is torn.

In: a folder. Out: `Located`. Raises BaseModelError that lists what is missing. Does not load.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipelines.errors import BaseModelError
from pipelines.families.base import FamilyName
from pipelines.families.located import Located
from pipelines.families.safetensors_header import read_header

STEMS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model", "text_encoder_2": "model"}
MODELS = {
    "sd1": ("unet", "vae", "text_encoder"),
    "sd2": ("unet", "vae", "text_encoder"),
    "sdxl": ("unet", "vae", "text_encoder", "text_encoder_2"),
}
TOKENIZERS = {"sd1": ("tokenizer",), "sd2": ("tokenizer",), "sdxl": ("tokenizer", "tokenizer_2")}
PARTIAL = ("*.incomplete", "*.part", "*.crdownload", "*.aria2", "*.tmp")
AGAIN = "Download the base again, or copy the missing files into the folder."


def locate_folder(path: Path, *, source: str, family: FamilyName | None = None) -> Located:
    """The folder as a checked base. family: only to overrule what the files say, and refused where they contradict it."""
    if not (path / "model_index.json").is_file():
        raise _no_index(path)
    index = read_json(path / "model_index.json")
    refuse_other_kinds(index)
    found = folder_family(read_json(path / "unet" / "config.json"), index)
    if family is not None and family != found:
        raise BaseModelError(
            f"{path.name} is a base of the {found} family, not {family}.", fix=f"Leave the family out, or give a {family} base."
        )
    weights, variants, missing = _weights(path, found)
    missing += _small_files(path, found)
    if missing:
        partial = sorted({file.name for pattern in PARTIAL for file in path.rglob(pattern)})
        unfinished = f" Unfinished downloads: {', '.join(partial[:4])}." if partial else ""
        raise BaseModelError(f"The base in {path.name} is incomplete. Missing: {', '.join(missing)}.{unfinished}", fix=AGAIN)
    for component in MODELS[found]:
        read_json(path / component / "config.json")
    for component, file in weights:
        if not read_header(file, name=f"{component}/{file.name}").shapes:
            raise BaseModelError(f"{component}/{file.name} holds no tensors.", fix=AGAIN)
    prediction = read_json(path / "scheduler" / "scheduler_config.json").get("prediction_type", "epsilon")
    if prediction not in ("epsilon", "v_prediction"):
        raise BaseModelError(
            f'The base predicts "{prediction}", which Brandprint cannot teach.', fix="Use a base that predicts epsilon or v."
        )
    return Located(source, path, "folder", found, prediction, tuple(weights), tuple(variants))


def refuse_other_kinds(index: dict[str, Any]) -> None:
    """Raises BaseModelError where model_index.json is that of another pipeline than Stable Diffusion with a UNet."""
    name = str(index.get("_class_name", ""))
    if not name.startswith("StableDiffusion") or "unet" not in index:
        raise BaseModelError(
            f"This is a {name or 'folder of unknown kind'}, not Stable Diffusion 1, 2 or XL.", fix="Choose a base of one of these families."
        )


def folder_family(unet: dict[str, Any], index: dict[str, Any]) -> FamilyName:
    """The family that a UNet's configuration describes. Raises BaseModelError for kinds that cannot be taught (inpainting, refiner)."""
    if unet.get("in_channels") != unet.get("out_channels"):
        raise BaseModelError(
            f"Its denoiser takes {unet.get('in_channels')} channels (an inpainting, depth or editing model).",
            fix="Choose the plain text-to-image version of it.",
        )
    if unet.get("addition_embed_type") == "text_time":
        if not (index.get("text_encoder") or [None])[0]:
            raise BaseModelError("This is an SDXL refiner, which cannot be taught on its own.", fix="Choose the SDXL base model.")
        return "sdxl"
    return "sd2" if unet.get("use_linear_projection") else "sd1"


def _weights(path: Path, family: FamilyName) -> tuple[list[tuple[str, Path]], list[tuple[str, str]], list[str]]:
    """(component, file) of all weights, (component, variant) where there is no plain one, and what is missing."""
    weights, variants, missing = [], [], []
    for component in MODELS[family]:
        if not (path / component / "config.json").is_file():
            missing.append(f"{component}/config.json")
        files, variant, gaps = component_weights(path / component, STEMS[component])
        weights += [(component, file) for file in files]
        missing += [f"{component}/{gap}" for gap in gaps]
        if variant:
            variants.append((component, variant))
    return weights, variants, missing


def component_weights(folder: Path, stem: str) -> tuple[list[Path], str, list[str]]:
    """(files, variant, missing names) of one component: the plain weights if they are whole, else the fp16 variant."""
    best: tuple[list[Path], str, list[str]] | None = None
    for variant, single, index in (
        ("", f"{stem}.safetensors", f"{stem}.safetensors.index.json"),
        ("fp16", f"{stem}.fp16.safetensors", f"{stem}.safetensors.index.fp16.json"),  # the only index of a variant that both libraries read
    ):
        if (folder / single).is_file():
            return [folder / single], variant, []
        if (folder / index).is_file():
            names = _shards(folder / index)
            gaps = [name for name in names if not (folder / name).is_file()]
            if not gaps:
                return [folder / name for name in names], variant, []
            best = best or ([], variant, gaps)
    return best or ([], "", [_absent(folder, stem)])


def _shards(index: Path) -> list[str]:
    files = read_json(index).get("weight_map")
    if not isinstance(files, dict) or not files or not all(isinstance(name, str) for name in files.values()):
        raise BaseModelError(f"{index.parent.name}/{index.name} does not say which files hold the weights.", fix=AGAIN)
    return sorted(set(files.values()))


def _absent(folder: Path, stem: str) -> str:
    pickled = [name for name in (f"{stem}.bin", "pytorch_model.bin") if (folder / name).is_file()]
    note = f" (only {pickled[0]} is there, a pickle, which can run code when it is opened)" if pickled else ""
    return f"{stem}.safetensors{note}"


def _small_files(path: Path, family: FamilyName) -> list[str]:
    missing = [] if (path / "scheduler" / "scheduler_config.json").is_file() else ["scheduler/scheduler_config.json"]
    for name in TOKENIZERS[family]:
        folder = path / name
        if not (folder / "tokenizer.json").is_file():
            missing += [f"{name}/{file}" for file in ("vocab.json", "merges.txt") if not (folder / file).is_file()]
    return missing


def read_json(path: Path) -> dict[str, Any]:
    """The settings in a component's file. Raises BaseModelError, with the component's name, where it is missing or holds anything else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BaseModelError(f"The base is incomplete. Missing: {path.parent.name}/{path.name}.", fix=AGAIN) from None
    except (ValueError, OSError, RecursionError) as problem:
        raise BaseModelError(f"{path.parent.name}/{path.name} cannot be read: {problem}.", fix=AGAIN) from problem
    if not isinstance(value, dict):
        raise BaseModelError(f"{path.parent.name}/{path.name} is not what a base has there.", fix=AGAIN)
    return value


def _no_index(path: Path) -> BaseModelError:
    if (path / "adapter_config.json").exists() or (path / "pytorch_lora_weights.safetensors").exists():
        return BaseModelError(
            f"{path.name} holds an adapter (LoRA), not a base.", fix="Give the base here, and import the adapter separately."
        )
    files = sorted(file.name for file in path.glob("*.safetensors"))
    if files:
        return BaseModelError(
            f"{path.name} is not a diffusers folder (no model_index.json).", fix=f"Give one of its files instead, such as {files[0]}."
        )
    return BaseModelError(
        f"{path.name} is not a diffusers folder (no model_index.json).", fix="Give the folder that holds unet, vae and text_encoder."
    )
