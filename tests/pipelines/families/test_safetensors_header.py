"""A header is whole and well formed, or a BaseModelError; small tensors are read in every floating kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipelines.errors import BaseModelError
from pipelines.families.safetensors_header import read_header, read_values

ENTRY = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def write(path: Path, header: object, content: bytes = b"\0" * 4) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + content)
    return path


@pytest.mark.parametrize(
    "entry",
    [ENTRY | {"data_offsets": value} for value in (5, [], [0], ["a", "b"], [0, -4], [0, 4.0], None)]
    + [ENTRY | {"shape": value} for value in (1, ["1"], [-1], None)]
    + [{}, 7],
)
def test_entries_that_no_file_has_are_refused(tmp_path, entry):
    with pytest.raises(BaseModelError, match=r"base.safetensors is not a safetensors file"):
        read_header(write(tmp_path / "base.safetensors", {"a": entry}))


@pytest.mark.parametrize("header", [b"[]", b"[" * 200_000, b"no json", {"__metadata__": [1]}, {"__metadata__": {"a": 5}}])
def test_headers_that_no_file_has_are_refused(tmp_path, header):
    with pytest.raises(BaseModelError, match=r"base.safetensors is not a safetensors file"):
        read_header(write(tmp_path / "base.safetensors", header))


def test_metadata_may_be_absent_or_null(tmp_path):
    for metadata in ({}, {"__metadata__": None}):
        assert read_header(write(tmp_path / "base.safetensors", {**metadata, "a": ENTRY})).metadata == {}


@pytest.mark.parametrize(("content", "words"), [(b"\0" * 3, "only half there"), (b"\0" * 36, r"32 bytes more than its \d+")])
def test_a_file_that_is_shorter_or_longer_than_its_header_says_is_refused_under_the_given_name(tmp_path, content, words):
    path = write(tmp_path / "base.safetensors", {"a": ENTRY}, content)
    with pytest.raises(BaseModelError, match=rf"unet/base.safetensors .*{words}"):
        read_header(path, name="unet/base.safetensors")


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2], ids=str
)
def test_every_floating_kind_is_read_as_torch_reads_it(tmp_path, dtype):
    values = torch.tensor([0.15, -0.15, 1.0, -3.5, 0.0, 0.004, 400.0]).to(dtype)
    save_file({"a": torch.ones(3), "b": values}, str(tmp_path / "base.safetensors"))
    header = read_header(tmp_path / "base.safetensors")
    assert read_values(tmp_path / "base.safetensors", header, "b") == tuple(values.double().tolist())


@pytest.mark.parametrize("tensor", [torch.ones(4, dtype=torch.int8), torch.ones(0), torch.tensor([float("nan"), 1.0])])
def test_a_tensor_without_numbers_to_read_is_refused_by_name(tmp_path, tensor):
    save_file({"probe": tensor}, str(tmp_path / "base.safetensors"))
    with pytest.raises(BaseModelError, match=r"base.safetensors .*probe"):
        read_values(tmp_path / "base.safetensors", read_header(tmp_path / "base.safetensors"), "probe")
