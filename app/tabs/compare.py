"""The Compare step: draw with what was taught beside the base, on the same seeds; the board of checkpoints and strengths; stars.

In: a project and what was typed. Out: the view of the bench, the film and the board. Drawing is a job: this module only asks for it and reads it.
"""

from __future__ import annotations

import os
import random
import time
from typing import Any

from app import jobs
from app.answers import Act, Ask, Reply
from app.doctor import facts_of
from app.progress import read_progress
from app.projects import Project, Workspace
from app.results import Result, adapter_at, chosen_result, results
from app.strings import CONTEXTS, words
from app.turns import state_of, training_at_work
from pipelines.errors import ConfigError
from pipelines.settings import DrawSettings
from training.runs import Job, Run

SHAPES = {"square": (1, 1), "portrait": (4, 5), "story": (9, 16), "banner": (16, 9), "headshot": (4, 5), "white": (1, 1)}
ADDED = {"headshot": "close-up portrait", "white": "on a plain white background"}
STEP_PX = 32  # sides are multiples of it: whole latents for every base
FILM_LENGTH = 60
BOARD_STRENGTHS = (0.6, 0.8, 1.0, 1.2)
BOARD_STEPS = 5
WARM_AGAIN_SECONDS = 20.0


def look(ask: Ask) -> dict[str, Any]:
    """The adapters to choose from, the film, the board, and what is being drawn."""
    project = ask.project
    runs = project.all_runs()
    found, chosen = results(project, runs), chosen_result(project, runs)
    about = project.about
    if chosen:
        _keep_warm(ask.workspace, chosen.base)
    return {
        "name": about.name, "intent": about.intent, "phrase": chosen.card.trigger_phrase if chosen else "", "contexts": list(CONTEXTS[about.intent]),
        "results": [{"run": result.run.path.name, "made_at": result.run.job.made_at, "steps": result.steps} for result in found],
        "chosen": {"run": chosen.run.path.name, "step": chosen.step, "strength": chosen.strength, "pick": (chosen.verdict.get("pick") or {}).get("step"), "prompts": _prompts(chosen)} if chosen else None,
        "shapes": [{"id": name, "width": width, "height": height} for name, (width, height) in _sizes(project).items()],
        "film": [frame for run in runs if run.job.kind == "preview" for frame in _frames(ask.workspace, project, run)][:FILM_LENGTH],
        "board": _board(ask.workspace, chosen, runs) if chosen else None, "starred": list(about.starred), "busy": training_at_work(ask.workspace),
    }  # fmt: skip


def _prompts(result: Result) -> list[str]:
    return list(result.run.job.settings.get("loop", {}).get("preview_prompts", []))[:4]


def _sizes(project: Project) -> dict[str, tuple[int, int]]:
    """Width and height by purpose, of about the base's own area."""
    side = facts_of(project.about.base).native_size_px
    return {name: (_rounded(side * (w / h) ** 0.5), _rounded(side * (h / w) ** 0.5)) for name, (w, h) in SHAPES.items()}


def _rounded(side_px: float) -> int:
    return max(STEP_PX, round(side_px / STEP_PX) * STEP_PX)


def _frames(workspace: Workspace, project: Project, run: Run) -> list[dict[str, Any]]:
    """The pictures of one drawing, the adapter's beside the base's."""
    progress = read_progress(run.records()[0], state_of(workspace, run), now=time.time())
    draw = run.job.settings["draw"]
    ready = {shown.path: str(run.path / shown.path) for shown in progress.pictures}
    frames = []
    for number in range(draw["pictures"]):
        name = f"{run.path.name}/{number}"
        frames.append({
            "id": name, "run": run.path.name, "prompt": draw["prompt"], "seed": draw["seed"] + number, "width": draw["width_px"], "height": draw["height_px"],
            "strength": run.job.settings["adapters"][0]["strength"], "step": run.job.settings["step"], "of": run.job.settings["taught"],
            "taught": ready.get(f"previews/taught_{number:02d}.png"), "base": ready.get(f"previews/base_{number:02d}.png"), "state": progress.state,
            "percent": _percent(progress.phase_done, progress.phase_total), "error": progress.error, "is_starred": name in project.about.starred,
        })  # fmt: skip
    return [frame for frame in frames if frame["taught"] or frame["state"] in ("queued", "running", "failed")]


def _percent(done: int, total: int) -> int:
    return round(100 * done / total) if total else 0


def _board(workspace: Workspace, chosen: Result, runs: list[Run]) -> dict[str, Any] | None:
    run = next((run for run in runs if run.job.kind == "board" and run.job.settings.get("taught") == chosen.run.path.name), None)
    if run is None:
        return None
    progress = read_progress(run.records()[0], state_of(workspace, run), now=time.time())
    cells = [
        {"step": shown.step, "strength": shown.strength, "prompt": shown.prompt, "path": str(run.path / shown.path)}
        for shown in progress.pictures
    ]
    return {
        "run": run.path.name, "state": progress.state, "cells": cells, "strengths": [0.0, *run.job.settings["strengths"]], "steps": run.job.settings["steps"], "prompts": run.job.settings["prompts"],
        "done": progress.phase_done, "total": progress.phase_total, "error": progress.error, "sheets": [str(path) for name in ("board.png", "board.pdf") if (path := run.path / name).exists()],
    }  # fmt: skip


