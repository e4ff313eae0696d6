"""Write the starter as a diffusers folder that plain `StableDiffusionPipeline.from_pretrained` loads.

In: the state folder's autoencoder, text-image encoder and denoiser (averaged weights). Out: `unet/ vae/ text_encoder/ tokenizer/ scheduler/ model_index.json`
and `image_encoder/` (the whole text-image encoder, for scores), half precision safetensors, 64 MB at most in all, no file over 48 MB.
It does not write the card. A folder is complete before it replaces the old one, as others may be reading it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPModel

from pipelines.errors import ExportError
from pipelines.formats.older_readers import open_to_older_readers
from training.starter.denoiser import build_denoiser, build_scheduler, load_frozen
from training.starter.text_image import build_text_image, load_tokenizer

STARTER_FOLDER = Path(__file__).resolve().parents[2] / "pipelines" / "starter"
FILE_LIMIT_BYTES = 48 * 10**6
TOTAL_LIMIT_BYTES = 64 * 10**6
PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler", "image_encoder", "model_index.json")


def load_denoiser(state_folder: Path) -> UNet2DConditionModel:
    """The averaged weights; untrained ones when there are none yet."""
    model = build_denoiser()
    path = state_folder / "denoiser" / "last.pt"
    if path.exists():
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["average"])
    return model


def build_pipeline(state_folder: Path) -> StableDiffusionPipeline:
    """The whole pipeline in float32."""
    models = load_frozen(state_folder)
    return StableDiffusionPipeline(
        vae=models.autoencoder,
        text_encoder=models.text,
        tokenizer=models.tokenizer,
        unet=load_denoiser(state_folder),
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def save_encoders(model: CLIPModel, folder: Path) -> None:
    """`text_encoder/` gets SD 1.5's weight names, and `image_encoder/` becomes a whole CLIPModel whose text weights lie in the former's file.

    One file instead of two keeps the package below its limit; transformers reads it as an ordinary sharded model.
    """
    home = folder / "image_encoder"
    model.half().save_pretrained(home)
    weights = load_file(home / "model.safetensors")
    text = {name: weight for name, weight in weights.items() if name.startswith("text_model.")}
    rest = {name: weight for name, weight in weights.items() if name not in text}
    save_file(text, folder / "text_encoder" / "model.safetensors", metadata={"format": "pt"})
    save_file(rest, home / "picture.safetensors", metadata={"format": "pt"})
    (home / "model.safetensors").unlink()
    places = dict.fromkeys(text, "../text_encoder/model.safetensors") | dict.fromkeys(rest, "picture.safetensors")
    total_bytes = sum(weight.nbytes for weight in weights.values())
    index = {"metadata": {"total_size": total_bytes}, "weight_map": places}
    (home / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def settle_configs(folder: Path) -> None:
    """Two lines that the libraries write and then stumble over.

    transformers loads a tower in the precision of its config, so half precision on disk would meet a float32 denoiser;
    diffusers warns about the autoencoder's `block_out_channels`, which it derives again when loading.
    """
    vae = folder / "vae" / "config.json"
    for tower in (folder / "text_encoder" / "config.json", folder / "image_encoder" / "config.json"):
        tower.write_text(json.dumps(json.loads(tower.read_text()) | {"dtype": "float32"}, indent=2) + "\n")
    kept = {key: value for key, value in json.loads(vae.read_text()).items() if key not in ("block_out_channels", "_name_or_path")}
    vae.write_text(json.dumps(kept, indent=2) + "\n")


def check_sizes(folder: Path) -> int:
    """Bytes of the folder's parts. Raises ExportError when a file or the whole is too large for the repository."""
    files = [
        path for part in PARTS for path in ([folder / part] if (folder / part).is_file() else (folder / part).rglob("*")) if path.is_file()
    ]
    for path in files:
        if path.stat().st_size > FILE_LIMIT_BYTES:
            raise ExportError(
                f"{path.name} has {path.stat().st_size:,} bytes.", fix=f"Narrow the model: the limit is {FILE_LIMIT_BYTES:,} bytes a file."
            )
    total = sum(path.stat().st_size for path in files)
    if total > TOTAL_LIMIT_BYTES:
        raise ExportError(f"The starter has {total:,} bytes.", fix=f"Narrow a model: the limit is {TOTAL_LIMIT_BYTES:,} bytes in all.")
    return total


def write_package(state_folder: Path, folder: Path = STARTER_FOLDER) -> int:
    """Replace the parts in `folder`; returns their bytes. Cards and other files there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="starter-", dir=state_folder))
    build_pipeline(state_folder).to(dtype=torch.float16).save_pretrained(fresh)
    whole = build_text_image(load_tokenizer(state_folder))
    whole.load_state_dict(torch.load(state_folder / "text_image" / "last.pt", map_location="cpu", weights_only=True)["model"])
    save_encoders(whole, fresh)
    settle_configs(fresh)
    open_to_older_readers(fresh)
    total = check_sizes(fresh)
    for weights in fresh.rglob("*.safetensors"):
        weights.chmod(0o644)  # safetensors writes them readable by their owner only
    for part in PARTS:
        old = folder / part
        if old.is_dir():
            old.rename(fresh / f"old-{part}")
        (fresh / part).rename(old)
    shutil.rmtree(fresh)
    return total
