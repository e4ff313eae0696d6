"""Which number format trains fastest on this device and base without losing safety: asked for, known, or measured by a short trial.

In: the wish, the base, the adapter and the size of a step. Out: "fp32", "bf16", "fp16", or "bf16-products" (float32 with products in bf16, for narrow bases).
An answer that was not asked for is remembered in `folder` with its reason, so that a resumed run and the next run choose alike. Does not change the base (`set_precision` does, when told).
"""

from __future__ import annotations

import copy
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from pipelines import adapter as adapters
from pipelines.atomic import write_atomically
from pipelines.errors import ConfigError
from pipelines.families.base import Base, Conditioning
from pipelines.families.quiet import quiet
from pipelines.quicken import cpu_multiplies_bf16
from pipelines.settings import AdapterSettings
from training.quick_adapters import QuickAdapters

logger = logging.getLogger(__name__)

Precision = Literal["fp32", "bf16", "fp16", "bf16-products"]
DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "bf16-products": torch.float32}
PRODUCTS = {**DTYPES, "bf16-products": torch.bfloat16}  # the format that a layer's products are taken in
GAIN_WANTED = 1.1  # bf16 must be this much faster to be worth its rounding
CLEAR = 1.5  # a difference that needs no second look
ROUNDS = 3
TRIAL_LATENT_PIXELS = 4096  # of a trial's batch: one picture of 512 px tells the formats apart as well as four
# Below this many channels a step is overhead, which bf16 throughout adds to: the starter (192) takes 1.2 to 1.4 times as long in it as in fp32 on Zen 5 without AMX and
# 1.3 times on a processor with AMX; bf16 in its products alone takes 0.75 times. At 320 channels bf16 is 1.3 times faster, at 640 1.5, at 1280 1.7 (docs/performance.md).
FEWEST_CHANNELS = 256
EDITION = 2  # of the rules: what was remembered under another is found anew
NAME = "trial"


def choose_precision(
    wanted: str, base: Base, *, adapter: AdapterSettings, latent_shape: tuple[int, ...], conditioning: Conditioning, folder: Path
) -> Precision:
    """The format to train in. latent_shape: [B, C, h, w] of a step. Raises ConfigError for a format that this device does not have."""
    return settled_precision(wanted, base.device.type) or _remembered(
        folder / "precision.json", _key(base, adapter, latent_shape), lambda: _found(base, adapter, latent_shape, conditioning)
    )


def settled_precision(wanted: str, kind: str) -> Precision | None:
    """The format where the wish and the kind of device (cpu, cuda, mps) settle it, so that the base can be loaded in it; None where a trial must.

    Raises ConfigError for a format that this device does not have.
    """
    if wanted == "fp16" and kind != "cuda":
        raise ConfigError(f"fp16 needs a CUDA device; this one is {kind}.", fix="Choose auto, bf16 or fp32.")
    if wanted == "bf16" and kind == "cuda" and not torch.cuda.is_bf16_supported():
        raise ConfigError("This GPU has no bf16.", fix="Choose auto or fp16.")
    if wanted != "auto":
        return wanted  # type: ignore[return-value]
    if kind == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if kind != "cpu" or not cpu_multiplies_bf16():
        return "fp32"
    return None


def is_narrow(base: Base) -> bool:
    """True where a step is overhead rather than arithmetic."""
    return max(base.unet.config.block_out_channels) < FEWEST_CHANNELS


def set_precision(base: Base, precision: Precision) -> None:
    """Convert the denoiser and the text encoders; the autoencoder keeps its own format."""
    with quiet():
        for module in (base.unet, *base.text_encoders):
            module.to(DTYPES[precision])
    base.dtype = DTYPES[precision]


def _key(base: Base, adapter: AdapterSettings, latent_shape: tuple[int, ...]) -> str:
    size = "x".join(map(str, latent_shape))
    device = f"{torch.backends.cpu.get_cpu_capability()} threads {torch.get_num_threads()}"
    return f"{base.fingerprint[:16]} {adapter.kind} {adapter.targets} {size} torch {torch.__version__} {device} edition {EDITION}"


def _remembered(path: Path, key: str, find: Callable[[], dict[str, Any]]) -> Precision:
    """What stands under the key, else what is found now; a damaged memory counts as none."""
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        known = {}
    if key not in known:
        known[key] = find()
        logger.info("number format: %s", known[key])
        write_atomically(path, json.dumps(known, indent=1).encode())
    return known[key]["precision"]


def _found(base: Base, adapter: AdapterSettings, latent_shape: tuple[int, ...], conditioning: Conditioning) -> dict[str, Any]:
    """The format and why."""
    if is_narrow(base):
        channels = max(base.unet.config.block_out_channels)
        return {"precision": "bf16-products", "why": f"{channels} channels: below {FEWEST_CHANNELS} only products gain by bf16"}
    plain, half = _trial(base, adapter, latent_shape, conditioning)
    return {"precision": "bf16" if plain > GAIN_WANTED * half else "fp32", "why": "trial", "fp32_seconds": plain, "bf16_seconds": half}


def _trial(base: Base, adapter: AdapterSettings, latent_shape: tuple[int, ...], conditioning: Conditioning) -> tuple[float, float]:
    """CPU seconds of forward and backward in fp32 and in bf16, in the trainer's own layers: taken in turn, the least of each.

    CPU seconds, for other work on the machine counts into wall seconds. A second and a third round are run only where the first does not settle it.
    """
    batch = max(1, min(latent_shape[0], TRIAL_LATENT_PIXELS // (latent_shape[2] * latent_shape[3])))
    shape = (batch, *latent_shape[1:])
    half = _in_bf16(base)
    plain_seconds = half_seconds = float("inf")
    try:
        for one in (base, half):
            adapters.create(one, adapter.model_copy(update={"text_encoder": False}), seed=0, name=NAME)
        ways = [(one, QuickAdapters(one, shape, name=NAME)) for one in (base, half)]
        for number in range(ROUNDS):
            plain_seconds, half_seconds = (
                min(least, _seconds(one, quick, shape, conditioning))
                for least, (one, quick) in zip((plain_seconds, half_seconds), ways, strict=True)
            )
            if number and max(plain_seconds / half_seconds, half_seconds / plain_seconds) > CLEAR:
                break
    finally:
        adapters.detach(base, NAME)
    return plain_seconds, half_seconds


def _in_bf16(base: Base) -> Base:
    """The base with a denoiser of its own in bf16, made without a full-width copy in between. Text encoders are left out."""
    memory = {id(weight): nn.Parameter(weight.detach().bfloat16(), requires_grad=False) for weight in base.unet.parameters()}
    trial = copy.copy(base)
    trial.unet, trial.text_encoders, trial.dtype = copy.deepcopy(base.unet, memory), (), torch.bfloat16
    return trial


def _seconds(base: Base, quick: QuickAdapters, shape: tuple[int, ...], conditioning: Conditioning) -> float:
    """CPU seconds of one forward and backward pass."""
    wide = [
        None if part is None else part[:1].expand(shape[0], *part.shape[1:]).contiguous()
        for part in (conditioning.hidden, conditioning.pooled)
    ]
    timesteps = torch.full((shape[0],), 500)
    start = time.process_time()
    with quick.at(shape), torch.autocast("cpu", torch.bfloat16, enabled=base.dtype == torch.bfloat16):
        output = base.predict(torch.zeros(shape), timesteps, Conditioning(*wide))  # type: ignore[arg-type]
        output.square().mean().backward()
    return time.process_time() - start
