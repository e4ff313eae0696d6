"""Draws probes and keeps them: a picture that was drawn for the same adapter, strength, prompt and seed is read instead of drawn again.

In: a base, probes, an adapter or none. Out: pictures, and Phase events while they come. So a verdict that was stopped goes on where it was.
Measures nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from PIL import Image

from pipelines import adapter as adapters
from pipelines.errors import AdapterError
from pipelines.events import Phase
from pipelines.families.base import Base
from pipelines.generation import Wish, draw
from pipelines.settings import DrawSettings
from training.scores.probes import Probe, Thoroughness

NAME = "scored"
NO_PICTURE = (128, 128, 128)


@dataclass
class Gallery:
    """Pictures of one run's verdict, in `folder`. total: how many will be drawn, for the events."""

    base: Base
    folder: Path
    how: Thoroughness
    size_px: int | None = None
    total: int = 0
    done: int = 0
    broken: set[Path] = field(default_factory=set)

    def draw_base(self, probes: Sequence[Probe]) -> Generator[Phase, None, list[Image.Image]]:
        """The bare base's pictures."""
        with adapters.bare(self.base):
            return (yield from self._draw(probes, key=self.base_key, strengths={}))

    def draw_adapter(self, probes: Sequence[Probe], path: Path, *, strength: float) -> Generator[Phase, None, list[Image.Image]]:
        """The pictures of an adapter file at a strength; it is attached only while it is needed."""
        key = self.adapter_key(path, strength)
        if all(self.path_of(probe, key).exists() for probe in probes):
            return (yield from self._draw(probes, key=key, strengths={}))
        adapters.attach(self.base, adapters.load_adapter(path), name=NAME, strength=strength)
        try:
            return (yield from self._draw(probes, key=key, strengths={NAME: strength}))
        finally:
            adapters.detach(self.base, NAME)

    def path_of(self, probe: Probe, key: str) -> Path:
        """Where a picture stands."""
        recipe = f"{key} {probe.prompt} {probe.seed} {self.how.steps} {self.how.guidance} {self.size_px}"
        return self.folder / f"{hashlib.sha256(recipe.encode()).hexdigest()[:20]}.png"

    @property
    def base_key(self) -> str:
        """What the bare base's pictures depend on."""
        return f"base {self.base.fingerprint}"

    def adapter_key(self, path: Path, strength: float) -> str:
        """What an adapter's pictures depend on: its weights, its strength, the base."""
        return f"{_digest(path, path.stat().st_mtime_ns)} {strength:g} {self.base.fingerprint}"

    def is_broken(self, probe: Probe, key: str) -> bool:
        """True if the adapter gave NaN there instead of a picture."""
        return self.path_of(probe, key) in self.broken

    def _draw(self, probes: Sequence[Probe], *, key: str, strengths: dict[str, float]) -> Generator[Phase, None, list[Image.Image]]:
        self.folder.mkdir(parents=True, exist_ok=True)
        missing = [probe for probe in probes if not self.path_of(probe, key).exists()]
        self.done += len(probes) - len(missing)
        settings = DrawSettings(
            steps=self.how.steps, guidance=self.how.guidance, width_px=self.size_px, height_px=self.size_px, speed="fast"
        )
        wishes = [Wish(probe.prompt, "", probe.seed) for probe in missing]
        try:
            for probe, drawn in zip(missing, draw(self.base, settings, wishes, strengths=strengths), strict=True):
                _save(drawn.image, self.path_of(probe, key))
                self.done += 1
                yield Phase("scoring", self.done, max(self.total, self.done))
        except AdapterError as error:  # NaN: the adapter is fried; grey stands for its pictures
            if "NaN" not in error.message:
                raise
            side = self.size_px or self.base.native_size_px
            for probe in missing:
                if not self.path_of(probe, key).exists():
                    _save(Image.new("RGB", (side, side), NO_PICTURE), self.path_of(probe, key))
                self.broken.add(self.path_of(probe, key))
        return [_read(self.path_of(probe, key)) for probe in probes]


@lru_cache(maxsize=64)
def _digest(path: Path, changed_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _save(picture: Image.Image, path: Path) -> None:
    partial = path.with_suffix(".partial")
    picture.save(partial, format="PNG")
    partial.replace(path)


def _read(path: Path) -> Image.Image:
    with Image.open(path) as file:
        return file.convert("RGB")
