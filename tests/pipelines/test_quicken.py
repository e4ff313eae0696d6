"""Products in bf16 where pictures may differ a little: near the exact ones, nowhere else, and nothing of it stays behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pipelines import quicken
from pipelines.families.base import Base, load_base
from pipelines.generation import generate
from pipelines.quicken import cpu_multiplies_bf16, quick_encoders
from pipelines.settings import DrawSettings

pytestmark = pytest.mark.skipif(not cpu_multiplies_bf16(), reason="needs a processor that multiplies bf16")

MUG = Path(__file__).resolve().parents[2] / "sample_data" / "product" / "001.webp"
FAST = DrawSettings(prompt="a red apple on a white background", seed=3, steps=12, speed="fast")


@pytest.fixture(scope="module")
def starter() -> Base:
    return load_base("starter")


@pytest.fixture(params=["starter", "tiny_sd1"])
def base(request: pytest.FixtureRequest, starter: Base) -> Base:
    """With and without norms in the autoencoder."""
    return starter if request.param == "starter" else load_base(str(request.getfixturevalue("tiny_sd1")))


def picture() -> Tensor:
    """[1, 3, 256, 256] in [-1, 1]."""
    with Image.open(MUG) as file:
        return torch.from_numpy(np.array(file.convert("RGB").resize((256, 256)), np.float32)).permute(2, 0, 1)[None] / 127.5 - 1


def drawn(base: Base, settings: DrawSettings) -> np.ndarray:
    return np.asarray(next(generate(base, settings)).image, np.int16)


def test_latents_in_bf16_are_near_and_decode_to_the_same_picture(starter: Base) -> None:
    exact = starter.encode_images(picture())
    with quick_encoders(starter):
        quick = starter.encode_images(picture())
    assert quick.dtype == torch.float32
    assert 1e-4 < float((quick - exact).norm() / exact.norm()) < 0.04
    apart = (starter.decode_latents(quick) - starter.decode_latents(exact)).abs().mean() * 127.5
    assert float(apart) < 1  # of 255; the autoencoder itself is 6 away from the picture


def test_latents_of_an_autoencoder_with_norms_are_near_too(base: Base) -> None:
    exact = base.encode_images(picture())
    with quick_encoders(base):
        quick = base.encode_images(picture())
    assert float((quick - exact).norm() / exact.norm()) < 0.04
    assert not [layer for layer in base.vae.modules() if "forward" in vars(layer)]


def test_a_fast_picture_in_bf16_is_the_one_in_float32(starter: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    in_bf16 = drawn(starter, FAST)
    monkeypatch.setattr(quicken, "cpu_multiplies_bf16", lambda: False)
    in_float32 = drawn(starter, FAST)
    assert 0 < np.abs(in_bf16 - in_float32).mean() < 2


def test_an_exact_picture_knows_nothing_of_it(starter: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = FAST.model_copy(update={"speed": "exact", "steps": 4})
    drawn(starter, FAST)  # its layouts must not be taken for the exact ones
    before = drawn(starter, exact)
    monkeypatch.setattr(quicken, "cpu_multiplies_bf16", lambda: False)
    assert np.array_equal(before, drawn(starter, exact))
