"""Settings fields that carry their own help, unit and level; and the settings of adapters and of drawing.

In: nothing. Out: `Settings` (frozen pydantic base), `option()` (a field), `leaves()` (every field of a tree, for the CLI, the page and the docs).
Does not read files or flags.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Level = Literal["basic", "advanced"]


class Settings(BaseModel):
    """A frozen branch of the settings tree; an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def option(default: Any, help: str, *, unit: str = "", level: Level = "advanced", **limits: Any) -> Any:
    """A settings field. limits: pydantic's ge, gt, le, lt, pattern."""
    extra: dict[str, Any] = {"unit": unit, "level": level}
    if isinstance(default, type):
        return Field(default_factory=default, description=help, json_schema_extra=extra, **limits)
    return Field(default=default, description=help, json_schema_extra=extra, **limits)


@dataclass(frozen=True)
class Leaf:
    """One field of a settings tree. path: ("optim", "learning_rate")."""

    path: tuple[str, ...]
    info: FieldInfo

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def help(self) -> str:
        return self.info.description or ""

    @property
    def unit(self) -> str:
        return self._extra("unit")

    @property
    def level(self) -> str:
        return self._extra("level")

    def _extra(self, key: str) -> str:
        extra = self.info.json_schema_extra
        return str(extra.get(key, "")) if isinstance(extra, dict) else ""


def leaves(kind: type[BaseModel], at: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Every field of a settings tree, branches opened, in order of declaration."""
    for name, info in kind.model_fields.items():
        branch = info.annotation
        if isinstance(branch, type) and issubclass(branch, BaseModel):
            yield from leaves(branch, (*at, name))
        else:
            yield Leaf((*at, name), info)


def with_values(settings: Any, values: dict[tuple[str, ...], Any]) -> Any:
    """A copy of the tree with the named leaves replaced, checked as a whole. Raises pydantic.ValidationError."""
    tree = settings.model_dump()
    for path, value in values.items():
        branch = tree
        for name in path[:-1]:
            branch = branch[name]
        branch[path[-1]] = value
    return type(settings).model_validate(tree)


class AdapterSettings(Settings):
    """Which small matrices are trained, and where they sit (Hu et al. 2021, arXiv 2106.09685)."""

    kind: Literal["lora", "rslora", "dora"] = option(
        "lora",
        "LoRA; rsLoRA scales by sqrt(rank) (arXiv 2312.03732); DoRA learns direction and size apart (arXiv 2402.09353) and leaves only as a merged model.",
    )
    rank: int = option(16, "How much the adapter can hold. 8-16 is plenty for one product or character, 32 for a style.", ge=1, le=256)
    alpha: float | None = option(
        None, "Scale of the adapter: effect = alpha / rank. Empty: equal to rank, so numbers mean the same everywhere.", gt=0, le=1024
    )
    targets: Literal["attention", "attention+ff", "all"] = option(
        "attention+ff", "Layers that get an adapter: attention; with feed-forward and projections; all including convolutions."
    )
    text_encoder: bool = option(False, "Also teach the text encoder. Helps a new word a little, forgets old words sooner.")
    dropout: float = option(0.0, "Share of adapter inputs dropped in training.", ge=0, lt=1)


class DrawSettings(Settings):
    """How a picture is drawn."""

    prompt: str = option("", "What to draw. Say the trigger where the subject stands.", level="basic")
    negative_prompt: str = option("", "What to keep away from.")
    seed: int = option(0, "Same seed, same picture.", ge=0, le=2**32 - 1, level="basic")
    pictures: int = option(1, "How many pictures; seeds count up from the first.", ge=1, le=1000, level="basic")
    steps: int = option(20, "Denoising steps. More is finer and slower.", ge=1, le=200)
    guidance: float = option(5.0, "How closely the prompt is followed (classifier-free guidance, arXiv 2207.12598). 1 = off.", ge=1, le=30)
    width_px: int | None = option(None, "Width. Empty: the base's own size.", unit="px", ge=64, le=4096, multiple_of=8)
    height_px: int | None = option(None, "Height. Empty: the base's own size.", unit="px", ge=64, le=4096, multiple_of=8)
    scheduler: Literal["ddim", "euler", "euler_a", "dpm++", "unipc"] = option("ddim", "The rule that walks from noise to picture.")
    speed: Literal["exact", "fast"] = option(
        "exact",
        "fast: every second step uses guidance and deep features of the step before (arXiv 2312.00858); slightly different pictures.",
    )
