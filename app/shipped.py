"""A finished run cut down to what a sample project needs to be looked at and drawn with: `python -m app.shipped RUN sample_data/trained/product`.

In: a finished training with its verdict, or a finished drawing of it (to sample_data/trained/product-drawn), so that Compare has something to show at once.
Out: a run folder of at most 3 MB: job, events, verdict, card, the picked adapter in half precision, previews as WebP; a drawing keeps its PNGs with their
metadata. Checkpoints, caches and the log stay behind. A first visit copies such folders into the sample project of the same name.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.errors import RunError
from training.runs import Job, Run, open_run

KEPT = ("verdict.json", "card.json")
SIDE_PX = 256
MOST_BYTES = 3_000_000
TAUGHT = "sample"  # the training's folder in the sample project; app/projects.py copies it there


def slim_run(run: Run, target: Path) -> Path:
    """Writes the slim copy. Raises RunError for a run that has not finished, whose target is taken, or that does not become small enough."""
    if run.job.kind not in ("train", "preview") or run.state() != "finished":
        raise RunError(f"{run.path.name} is {run.state()}.", fix="Only a finished training or drawing is worth shipping.")
    if target.exists():
        raise RunError(f"{target.name} exists already.", fix="Delete it first, or name another folder.")
    target.mkdir(parents=True)
    for name in KEPT:
        if (run.path / name).exists():
            shutil.copyfile(run.path / name, target / name)
    if run.adapter_path.exists():
        _halve(run.adapter_path, target / run.adapter_path.name)
    records = [_slimmed(run, record, target) for record in run.records()[0]]
    (target / "events.jsonl").write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
    (target / "job.json").write_text(_moved(run.job).model_dump_json(indent=2), "utf-8")
    _check_size(target)
    return target


def _moved(job: Job) -> Job:
    """The job as it reads in the sample project."""
    if job.kind == "train":
        return job.model_copy(update={"dataset": "../../pictures"})
    adapters = [{**wish, "path": f"../{TAUGHT}/adapter.safetensors"} for wish in job.settings["adapters"]]
    return job.model_copy(update={"settings": {**job.settings, "taught": TAUGHT, "adapters": adapters}})


def _halve(source: Path, target: Path) -> None:
    """The same weights in half precision, the header kept."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(source, framework="np") as file:
        save_file({key: file.get_tensor(key).astype(np.float16) for key in file.keys()}, target, metadata=file.metadata())  # noqa: SIM118


def _slimmed(run: Run, record: dict, target: Path) -> dict:
    """A picture's record names the file that is written on the way."""
    if record["kind"] != "picture":
        return record
    path = Path(record["path"])
    (target / path).parent.mkdir(parents=True, exist_ok=True)
    if run.job.kind == "preview":
        shutil.copyfile(run.path / path, target / path)
        return record
    path = path.with_suffix(".webp")
    with Image.open(run.path / record["path"]) as picture:
        picture.thumbnail((SIDE_PX, SIDE_PX))
        picture.convert("RGB").save(target / path, "WEBP", quality=85)
    return {**record, "path": path.as_posix()}


def _check_size(target: Path) -> None:
    total = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    if total > MOST_BYTES:
        shutil.rmtree(target)
        raise RunError(
            f"The slim copy takes {total / 1e6:.1f} MB, more than {MOST_BYTES / 1e6:g}.", fix="Teach it with a smaller rank, such as 4."
        )


if __name__ == "__main__":
    print(slim_run(open_run(Path(sys.argv[1])), Path(sys.argv[2])))  # noqa: T201
