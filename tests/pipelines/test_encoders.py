"""Features that tell things apart: real pictures for the shipped network, a tiny random CLIP for the plumbing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps
from skimage import data

from pipelines.encoders import (
    EfficientNet,
    HubClip,
    HubDino,
    Look,
    PictureEncoder,
    StarterEncoder,
    TextPictureEncoder,
    efficientnet,
    picture_features,
    to_pixels,
)
from pipelines.errors import BaseModelError
from tests.tiny import tiny_tokenizer


@pytest.fixture(scope="module")
def cat() -> Image.Image:
    return Image.fromarray(data.chelsea())


@pytest.fixture(scope="module")
def cup() -> Image.Image:
    return Image.fromarray(data.coffee())


@pytest.fixture(scope="module")
def tiny_clip_folder(tmp_path_factory):
    """The starter's layout around a random CLIP."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    tokenizer = tiny_tokenizer()
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {
        **sizes,
        "vocab_size": len(tokenizer),
        "bos_token_id": len(tokenizer) - 2,
        "eos_token_id": len(tokenizer) - 1,
        "pad_token_id": len(tokenizer) - 1,
    }
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config={**sizes, "image_size": 32, "patch_size": 8}, projection_dim=12))
    folder = tmp_path_factory.mktemp("starter")
    model.save_pretrained(str(folder / "image_encoder"))
    tokenizer.save_pretrained(str(folder / "tokenizer"))
    return folder


def test_the_same_subject_is_near_and_another_far(cat, cup):
    width, height = cat.size
    views = [cat, ImageOps.mirror(cat), cat.crop((width // 10, height // 10, width, height)), cup]
    rows = picture_features(views)
    assert rows.shape == (4, 1280) and rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    nearness = rows @ rows[0]
    assert nearness[1] > 0.9 and nearness[2] > 0.7 and nearness[3] < 0.4


def test_rows_do_not_depend_on_what_else_is_in_the_batch(cat, cup):
    many = picture_features([cup, cat] * 9)
    assert np.allclose(many[-1], picture_features([cat])[0], atol=1e-4)
    assert picture_features([]).shape == (0, 1280)


def test_the_network_is_loaded_once():
    assert efficientnet() is efficientnet()
    assert isinstance(EfficientNet(), PictureEncoder) and not isinstance(EfficientNet(), TextPictureEncoder)


def test_transparent_and_grey_pictures_are_seen_on_white():
    clear = Image.new("RGBA", (40, 20), (255, 0, 0, 0))
    look = Look(8, 8, (0.5,) * 3, (0.5,) * 3)
    assert to_pixels([clear, Image.new("L", (9, 30), 255)], look).unique().tolist() == [1.0]


def test_the_middle_of_a_picture_is_what_is_seen():
    wide = Image.new("RGB", (300, 100), "black")
    wide.paste("white", (100, 0, 200, 100))
    assert to_pixels([wide], Look(10, 8, (0.0,) * 3, (1.0,) * 3)).min() > 0.99


def test_starter_rows_of_texts_and_pictures_share_a_space(tiny_clip_folder, cat, cup):
    encoder = StarterEncoder(tiny_clip_folder)
    pictures, texts = encoder.encode_pictures([cat, cup]), encoder.encode_texts(["a red mug", "a robot", "red " * 100])
    assert isinstance(encoder, TextPictureEncoder)
    assert pictures.shape == (2, 12) and texts.shape == (3, 12)
    assert np.allclose(np.linalg.norm(np.concatenate([pictures, texts]), axis=1), 1, atol=1e-5)
    assert not np.allclose(texts[0], texts[1], atol=1e-3)


def test_a_clip_from_elsewhere_is_read_in_the_same_way(tiny_clip_folder, tmp_path):
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(str(tiny_clip_folder / "image_encoder"))
    model.save_pretrained(str(tmp_path))
    tiny_tokenizer().save_pretrained(str(tmp_path))
    encoder = HubClip(str(tmp_path))
    assert np.allclose(encoder.encode_texts(["a red mug"]), StarterEncoder(tiny_clip_folder).encode_texts(["a red mug"]), atol=1e-5)


def test_dino_gives_its_class_token(tmp_path, cat):
    from transformers import Dinov2Config, Dinov2Model

    Dinov2Model(Dinov2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=224, patch_size=14)).save_pretrained(
        str(tmp_path)
    )
    assert HubDino(str(tmp_path)).encode_pictures([cat]).shape == (1, 16)


@pytest.mark.parametrize("kind", [HubClip, HubDino])
def test_a_hub_that_cannot_be_reached_is_named(kind, cat):
    with pytest.raises(BaseModelError, match="nobody/none could not be fetched") as caught:
        kind("nobody/none").encode_pictures([cat])
    assert "offline encoders" in caught.value.fix


def test_a_starter_without_its_encoder_is_named(tmp_path):
    with pytest.raises(BaseModelError, match="image_encoder"):
        StarterEncoder(tmp_path)
