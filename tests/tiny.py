"""Tiny random bases: the real block structure and module names of each family with very narrow channels, a few hundred kB each.

In: a family and a folder. Out: a diffusers folder that plain diffusers loads, the same for the same seed. They draw noise; they are for tests only.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

Autoencoder = Literal["kl", "tiny"]

WORDS = (
    "a",
    "of",
    "the",
    "on",
    "in",
    "photo",
    "drawing",
    "style",
    "red",
    "blue",
    "mug",
    "bottle",
    "robot",
    "tinbot",
    "white",
    "background",
)
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
HIDDEN = {"sd1": 32, "sd2": 32, "sdxl": 16}  # width of the first text encoder
HIDDEN_2 = 24  # width of SDXL's second text encoder
POOLED = 20


def tiny_base_folder(
    family: str, folder: Path, *, seed: int = 0, prediction: str | None = None, autoencoder: Autoencoder = "kl", zero_snr: bool = False
) -> Path:
    """Writes a tiny base of `family` ("sd1", "sd2", "sdxl") into `folder` and returns it.

    prediction: "epsilon" or "v_prediction"; None: epsilon, and v for sd2. autoencoder: "tiny" gives the starter's kind: 16x down, 16 channels.
    """
    import torch

    from pipelines.families.quiet import quiet

    prediction = prediction or ("v_prediction" if family == "sd2" else "epsilon")
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipe = _pipeline(family, prediction=prediction, autoencoder=autoencoder, zero_snr=zero_snr)
        pipe.save_pretrained(str(folder))
    return folder


def _pipeline(family: str, *, prediction: str, autoencoder: Autoencoder, zero_snr: bool) -> Any:
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

    shared = {"vae": tiny_vae(family, autoencoder), "scheduler": tiny_scheduler(family, prediction=prediction, zero_snr=zero_snr)}
    channels = 4 if autoencoder == "kl" else 16
    if family == "sdxl":
        return StableDiffusionXLPipeline(
            **shared, unet=tiny_unet(family, channels), text_encoder=tiny_text_encoder(family), text_encoder_2=tiny_text_encoder(family, second=True),
            tokenizer=tiny_tokenizer(), tokenizer_2=tiny_tokenizer(pad="!"),
        )  # fmt: skip
    return StableDiffusionPipeline(
        **shared, unet=tiny_unet(family, channels), text_encoder=tiny_text_encoder(family), tokenizer=tiny_tokenizer(pad="!" if family == "sd2" else None),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def tiny_unet(family: str, channels: int = 4) -> Any:
    """A UNet with the family's blocks, 8 or 16 channels wide."""
    from diffusers import UNet2DConditionModel

    common: dict[str, Any] = {
        "sample_size": 8,
        "in_channels": channels,
        "out_channels": channels,
        "norm_num_groups": 4,
        "layers_per_block": 2,
    }
    if family == "sdxl":
        return UNet2DConditionModel(
            **common, block_out_channels=(8, 16, 16), cross_attention_dim=HIDDEN["sdxl"] + HIDDEN_2, attention_head_dim=(1, 2, 2),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), transformer_layers_per_block=(1, 1, 2), use_linear_projection=True,
            addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=6 * 8 + POOLED,
        )  # fmt: skip
    heads: dict[str, Any] = (
        {"attention_head_dim": (1, 2, 2, 2), "use_linear_projection": True} if family == "sd2" else {"attention_head_dim": 2}
    )
    return UNet2DConditionModel(**common, **heads, block_out_channels=(8, 16, 16, 16), cross_attention_dim=HIDDEN[family])


def tiny_vae(family: str, autoencoder: Autoencoder = "kl") -> Any:
    """8x down and 4 channels, or the starter's kind: 16x down and 16 channels."""
    from diffusers import AutoencoderKL, AutoencoderTiny

    if autoencoder == "tiny":
        return AutoencoderTiny(
            latent_channels=16, encoder_block_out_channels=(8,) * 5, decoder_block_out_channels=(8,) * 5,
            num_encoder_blocks=(0, 0, 1, 1, 1), num_decoder_blocks=(1, 1, 1, 0, 0),
        )  # fmt: skip
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, block_out_channels=(8, 8, 8, 8), layers_per_block=1 if family == "sd1" else 2,
        latent_channels=4, norm_num_groups=4, sample_size=64, scaling_factor=0.13025 if family == "sdxl" else 0.18215,
    )  # fmt: skip


def tiny_text_encoder(family: str, *, second: bool = False) -> Any:
    """A CLIP text tower of 2 layers (SDXL's second one with its projection)."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    width = HIDDEN_2 if second else HIDDEN[family]
    tokens = len(tiny_vocabulary()[0])
    config = CLIPTextConfig(
        vocab_size=tokens, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=3, num_attention_heads=2, projection_dim=POOLED,
        hidden_act="quick_gelu" if not second and family != "sd2" else "gelu", max_position_embeddings=77, bos_token_id=tokens - 2, eos_token_id=tokens - 1, pad_token_id=0 if second else 1,
    )  # fmt: skip
    return (CLIPTextModelWithProjection(config) if second else CLIPTextModel(config)).eval()


def tiny_vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """CLIP's byte alphabet, the pieces of a few words, and the two marks last, as in the real table."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        pieces = [*word[:-1], word[-1] + "</w>"]
        grown = [pieces[0]]
        for piece in pieces[1:]:
            grown.append(grown[-1] + piece)
        merges += [(before, piece) for (before, _), piece in zip(pairwise(grown), pieces[1:], strict=True)]
    merges = list(dict.fromkeys(merges))
    entries = [
        *letters,
        *(letter + "</w>" for letter in letters),
        *dict.fromkeys(left + right for left, right in merges),
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    return {entry: number for number, entry in enumerate(entries)}, merges


def tiny_tokenizer(*, pad: str | None = None) -> Any:
    """A working CLIPTokenizer of about 600 entries."""
    from transformers import CLIPTokenizer

    vocabulary, merges = tiny_vocabulary()
    return CLIPTokenizer(vocab=vocabulary, merges=merges, pad_token=pad or "<|endoftext|>", model_max_length=77)


def tiny_scheduler(family: str, *, prediction: str, zero_snr: bool = False) -> Any:
    """The scheduler that the family's own folder carries."""
    from diffusers import DDIMScheduler, EulerDiscreteScheduler, PNDMScheduler

    if family == "sdxl":
        return EulerDiscreteScheduler(
            **BETAS, steps_offset=1, timestep_spacing="leading", prediction_type=prediction, rescale_betas_zero_snr=zero_snr
        )
    if family == "sd1" and not zero_snr:
        return PNDMScheduler(**BETAS, steps_offset=1, skip_prk_steps=True, set_alpha_to_one=False, prediction_type=prediction)
    return DDIMScheduler(
        **BETAS, steps_offset=1, clip_sample=False, set_alpha_to_one=False, prediction_type=prediction, rescale_betas_zero_snr=zero_snr,
        timestep_spacing="trailing" if zero_snr else "leading",
    )  # fmt: skip
