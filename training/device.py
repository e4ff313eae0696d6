"""The device that a plan is made for: its kind, memory, cores and how much it computes in a second. No torch.

In: a device's name, or "auto". Out: `DeviceFacts`. A CPU is measured (a matrix product of a few hundredths of a second); a GPU is read from
nvidia-smi and rated by a short table. These are first guesses: once steps were timed, `forecast.Speed` takes over.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

DeviceKind = Literal["cpu", "cuda", "mps"]
TRAINING_SHARE = 0.42  # of a matrix product's speed that a denoiser's forward pass reaches; measured on the starter
CPU_FLOPS = 60e9  # a core's product rate where it cannot be measured
# Dense half-precision rates in TFLOP/s from the makers' data sheets; the first name that a device's name contains counts.
GPU_TFLOPS = {
    "B200": 2250, "H200": 990, "H100": 990, "A100": 312, "L40": 181, "L4": 121, "A10": 125, "A6000": 155, "T4": 65, "V100": 112, "5090": 210, "4090": 165,
    "4080": 97, "4070": 58, "4060": 30, "3090": 71, "3080": 60, "3070": 41, "3060": 25, "2080": 43, "1660": 10, "1080": 9,
}  # fmt: skip
OTHER_GPU_TFLOPS = 30
NO_BF16 = ("T4", "V100", "2080", "2070", "2060", "1660", "1080", "1070", "P100")


@dataclass(frozen=True)
class DeviceFacts:
    """flops: floating-point operations per second that training may hope for. memory_bytes: all of it; free_bytes: what is not taken now."""

    kind: DeviceKind
    name: str
    memory_bytes: int
    free_bytes: int
    cores: int
    bf16: bool
    flops: float

    @property
    def words(self) -> str:
        """The device as a person calls it."""
        return f"this CPU ({self.cores} core{'s' if self.cores > 1 else ''})" if self.kind == "cpu" else self.name


def find_device(name: str = "auto") -> DeviceFacts:
    """The device called "auto", "cpu", "cuda", "cuda:1" or "mps". auto: the first GPU, else the CPU."""
    if name == "auto":
        return _nvidia(0) or (_apple() if _is_apple() else _cpu())
    if name.startswith("cuda"):
        return _nvidia(int(name.partition(":")[2] or 0)) or _cpu()
    return _apple() if name == "mps" and _is_apple() else _cpu()


def _cpu() -> DeviceFacts:
    import psutil

    memory = psutil.virtual_memory()
    cores = usable_cores()
    return DeviceFacts(
        "cpu",
        platform.processor() or platform.machine(),
        memory.total,
        memory.available,
        cores,
        False,
        TRAINING_SHARE * _product_rate() * cores,
    )


def usable_cores() -> int:
    """Cores that this process may use: affinity, else all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=1)
def _product_rate() -> float:
    """Floating-point operations per second and core of a float32 matrix product, the best of three."""
    import numpy as np

    side = 512
    matrix = np.ones((side, side), dtype=np.float32)
    best = float("inf")
    for _ in range(3):
        start = time.process_time()  # over all threads, so that the figure is per core
        matrix @ matrix
        best = min(best, time.process_time() - start)
    return 2.0 * side**3 / best if best > 0 else CPU_FLOPS


def _nvidia(index: int) -> DeviceFacts | None:
    if not shutil.which("nvidia-smi"):
        return None
    query = ["nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits", f"--id={index}"]
    try:
        line = subprocess.run(query, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
        name, total, free = (part.strip() for part in line.split(","))
        return DeviceFacts(
            "cuda",
            name,
            int(total) * 2**20,
            int(free) * 2**20,
            usable_cores(),
            bf16=not any(old in name for old in NO_BF16),
            flops=_gpu_flops(name),
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _gpu_flops(name: str) -> float:
    rate = next((tflops for known, tflops in GPU_TFLOPS.items() if known in name), OTHER_GPU_TFLOPS)
    return TRAINING_SHARE * rate * 1e12


def _is_apple() -> bool:
    return platform.system() == "Darwin" and platform.machine() == "arm64"


def _apple() -> DeviceFacts:
    import psutil

    memory = psutil.virtual_memory()
    return DeviceFacts("mps", "this Mac", memory.total, memory.available, usable_cores(), False, TRAINING_SHARE * 5e12)
