"""The encoder next door says what the encoder here says, and a dead one is an error."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from pipelines.encoder_process import EncoderProcess, encoder_input
from pipelines.encoders import picture_features


def test_the_process_gives_the_same_features_and_can_be_started_again():
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 255, (60, 90, 3), np.uint8)) for _ in range(18)]
    pixels = np.stack([encoder_input(picture) for picture in pictures])
    with EncoderProcess() as process:
        rows = process.encode(pixels)
        assert process.encode(pixels[:0]).shape == (0, 1280)
        process.close()
        assert np.abs(process.encode(pixels[:2]) - rows[:2]).max() < 1e-5
    assert rows.shape == (18, 1280) and np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-4)
    assert np.abs(rows[:2] - picture_features([Image.fromarray(one) for one in pixels[:2]])).max() < 1e-4


def test_a_process_that_dies_is_an_error_not_a_wait(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with EncoderProcess() as process, pytest.raises(RuntimeError, match="code 1"):
        process.encode(np.zeros((1, 224, 224, 3), np.uint8))
