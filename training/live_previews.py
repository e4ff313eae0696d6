"""Pictures of what has been learnt so far, drawn while a training goes on.

In: the base with its adapter, prompts, the run's folder. Out: previews/STEP/NN.png, always with the same seeds, and a Picture event for each. What stands there already,
because a stop came in between, is not drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from pipelines import generation
from pipelines.events import Picture
from pipelines.families.base import Base


def draw_previews(
    base: Base, prompts: Sequence[str], *, seed: int, step: int, folder: Path, drawing: Callable[[], AbstractContextManager]
) -> Iterator[Picture]:
    """One picture per prompt. drawing: what the weights are to be in meanwhile. Fast ones on a CPU; elsewhere they would need folded copies of the weights."""
    paths = [folder / "previews" / f"{step:06d}" / f"{number:02d}.png" for number in range(len(prompts))]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    if not missing:
        return
    from pipelines.provenance import save_picture
    from pipelines.settings import DrawSettings

    how = DrawSettings(speed="fast" if base.device.type == "cpu" else "exact")
    wishes = [generation.Wish(prompts[number], "", seed + number) for number in missing]
    with drawing():
        pictures = list(generation.draw(base, how, wishes))
    for number, drawn in zip(missing, pictures, strict=True):
        save_picture(drawn, paths[number])
        yield Picture(str(paths[number].relative_to(folder)), drawn.prompt, drawn.seed, step)
