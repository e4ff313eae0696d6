"""WD14 taggers from a hub: tags instead of sentences, best for drawn characters.

In: a hub id. Out: a function picture -> tags, comma separated. Needs a hub; does not decide which tags to keep
beyond a threshold.
"""

from __future__ import annotations

import csv
from collections.abc import Callable

import numpy as np
from PIL import Image

GENERAL = "0"  # category of tags that say what is seen, in selected_tags.csv


def load_tagger(model_id: str, *, threshold: float) -> Callable[[Image.Image], str]:
    """The tagger as a function. Raises OSError where the files cannot be had."""
    import onnxruntime
    from huggingface_hub import hf_hub_download

    session = onnxruntime.InferenceSession(hf_hub_download(model_id, "model.onnx"))
    with open(hf_hub_download(model_id, "selected_tags.csv"), encoding="utf-8", newline="") as file:
        tags = [(row["name"].replace("_", " "), row["category"]) for row in csv.DictReader(file)]
    port = session.get_inputs()[0]
    side_px = int(port.shape[1])

    def say(picture: Image.Image) -> str:
        scores = session.run(None, {port.name: prepared(picture, side_px)})[0][0]
        kept = [(score, name) for score, (name, category) in zip(scores, tags, strict=True) if category == GENERAL and score >= threshold]
        return ", ".join(name for _, name in sorted(kept, reverse=True))

    return say


def prepared(picture: Image.Image, side_px: int) -> np.ndarray:
    """[1, side, side, 3] float32, BGR 0-255 on a white square: what these taggers were trained on (their model cards)."""
    square = Image.new("RGB", (max(picture.size), max(picture.size)), (255, 255, 255))
    square.paste(picture.convert("RGB"), ((square.width - picture.width) // 2, (square.height - picture.height) // 2))
    pixels = np.asarray(square.resize((side_px, side_px), Image.Resampling.BICUBIC), np.float32)
    return np.ascontiguousarray(pixels[None, :, :, ::-1])
