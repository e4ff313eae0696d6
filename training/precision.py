"""Which number format trains fastest on this device and base without losing safety: asked for, known, or measured by a short trial.

In: the wish, the base, the size of a step. Out: "fp32", "bf16" or "fp16". A measured answer is remembered in `folder`, so that a resumed run
and the next run choose alike. Does not change the base (`set_precision` does, when told).
"""

from __future__ import annotations

import copy
import json
import statistics
import time
from pathlib import Path
from typing import Literal

import torch

from pipelines.atomic import write_atomically
from pipelines.errors import ConfigError
from pipelines.families.base import Base, Conditioning
from pipelines.families.quiet import quiet

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
GAIN_WANTED = 1.1  # bf16 must be this much faster to be worth its rounding


def choose_precision(wanted: str, base: Base, *, latent_shape: tuple[int, ...], conditioning: Conditioning, folder: Path) -> Precision:
    """The format to train in. latent_shape: [B, C, h, w] of a step. Raises ConfigError for a format that this device does not have."""
    kind = base.device.type
    if wanted == "fp16" and kind != "cuda":
        raise ConfigError(f"fp16 needs a CUDA device; this one is {kind}.", fix="Choose auto, bf16 or fp32.")
    if wanted == "bf16" and kind == "cuda" and not torch.cuda.is_bf16_supported():
        raise ConfigError("This GPU has no bf16.", fix="Choose auto or fp16.")
    if wanted != "auto":
        return wanted  # type: ignore[return-value]
    if kind == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if kind != "cpu" or not _cpu_has_bf16():
        return "fp32"
    return _remembered_trial(base, latent_shape, conditioning, folder)


def set_precision(base: Base, precision: Precision) -> None:
    """Convert the denoiser and the text encoders; the autoencoder keeps its own format."""
    with quiet():
        for module in (base.unet, *base.text_encoders):
            module.to(DTYPES[precision])
    base.dtype = DTYPES[precision]


def _cpu_has_bf16() -> bool:
    """True where the processor multiplies bf16 natively (AVX512-BF16 or AMX); elsewhere it is emulated and slower."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _remembered_trial(base: Base, latent_shape: tuple[int, ...], conditioning: Conditioning, folder: Path) -> Precision:
    path = folder / "precision.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    key = f"{base.fingerprint[:16]} {'x'.join(map(str, latent_shape))} torch {torch.__version__} threads {torch.get_num_threads()}"
    if key not in known:
        plain = _seconds(base, latent_shape, conditioning, "fp32")
        half = _seconds(base, latent_shape, conditioning, "bf16")
        known[key] = {"precision": "bf16" if plain > GAIN_WANTED * half else "fp32", "fp32_seconds": plain, "bf16_seconds": half}
        write_atomically(path, json.dumps(known, indent=1).encode())
    return known[key]["precision"]


def _seconds(base: Base, latent_shape: tuple[int, ...], conditioning: Conditioning, precision: Precision) -> float:
    """Median seconds of forward and backward through a copy of the denoiser, gradients flowing to its input only."""
    trial = copy.copy(base)
    trial.unet, trial.text_encoders = copy.deepcopy(base.unet), ()
    set_precision(trial, precision)
    noisy = torch.zeros(latent_shape, requires_grad=True)
    timesteps = torch.zeros(latent_shape[0], dtype=torch.long)
    told = Conditioning(
        *(
            None if part is None else part[:1].expand(latent_shape[0], *part.shape[1:])
            for part in (conditioning.hidden, conditioning.pooled)
        )
    )  # type: ignore[arg-type]
    taken = []
    for _ in range(4):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            output = trial.predict(noisy, timesteps, told)
        output.sum().backward()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])
