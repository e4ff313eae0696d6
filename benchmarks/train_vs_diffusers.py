"""A whole training: the diffusers example train_text_to_image_lora.py against ours. Same base, pictures, captions, size, rank, layers, rate, batch and steps.

    python benchmarks/train_vs_diffusers.py --example DIFFUSERS/examples/text_to_image/train_text_to_image_lora.py [--steps 200] [--rounds 3]

The example comes from a checkout of diffusers and needs `datasets` and `torchvision` in the Python named by --peer-python. Peer and ours take turns; printed are
medians: seconds for the whole process, for a step after warm-up, peak memory, and the loss of both adapters on the same 16 pictures that neither has seen, by
our validation. The example runs in each precision of --peer-precisions: compare with its best.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.held_out import held_out_loss_of
from benchmarks.picture_set import write_set
from benchmarks.side_by_side import Medians, report, run_timed, take_turns
from pipelines.families.load import locate
from pipelines.settings import with_values
from training.config import TrainSettings
from training.runs import Job, create_run

HELD_OUT = 16


def main() -> None:
    options = parse_options()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_set(work / "pictures", options.pictures, side_px=options.side_px)
        write_set(work / "held_out", HELD_OUT, side_px=options.side_px, first=options.pictures)
        ways: dict[str, Callable[[int], Medians]] = {"ours": functools.partial(run_ours, options, work)}
        for precision in options.peer_precisions.split(","):
            ways[f"example {precision}"] = functools.partial(run_example, options, work, precision)
        medians = take_turns(ways, rounds=options.rounds)
    print(json.dumps({name: one.__dict__ for name, one in medians.items()}, indent=1) if options.json else report(medians))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--example", type=Path, required=True, help="train_text_to_image_lora.py of a diffusers checkout")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has datasets and torchvision")
    parser.add_argument("--peer-precisions", default="no,bf16", help="of no, fp16, bf16")
    add_common_options(parser)
    return parser.parse_args()


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """What every comparison of whole trainings asks."""
    parser.add_argument("--base", default="starter", help="starter or a diffusers folder")
    parser.add_argument("--precision", default="auto", help="ours")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--side-px", type=int, default=256)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", action="store_true")


def run_ours(options: argparse.Namespace, work: Path, number: int, *, targets: str = "attention") -> Medians:
    """One run from a folder without a cache."""
    folder = work / f"ours{number}" / "run"
    settings = settings_of(options, targets=targets).model_dump(mode="json")
    create_run(folder, Job(kind="train", name="ours", dataset=str(work / "pictures"), settings=settings))
    seen = run_timed(
        sys.executable, ["ours", str(folder)], record=work / "record.json", log=work / "log.txt", environment=environment(options)
    )
    return replace(
        seen,
        held_out=held_out_loss_of(
            folder / "adapter.safetensors", options.base, work / "held_out", cache=work / "cache", side_px=options.side_px
        ),
    )


def run_example(options: argparse.Namespace, work: Path, precision: str, number: int) -> Medians:
    """One run of the example, checkpoints and validation pictures off."""
    out = work / f"example-{precision}-{number}"
    arguments = {
        "pretrained_model_name_or_path": locate(options.base).path, "train_data_dir": work / "pictures", "caption_column": "text", "image_column": "image",
        "resolution": options.side_px, "train_batch_size": options.batch, "max_train_steps": options.steps, "learning_rate": options.rate,
        "lr_scheduler": "constant", "lr_warmup_steps": 0, "rank": options.rank, "seed": 0, "mixed_precision": precision, "output_dir": out,
        "cache_dir": work / f"datasets-{precision}-{number}", "checkpointing_steps": 10 * options.steps,
    }  # fmt: skip
    command = ["example", str(options.example), *(f"--{name}={value}" for name, value in arguments.items())]
    seen = run_timed(options.peer_python, command, record=work / "record.json", log=work / "log.txt", environment=environment(options))
    adapter = out / "pytorch_lora_weights.safetensors"
    return replace(seen, held_out=held_out_loss_of(adapter, options.base, work / "held_out", cache=work / "cache", side_px=options.side_px))


def settings_of(options: argparse.Namespace, *, targets: str = "attention") -> TrainSettings:
    """The example's recipe: plain loss, constant rate, attention layers, no caption dropped, nothing held out, one checkpoint at the end."""
    values: dict[tuple[str, ...], Any] = {
        ("pictures", "resolution_px"): options.side_px, ("pictures", "buckets"): False, ("pictures", "caption_dropout"): 0.0, ("pictures", "held_out"): 0.0,
        ("adapter", "rank"): options.rank, ("adapter", "targets"): targets, ("loss", "weighting"): "none",
        ("optim", "learning_rate"): options.rate, ("optim", "schedule"): "constant", ("optim", "warmup"): 0.0,
        ("loop", "steps"): options.steps, ("loop", "batch"): options.batch, ("loop", "checkpoints"): 1, ("loop", "validations"): 0,
        ("loop", "precision"): options.precision,
    }  # fmt: skip
    return with_values(TrainSettings(base=options.base), values)


def environment(options: argparse.Namespace) -> dict[str, str]:
    """The same threads for both, and no network."""
    return {"OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


if __name__ == "__main__":
    main()
