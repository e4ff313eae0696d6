"""The dataset doctor's findings for the page: asked for, made in a process of their own, kept beside the pictures.

In: a project. Out: its newest report as plain JSON, whether it still fits the pictures, and how far a running one is.
One process looks at a project at a time, and begins while pictures still arrive: it goes on until its report fits what lies there, with one
picture encoder for all its looks.
The checks themselves are training/inspect.py's; here they are only started, stored and read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app import jobs
from app.projects import Project, Workspace
from app.shelf import shelf_signature
from pipelines.atomic import write_atomically
from pipelines.locks import hold

if TYPE_CHECKING:
    from pipelines.encoder_process import EncoderProcess
    from training.base_facts import BaseFacts

logger = logging.getLogger(__name__)
REPORT = ".report.json"
RUNNING = ".report.running"
LOCK = ".report.lock"
LOOKS = ".doctor"
ARRIVING = ".arriving"
ARRIVAL_SECONDS = 10.0  # after this long without another batch, no more are on their way
WORTH_A_REPORT = 40  # pictures that came while others still do, and twice as many the next time: a new report draws every card anew
START_SECONDS = 60.0  # a process that was asked for may take so long to begin, on a busy machine


def read_report(project: Project) -> dict[str, Any] | None:
    """The newest report, perhaps of an older state of the pictures; None where none was made."""
    try:
        found = json.loads((project.path / REPORT).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "score" in found else None


def report_signature(project: Project) -> str:
    """Changes with the pictures, the captions, the edits, and with what the subject is called."""
    about = project.about
    told = f"{about.intent}|{about.trigger}|{about.noun}|{about.base}"
    return hashlib.sha256((shelf_signature(project) + told).encode()).hexdigest()[:16]


def running_progress(project: Project) -> tuple[int, int] | None:
    """(done, total) of a report being made; None where none is."""
    path = project.path / RUNNING
    try:
        is_starting = time.time() - path.stat().st_mtime < START_SECONDS
        done, total = path.read_text().split()
    except (OSError, ValueError):
        return None
    return (int(done), int(total)) if is_starting or _is_held(project) else None


def ask_report(workspace: Workspace, project: Project) -> None:
    """Starts a report in a process of its own, unless one is being made or the newest still fits."""
    report = read_report(project)
    if running_progress(project) is not None or (report and report["signature"] == report_signature(project)):
        return
    _tell(project.path / RUNNING, 0, 0)
    log = workspace.jobs / "workers" / "doctor.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    jobs.spawn_child(["--examine", str(project.path)], device="cpu", log=log)


def tell_arrival(project: Project, *, are_more_coming: bool) -> None:
    """A batch of pictures has arrived; the doctor waits for the rest unless many are there already."""
    path = project.path / ARRIVING
    path.touch() if are_more_coming else path.unlink(missing_ok=True)


def _look_ahead(workspace: Workspace, id: str, *, reported: int, encoder: EncoderProcess) -> int:
    """Looks at pictures as they arrive, until no more are on their way or so many are new that a report is due. Returns how many lie there."""
    from app.shelf import read_shelf
    from training.survey import look_at

    looked_at = 0
    while True:
        project = workspace.project(id)
        items = read_shelf(project).items
        if not _is_arriving(project) or len(items) - reported >= max(WORTH_A_REPORT, 2 * reported):
            return len(items)
        if len(items) > looked_at:
            look_at(items, cache=project.path / LOOKS, progress=_teller(project), encoder=encoder)
            looked_at = len(items)
        else:
            encoder.start()  # its libraries load while the first pictures are on their way
            time.sleep(0.1)


def _is_arriving(project: Project) -> bool:
    try:
        return time.time() - (project.path / ARRIVING).stat().st_mtime < ARRIVAL_SECONDS
    except OSError:
        return False


def examine(workspace: Workspace, id: str) -> None:
    """Makes the report, and makes it again while pictures and words change under it; runs in the process that ask_report started.
    Returns at once where another process is at it.
    """
    path = workspace.project(id).path
    with hold(path / LOCK) as is_mine:
        if not is_mine:
            return
        try:
            from pipelines.encoder_process import EncoderProcess

            with EncoderProcess() as encoder:
                _report_until_it_fits(workspace, id, encoder)
        finally:
            (path / RUNNING).unlink(missing_ok=True)


def _report_until_it_fits(workspace: Workspace, id: str, encoder: EncoderProcess) -> None:
    path, signature, reported = workspace.project(id).path, "", 0
    while signature != report_signature(workspace.project(id)):
        try:
            reported = _look_ahead(workspace, id, reported=reported, encoder=encoder)
            signature = report_signature(workspace.project(id))
            report = _examined(workspace.project(id), encoder)
        except Exception as error:
            logger.exception("%s could not be examined", id)
            signature = report_signature(workspace.project(id))
            report = {"score": None, "problems": [], "error": str(error)}
        write_atomically(path / REPORT, json.dumps({"signature": signature, **report}, ensure_ascii=False).encode())


def _examined(project: Project, encoder: EncoderProcess) -> dict[str, Any]:
    from app.shelf import read_shelf
    from training.inspect import inspect_dataset

    about = project.about
    report = inspect_dataset(
        read_shelf(project), intent=about.intent, trigger=about.trigger, noun=about.noun, base_size_px=facts_of(about.base).native_size_px,
        cache=project.path / LOOKS, progress=_teller(project), encoder=encoder,
    )  # fmt: skip
    return _record(report)


def _teller(project: Project) -> Callable[[int, int], None]:
    return lambda done, total: _tell(project.path / RUNNING, done, total)


def _is_held(project: Project) -> bool:
    with suppress(OSError), hold(project.path / LOCK) as is_free:
        return not is_free
    return False


def facts_of(base: str) -> BaseFacts:
    """What is known of the base; the starter's facts where it cannot be told yet."""
    from pipelines.errors import BrandprintError
    from training.base_facts import read_base_facts

    try:
        return read_base_facts(base)
    except BrandprintError:
        return read_base_facts("starter")


def _record(report: Any) -> dict[str, Any]:
    from training.edits import to_record

    problems = [
        {"code": problem.code, "severity": problem.severity, "keys": list(problem.keys), "words": list(problem.words), "sentence": problem.sentence, "cost": problem.cost, "points": problem.points, "fixes": [to_record(edit) for edit in problem.fixes]}
        for problem in report.problems
    ]  # fmt: skip
    top = [report.problems.index(problem) for problem in report.top3]
    return {"score": report.score, "summary": report.summary, "problems": problems, "top": top}


def remove_report(project: Project) -> None:
    """Forget the report, so that the next look makes a new one."""
    (project.path / REPORT).unlink(missing_ok=True)


def _tell(path: Path, done: int, total: int) -> None:
    """How far the look is, for pages."""
    path.write_text(f"{done} {total}")
