"""The offline picture encoder in a process of its own, so that the page and the command line never load torch.

In: pictures squeezed to 224 x 224. Out: the rows of `pipelines.encoders.picture_features`. The process starts at the first picture,
loads the model once and ends with `close` or `with`. Does not choose what is encoded and keeps nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import BinaryIO

import numpy as np
from PIL import Image

SIDE_PX = 224
FEATURES = 1280
_BATCH = 16


def encoder_input(image: Image.Image) -> np.ndarray:
    """The whole picture squeezed to a square: [224, 224, 3] uint8."""
    return np.asarray(image.convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC, reducing_gap=3.0))


class EncoderProcess:
    """A child that answers batches of pictures with features."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> EncoderProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> subprocess.Popen[bytes]:
        """Begins to load the model without waiting for it."""
        if self._process is None:
            command = [sys.executable, "-m", "pipelines.encoder_process"]
            threads = max(1, (os.cpu_count() or 1) // 4)  # the caller's threads measure pictures meanwhile
            environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        return self._process

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """[N, 1280] float32 rows of length 1 for pictures [N, 224, 224, 3] uint8. Raises RuntimeError if the process ended early."""
        rows = [np.zeros((0, FEATURES), np.float32)]
        rows += [self._exchange(pixels[start : start + _BATCH]) for start in range(0, len(pixels), _BATCH)]
        return np.concatenate(rows)

    def close(self) -> None:
        """Ends the process; a later `encode` starts another."""
        if self._process is not None:
            process, self._process = self._process, None
            process.communicate()

    def _exchange(self, pixels: np.ndarray) -> np.ndarray:
        """One batch there, its rows back: no pipe can fill up. A message is the count as 4 bytes, then the pixels."""
        process = self.start()
        assert process.stdin and process.stdout
        size = len(pixels) * FEATURES * 4
        try:
            process.stdin.write(len(pixels).to_bytes(4, "little") + pixels.tobytes())
            process.stdin.flush()
            answer = process.stdout.read(size)
        except BrokenPipeError:
            answer = b""
        if len(answer) != size:
            raise RuntimeError(f"The picture encoder ended with code {process.wait(timeout=30)}; its own message stands above.")
        return np.frombuffer(answer, np.float32).reshape(len(pixels), FEATURES)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers `EncoderProcess` until its pipe closes."""
    from pipelines.encoders import picture_features

    while header := requests.read(4):
        count = int.from_bytes(header, "little")
        pixels = np.frombuffer(requests.read(count * SIDE_PX * SIDE_PX * 3), np.uint8).reshape(count, SIDE_PX, SIDE_PX, 3)
        answers.write(picture_features([Image.fromarray(one) for one in pixels]).astype(np.float32).tobytes())
        answers.flush()


if __name__ == "__main__":
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr  # what libraries print must not run into the answers
    serve(sys.stdin.buffer, answers)
