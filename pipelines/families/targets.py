"""Which layers an adapter may change: only those that every other tool understands.

In: a UNet or a CLIP text encoder, wrapped by PEFT or not. Out: full dotted paths. conv_in, conv_out, time embeddings, norms and biases are left out,
because other tools drop or refuse them.
"""

from __future__ import annotations

from typing import Any

from pipelines.errors import ConfigError

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
FEED_FORWARD = ("proj_in", "proj_out", "ff.net.0.proj", "ff.net.2")
CONVOLUTION = ("conv1", "conv2", "conv_shortcut", "time_emb_proj", "downsamplers.0.conv", "upsamplers.0.conv")
UNET_TARGETS = {
    "attention": ATTENTION,
    "attention+ff": ATTENTION + FEED_FORWARD,
    "all": ATTENTION + FEED_FORWARD + CONVOLUTION,
}
TEXT = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
PEFT_PARTS = (".base_layer", ".lora_", ".modules_to_save", ".original_module")


def unet_paths(unet: Any, targets: str) -> tuple[str, ...]:
    """Paths in the UNet, in module order. targets: "attention", "attention+ff" or "all"; ConfigError for anything else."""
    if targets not in UNET_TARGETS:
        raise ConfigError(f'There is no set of layers named "{targets}".', fix=f"Use one of: {', '.join(UNET_TARGETS)}.")
    return _ending_in(unet, UNET_TARGETS[targets])


def text_paths(encoder: Any) -> tuple[str, ...]:
    """Paths in a CLIP text encoder, in module order."""
    return _ending_in(encoder, TEXT)


def _ending_in(model: Any, endings: tuple[str, ...]) -> tuple[str, ...]:
    suffixes = tuple("." + ending for ending in endings)
    own = (name for name, _ in model.named_modules() if not any(part in name for part in PEFT_PARTS))
    return tuple(name for name in own if name.endswith(suffixes))
