"""A finished run cut down to what a sample project needs to be looked at: `python -m app.shipped RUN sample_data/trained/product`.

In: a finished training with its verdict. Out: a run folder of a few megabytes: job, events, verdict, card, the picked adapter, previews as WebP.
Checkpoints, caches and the log stay behind. A first visit copies such a folder into the sample project of the same name.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from PIL import Image

from pipelines.errors import RunError
from training.runs import Run, open_run

KEPT = ("verdict.json", "card.json", "adapter.safetensors")
SIDE_PX = 256


def slim_run(run: Run, target: Path) -> Path:
    """Writes the slim copy. Raises RunError for a run that has not finished, or whose target is taken."""
    if run.job.kind != "train" or run.state() != "finished":
        raise RunError(f"{run.path.name} is {run.state()}.", fix="Only a finished training is worth shipping.")
    if target.exists():
        raise RunError(f"{target.name} exists already.", fix="Delete it first, or name another folder.")
    target.mkdir(parents=True)
    for name in KEPT:
        if (run.path / name).exists():
            shutil.copyfile(run.path / name, target / name)
    records = [_slimmed(run, record, target) for record in run.records()[0]]
    (target / "events.jsonl").write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
    job = run.job.model_copy(update={"dataset": "../../pictures"})
    (target / "job.json").write_text(job.model_dump_json(indent=2), "utf-8")
    return target


def _slimmed(run: Run, record: dict, target: Path) -> dict:
    """A picture's record names its WebP, which is written on the way."""
    if record["kind"] != "picture":
        return record
    path = Path(record["path"]).with_suffix(".webp")
    (target / path).parent.mkdir(parents=True, exist_ok=True)
    with Image.open(run.path / record["path"]) as picture:
        picture.thumbnail((SIDE_PX, SIDE_PX))
        picture.convert("RGB").save(target / path, "WEBP", quality=85)
    return {**record, "path": path.as_posix()}


if __name__ == "__main__":
    slim_run(open_run(Path(sys.argv[1])), Path(sys.argv[2]))
