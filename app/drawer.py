"""Settings fields -> what the page draws: every setting of a training, grouped, with unit, help, range and whether the user changed it.

In: a plan's settings and the project's changes. Out: plain dicts; and typed-in values back as settings values, checked by the field itself.
Adding an option to training/config.py is all it takes for it to stand here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.fields import choices_of, range_of, type_of
from pipelines.errors import ConfigError
from pipelines.settings import Leaf, leaves
from training.config import TrainSettings, checked, value_at
from training.plan import Plan

HIDDEN = frozenset(
    {"base", "subject.intent", "subject.trigger", "subject.noun", "loss.prior_folder", "pictures.background"}
)  # asked above, or a path of the server
GROUPS = ("loop", "adapter", "optim", "pictures", "loss")


def drawer_groups(plan: Plan) -> list[dict[str, Any]]:
    """The groups of the advanced drawer, in the order in which people look for them."""
    advice = {line.name: line for line in plan.lines}
    fields: dict[str, list[dict[str, Any]]] = {group: [] for group in GROUPS}
    for leaf in leaves(TrainSettings):
        name = ".".join(leaf.path)
        if name not in HIDDEN and leaf.path[0] in fields:
            fields[leaf.path[0]].append(_field(leaf, name, value_at(plan.settings, leaf.path), advice.get(name)))
    return [{"group": group, "fields": entries} for group, entries in fields.items()]


def _field(leaf: Leaf, name: str, value: Any, line: Any) -> dict[str, Any]:
    kind, (least, most) = _kind(leaf), range_of(leaf)
    shown = "\n".join(value) if kind == "lines" else value
    return {
        "name": name, "label": leaf.name.replace("_", " ").removesuffix(" px"), "kind": kind, "choices": list(choices_of(leaf)), "value": shown, "unit": leaf.unit, "help": leaf.help, "least": least, "most": most,
        "changed": bool(line and line.changed), "reason": line.reason if line else "", "advice": line.mark if line and line.changed else "",
    }  # fmt: skip


def _kind(leaf: Leaf) -> str:
    """Which control it gets."""
    if choices_of(leaf):
        return "choice"
    return {bool: "tick", int: "whole", float: "number", tuple: "lines"}.get(type_of(leaf), "text")


def typed_value(name: str, text: Any) -> Any:
    """What was typed for a setting, as the setting's own value. Raises ConfigError naming the field and what it takes."""
    leaf = next((leaf for leaf in leaves(TrainSettings) if ".".join(leaf.path) == name), None)
    if leaf is None or name in HIDDEN:
        raise ConfigError(f"There is no setting named {name[:60]!r}.", fix="Reload the page.")
    value = _parsed(_kind(leaf), text)
    return value_at(checked(TrainSettings(), {leaf.path: value, **_company(name, value)}), leaf.path)


def _company(name: str, value: Any) -> dict[tuple[str, ...], Any]:
    """Values that must agree with the one that is checked alone; the plan checks the tree as a whole afterwards."""
    if name == "optim.optimizer" and value == "prodigy":
        return {("optim", "learning_rate"): 1.0}
    return {("subject", "noun"): "thing"} if name == "loss.prior_weight" else {}


def _parsed(kind: str, text: Any) -> Any:
    if kind == "tick":
        return text in (True, "true")
    if kind == "lines":
        return tuple(line.strip() for line in str(text).splitlines() if line.strip())
    if kind in ("whole", "number"):
        if str(text).strip() == "":
            return None
        try:
            return int(str(text)) if kind == "whole" else float(str(text))
        except ValueError:
            raise ConfigError(f"{str(text)[:40]!r} is not a number.", fix="Type digits, such as 1000 or 0.0005.") from None
    return str(text)


def as_paths(overrides: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """Dotted names -> paths, as the plan takes them."""
    return {tuple(name.split(".")): tuple(value) if isinstance(value, list) else value for name, value in overrides.items()}
