"""Tokenizer and text-image encoder on six concepts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import CLIPTokenizer

from training.starter import text_image
from training.starter.text_image import Heads, Pairs, TextImagePlan, build_text_image, load_tokenizer, tokenize, train, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer(concepts) -> CLIPTokenizer:
    return train_tokenizer(concepts, entries=700)


@pytest.mark.parametrize(
    "caption", ["a 3d render of a red apple on a light blue background", "flat design, fox", "a sdf dog in the style of zyx"]
)
def test_captions_survive_the_tokenizer(tokenizer, caption):
    ids = tokenizer(caption).input_ids
    assert ids[0] == tokenizer.bos_token_id and ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True).replace(" ,", ",").replace("3 d", "3d") == caption


def test_unknown_letters_do_not_become_unknown_tokens(tokenizer):
    ids = tokenizer("éclair ☃ 42").input_ids[1:-1]
    assert ids and tokenizer.unk_token_id not in ids


def test_captions_are_padded_to_77(tokenizer):
    ids = tokenize(tokenizer, ["a fox", "a fox " * 80])
    assert ids.shape == (2, 77) and ids[0, -1] == tokenizer.eos_token_id == ids[1, -1]


def test_saved_tokenizer_gives_the_same_ids(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    again = CLIPTokenizer.from_pretrained(tmp_path)
    assert again.model_max_length == 77
    assert again("a flat design of a lemon").input_ids == tokenizer("a flat design of a lemon").input_ids


def test_text_is_pooled_at_the_end_token(tokenizer):
    torch.manual_seed(0)
    model = build_text_image(tokenizer).eval()
    ids = tokenize(tokenizer, ["a fox"])
    end = int((ids[0] == tokenizer.eos_token_id).nonzero()[0])
    output = model.text_model(ids)
    assert torch.allclose(output.pooler_output[0], output.last_hidden_state[0, end])


def test_short_and_long_padding_give_the_caption_the_same_states(tokenizer):
    model = build_text_image(tokenizer).eval()
    short, long = (model.text_model(tokenize(tokenizer, ["a fox"], tokens=tokens)).last_hidden_state[0] for tokens in (24, 77))
    assert torch.allclose(short, long[:24], atol=1e-5)


def test_two_steps_then_a_locked_text_tower(state_folder, monkeypatch):
    monkeypatch.setattr(text_image, "measure_retrieval", lambda *_, **__: (0.0, 0.0))
    train(state_folder, TextImagePlan(steps=2, batch=4))
    path = state_folder / "text_image" / "last.pt"
    first = torch.load(path, weights_only=True)
    assert first["step"] == 2
    train(state_folder, TextImagePlan(steps=1, batch=4, is_text_locked=True))
    second = torch.load(path, weights_only=True)["model"]
    changed = {name.split(".")[0] for name, weight in second.items() if not torch.equal(weight, first["model"][name])}
    assert {"vision_model", "visual_projection"} <= changed and not changed & {"text_model", "text_projection"}


def test_heads_learn_from_their_loss(concepts, drawings):
    torch.manual_seed(0)
    _, _, scenes = Pairs(drawings, concepts).batch(np.random.default_rng(0), 8)
    heads, states = Heads(len(concepts)), torch.randn(8, 256)
    optimizer, first = torch.optim.Adam(heads.parameters(), 0.05), heads.loss(states, scenes).item()
    for _ in range(20):
        optimizer.zero_grad()
        loss = heads.loss(states, scenes)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 * first


def test_tokenizer_is_read_back_from_the_state_folder(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "text_image" / "tokenizer")
    assert load_tokenizer(tmp_path)("a fox").input_ids == tokenizer("a fox").input_ids
