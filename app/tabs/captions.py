"""Captions by the hundred: proposals from each source beside what stands there, bulk edits, what is constant and what varies, the words that are used.

In: requests of the Pictures step. Out: proposals (nothing is changed by looking), and one undoable action where the user takes them. Each button is one call of
training/; texts of downloaded models come from app/captioning.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from app import jobs
from app.answers import Act, Ask, Reply
from app.captioning import newest_captioning, read_texts, start_captioning
from app.projects import Project
from app.shelf import apply_edits, known_items, read_shelf
from app.strings import counted
from pipelines.errors import ConfigError
from training import captions
from training.aspects import OFFERED, silent
from training.captioners import SOURCES, offline_captioner
from training.dataset import Item
from training.hub_captioners import HUB_MODELS
from training.languages import SMALL_WORDS
from training.proposals import Mode, Proposal, as_edits, proposals

MOST_BARS = 24
SMALL = frozenset(SMALL_WORDS["en"].split())
Change = Callable[[list[str], str, str, Project], list[str]]
BULK: dict[str, Change] = {
    "replace": lambda texts, first, second, _: captions.replaced(texts, first, second),
    "prefix": lambda texts, first, second, _: captions.prefixed(texts, first),
    "suffix": lambda texts, first, second, _: captions.suffixed(texts, first),
    "remove": lambda texts, first, second, _: captions.without_word(texts, first),
    "trigger_in": lambda texts, first, second, project: [
        captions.with_trigger(text, project.about.trigger, project.about.noun, project.about.intent) for text in texts
    ],
    "trigger_out": lambda texts, first, second, project: [captions.without_trigger(text, project.about.trigger) for text in texts],
}


def view_captions(project: Project) -> dict[str, Any]:
    """What the panels need to know of the project."""
    about = project.about
    return {
        "trigger": about.trigger,
        "constant": about.constant,
        "varies": list(about.varies),
        "offered": list(OFFERED[about.intent]),
        "sources": list(SOURCES),
        "models": [
            {"id": name, "title": model.title, "licence": model.licence, "gb": model.download_gb, "hub": model.id}
            for name, model in HUB_MODELS.items()
        ],
    }


def _listed(found: tuple[Proposal, ...], **more: Any) -> Reply:
    return Reply(extra={"proposals": [[one.key, one.old, one.new] for one in found], **more}, with_view=False)


def _mode(ask: Ask) -> Mode:
    mode = ask.text("mode", "empty")
    if mode not in get_args(Mode):
        raise ConfigError(f"{mode[:40]!r} is no way to write captions.", fix="Reload the page.")
    return mode  # type: ignore[return-value]


def _write_preview(ask: Ask) -> Reply:
    """What a source that needs no download would write."""
    project, source = ask.project, ask.text("source")
    items = known_items(project, ask.texts("keys"))
    looks = _looks(project, items) if source == "seen" else {}
    captioner = offline_captioner(source, template=ask.text("template"), looks=looks)
    unseen = len(items) - len(looks) if source == "seen" else 0
    return _listed(proposals(items, captioner.caption(items), mode=_mode(ask)), unseen=unseen)


def _looks(project: Project, items: list[Item]) -> dict:
    """What the picture check has measured already; it measures the rest by itself."""
    from training.look_cache import LookCache
    from training.looks import look_id

    kept = LookCache(project.path / ".doctor").read({look_id(item) for item in items})
    return {item.key: kept[look_id(item)] for item in items if look_id(item) in kept}


def _write_start(ask: Ask) -> Reply:
    """A downloaded model, after a yes."""
    if not ask.flag("agreed"):
        raise ConfigError("Nothing is downloaded without your yes.", fix="Tick the box first.")
    items = known_items(ask.project, ask.texts("keys"))
    start_captioning(ask.workspace, ask.project, ask.text("source"), [item.key for item in items])
    return Reply()


def _write_stop(ask: Ask) -> None:
    run = newest_captioning(ask.project)
    if run:
        jobs.cancel(ask.workspace, run)


def _write_made(ask: Ask) -> Reply:
    """What the downloaded model has written so far."""
    run, known = newest_captioning(ask.project), read_shelf(ask.project).by_key
    texts = {key: text for key, text in (read_texts(run) if run else {}).items() if key in known}
    return _listed(proposals([known[key] for key in texts], texts.values(), mode=_mode(ask)), unseen=0)


def _write_apply(ask: Ask) -> Reply:
    """The proposals that the user took, perhaps changed by hand: one action."""
    items, texts = known_items(ask.project, ask.texts("keys")), ask.texts("texts")
    if len(items) != len(texts):
        raise ConfigError("Pictures and captions do not match.", fix="Reload the page.")
    return _apply(ask.project, proposals(items, texts, mode="replace"), label="write")


def _apply(project: Project, chosen: tuple[Proposal, ...], *, label: str) -> Reply:
    count = apply_edits(project, as_edits(chosen), label=label)
    return Reply(note=counted("pictures.captions_changed", count), undo={"do": "undo"} if count else None)


def _bulk_proposals(ask: Ask) -> tuple[Proposal, ...]:
    project, how = ask.project, ask.text("how")
    if how not in BULK or not (ask.text("first").strip() or how.startswith("trigger")):
        raise ConfigError("There is nothing to change.", fix="Say which words.")
    if how.startswith("trigger") and not project.about.trigger:
        raise ConfigError("There is no trigger yet.", fix="Name it in the Teach step.")
    items = known_items(project, ask.texts("keys"))
    fresh = BULK[how]([item.caption for item in items], ask.text("first"), ask.text("second"), project)
    changed = ((item, text) for item, text in zip(items, fresh, strict=True) if text != item.caption)
    return tuple(Proposal(item.key, item.caption, text) for item, text in changed)


def _bulk_preview(ask: Ask) -> Reply:
    return _listed(_bulk_proposals(ask))


def _bulk(ask: Ask) -> Reply:
    """One change of many captions."""
    return _apply(ask.project, _bulk_proposals(ask), label="bulk")


def _words(ask: Ask) -> Reply:
    """Which words stand in how many captions, and what is said about what varies."""
    from training.checks.wording import constant_words  # its libraries are not needed to show the page

    project = ask.project
    about = project.about
    items = read_shelf(project).items
    texts = [item.caption for item in items]
    everywhere = set(constant_words(texts, trigger=about.trigger, noun=about.noun))
    bars = [[word, count, word in everywhere] for word, count in captions.coverage(texts).items() if word not in SMALL][:MOST_BARS]
    taken = captions.phrases(about.constant)
    named = sum(after != before for before, after in zip(texts, captions.without_words(texts, taken), strict=True)) if taken else 0
    told = {"bars": bars, "total": len(items), "named": named, "silent": [[one, len(silent(texts, one))] for one in about.varies]}
    return Reply(extra={"told": told}, with_view=False)


def _with_word(ask: Ask) -> Reply:
    """The pictures whose captions say a word, or do not; or say nothing about an aspect."""
    items = read_shelf(ask.project).items
    word, aspect = ask.text("word"), ask.text("aspect")
    if aspect in ask.project.about.varies:
        keys = [items[place].key for place in silent([item.caption for item in items], aspect)]
    else:
        keys = [item.key for item in items if (word in captions.words(item.caption)) != ask.flag("without")]
    return Reply(extra={"keys": keys}, with_view=False)


def _tell(ask: Ask) -> Reply:
    """What all pictures share, and what captions should tell."""
    project = ask.project
    varies = tuple(one for one in ask.texts("varies") if one in OFFERED[project.about.intent])
    project.changed(constant=", ".join(captions.phrases(ask.text("constant"))), varies=varies)
    return Reply()


def _constant_out(ask: Ask) -> Reply:
    """The constant's words leave all captions."""
    items = read_shelf(ask.project).items
    fresh = captions.without_words([item.caption for item in items], captions.phrases(ask.project.about.constant))
    changed = tuple(Proposal(item.key, item.caption, text) for item, text in zip(items, fresh, strict=True) if text != item.caption)
    return _apply(ask.project, changed, label="bulk")


ACTIONS: dict[str, Act] = {
    "write_preview": _write_preview, "write_start": _write_start, "write_stop": _write_stop, "write_made": _write_made, "write_apply": _write_apply,
    "bulk": _bulk, "bulk_preview": _bulk_preview, "words": _words, "with_word": _with_word, "tell": _tell, "constant_out": _constant_out,
}  # fmt: skip