def _keep_warm(workspace: Workspace, base: str) -> None:
    """Whoever looks at this step will draw soon."""
    wish, asked_at = jobs.warm_wish(workspace)
    if wish != base or time.time() - asked_at > WARM_AGAIN_SECONDS:
        jobs.ask_warm(workspace, base)


def _draw(ask: Ask) -> Reply:
    """One drawing: adapter and base on the same seeds."""
    project = ask.project
    result = _result(ask, project)
    run = draw_preview(
        ask.workspace, project, result, prompt=ask.text("prompt"), negative_prompt=ask.text("negative"), seed=int(ask.number("seed", random.randrange(2**31), least=0, most=2**32 - 1)),
        pictures=int(ask.number("pictures", 1, least=1, most=8)), shape=ask.text("shape", "square"), step=int(ask.number("step", result.step, least=0)), strength=ask.number("strength", result.strength, least=0, most=3),
    )  # fmt: skip
    return Reply(extra={"drawing": run.path.name})


def draw_preview(
    workspace: Workspace,
    project: Project,
    result: Result,
    *,
    prompt: str,
    shape: str,
    step: int,
    strength: float,
    seed: int,
    pictures: int = 1,
    negative_prompt: str = "",
) -> Run:
    """Asks for pictures. Raises ConfigError for an empty prompt or a shape that does not exist."""
    if not prompt.strip():
        raise ConfigError("There is nothing to draw.", fix="Say what the picture shows, with the trigger in it.")
    if shape not in SHAPES:
        raise ConfigError(f"There is no shape {shape[:20]!r}.", fix="Choose one of the offered shapes.")
    width_px, height_px = _sizes(project)[shape]
    said = ", ".join(part for part in (prompt.strip(), ADDED.get(shape, "")) if part)
    draw = DrawSettings(
        prompt=said, negative_prompt=negative_prompt, seed=seed, pictures=pictures, width_px=width_px, height_px=height_px, speed="fast"
    )
    id = jobs.new_id("preview")
    weights = os.path.relpath(adapter_at(result.run, step), project.runs / id)
    settings = {
        "base": result.base, "draw": draw.model_dump(), "adapters": [{"path": weights, "strength": round(strength, 2)}],
        "step": step, "taught": result.run.path.name,
    }  # fmt: skip
    return jobs.start(workspace, project, Job(kind="preview", name=project.about.name, settings=settings), id=id)


def _result(ask: Ask, project: Project) -> Result:
    found = results(project, project.all_runs())
    chosen = next((result for result in found if result.run.path.name == ask.text("run")), None) or chosen_result(
        project, [result.run for result in found]
    )
    if chosen is None:
        raise ConfigError("Nothing has been taught yet.", fix="Teach it first; a quick one is done in minutes.")
    return chosen


def _choose(ask: Ask) -> None:
    """Which training, checkpoint and strength count from now on, here and in Hand over."""
    project = ask.project
    result = _result(ask, project)
    step = int(ask.number("step", result.step, least=0))
    if result.steps and step not in result.steps:
        raise ConfigError(f"There is no checkpoint {step}.", fix="Choose one from the list.")
    project.changed(
        chosen_run=result.run.path.name,
        chosen_step=step,
        chosen_strength=round(ask.number("strength", result.strength, least=0, most=3), 2),
    )


def _star(ask: Ask) -> None:
    id = ask.text("id")
    with ask.project.alone() as project:
        starred = [other for other in project.about.starred if other != id]
        project.changed(starred=tuple(starred if len(starred) < len(project.about.starred) else [*starred, id])[-500:])


def _lay_board(ask: Ask) -> Reply:
    """The board of the chosen training: a few checkpoints, four strengths, the same prompts and seeds everywhere."""
    project = ask.project
    result = _result(ask, project)
    prompts = [prompt for prompt in (ask.text("prompt").strip(), *_prompts(result)) if prompt][:2]
    settings = {
        "base": result.base, "run": f"../{result.run.path.name}", "taught": result.run.path.name, "steps": _spread(result.steps, BOARD_STEPS, keep=result.step) or [result.step],
        "strengths": list(BOARD_STRENGTHS), "prompts": list(dict.fromkeys(prompts)), "seeds": [0], "draw": DrawSettings(speed="fast").model_dump(),
    }  # fmt: skip
    jobs.start(ask.workspace, project, Job(kind="board", name=project.about.name, settings=settings))
    return Reply(note=words("compare.board.started"))


def _spread(steps: tuple[int, ...], count: int, *, keep: int) -> list[int]:
    """At most `count` steps evenly over the run, the picked one among them."""
    if len(steps) <= count:
        return list(steps)
    chosen = {steps[round(index * (len(steps) - 1) / (count - 1))] for index in range(count)}
    if keep in steps and keep not in chosen:
        chosen.discard(min(chosen, key=lambda step: abs(step - keep)))
        chosen.add(keep)
    return sorted(chosen)


def _stop(ask: Ask) -> None:
    project = ask.project
    for run in project.all_runs():
        if run.path.name == ask.text("run"):
            jobs.cancel(ask.workspace, run)


ACTIONS: dict[str, Act] = {"draw": _draw, "choose": _choose, "star": _star, "board": _lay_board, "stop": _stop}
