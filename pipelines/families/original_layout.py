"""Reads the modules of a base from one .safetensors file in the original layout, with the configurations that ship beside this file. No network.

In: a `Located` file. Out: modules, tokenizers and scheduler configuration. One component at a time, straight into the wanted dtype, so that memory
never holds the file twice. Renaming tensors is diffusers' work; that nothing is missing is checked here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from pipelines.errors import BaseModelError
from pipelines.families.clip_tokenizer import clip_tokenizer
from pipelines.families.located import Located
from pipelines.families.single_file import TEXT, UNET, VAE

State = dict[str, torch.Tensor]


def read_modules(located: Located, configs: Path, *, dtype_of: Callable[[str, dict[str, Any]], torch.dtype]) -> dict[str, Any]:
    """Modules by component name. configs: the folder with a sub-folder per family. dtype_of: component and its configuration -> dtype."""
    modules = {}
    with _opened(located.path) as file:
        for component, prefix in _prefixes(located).items():
            config = component_config(located, configs, component)
            dtype = dtype_of(component, config)
            state = {name: _cast(file.get_tensor(name), dtype) for name in file.keys() if name.startswith(prefix)}  # noqa: SIM118
            modules[component] = _fill(
                _empty(component, config), state, component=component, prefix=prefix, dtype=dtype, file_name=located.path.name
            )
    return modules


def _opened(path: Path) -> Any:
    try:
        return safe_open(str(path), framework="pt", device="cpu")
    except (OSError, SafetensorError) as error:
        raise BaseModelError(f"{path.name} cannot be read: {error}.", fix="Download it again, or give a diffusers folder.") from error


def _prefixes(located: Located) -> dict[str, str]:
    encoders = zip(("text_encoder", "text_encoder_2"), TEXT[located.family], strict=False)
    return {"unet": UNET, "vae": VAE, **dict(encoders)}


def component_config(located: Located, configs: Path, component: str, file_name: str = "config.json") -> dict[str, Any]:
    """A component's configuration, with what v-prediction changes in it (configs/FAMILY/v_prediction.json, where there is one)."""
    folder = configs / located.family
    config = json.loads((folder / component / file_name).read_text(encoding="utf-8"))
    overlay = folder / "v_prediction.json"
    if located.prediction == "v_prediction" and overlay.is_file():
        config |= json.loads(overlay.read_text(encoding="utf-8")).get(component, {})
    return config


def scheduler_config(located: Located, configs: Path) -> dict[str, Any]:
    """The family's scheduler with the file's prediction, and zero-terminal SNR where the file is marked with it (arXiv 2305.08891)."""
    config = component_config(located, configs, "scheduler", "scheduler_config.json") | {"prediction_type": located.prediction}
    if located.zero_terminal_snr:
        config |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
        if config["_class_name"] == "PNDMScheduler":  # it cannot rescale
            config |= {"_class_name": "DDIMScheduler", "clip_sample": False}
    return config


def read_tokenizers(located: Located, configs: Path, *, read_folder: Callable[[Path], Any]) -> tuple[Any, ...]:
    """CLIP's tokenizers with the family's padding; from the configs folder where it carries a vocabulary of its own."""
    folders = sorted((configs / located.family).glob("tokenizer*"))
    own = [any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")) for folder in folders]
    return tuple(read_folder(folder) if has_own else clip_tokenizer(_pad(folder)) for folder, has_own in zip(folders, own, strict=True))


def _pad(folder: Path) -> str:
    return json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))["pad_token"]


def _cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _empty(component: str, config: dict[str, Any]) -> Any:
    """The module without memory behind its weights."""
    from accelerate import init_empty_weights
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    with init_empty_weights():
        if component == "unet":
            return UNet2DConditionModel.from_config(config)
        if component == "vae":
            return AutoencoderKL.from_config(config)
        kind = CLIPTextModel if component == "text_encoder" else CLIPTextModelWithProjection
        return kind(CLIPTextConfig(**config))


def _fill(module: Any, state: State, *, component: str, prefix: str, dtype: torch.dtype, file_name: str) -> Any:
    """The module with the file's tensors in place. Raises BaseModelError naming what is missing or has the wrong shape."""
    try:
        renamed = _rename(module, state, component=component, prefix=prefix)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:  # diffusers misses a tensor
        raise BaseModelError(
            f"The {component} in {file_name} cannot be read: {type(error).__name__} {error}.",
            fix="Download it again, or give a diffusers folder.",
        ) from error
    wanted = module.state_dict()
    missing = sorted(name for name in wanted if renamed.get(name) is None)
    if missing:
        raise BaseModelError(
            f"{file_name} lacks {len(missing)} tensors of its {component}, such as {missing[0]}.",
            fix="Download it again, or give a diffusers folder.",
        )
    for name, tensor in wanted.items():
        if renamed[name].shape != tensor.shape:
            shapes = f"{tuple(renamed[name].shape)} instead of {tuple(tensor.shape)}"
            raise BaseModelError(
                f"{name} of the {component} in {file_name} is {shapes}.",
                fix="This is a variant that Brandprint does not know; use a diffusers folder.",
            )
    module.load_state_dict({name: renamed[name].contiguous() for name in wanted}, strict=True, assign=True)
    return module.to(dtype)


def _rename(module: Any, state: State, *, component: str, prefix: str) -> State:
    """Tensors under the module's own names. Extra ones (position ids, a dropped last layer) may remain."""
    from diffusers.loaders import single_file_utils as convert

    if component == "unet":
        return convert.convert_ldm_unet_checkpoint(state, module.config)
    if component == "vae":
        return convert.convert_ldm_vae_checkpoint(state, module.config)
    if prefix.endswith(".model."):
        renamed = convert.convert_open_clip_checkpoint(module, state, prefix=prefix)
    else:
        renamed = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    bare = {name.removeprefix("text_model."): tensor for name, tensor in renamed.items()}
    level = "text_model." if hasattr(module, "text_model") else ""  # transformers 5.6 took the level away from CLIPTextModel only
    return {name if name == "text_projection.weight" else level + name: tensor for name, tensor in bare.items()}
