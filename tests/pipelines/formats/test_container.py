"""The container: other readers agree with it, equal content gives equal bytes, hashes follow kohya's and Civitai's rules."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from pipelines.formats.container import data_start, hashes_of, legacy_hash, pack, tensor_hash, with_metadata

TENSORS = {"b.weight": torch.arange(6.0).view(2, 3), "a.alpha": torch.tensor(4.0), "c": torch.ones(2, 2, dtype=torch.float16)}


def test_the_library_reads_tensors_and_metadata_back(tmp_path: Path) -> None:
    metadata = {"modelspec.title": "Tin „Bot“ ☂", "ss_v2": "False"}
    (tmp_path / "a.safetensors").write_bytes(with_metadata(pack(TENSORS), metadata))
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        assert file.metadata() == metadata
        assert all(torch.equal(file.get_tensor(key), tensor) for key, tensor in TENSORS.items())


def test_the_order_in_which_metadata_came_does_not_show() -> None:
    one, other = {"a": "1", "b": "2"}, {"b": "2", "a": "1"}
    assert with_metadata(pack(TENSORS), one) == with_metadata(with_metadata(pack(TENSORS), {"old": "gone"}), other)


def test_the_tensor_hash_is_that_of_the_bytes_after_the_header_whatever_the_metadata() -> None:
    plain, described = pack(TENSORS), with_metadata(pack(TENSORS), {"a": "x" * 100})
    by_library = save(TENSORS, metadata={"other": "words"})
    length = int.from_bytes(by_library[:8], "little")
    assert tensor_hash(plain) == tensor_hash(described) == sha256(by_library[8 + length :]).hexdigest()
    assert described[data_start(described) :] == by_library[8 + length :]


def test_names_for_other_sites_are_cut_from_the_two_hashes() -> None:
    content = with_metadata(pack(TENSORS), {"a": "b"})
    hashes = hashes_of(content)
    assert hashes.autov2 == sha256(content).hexdigest()[:10]
    assert hashes.autov3 == tensor_hash(content)[:12]


def test_the_legacy_hash_covers_64_kib_at_one_mib() -> None:
    assert legacy_hash(pack(TENSORS)) == "e3b0c442"  # of nothing: the file is shorter, as in sd-scripts
    large = {"a": torch.arange(400_000, dtype=torch.float32)}
    by_library = save(large, metadata={"ss_v2": "False"})
    assert legacy_hash(with_metadata(pack(large), {"ss_v2": "False"})) == sha256(by_library[0x100000 : 0x100000 + 0x10000]).hexdigest()[:8]
