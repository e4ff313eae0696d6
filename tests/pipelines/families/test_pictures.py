"""Pictures to latents and back, for every kind of autoencoder, as diffusers scales them."""

from __future__ import annotations

import pytest
import torch

from pipelines.families import latent
from pipelines.families.base import load_base
from pipelines.families.read import Placement, vae_dtype


def test_latents_have_the_denoisers_shape_and_scale(tiny_base):
    base = load_base(str(tiny_base))
    images = torch.rand(2, 3, 64, 96) * 2 - 1
    latents = base.encode_images(images)
    with torch.no_grad():
        coded = base.vae.encode(images)
    raw = coded.latents if hasattr(coded, "latents") else coded.latent_dist.mode()
    assert latents.shape == (2, base.unet.config.in_channels, 64 // base.stride_px, 96 // base.stride_px)
    assert torch.allclose(latents, raw * base.vae.config.scaling_factor, atol=1e-6)
    assert torch.equal(latents, base.encode_images(images)), "encoding the same picture twice must give the same latents"


def test_the_stride_is_the_autoencoders(tiny_sd1, tiny_starter):
    assert load_base(str(tiny_sd1)).stride_px == 8
    starter = load_base(str(tiny_starter))
    assert (starter.stride_px, starter.native_size_px) == (16, 128)


def test_decoding_gives_the_pipelines_picture(tiny_base):
    base = load_base(str(tiny_base))
    options = {"num_inference_steps": 1, "height": 64, "width": 64}
    latents = base.pipeline()("a mug", **options, output_type="latent", generator=torch.Generator().manual_seed(0)).images
    picture = base.pipeline()("a mug", **options, output_type="pt", generator=torch.Generator().manual_seed(0)).images
    decoded = base.decode_latents(latents)
    assert decoded.abs().max() <= 1
    assert torch.allclose(decoded / 2 + 0.5, picture, atol=1e-5)


def test_latent_statistics_per_channel_undo_each_other(tiny_sdxl):
    base = load_base(str(tiny_sdxl))
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    plain = base.encode_images(images)
    base.vae.register_to_config(latents_mean=[0.1, 0.2, 0.3, 0.4], latents_std=[1.0, 2.0, 3.0, 4.0])
    raw = plain / base.vae.config.scaling_factor
    expected = (
        (raw - torch.tensor([0.1, 0.2, 0.3, 0.4]).view(1, 4, 1, 1))
        * base.vae.config.scaling_factor
        / torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1, 1)
    )
    made = base.encode_images(images)
    assert torch.allclose(made, expected, atol=1e-6)
    picture = base.decode_latents(made)
    with torch.no_grad():
        assert torch.allclose(picture, base.vae.decode(raw).sample.clamp(-1, 1), atol=1e-5)


def test_a_large_batch_goes_through_in_pieces_with_the_same_result(tiny_sd1, monkeypatch):
    base = load_base(str(tiny_sd1))
    images = torch.rand(5, 3, 64, 64) * 2 - 1
    whole, picture = base.encode_images(images), base.decode_latents(base.encode_images(images))
    sizes = []
    encode = base.vae.encode
    monkeypatch.setattr(base.vae, "encode", lambda chunk: sizes.append(len(chunk)) or encode(chunk))
    monkeypatch.setattr(latent, "CHUNK_PIXELS", 2 * 64 * 64)
    assert torch.allclose(base.encode_images(images), whole, atol=1e-5)
    assert sizes == [2, 2, 1]
    assert torch.allclose(base.decode_latents(whole), picture, atol=1e-4)


def test_a_bfloat16_base_keeps_its_autoencoder_wide_and_still_draws(tiny_base):
    base = load_base(str(tiny_base), dtype=torch.bfloat16)
    assert {weight.dtype for weight in base.unet.parameters()} == {torch.bfloat16}
    assert all(encoder.dtype == torch.bfloat16 for encoder in base.text_encoders)
    assert base.vae.dtype == torch.float32
    assert base.encode_images(torch.zeros(1, 3, 64, 64)).dtype == torch.float32
    assert base.pipeline()("a mug", num_inference_steps=1, height=64, width=64).images[0].size == (64, 64)
    latents = torch.zeros(1, base.unet.config.in_channels, 8, 8)
    assert base.predict(latents, torch.tensor([3]), base.encode_prompts(["a mug"])).dtype == torch.float32


@pytest.mark.parametrize(
    ("device", "family", "dtype", "force_upcast", "expected"),
    [
        ("cpu", "sd1", torch.bfloat16, False, torch.float32),
        ("cuda", "sd1", torch.float16, True, torch.float16),
        ("cuda", "sdxl", torch.float16, True, torch.float32),
        ("cuda", "sdxl", torch.bfloat16, True, torch.float32),
        ("cuda", "sdxl", torch.float16, False, torch.float32),
        ("cuda", "sdxl", torch.bfloat16, False, torch.bfloat16),
    ],
)
def test_the_autoencoder_is_kept_wide_where_it_would_overflow(device, family, dtype, force_upcast, expected):
    target = Placement(torch.device(device), dtype)
    assert vae_dtype({"force_upcast": force_upcast}, target, family=family) == expected
