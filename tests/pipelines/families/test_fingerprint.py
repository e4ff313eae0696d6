"""A fingerprint is a base's content: it moves with the files and changes with any weight."""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from pipelines.families.fingerprint import PIECE_BYTES, PIECES, fingerprint, sample_offsets
from pipelines.families.load import locate
from tests.tiny import tiny_base_folder


def test_the_same_weights_elsewhere_have_the_same_fingerprint(tiny_sd1, tmp_path):
    moved = shutil.copytree(tiny_sd1, tmp_path / "elsewhere")
    assert fingerprint(locate(str(moved))) == fingerprint(locate(str(tiny_sd1)))
    assert fingerprint(locate(str(tiny_base_folder("sd1", tmp_path / "again")))) == fingerprint(locate(str(tiny_sd1)))


def test_one_changed_weight_in_any_part_changes_it(tiny_sd1, tmp_path):
    seen = {fingerprint(locate(str(tiny_sd1)))}
    for part in ("unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"):
        folder = Path(shutil.copytree(tiny_sd1, tmp_path / part.split("/")[0]))
        path = folder / f"{part}.safetensors"
        tensors = load_file(str(path))
        name = sorted(tensors)[len(tensors) // 2]
        tensors[name].view(-1)[-1] += 1
        save_file(tensors, str(path))
        seen.add(fingerprint(locate(str(folder))))
    assert len(seen) == 4


def test_the_prediction_type_is_part_of_it(tmp_path):
    epsilon, v = (tiny_base_folder("sd2", tmp_path / kind, prediction=kind) for kind in ("epsilon", "v_prediction"))
    assert fingerprint(locate(str(epsilon))) != fingerprint(locate(str(v)))


def test_samples_cover_both_ends_and_all_of_a_small_file():
    assert sample_offsets(0) == []
    assert sample_offsets(3 * PIECE_BYTES + 1) == [0, PIECE_BYTES, 2 * PIECE_BYTES, 3 * PIECE_BYTES]
    offsets = sample_offsets(7_000_000_000)
    assert (len(offsets), offsets[0], offsets[-1]) == (PIECES, 0, 7_000_000_000 - PIECE_BYTES)
