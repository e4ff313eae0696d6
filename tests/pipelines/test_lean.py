"""A training's libraries come without scipy and torch's compiler, and both stay there for others."""

from __future__ import annotations

import os
import subprocess
import sys


def test_what_is_kept_for_each_shape_is_bounded_unless_told_otherwise() -> None:
    code = "import os; from pipelines.lean import load_libraries; load_libraries(); print(os.environ['LRU_CACHE_CAPACITY'])"
    environment = {name: value for name, value in os.environ.items() if name != "LRU_CACHE_CAPACITY"}
    for told, kept in (({}, "16"), ({"LRU_CACHE_CAPACITY": "300"}, "300")):
        printed = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**environment, **told}
        ).stdout
        assert printed.split() == [kept]


def test_a_training_loads_no_scipy_and_others_still_can() -> None:
    code = """
import sys
from pipelines.lean import load_libraries
load_libraries()
import training.execute
from pipelines.families.base import load_base
base = load_base("starter")
print("scipy" in sys.modules, "diffusers" in sys.modules)
import imagehash
from PIL import Image
print(len(str(imagehash.phash(Image.new("RGB", (64, 64), "red")))))
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert printed == ["False", "True", "16"]


def test_what_the_libraries_made_is_left_alone_by_the_collector_and_what_comes_later_is_not() -> None:
    code = """
import gc
from pipelines.lean import load_libraries
load_libraries()
print(gc.get_freeze_count() > 300_000, gc.isenabled(), gc.collect() < 5_000)
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert printed == ["True", "True", "True"]


def test_a_base_is_read_and_an_optimizer_steps_without_the_compiler_which_compiles_when_asked() -> None:
    code = """
import sys
from pipelines.lean import load_libraries
load_libraries()
import torch
from pipelines.families.base import load_base
from training.config import OptimSettings
from training.optim import build_optimizer
base = load_base("starter")
states = base.encode_prompts(["a red apple"])
weight = torch.nn.Parameter(torch.ones(3))
optimizer = build_optimizer(OptimSettings(), denoiser=[weight], text_encoder=[])
weight.sum().backward()
optimizer.step()
optimizer.load_state_dict(optimizer.state_dict())
optimizer.zero_grad()
print([name for name in ("torch._dynamo", "torch._inductor", "torch.distributed.tensor", "sympy") if name in sys.modules])
print(torch.distributed.is_available())
seen = []
compiled = torch.compile(lambda x: torch.sin(x) + 1, backend=lambda graph, inputs: seen.append(graph) or graph.forward)
print(bool(torch.equal(compiled(weight.detach()), torch.sin(weight.detach()) + 1)), len(seen))
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert printed == ["[]", "True", "True 1"]


def test_several_processes_keep_torchs_tensors_over_machines() -> None:
    code = """
import sys
from pipelines.lean import load_libraries
load_libraries()
from transformers.utils import is_torch_distributed_available
print(is_torch_distributed_available())
"""
    environment = {**os.environ, "WORLD_SIZE": "2"}
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment).stdout.split() == [
        "True"
    ]


def test_a_library_that_cannot_do_without_the_compiler_gets_it() -> None:
    code = """
import sys
from pipelines.lean import plainly
def work():
    from torch._dynamo.config import cache_size_limit
    return cache_size_limit
print(plainly(work), "torch._dynamo.convert_frame" in sys.modules)
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert int(printed[0]) > 0 and printed[1] == "True"


def test_memory_is_given_back_where_the_system_can_take_it() -> None:
    code = """
from pipelines.lean import give_memory_back, load_libraries
load_libraries()
give_memory_back()
import ctypes
ctypes.CDLL = lambda name: object()
give_memory_back()
print("fine")
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["fine"]
