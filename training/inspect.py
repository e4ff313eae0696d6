"""The doctor: looks at a set, names every fault with what it costs and how to mend it, and gives a score.

In: a dataset and what is to be taught. Out: a frozen `Report`. Fixes are edits: nothing changes until they are applied
(edit_log.py), and each can be undone. The checks themselves stand in checks/, one function and one table line each.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.card import Intent
from pipelines.encoder_process import EncoderProcess
from training.checks.base import Check, CountTokens, Fault, Scene, SetFault, Severity
from training.checks.table import CHECKS
from training.dataset import Dataset, with_edits
from training.edits import Edit, KeepOneOf, LeaveOut, edited_keys
from training.looks import Look
from training.score import ENOUGH, Parts, Tally, parts, score, tally
from training.survey import Progress, look_at

_LEAVES_OUT = (LeaveOut, KeepOneOf)


@dataclass(frozen=True)
class Problem:
    """One kind of fault in a set. words: what stands on each picture's badge, in the order of `keys`. points: what mending it adds
    to the score.
    """

    code: str
    severity: Severity
    keys: tuple[str, ...]
    words: tuple[str, ...]
    sentence: str
    cost: str
    fixes: tuple[Edit, ...]
    points: float


@dataclass(frozen=True)
class Report:
    """What the doctor found. parts: the score's three factors. problems: the most severe first."""

    pictures: int
    score: int
    parts: Parts
    problems: tuple[Problem, ...]
    looks: Mapping[str, Look] = field(repr=False)

    @property
    def is_fine(self) -> bool:
        """True if there is nothing to mend but hints."""
        return all(problem.severity == "hint" for problem in self.problems)

    @property
    def summary(self) -> str:
        """One sentence for designers."""
        pictures = f"{self.pictures} {'picture' if self.pictures == 1 else 'pictures'}"
        if not self.problems:
            return f"{pictures}, nothing to mend."
        if self.is_fine:
            return f"{pictures}, all sound; {len(self.problems)} {'hint' if len(self.problems) == 1 else 'hints'}."
        touched = len({key for problem in self.problems if problem.severity != "hint" for key in problem.keys})
        return f"{pictures}; {touched} could be better."

    @property
    def top3(self) -> tuple[Problem, ...]:
        """The three problems whose mending raises the score most; none that would not show in it."""
        return tuple(sorted((problem for problem in self.problems if problem.points >= 0.5), key=lambda problem: -problem.points)[:3])

    @property
    def badges(self) -> dict[str, tuple[str, ...]]:
        """Words for each picture's badges, the most severe first."""
        found: dict[str, tuple[str, ...]] = {}
        for problem in self.problems:
            for key, word in zip(problem.keys, problem.words, strict=True):
                if word:
                    found[key] = (*found.get(key, ()), word)
        return found

    @property
    def fixes(self) -> tuple[Edit, ...]:
        """One set of edits that mends all."""
        return compatible([edit for problem in self.problems for edit in problem.fixes])


def compatible(fixes: Iterable[Edit]) -> tuple[Edit, ...]:
    """Those of the fixes that go together: of a picture that is left out nothing else is changed, and of a pair that is doubled one stays."""
    chosen: list[Edit] = []
    gone: set[str] = set()
    changed: set[tuple[str, str]] = set()
    for edit in sorted(fixes, key=lambda edit: not isinstance(edit, _LEAVES_OUT)):
        keys = edit.others if isinstance(edit, KeepOneOf) else edited_keys(edit)
        mark = (type(edit).__name__, keys[0])
        if gone.intersection(keys) or mark in changed or (isinstance(edit, KeepOneOf) and edit.keep in gone):
            continue
        chosen.append(edit)
        changed.add(mark)
        if isinstance(edit, _LEAVES_OUT):
            gone.update(keys)
    return tuple(chosen)


def inspect_dataset(
    dataset: Dataset,
    *,
    intent: Intent,
    trigger: str,
    noun: str,
    base_size_px: int,
    count_tokens: CountTokens | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
    encoder: EncoderProcess | None = None,
) -> Report:
    """Everything that could be better in a set, its edits applied. base_size_px: the base's own size.

    count_tokens: the base's (without start and end); None: estimated. cache: a folder that makes the next look instant. progress:
    (done, all pictures). encoder: one that stays open for the next look.
    """
    looks, failures = look_at(dataset.items, cache=cache, progress=progress, encoder=encoder)
    told = {key: (error.message, error.fix) for key, error in failures.items()}
    scene = Scene(dataset, looks, told, intent, trigger, noun, base_size_px, count_tokens or estimated_tokens)
    return judge(scene)


