"""The Teach step: three questions, the plan in words, start, pause, stop and keep, resume.

In: a project. Out: the view of the questions and the plan, or of the training at work. Each action is one call of plan or jobs.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from app import jobs
from app.answers import Act, Ask, Reply
from app.drawer import as_paths, drawer_groups, typed_value
from app.due import KEEP
from app.projects import Project
from app.shelf import read_shelf
from app.strings import EN, words
from app.tabs.running import trainings, view_run
from app.turns import state_of
from pipelines.errors import BrandprintError, ConfigError
from pipelines.families.hub import KNOWN
from training.base_facts import BaseFacts, read_base_facts
from training.dataset import Dataset
from training.device import DeviceFacts, find_device
from training.plan import Plan, make_plan
from training.runs import CACHE, Job, Run
from training.timing import recall_speed

DIALS = ("quick", "balanced", "thorough")
ANSWERS = ("intent", "trigger", "noun", "base", "dial")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w.-]+)?")
BUSY = ("queued", "running")
TOLD = ("loop.steps", "adapter.rank", "pictures.resolution_px", "pictures.flip", "pictures.held_out", "loop.checkpoints")


def look(ask: Ask) -> dict[str, Any]:
    """The questions with the plan, and the training that is at work or was the last."""
    project = ask.project
    runs = trainings(project)
    dataset = read_shelf(project)
    about = project.about
    view: dict[str, Any] = {
        "name": about.name, "intent": about.intent, "trigger": about.trigger, "noun": about.noun, "base": about.base, "dial": about.dial, "pictures": len(dataset.items),
        "bases": [{"id": "starter", "says": words("teach.starter")}, *({"id": base.id, "says": f"{base.id} · {base.native_size_px} px"} for base in KNOWN if not base.mirror)],
        "run": view_run(ask.workspace, _shown_run(ask, runs)) if runs else None,
        "runs": [{"id": run.path.name, "state": state_of(ask.workspace, run), "made_at": run.job.made_at} for run in runs],
    }  # fmt: skip
    return view | (_plan_view(project, dataset) if dataset.items else {"plan": None, "dials": [], "groups": [], "problem": None})


def _shown_run(ask: Ask, runs: list[Run]) -> Run:
    return next((run for run in runs if run.path.name == ask.text("run")), runs[0])


def _plan_view(project: Project, dataset: Dataset) -> dict[str, Any]:
    try:
        plans = {dial: plan_for(project, dataset, dial=dial) for dial in DIALS}
    except BrandprintError as error:
        return {"plan": None, "dials": [], "groups": [], "problem": {"message": error.message, "fix": error.fix}}
    plan = plans[project.about.dial]
    forecast = plan.forecast
    return {
        "problem": None,
        "dials": [{"id": dial, "seconds": round(plans[dial].forecast.seconds)} for dial in DIALS],
        "plan": {
            "says": plan.words, "lines": _told_lines(plan),
            "warnings": [{"code": advice.code, "message": advice.message, "fix": advice.fix} for advice in plan.warnings],
            "refusal": {"code": plan.refusal.code, "message": plan.refusal.message, "fix": plan.refusal.fix} if plan.refusal else None,
            "seconds": round(forecast.seconds), "memory": forecast.memory_bytes, "device_memory": forecast.device_memory_bytes, "disk": forecast.disk_bytes, "fits": forecast.fits,
            "measured": forecast.is_measured, "device": _device().words, "changes": sum(line.changed for line in plan.lines),
        },
        "groups": drawer_groups(plan),
    }  # fmt: skip


def _told_lines(plan: Plan) -> list[dict[str, Any]]:
    """The lines that everybody should read, in plain words; all of them stand in the drawer."""
    by_name = {line.name: line for line in plan.lines}
    told = [by_name[name] for name in TOLD if name in by_name]
    told += [line for line in plan.lines if line.changed and line.name not in TOLD and f"plan.{line.name}" in EN]
    return [
        {"name": line.name, "says": words(f"plan.{line.name}", **_said(line.value)), "reason": line.reason, "changed": line.changed}
        for line in told
    ]


def _said(value: Any) -> dict[str, Any]:
    said = (
        {True: words("yes"), False: words("no")}.get(value, value)
        if isinstance(value, bool)
        else f"{value:.0%}"
        if isinstance(value, float)
        else value
    )
    return {"value": said}


def plan_for(project: Project, dataset: Dataset, *, dial: str = "") -> Plan:
    """The plan as the project stands; its forecast rests on earlier runs of this project where there are some."""
    about, facts, device = project.about, _base_facts(project.about.base), _device()
    plan_with = partial(
        make_plan, intent=about.intent, trigger=about.trigger, noun=about.noun, pictures=dataset.items, base_facts=facts, device=device,
        dial=dial or about.dial, overrides=as_paths(about.overrides),  # type: ignore[arg-type]
    )  # fmt: skip
    first = plan_with()
    speed = recall_speed(project.runs / CACHE, base=facts, device=device, settings=first.settings)
    return plan_with(speed=speed) if speed else first


@lru_cache(maxsize=8)
def _base_facts(base: str) -> BaseFacts:
    return read_base_facts(base)


@lru_cache(maxsize=1)
def _device() -> DeviceFacts:
    return find_device()


def _answer(ask: Ask) -> None:
    """One of the questions."""
    name, value = ask.text("name"), ask.text("value")
    if name not in ANSWERS:
        raise ConfigError(f"There is no question {name[:40]!r}.", fix="Reload the page.")
    # a folder of the server must not pass for a hub id
    if name == "base" and value not in ("starter", *(base.id for base in KNOWN)) and (not HUB_ID.fullmatch(value) or Path(value).exists()):
        raise ConfigError(
            f"{value[:60]!r} is not the name of a base.", fix="Choose one from the list, or type a hub id such as owner/name."
        )
    ask.project.changed(**{name: " ".join(value.split())[:80] if name in ("trigger", "noun") else value})


def _set(ask: Ask) -> None:
    """One advanced setting; the plan takes it up, or says why it cannot."""
    project, name = ask.project, ask.text("name")
    value = typed_value(name, ask.values.get("value"))
    changed = project.about.model_copy(update={"overrides": {**project.about.overrides, name: value}})
    dataset = read_shelf(project)
    if dataset.items:
        plan_for(Project(project.path, changed), dataset)  # raises ConfigError where the settings contradict each other
    with project.alone() as now:
        now.changed(overrides={**now.about.overrides, name: list(value) if isinstance(value, tuple) else value})


def _unset(ask: Ask) -> None:
    """Back to the advice: one setting, or all."""
    name = ask.text("name")
    with ask.project.alone() as project:
        project.changed(overrides={other: value for other, value in project.about.overrides.items() if name and other != name})


def _start(ask: Ask) -> Reply:
    start_training(ask)
    return Reply(note=words("teach.started"))


def start_training(ask: Ask) -> Run:
    """A training as planned, in the queue. Raises ConfigError where the plan is hopeless, or one of the project is at work already."""
    project = ask.project
    if any(state_of(ask.workspace, run) in BUSY for run in trainings(project)):
        raise ConfigError(f"{project.about.name} is being taught already.", fix="Wait for it, or stop it first.")
    plan = plan_for(project, read_shelf(project))
    plan.check()
    job = Job(kind="train", name=project.about.name, dataset="../../pictures", settings=plan.settings.model_dump(mode="json"))
    return jobs.start(ask.workspace, project, job)


def _run(ask: Ask) -> Run:
    run = next((run for run in trainings(ask.project) if run.path.name == ask.text("run")), None)
    if run is None:
        raise ConfigError("That training is gone.", fix="Reload the page.")
    return run


def _stop(ask: Ask) -> Reply:
    """Pause; or, with keep, stop for good and judge the checkpoints that are there."""
    run = _run(ask)
    if ask.flag("keep"):
        (run.path / KEEP).touch()
    jobs.cancel(ask.workspace, run)
    return Reply(note=words("teach.stopping"))


def _resume(ask: Ask) -> Reply:
    run = _run(ask)
    (run.path / KEEP).unlink(missing_ok=True)
    jobs.submit(ask.workspace, run)
    return Reply(note=words("teach.resumed"))


def _first(ask: Ask) -> None:
    jobs.move_up(ask.workspace, _run(ask))


ACTIONS: dict[str, Act] = {
    "answer": _answer,
    "set": _set,
    "unset": _unset,
    "start": _start,
    "stop": _stop,
    "resume": _resume,
    "first": _first,
}
