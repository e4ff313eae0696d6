"""Projects: open, create, rename, duplicate, delete to the bin and bring back.

In: the workspace. Out: the view of the project cards. Pictures are shown by their thumbnails only.
"""

from __future__ import annotations

from typing import Any

from app.answers import Act, Ask, Reply
from app.projects import Project, Workspace
from app.results import chosen_result
from app.shelf import make_thumbs, read_shelf, thumb_path
from app.strings import counted, words

MOSAIC = 6


def look(ask: Ask) -> dict[str, Any]:
    """Every project as a card, and what lies in the bin."""
    binned = [{"ticket": path.name, "name": path.name.partition("--")[2]} for path in ask.workspace.binned()[:20]]
    return {"projects": [_card(ask.workspace, project) for project in ask.workspace.projects()], "bin": binned}


def _card(workspace: Workspace, project: Project) -> dict[str, Any]:
    dataset = read_shelf(project)
    items = dataset.items[:: max(1, len(dataset.items) // MOSAIC)][:MOSAIC]
    make_thumbs(workspace, items)
    is_trained = chosen_result(project, project.all_runs()) is not None
    return {
        "id": project.id, "name": project.about.name, "intent": project.about.intent, "is_sample": project.about.is_sample, "is_trained": is_trained,
        "pictures": counted("rail.pictures", len(dataset.items)), "thumbs": [str(thumb_path(workspace, item)) for item in items],
    }  # fmt: skip


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
    name = ask.workspace.project(ask.text("id")).about.name
    ticket = ask.workspace.delete(ask.text("id"))
    return Reply(note=words("home.deleted", name=name), undo={"do": "restore", "ticket": ticket})


def _restore(ask: Ask) -> Reply:
    project = ask.workspace.restore(ask.text("ticket"))
    return Reply(note=words("home.restored", name=project.about.name))


ACTIONS: dict[str, Act] = {"create": _create, "rename": _rename, "duplicate": _duplicate, "delete": _delete, "restore": _restore}
