"""Projects: open, create, rename, duplicate, delete to the bin and bring back.

In: the workspace. Out: the view of the project cards. Pictures are shown by their thumbnails only.
"""

from __future__ import annotations

from typing import Any

from app import jobs
from app.answers import Act, Ask, Reply, told
from app.projects import Project, Workspace
from app.results import chosen_result
from app.shelf import make_thumbs, read_shelf, thumb_path
from app.strings import counted, words

MOSAIC = 6


def look(ask: Ask) -> dict[str, Any]:
    """Every project as a card, and what lies in the bin."""
    binned = [{"ticket": path.name, "name": path.name.partition("--")[2]} for path in ask.workspace.binned()[:20]]
    cards = [_card(ask.workspace, project) for project in ask.workspace.projects()]
    closed = [
        {"id": id, "name": id, "can_open": False, "is_sample": False, "thumbs": [], "pictures": "", "is_trained": False, "error": [problem.message, problem.fix]}
        for id, problem in ask.workspace.unreadable().items()
    ]  # fmt: skip
    return {"projects": cards + closed, "bin": binned}


def _card(workspace: Workspace, project: Project) -> dict[str, Any]:
    """A project's card; what is wrong with one project stands on its card and stops no other."""
    about = project.about
    card = {"id": project.id, "name": about.name, "intent": about.intent, "is_sample": about.is_sample, "can_open": True, "error": None}
    try:
        return card | _shown(workspace, project)
    except Exception as error:
        return card | {"error": told(error, by=f"home, for {project.id},"), "is_trained": False, "pictures": "", "thumbs": []}


def _shown(workspace: Workspace, project: Project) -> dict[str, Any]:
    dataset = read_shelf(project)
    items = dataset.items[:: max(1, len(dataset.items) // MOSAIC)][:MOSAIC]
    make_thumbs(workspace, items)
    return {
        "is_trained": chosen_result(project, project.all_runs()) is not None,
        "pictures": counted("rail.pictures", len(dataset.items)),
        "thumbs": [str(thumb_path(workspace, item)) for item in items],
    }


def _create(ask: Ask) -> Reply:
    project = ask.workspace.create(ask.text("name"))
    return Reply(go={"project": project.id, "step": "pictures"})


def _rename(ask: Ask) -> Reply:
    ask.workspace.rename(ask.text("id"), ask.text("name"))
    return Reply(note=words("home.renamed"))


def _duplicate(ask: Ask) -> Reply:
    copy = ask.workspace.duplicate(ask.text("id"))
    return Reply(note=words("home.duplicated", name=copy.about.name))


def _delete(ask: Ask) -> Reply:
    project = ask.workspace.project(ask.text("id"))
    jobs.check_idle(ask.workspace, project)
    ticket = ask.workspace.delete(project.id)
    return Reply(note=words("home.deleted", name=project.about.name), undo={"do": "restore", "ticket": ticket})


def _restore(ask: Ask) -> Reply:
    project = ask.workspace.restore(ask.text("ticket"))
    return Reply(note=words("home.restored", name=project.about.name))


ACTIONS: dict[str, Act] = {"create": _create, "rename": _rename, "duplicate": _duplicate, "delete": _delete, "restore": _restore}