def estimated_tokens(text: str) -> int:
    """About how many tokens CLIP's tokenizer makes: 1.3 per word, one per mark, two per letter of scripts that it does not know."""
    latin = re.findall(r"[a-zA-ZÀ-ɏ]+|\d", text)
    others = re.findall(r"[^\sa-zA-ZÀ-ɏ\d]", text)
    return math.ceil(sum(1 + len(word) // 9 for word in latin) * 1.1) + sum(1 if letter.isascii() else 2 for letter in others)


def judge(scene: Scene) -> Report:
    """The report on a scene that was looked at."""
    dismissed = scene.dataset.dismissed
    found: list[tuple[Check, list[Fault]]] = []
    of_set: list[tuple[Check, SetFault]] = []
    for check in CHECKS:
        faults = check.find(scene)
        if check.of_set:
            of_set += [(check, fault) for fault in faults if isinstance(fault, SetFault) and (check.code, "") not in dismissed]
        else:
            kept = [fault for fault in faults if isinstance(fault, Fault) and (check.code, fault.key) not in dismissed]
            if kept:
                found.append((check, kept))
    whole = _tally(scene, found, of_set)
    total = score(whole, scene.intent)
    problems = [
        _problem(check, faults, score(_tally(scene, _without(found, check), of_set), scene.intent) - total) for check, faults in found
    ]
    problems += [
        _set_problem(check, fault, score(_tally(scene, found, _without(of_set, check)), scene.intent) - total) for check, fault in of_set
    ]
    problems += _too_few(scene, whole, total)
    ranks = {"serious": 0, "warning": 1, "hint": 2}
    problems.sort(key=lambda problem: (ranks[problem.severity], -problem.points))
    return Report(len(scene.dataset.items), math.floor(total + 1e-9), parts(whole, scene.intent), tuple(problems), scene.looks)


def _tally(scene: Scene, found: Iterable[tuple[Check, list[Fault]]], of_set: Iterable[tuple[Check, SetFault]]) -> Tally:
    used = {item.key for item in scene.dataset.items}
    weights: dict[str, dict[str, float]] = {}
    spoiled: set[str] = set()
    refused: set[str] = set()
    for check, faults in found:
        for fault in faults:
            if fault.key not in used:
                refused.add(fault.key)
                continue
            weights.setdefault(fault.key, {})[check.code] = check.weight
            if isinstance(fault.fix, _LEAVES_OUT):
                spoiled.add(fault.key)
    total = len(used) + len(scene.dataset.left_out) + len(scene.dataset.rejected)
    losses = {check.code: check.weight * fault.extent for check, fault in of_set}
    return tally(weights, used=len(used), sound=len(used - spoiled), total=total, refused=len(refused), set_losses=losses)


def _without(found: Sequence[tuple[Check, object]], check: Check) -> list:
    return [entry for entry in found if entry[0] is not check]


def _problem(check: Check, faults: list[Fault], points: float) -> Problem:
    keys = tuple(fault.key for fault in faults)
    sentence = check.one.format(name=keys[0]) if len(keys) == 1 else check.many.format(count=len(keys))
    fixes = _joined(tuple(fault.fix for fault in faults if fault.fix))
    return Problem(check.code, check.severity, keys, tuple(fault.word for fault in faults), sentence, check.cost, fixes, round(points, 2))


def _joined(fixes: tuple[Edit, ...]) -> tuple[Edit, ...]:
    """Fixes with doubles of one picture put into one edit."""
    others: dict[str, list[str]] = {}
    for edit in fixes:
        if isinstance(edit, KeepOneOf):
            others.setdefault(edit.keep, []).extend(edit.others)
    rest = tuple(edit for edit in fixes if not isinstance(edit, KeepOneOf))
    return tuple(KeepOneOf(keep, tuple(keys)) for keep, keys in others.items()) + rest


def _set_problem(check: Check, fault: SetFault, points: float) -> Problem:
    words = ("",) * len(fault.keys)
    return Problem(check.code, check.severity, fault.keys, words, fault.sentence, check.cost, fault.fixes, round(points, 2))


def _too_few(scene: Scene, whole: Tally, total: float) -> list[Problem]:
    enough = ENOUGH[scene.intent]
    if whole.sound >= enough:
        return []
    full = score(Tally(whole.worths, enough, whole.total, whole.refused, whole.set_losses), scene.intent)
    sentence = f"{whole.sound} sound {'picture' if whole.sound == 1 else 'pictures'}; {enough} or more are better for a {scene.intent}."
    severity: Severity = "warning" if whole.sound < enough / 2 else "hint"
    return [Problem("too_few", severity, (), (), sentence, "It learns the pictures instead of the subject.", (), round(full - total, 2))]


def preview(dataset: Dataset, fixes: Sequence[Edit]) -> Dataset:
    """The dataset as it would be with these fixes applied on top of its edits. Nothing is written."""
    return with_edits(dataset, (*dataset.edits, *fixes))
