"""What the page asks and what it gets back: values checked one by one, errors turned into words, views marked with a version.

In: the plain dict that a browser sent; any caller may send anything. Out: a plain dict with `ok`. A server function that raised would reach the page
as "no answer", so every error is caught here; Home and the Library put what fails in one project on its card. Knows nothing of the steps themselves.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app import jobs
from app.projects import Project, Workspace
from app.strings import words
from pipelines.errors import BrandprintError, ConfigError
from training.captions import mended

logger = logging.getLogger(__name__)
MOST_LETTERS = 5_000
MOST_ENTRIES = 10_000


@dataclass(frozen=True)
class Ask:
    """One request of the page. values: as sent, unchecked but for half letters; the getters check."""

    workspace: Workspace
    do: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def project(self) -> Project:
        """The project that the page shows. Raises ConfigError if it is gone."""
        return self.workspace.project(self.text("project"))

    def text(self, name: str, default: str = "") -> str:
        """A text of at most 5000 letters."""
        value = self.values.get(name, default)
        if not isinstance(value, str) or len(value) > MOST_LETTERS:
            raise ConfigError(f"{name} is not a text of at most {MOST_LETTERS} letters.", fix="Shorten it.")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self.values.get(name, [])
        if (
            not isinstance(value, list)
            or len(value) > MOST_ENTRIES
            or not all(isinstance(entry, str) and len(entry) <= MOST_LETTERS for entry in value)
        ):
            raise ConfigError(f"{name} is not a list of texts.", fix="Reload the page.")
        return tuple(value)

    def number(self, name: str, default: float = 0.0, *, least: float = -math.inf, most: float = math.inf) -> float:
        """A number within its range."""
        try:
            value = float(self.values.get(name, default))
        except (TypeError, ValueError):
            value = math.nan
        if not least <= value <= most:
            raise ConfigError(
                f"{name} is {self.values.get(name)!r}; it goes from {least:g} to {most:g}.", fix="Choose a value within its range."
            )
        return value

    def flag(self, name: str) -> bool:
        """True for a box that is ticked."""
        return self.values.get(name) in (True, "true", "1")

    def table(self, name: str) -> dict[str, Any]:
        """A small dict."""
        value = self.values.get(name, {})
        if not isinstance(value, dict) or len(json.dumps(value, default=str)) > 20 * MOST_LETTERS:
            raise ConfigError(f"{name} is not a table.", fix="Reload the page.")
        return value


@dataclass(frozen=True)
class Reply:
    """What an action gives back besides the new view. note: a toast; undo: the action that takes it back; go: where to go; extra: more for the page."""

    note: str = ""
    undo: Mapping[str, Any] | None = None
    go: Mapping[str, str] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    with_view: bool = True


def whole(value: Any) -> Any:
    """A value from JSON without half letters in any of its texts: they cannot be written to a file, nor sent back."""
    if isinstance(value, str):
        return mended(value)
    if isinstance(value, list):
        return [whole(entry) for entry in value]
    return {mended(str(key)): whole(entry) for key, entry in value.items()} if isinstance(value, dict) else value


Look = Callable[[Ask], dict[str, Any]]
Act = Callable[[Ask], Reply | None]


def answering(name: str, workspace: Workspace, look: Look, actions: Mapping[str, Act]) -> Callable[[Any], dict[str, Any]]:
    """The server function of one part of the page, named as its JavaScript calls it."""

    def answer(request: Any) -> dict[str, Any]:
        try:
            return _answer(workspace, look, actions, request if isinstance(request, dict) else {})
        except Exception as error:
            message, fix = told(error, by=name)
            return {"ok": False, "message": message, "fix": fix}

    answer.__name__ = name
    return answer


def told(error: Exception, *, by: str) -> tuple[str, str]:
    """What happened and what to do. A fault of ours is logged, with what could not be done."""
    if isinstance(error, BrandprintError):
        return error.message, error.fix
    logger.error("%s could not answer", by, exc_info=error)
    return words("error.ours", what=type(error).__name__), words("error.ours.fix")


def _answer(workspace: Workspace, look: Look, actions: Mapping[str, Act], request: Mapping[str, Any]) -> dict[str, Any]:
    jobs.page_seen(workspace)
    request = whole(request)
    ask = Ask(workspace, str(request.get("do", "look")), request)
    reply = Reply()
    if ask.do != "look":
        act = actions.get(ask.do)
        if act is None:
            raise ConfigError(f"The page asked for {ask.do[:40]!r}, which is not known.", fix="Reload the page.")
        reply = act(ask) or Reply()
    answer: dict[str, Any] = {"ok": True, **reply.extra}
    answer |= {"note": reply.note} if reply.note else {}
    answer |= {"undo": dict(reply.undo)} if reply.undo else {}
    answer |= {"go": dict(reply.go)} if reply.go else {}
    if not reply.with_view or (reply.go and "project" in reply.go):
        return answer
    view = look(ask)
    answer |= {"now": view.pop("now")} if "now" in view else {}  # what changes all the time makes no new version of the whole view
    version = hashlib.sha256(json.dumps(view, sort_keys=True, default=str).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    if ask.do == "look" and version == request.get("seen"):
        return answer
    return answer | {"view": {**view, "version": version}}
