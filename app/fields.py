"""One settings field -> one command-line flag, and what a control on the page must know of it.

In: leaves of a settings tree. Out: parameters for typer; type, choices and range for the page's drawer; values by path. Does not check values (pydantic does, at the edge).
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel, ValidationError

from pipelines.errors import ConfigError
from pipelines.settings import Leaf, leaves

PANELS = {
    "subject": "What is taught", "pictures": "Pictures", "adapter": "Adapter", "loss": "Loss", "optim": "Learning", "loop": "Length and memory",
}  # fmt: skip


def flag_names(kind: type[BaseModel]) -> dict[str, Leaf]:
    """Flag name -> leaf. A name that stands twice in the tree gets its branch in front: adapter_kind, loss_kind."""
    found = list(leaves(kind))
    times = Counter(leaf.name for leaf in found)
    return {leaf.name if times[leaf.name] == 1 else "_".join(leaf.path): leaf for leaf in found}


def with_flags(kind: type[BaseModel], *, without: Iterable[str] = ()) -> Callable[[Callable], Callable]:
    """Decorator: adds a flag for every leaf to a command. Given flags arrive in its `values` argument as path -> value; others do not appear."""
    flags = {name: leaf for name, leaf in flag_names(kind).items() if name not in set(without)}

    def decorate(command: Callable) -> Callable:
        own = [parameter for parameter in inspect.signature(command, eval_str=True).parameters.values() if parameter.name != "values"]

        def run(**arguments: Any) -> Any:
            values = {leaf.path: _plain(arguments.pop(name)) for name, leaf in flags.items()}
            return command(**arguments, values={path: value for path, value in values.items() if value is not None})

        parameters = [*own, *(_parameter(name, leaf) for name, leaf in flags.items())]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__doc__, run.__name__ = command.__doc__, command.__name__
        return run

    return decorate


def build(kind: type[BaseModel], values: Mapping[tuple[str, ...], Any]) -> Any:
    """Settings of a flat or nested tree from values by path. Raises ConfigError naming the flag, the value and what it takes."""
    tree: dict[str, Any] = {}
    for path, value in values.items():
        branch = tree
        for name in path[:-1]:
            branch = branch.setdefault(name, {})
        branch[path[-1]] = value
    try:
        return kind.model_validate(tree)
    except ValidationError as problem:
        raise in_words(problem) from problem


def in_words(problem: ValidationError) -> ConfigError:
    """pydantic's first complaint as one of our errors."""
    first = problem.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return ConfigError(
        f"{place} cannot be {first.get('input')!r}: {message}." if place else f"{message}", fix="See --help for what it takes."
    )


def as_choice(value: str, kind: Any, *, name: str) -> Any:
    """The value, if it is one of a Literal's. Raises ConfigError listing them."""
    if value not in get_args(kind):
        raise ConfigError(f"There is no {name} {value!r}.", fix=f"Choose one of {', '.join(get_args(kind))}.")
    return value


def choices_of(leaf: Leaf) -> tuple[str, ...]:
    """The closed set of values of a leaf, or nothing."""
    kind = leaf.info.annotation
    return tuple(str(value) for value in get_args(kind)) if get_origin(kind) is Literal else ()


def type_of(leaf: Leaf) -> type:
    """bool, int, float, str or tuple: what a value of the leaf is, None aside."""
    kind = leaf.info.annotation
    if get_origin(kind) is Literal:
        return str
    if get_origin(kind) is tuple:
        return tuple
    plain = [option for option in get_args(kind) or (kind,) if option is not type(None)]
    return plain[0]


def range_of(leaf: Leaf) -> tuple[float | None, float | None]:
    """Smallest and largest allowed value, where there are any."""
    low = next((bound for rule in leaf.info.metadata for name in ("ge", "gt") if (bound := getattr(rule, name, None)) is not None), None)
    high = next((bound for rule in leaf.info.metadata for name in ("le", "lt") if (bound := getattr(rule, name, None)) is not None), None)
    return low, high


def _parameter(name: str, leaf: Leaf) -> inspect.Parameter:
    flag = "--" + name.replace("_", "-")
    kind = type_of(leaf)
    panel = PANELS.get(leaf.path[0]) if len(leaf.path) > 1 else None
    told: dict[str, Any] = {"help": _help(leaf), "rich_help_panel": panel, "show_default": False}
    annotation: Any
    if kind is bool:
        annotation = Annotated[bool | None, typer.Option(f"{flag}/--no-{flag[2:]}", **told)]
    elif kind is tuple:
        annotation = Annotated[list[str] | None, typer.Option(flag, **told)]
    else:
        metavar = "|".join(choices_of(leaf)) or None
        annotation = Annotated[kind | None, typer.Option(flag, metavar=metavar, **told)]  # type: ignore[valid-type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _help(leaf: Leaf) -> str:
    default = leaf.info.get_default(call_default_factory=True)
    shown = "" if default in (None, "", ()) else f" [default: {default}]"
    return f"{leaf.help}{f' ({leaf.unit})' if leaf.unit else ''}{shown}"


def _plain(value: Any) -> Any:
    """Lists from repeated flags become tuples; an empty list means: not given."""
    return tuple(value) or None if isinstance(value, list) else value
