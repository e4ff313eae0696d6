"""Loads transformers and diffusers without scipy, which both import because it lies there and of which nothing here makes use: 55 MB and 0.7 s of every training;
without the garbage collector, which would look through their 650,000 objects again and again; and keeps PyTorch's bridge to oneDNN from keeping something for
every shape that it meets.

In: nothing. Out: both libraries imported. From then on they take scipy for absent (diffusers' beta sigmas would say so); everyone else may import it.
"""

from __future__ import annotations

import gc
import os
import sys

# How many of a kind of operation the bridge (ideep) keeps ready, each with what it reordered for its shape; 1,024 if not told. 30 photos of eight shapes: a training
# peaks at 1,230 MB instead of 1,580 after 12 steps, a step takes as long (oneDNN keeps its own kernels).
OPERATIONS_KEPT = "16"


def load_libraries() -> None:
    """To be called before anything else imports them; without effect afterwards.

    What they made is never garbage, so the collector is told to leave it alone for good: importing takes 3.1 instead of 4.1 s, the end of the process 0.2
    instead of 1.2 s.
    """
    if "transformers" in sys.modules or "scipy" in sys.modules:
        return
    gc.disable()
    os.environ.setdefault("LRU_CACHE_CAPACITY", OPERATIONS_KEPT)
    sys.modules["scipy"] = None  # type: ignore[assignment]  # what Python's import system takes for "not there"
    try:
        from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel  # noqa: F401
        from transformers import CLIPTextModel, CLIPTokenizer  # noqa: F401
    finally:
        del sys.modules["scipy"]
        gc.freeze()
        gc.enable()
