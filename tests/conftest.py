"""What all tests share: a machine without network, one thread, and the tiny bases as folders.

The environment is set before anything imports torch, diffusers or gradio; nothing here imports them, so that tests of the page stay light.
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ.update(
    {
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "MKL_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "TOKENIZERS_PARALLELISM": "false",
    }
)

import pytest

from tests.tiny import tiny_base_folder


@pytest.fixture(scope="session")
def tiny_sd1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny SD 1 base (epsilon, 8x autoencoder with 4 channels). Don't write into it."""
    return tiny_base_folder("sd1", tmp_path_factory.mktemp("sd1"))


@pytest.fixture(scope="session")
def tiny_sd2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny SD 2 base (v-prediction)."""
    return tiny_base_folder("sd2", tmp_path_factory.mktemp("sd2"))


@pytest.fixture(scope="session")
def tiny_sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny SDXL base (epsilon, two text encoders)."""
    return tiny_base_folder("sdxl", tmp_path_factory.mktemp("sdxl"))


@pytest.fixture(scope="session")
def tiny_starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base of the starter's kind: SD 1 with a 16x AutoencoderTiny of 16 channels, v-prediction, zero-terminal SNR."""
    return tiny_base_folder("sd1", tmp_path_factory.mktemp("starter"), prediction="v_prediction", autoencoder="tiny", zero_snr=True)


@pytest.fixture(scope="session", params=["tiny_sd1", "tiny_sd2", "tiny_sdxl", "tiny_starter"])
def tiny_base(request: pytest.FixtureRequest) -> Path:
    """Each tiny base in turn."""
    return request.getfixturevalue(request.param)
