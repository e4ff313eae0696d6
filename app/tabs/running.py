"""A run as the page shows it: how far, how fast, the curves, the previews, the log, what to do about a problem, and the verdict.

In: a run's folder. Out: a plain dict. Only reads.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.progress import Progress, Shown, read_progress
from app.projects import Project, Workspace
from app.results import read_verdict
from app.turns import state_of, training_at_work, turn
from training.runs import Run

LOG_BYTES = 6000


def view_run(workspace: Workspace, run: Run) -> dict[str, Any]:
    """Everything about one training."""
    records, _ = run.records()
    state = state_of(workspace, run)
    progress = read_progress(records, state, now=time.time())
    verdict = read_verdict(run)
    return {
        "id": run.path.name, "name": run.job.name, "state": state, "made_at": run.job.made_at, "percent": round(progress.percent, 1), "phase": progress.phase,
        "phase_done": progress.phase_done, "phase_total": progress.phase_total, "step": progress.step, "total_steps": progress.total_steps,
        "left": _round(progress.seconds_left), "sec_per_step": progress.sec_per_step, "device": progress.device, "precision": progress.precision,
        "curve": progress.curve, "held_out": progress.held_out, "base_loss": progress.base_loss, "saved": progress.saved_steps, "strip": _strip(run, progress),
        "advice": [{"code": code, "message": message, "fix": fix} for code, message, fix in _unique(progress.advice)], "error": progress.error,
        "log": _tail(run.path / "log.txt"), "verdict": verdict or None, "turn": (place := turn(workspace, run)), "behind": training_at_work(workspace, but=run) if place else "", "stopping": run.is_asked_to_stop() and state == "running",
        "judging": progress.is_closing,
    }  # fmt: skip


def _strip(run: Run, progress: Progress) -> dict[str, Any]:
    """Previews as rows by checkpoint, newest first, with the same prompts in the same columns."""
    prompts = list(dict.fromkeys((shown.prompt, shown.seed) for shown in progress.pictures))
    rows: dict[int, dict[tuple[str, int], Shown]] = {}
    for shown in progress.pictures:
        rows.setdefault(shown.step, {})[shown.prompt, shown.seed] = shown
    cells = [{"step": step, "pictures": [_cell(run, rows[step].get(prompt)) for prompt in prompts]} for step in sorted(rows, reverse=True)]
    return {"prompts": [prompt for prompt, _ in prompts], "rows": cells}


def _cell(run: Run, shown: Shown | None) -> dict[str, Any] | None:
    return None if shown is None else {**asdict(shown), "path": str(run.path / shown.path)}


def _unique(advice: tuple[tuple[str, str, str], ...]) -> list[tuple[str, str, str]]:
    """The last word of each kind."""
    return list({code: (code, message, fix) for code, message, fix in advice}.values())


def _tail(path: Path) -> str:
    """The end of the log, whole lines; folders of this machine are cut out of it."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - LOG_BYTES))
        text = file.read().decode("utf-8", "replace")
    return text if size <= LOG_BYTES else text.partition("\n")[2]


def _round(value: float | None) -> int | None:
    return None if value is None else round(value)


def trainings(project: Project) -> list[Run]:
    """The project's trainings, newest first."""
    return [run for run in project.all_runs() if run.job.kind == "train"]
