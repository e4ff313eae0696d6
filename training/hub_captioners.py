"""Captions by a vision-language model or tagger from a hub, when the user says yes to the download.

In: items. Out: one caption per picture, as soon as it is ready. A model is loaded at its first picture and imports torch then: the page starts a job for it
(app/captioning.py). Which words are kept is decided by the user (proposals.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from pipelines.errors import DatasetError
from training.dataset import Item
from training.images import open_item


class HubCaptioner:
    """A vision-language model from a hub. Loaded at the first picture; raises DatasetError with the way out where it cannot be had."""

    needs_hub = True

    def __init__(self, name: str, *, device: str = "cpu") -> None:
        """name: one of HUB_MODELS."""
        self.name = name
        self._device = device
        self._model = HUB_MODELS[name]

    def caption(self, items: Sequence[Item]) -> Iterator[str]:
        """Captions by the model, one picture at a time."""
        if not items:
            return
        say = _loaded(self._model, self._device)
        for item in items:
            yield " ".join(say(open_item(item, at_least_px=1024)).split())


@dataclass(frozen=True)
class HubModel:
    """One line of the table of hub captioners. prompt: what the model is asked; only what varies is wanted."""

    id: str
    kind: str  # "florence": task prompts; "chat": a conversation with a picture; "tags": a tagger
    prompt: str
    licence: str
    title: str
    download_gb: float  # roughly: parameters x bytes of the published weights


_ASK = (
    "Describe this picture for training an image generator in one line of at most 40 words. Say what varies: view, pose, place, background, light. "
    "Do not name the main object's kind, brand or style. No introduction."
)
HUB_MODELS: dict[str, HubModel] = {
    "florence-2": HubModel("florence-community/Florence-2-base-ft", "florence", "<DETAILED_CAPTION>", "MIT", "Florence-2", 0.5),
    "qwen3-vl": HubModel("Qwen/Qwen3-VL-4B-Instruct", "chat", _ASK, "Apache-2.0", "Qwen3-VL", 9.0),
    "joycaption": HubModel("fancyfeast/llama-joycaption-beta-one-hf-llava", "chat", _ASK, "Llama 3.1 Community", "JoyCaption", 17.0),
    "wd14": HubModel("SmilingWolf/wd-vit-tagger-v3", "tags", "0.35", "Apache-2.0", "WD14", 0.4),
}


def _loaded(model: HubModel, device: str) -> Callable[[Image.Image], str]:
    """The model as a function picture -> words. Raises DatasetError with the way out."""
    try:
        if model.kind == "tags":
            from training.tagger import load_tagger

            return load_tagger(model.id, threshold=float(model.prompt))
        return _vision_language(model, device)
    except ImportError as error:
        message = f"{model.title} cannot be loaded: {error.name or 'a library'} is not installed."
        raise DatasetError(
            message, fix=f"Install it (pip install {error.name or 'transformers'}), or take the captions from another source."
        ) from error
    except (OSError, ValueError) as error:
        message = f"{model.title} ({model.id}) cannot be loaded: the hub was not reached, and the model is not on this machine yet."
        fix = "Connect this machine to the internet once, or take the captions from file names, a template or what Brandprint sees."
        raise DatasetError(message, fix=fix) from error


def _vision_language(model: HubModel, device: str) -> Callable[[Image.Image], str]:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor, Florence2ForConditionalGeneration

    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    processor = AutoProcessor.from_pretrained(model.id)
    kind = Florence2ForConditionalGeneration if model.kind == "florence" else AutoModelForImageTextToText
    network = kind.from_pretrained(model.id, dtype=dtype).to(device).eval()

    def say(picture: Image.Image) -> str:
        if model.kind == "florence":
            inputs = processor(text=model.prompt, images=picture, return_tensors="pt")
        else:
            turn = [{"role": "user", "content": [{"type": "image", "image": picture}, {"type": "text", "text": model.prompt}]}]
            inputs = processor.apply_chat_template(turn, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt")
        inputs = inputs.to(device, dtype)
        with torch.inference_mode():
            tokens = network.generate(**inputs, max_new_tokens=120, do_sample=False)
        if model.kind == "florence":
            text = processor.batch_decode(tokens, skip_special_tokens=False)[0]
            return str(processor.post_process_generation(text, task=model.prompt, image_size=picture.size)[model.prompt])
        return str(processor.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)[0])

    return say
