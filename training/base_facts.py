"""What a plan needs to know about a base, told from its headers and small files: sizes, work per picture, memory per picture. No weights, no torch.

In: a base's name (starter, hub id, folder or file). Out: `BaseFacts`. Work and memory are counted layer by layer from the shapes of the denoiser's
weights; for single files and for bases that are not on this machine yet, the family's own published architecture stands in. Downloads nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.errors import BaseModelError
from pipelines.families.base import FamilyName, Prediction

Targets = Literal["attention", "attention+ff", "all"]
TEXT_TOKENS = 77  # length of CLIP's context: what attn2's keys and values are computed on
ATTENTION = (".to_q.weight", ".to_k.weight", ".to_v.weight", ".to_out.0.weight")
FEED_FORWARD = (".proj_in.weight", ".proj_out.weight", ".ff.net.0.proj.weight", ".ff.net.2.weight")


@dataclass(frozen=True)
class Denoiser:
    """One picture at the native size through the denoiser, counted from its shapes.

    flops: multiplications and additions of one forward pass, attention's own products left out; they are attention_flops, which grow with the
    square of the pixels. activation_floats: outputs of all layers, which is what a backward pass keeps, up to a factor that is measured.
    adapter_widths: targets -> trainable numbers per unit of rank.
    """

    parameters: int
    flops: float
    attention_flops: float
    activation_floats: float
    adapter_widths: Mapping[str, int]
    layers: int


@dataclass(frozen=True)
class BaseFacts:
    """A base as the plan sees it. is_guess: it is not on this machine; the figures are those of the family that its name suggests."""

    source: str
    family: FamilyName
    native_size_px: int
    prediction: Prediction
    zero_terminal_snr: bool
    stride_px: int
    latent_channels: int
    denoiser: Denoiser
    text_parameters: int
    vae_parameters: int
    is_starter: bool = False
    is_guess: bool = False

    @property
    def parameters(self) -> int:
        return self.denoiser.parameters + self.text_parameters + self.vae_parameters

    def adapter_parameters(self, *, rank: int, targets: Targets, text_encoder: bool = False) -> int:
        """Numbers in a LoRA: rank x (in + out) over its layers."""
        text = (
            0.012 * self.text_parameters if text_encoder else 0
        )  # CLIP: q, k, v, out, fc1, fc2 of every layer against all its weights, per rank
        return int(rank * (self.denoiser.adapter_widths[targets] + text))


WIDTHS = ("attention", "attention+ff", "all")
FAMILY_DENOISERS = {  # what `count_denoiser` gives for the published architectures of SD 1.5 at 512 px, SD 2.1 at 768 px and SDXL at 1024 px (a test counts anew)
    "sd1": Denoiser(
        859_520_964, 677_221_171_200.0, 122_494_648_320.0, 236_661_824.0, dict(zip(WIDTHS, (199_296, 423_936, 1_050_816), strict=True)), 282
    ),
    "sd2": Denoiser(
        865_910_724,
        1_520_971_939_840.0,
        620_129_157_120.0,
        530_058_304.0,
        dict(zip(WIDTHS, (207_488, 432_128, 1_059_008), strict=True)),
        282,
    ),
    "sdxl": Denoiser(
        2_567_463_684,
        5_977_320_980_480.0,
        751_619_276_800.0,
        1_779_092_416.0,
        dict(zip(WIDTHS, (1_451_520, 2_659_840, 3_074_240), strict=True)),
        794,
    ),
}
FAMILY_REST = {"sd1": (512, 123_060_480, 83_653_863), "sd2": (768, 340_387_840, 83_653_863), "sdxl": (1024, 817_720_320, 83_653_863)}


def read_base_facts(source: str = "starter") -> BaseFacts:
    """The facts of a base. Raises BaseModelError where files are torn or missing; a hub id that is not here yet gives a guess."""
    from pipelines.families.load import locate

    if _is_absent_hub_id(source):
        return family_facts(source, _family_of_name(source), is_guess=True)
    located = locate(source, allow_download=False)
    if located.kind == "file":
        return family_facts(source, located.family, prediction=located.prediction)
    return _folder_facts(located)


def family_facts(source: str, family: FamilyName, *, prediction: Prediction = "epsilon", is_guess: bool = False) -> BaseFacts:
    """The facts of a family's published architecture."""
    native, text, vae = FAMILY_REST[family]
    return BaseFacts(
        source=source, family=family, native_size_px=native, prediction="v_prediction" if family == "sd2" else prediction, zero_terminal_snr=False, stride_px=8,
        latent_channels=4, denoiser=FAMILY_DENOISERS[family], text_parameters=text, vae_parameters=vae, is_guess=is_guess,
    )  # fmt: skip


