"""What a project has been taught: the run, checkpoint and strength that Compare, Hand over and the Library show.

In: a project's runs and what its user picked. Out: frozen `Result`s. The verdict's pick counts unless the user chose another.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from app.projects import Project
from app.strings import words
from pipelines.card import Card
from training.runs import Run, checkpoint_folders, checkpoint_name


@dataclass(frozen=True)
class Result:
    """One adapter, ready to draw with. steps: its checkpoints, oldest first. verdict: verdict.json of the run, {} where there is none."""

    run: Run
    step: int
    strength: float
    steps: tuple[int, ...]
    verdict: dict[str, Any]

    @property
    def adapter_path(self) -> Path:
        """The chosen checkpoint's weights."""
        return adapter_at(self.run, self.step)

    @property
    def base(self) -> str:
        """The base it was taught on."""
        return str(self.run.job.settings.get("base", "starter"))

    @property
    def card(self) -> Card:
        """What the file says about itself."""
        return read_card(self.adapter_path)


class _Pick(BaseModel):
    model_config = ConfigDict(extra="allow")

    step: int
    strength: float


class _Verdict(BaseModel):
    """What the page needs of training/verdict.py's verdict, which loads numpy and more; the rest is passed on."""

    model_config = ConfigDict(extra="allow")

    pick: _Pick | None = None
    sentence: str = ""
    findings: tuple[dict[str, Any], ...] = ()


def results(project: Project, runs: Sequence[Run]) -> list[Result]:
    """Everything that can draw: trainings with a checkpoint at least, and adapters that were imported or mixed; newest first."""
    return [found for run in runs if _teaches(run) and (found := _result(project, run))]


def chosen_result(project: Project, runs: Sequence[Run]) -> Result | None:
    """The one that the user chose, else the newest."""
    found = results(project, runs)
    return next((result for result in found if result.run.path.name == project.about.chosen_run), found[0] if found else None)


def _result(project: Project, run: Run) -> Result | None:
    steps = checkpoint_steps(run)
    if not steps and not run.adapter_path.exists():
        return None
    verdict = read_verdict(run)
    is_chosen = project.about.chosen_run == run.path.name
    chosen = project.about.chosen_step if is_chosen and project.about.chosen_step in steps else 0
    pick = verdict.get("pick") or {}
    step = chosen or int(pick.get("step", 0)) or (steps[-1] if steps else 0)
    strength = (project.about.chosen_strength if is_chosen else 0.0) or float(pick.get("strength", 0.0)) or 1.0
    return Result(run, step, strength, steps, verdict)


def _teaches(run: Run) -> bool:
    return run.job.kind == "train" or run.job.settings.get("what") in ("import", "mix")


def checkpoint_steps(run: Run) -> tuple[int, ...]:
    """Steps of the whole checkpoints, oldest first."""
    return tuple(int(folder.name) for folder in checkpoint_folders(run.path))


def adapter_at(run: Run, step: int) -> Path:
    """The weights at a step; the run's own result where that checkpoint is gone."""
    path = run.path / checkpoint_name(step) / "adapter.safetensors"
    return path if path.exists() else run.adapter_path


def read_verdict(run: Run) -> dict[str, Any]:
    """verdict.json of the run; {} while there is none, only a sentence that says so where it cannot be read."""
    path = run.path / "verdict.json"
    try:
        return _Verdict.model_validate_json(path.read_bytes()).model_dump(exclude_unset=True)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        return {"sentence": words("verdict.unreadable")}


def read_card(path: Path) -> Card:
    """The card in an adapter file's header, without reading its weights; an empty card for files of other tools."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, 50 << 20)))
        return Card.model_validate(json.loads(header["__metadata__"]["brandprint"])["card"])
    except (OSError, ValueError, KeyError, TypeError):
        return Card()
