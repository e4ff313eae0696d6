"""A training's libraries come without scipy, and scipy stays there for others."""

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
print(gc.get_freeze_count() > 500_000, gc.isenabled(), gc.collect() < 5_000)
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert printed == ["True", "True", "True"]