def count_denoiser(shapes: Mapping[str, tuple[int, ...]], *, sample_size: int, levels: int) -> Denoiser:
    """Counts from weight shapes. sample_size: side of the native latent; levels: number of down blocks (each but the last halves)."""
    flops = attention = floats = 0.0
    widths = dict.fromkeys(WIDTHS, 0)
    layers = 0
    for name, shape, positions in _layers(shapes, sample_size=sample_size, levels=levels):
        size = _numel(shape)
        flops += 2.0 * size * positions
        floats += shape[0] * positions
        layers += 1
        if name.endswith("attn1.to_q.weight"):
            attention += 4.0 * positions**2 * shape[0]
        for targets in _targets_of(name):
            widths[targets] += size // shape[0] + shape[0]
    return Denoiser(sum(map(_numel, shapes.values())), flops, attention, floats, widths, layers)


def _layers(shapes: Mapping[str, tuple[int, ...]], *, sample_size: int, levels: int) -> Iterator[tuple[str, tuple[int, ...], int]]:
    """(name, shape, positions it is applied at) of every convolution and linear layer."""
    for name, shape in shapes.items():
        if len(shape) not in (2, 4) or not name.endswith(".weight"):
            continue
        yield name, shape, _positions(name, sample_size=sample_size, levels=levels)


def _positions(name: str, *, sample_size: int, levels: int) -> int:
    if "time_emb" in name or "add_embedding" in name:
        return 1
    if ".attn2.to_k" in name or ".attn2.to_v" in name:
        return TEXT_TOKENS
    parts = name.split(".")
    depth = 0
    if parts[0] == "mid_block":
        depth = levels - 1
    elif parts[0] == "down_blocks":
        depth = int(parts[1]) + ("downsamplers" in parts)
    elif parts[0] == "up_blocks":
        depth = levels - 1 - int(parts[1]) - ("upsamplers" in parts)
    return max(1, sample_size // 2**depth) ** 2


def _targets_of(name: str) -> tuple[str, ...]:
    if name.startswith(("conv_in", "conv_out", "time_embedding", "add_embedding")):
        return ()
    if name.endswith(ATTENTION):
        return ("attention", "attention+ff", "all")
    return ("attention+ff", "all") if name.endswith(FEED_FORWARD) else ("all",)


def _folder_facts(located) -> BaseFacts:  # type: ignore[no-untyped-def]
    from pipelines.families.safetensors_header import read_header

    unet, vae, scheduler = (
        _json(located.path / part) for part in ("unet/config.json", "vae/config.json", "scheduler/scheduler_config.json")
    )
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for component, file in located.weights:
        shapes.setdefault(component, {}).update(read_header(file).shapes)
    stride = max(8, 2 ** (len(vae.get("block_out_channels") or vae["encoder_block_out_channels"]) - 1))
    sizes = {component: sum(map(_numel, named.values())) for component, named in shapes.items()}
    return BaseFacts(
        source=located.source, family=located.family, native_size_px=unet["sample_size"] * stride, prediction=located.prediction,
        zero_terminal_snr=bool(scheduler.get("rescale_betas_zero_snr", False)), stride_px=stride, latent_channels=unet["in_channels"],
        denoiser=count_denoiser(shapes["unet"], sample_size=unet["sample_size"], levels=len(unet["block_out_channels"])),
        text_parameters=sizes["text_encoder"] + sizes.get("text_encoder_2", 0), vae_parameters=sizes["vae"], is_starter=located.source == "starter",
    )  # fmt: skip


def _json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise BaseModelError(f"{path.parent.name}/{path.name} cannot be read: {problem}.", fix="Download the base again.") from problem


def _numel(shape: tuple[int, ...]) -> int:
    product = 1
    for side in shape:
        product *= side
    return product


def _is_absent_hub_id(source: str) -> bool:
    from pipelines.families.load import locate

    if source == "starter" or Path(source).expanduser().exists() or source.count("/") != 1 or source.startswith((".", "~", "/")):
        return False
    try:
        locate(source, allow_download=False)
    except BaseModelError:
        return True
    return False


def _family_of_name(source: str) -> FamilyName:
    name = source.lower()
    if "xl" in name:
        return "sdxl"
    return "sd2" if "stable-diffusion-2" in name or "sd2" in name else "sd1"
