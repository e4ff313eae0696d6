"""Prompts become exactly what plain diffusers makes of them."""

from __future__ import annotations

import pytest
import torch

from pipelines.families.base import load_base

PROMPTS = ["a photo of a tinbot", "", "red mug on the blue bottle " * 40]


def test_prompts_become_what_the_diffusers_pipeline_makes_of_them(tiny_base):
    base = load_base(str(tiny_base))
    made = base.encode_prompts(PROMPTS)
    with torch.no_grad():
        expected = base.pipeline().encode_prompt(
            prompt=PROMPTS, device=base.device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
    assert len(made) == 3
    assert torch.equal(made.hidden, expected[0])
    if base.family == "sdxl":
        assert torch.equal(made.pooled, expected[2])
    else:
        assert made.pooled is None


def test_token_count_leaves_the_marks_out_and_does_not_stop_at_77(tiny_sd1):
    base = load_base(str(tiny_sd1))
    assert base.token_count("") == 0
    assert base.token_count("a red mug") == 3
    assert base.token_count("a red mug " * 40) == 120


@pytest.mark.parametrize("name", ["tiny_sd1", "tiny_sdxl"])
def test_gradients_reach_a_text_encoder_that_wants_them(name, request):
    base = load_base(str(request.getfixturevalue(name)))
    assert not base.encode_prompts(["a mug"]).hidden.requires_grad
    for encoder in base.text_encoders:
        encoder.get_submodule(base.text_targets()[base.text_encoders.index(encoder)][0]).requires_grad_(True)
    hidden = base.encode_prompts(["a mug"]).hidden
    hidden.sum().backward()
    assert all(any(weight.grad is not None for weight in encoder.parameters()) for encoder in base.text_encoders)
