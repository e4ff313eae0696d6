"""Captions by a model that is downloaded: a job in the queue, because it needs the device; its texts wait in the run until the user takes them.

In: a project, a model's name and the pictures. Out: a run of the kind "caption" with captions.jsonl, one line a picture as soon as it is written.
Changes no caption: the page shows the texts beside the old ones first (app/tabs/captions.py).
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from typing import Any

from app import jobs
from app.progress import read_progress
from app.projects import Project, Workspace
from app.turns import state_of
from pipelines.errors import BrandprintError, ConfigError
from pipelines.events import Failed, Finished, Phase, Started, Stopped
from training.dataset import Item
from training.hub_captioners import HUB_MODELS, HubCaptioner
from training.runs import Job, Run

logger = logging.getLogger(__name__)
TEXTS = "captions.jsonl"


def start_captioning(workspace: Workspace, project: Project, source: str, keys: list[str]) -> Run:
    """Puts the job in the queue; texts of an earlier one are forgotten. Raises ConfigError while one is at work, and for an unknown model."""
    if source not in HUB_MODELS:
        raise ConfigError(f"Captions cannot come from {source[:40]!r}.", fix="Choose one of the list.")
    before = newest_captioning(project)
    if before and state_of(workspace, before) in ("queued", "running"):
        raise ConfigError("Captions are being written already.", fix="Wait for them, or stop it first.")
    if before:
        shutil.rmtree(before.path)
    job = Job(kind="caption", name=project.about.name, dataset="../../pictures", settings={"source": source, "keys": keys})
    return jobs.start(workspace, project, job)


def newest_captioning(project: Project) -> Run | None:
    """The project's last captioning job."""
    return next((run for run in project.all_runs() if run.job.kind == "caption"), None)


def view_captioning(workspace: Workspace, project: Project) -> dict[str, Any] | None:
    """How it stands, for the page: {source, state, done, total, error}."""
    run = newest_captioning(project)
    if run is None:
        return None
    progress = read_progress(run.records()[0], state_of(workspace, run), now=time.time())
    return {
        "run": run.path.name,
        "source": run.job.settings["source"],
        "state": progress.state,
        "done": progress.phase_done,
        "total": len(run.job.settings["keys"]),
        "error": progress.error,
    }


def read_texts(run: Run) -> dict[str, str]:
    """Key -> text, of the pictures that are done; a torn last line is passed over."""
    path = run.path / TEXTS
    found: dict[str, str] = {}
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
        if line.endswith(b"\n"):
            record = json.loads(line)
            found[record["key"]] = record["text"]
    return found


def write_captions(run: Run) -> None:
    """The job itself, in a process of its own; its end stands in the run, nothing is raised."""
    with run.held():
        began = time.monotonic()
        try:
            from training.execute import best_device

            items = _items(run)
            run.append(Started(0))
            run.append(Phase("captions", 0, len(items)))
            captioner = HubCaptioner(run.job.settings["source"], device=best_device())
            for number, (item, text) in enumerate(zip(items, captioner.caption(items), strict=True), start=1):
                _keep(run, item, text)
                run.append(Phase("captions", number, len(items)))
                if run.is_asked_to_stop():
                    run.append(Stopped(0))
                    return
            run.append(Finished(TEXTS, time.monotonic() - began))
        except BrandprintError as error:
            run.append(Failed(error.message, error.fix))
        except Exception as error:
            logger.exception("%s could not be captioned", run.path.name)
            run.append(
                Failed(f"{type(error).__name__}: {error}", "Take the captions from another source; log.txt of the run holds the details.")
            )


def _items(run: Run) -> list[Item]:
    from training.dataset import load_dataset

    known = load_dataset(run.dataset_path).by_key
    return [known[key] for key in run.job.settings["keys"] if key in known]


def _keep(run: Run, item: Item, text: str) -> None:
    with (run.path / TEXTS).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"key": item.key, "text": text}, ensure_ascii=False) + "\n")
