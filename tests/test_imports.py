"""The arrows of the design: app -> training -> pipelines, never back; and no heavy library where --help and the page begin."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {"pipelines": {"pipelines"}, "training": {"training", "pipelines"}, "app": {"app", "training", "pipelines"}}
HEAVY = ("torch", "diffusers", "transformers", "peft", "gradio")


def imported_by(path: Path) -> set[str]:
    """Our own packages that a file imports, anywhere in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in names} & (set(ALLOWED) | {"tests", "sample_data", "benchmarks"})


@pytest.mark.parametrize("package", list(ALLOWED))
def test_arrows_point_one_way(package: str) -> None:
    wrong = {str(path.relative_to(ROOT)): imported_by(path) - ALLOWED[package] for path in (ROOT / package).rglob("*.py")}
    assert {path: names for path, names in wrong.items() if names} == {}


@pytest.mark.parametrize(
    "module", ["app.cli", "training.plan", "training.dataset", "training.runs", "training.config", "pipelines.families.base"]
)
def test_light_modules_load_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip() == "[]"
