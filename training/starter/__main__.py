"""Make the starter, one command a stage: `python -m training.starter data|autoencoder|text-image|denoiser|package|evaluate|all`.

    data         npm packages and clip art, rendered once                   (needs npm; about 2 minutes)
    autoencoder  256 px pictures <-> 16 x 16 x 16 latents                   (about 40 minutes on one core)
    text-image   tokenizer, text tower (the denoiser's) and picture tower   (about 10 minutes)
    denoiser     the rest of the time: it goes on where it stopped          (hours on one core)
    package      half precision weights into pipelines/starter
    evaluate     the figures for the card and the contact sheet
    lesson       a LoRA on the sample style: do unseen concepts follow it?

State lies in `--state` (default `.starter`, ignored by git): stop a stage at any time and give the same command again. `--steps` lengthens or shortens a
stage; the denoiser falls to its lowest learning rate over the last quarter of its steps, so raise `--steps` before that to go on later.
One torch process a core: `taskset -c 0 env OMP_NUM_THREADS=1 python -m training.starter denoiser`. A GPU is used where there is one.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

STAGES = ("data", "autoencoder", "text-image", "denoiser", "package", "evaluate", "lesson")


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.starter", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=(*STAGES, "all"))
    parser.add_argument("--state", type=Path, default=Path(".starter"), help="folder for downloads, renderings, checkpoints and logs")
    parser.add_argument("--steps", type=int, help="total steps of the stage's schedule")
    parser.add_argument("--lr", type=float, help="peak learning rate")
    parser.add_argument("--batch", type=int, help="pictures a step")
    parser.add_argument("--device", help="cpu or cuda; default: cuda where there is one")
    parser.add_argument("--threads", type=int, help="threads for torch on a CPU")
    parser.add_argument("--concepts", type=int, default=200, help="evaluate: how many concepts to draw in the three styles")
    parser.add_argument("--locked", action="store_true", help="text-image: train the picture tower only; autoencoder: the decoder only")
    return parser.parse_args(words)


def run_data(options: argparse.Namespace, device: str) -> None:
    from training.starter.data import prepare

    prepare(options.state)


def run_autoencoder(options: argparse.Namespace, device: str) -> None:
    from training.starter.autoencoder import AutoencoderPlan, train

    train(options.state, replace(AutoencoderPlan(decoder_only=options.locked), **chosen(options)), device=device)


def run_text_image(options: argparse.Namespace, device: str) -> None:
    from training.starter.text_image import TextImagePlan, train

    train(options.state, replace(TextImagePlan(is_text_locked=options.locked), **chosen(options)), device=device)


def run_denoiser(options: argparse.Namespace, device: str) -> None:
    from training.starter.denoiser import DenoiserPlan, train

    train(options.state, replace(DenoiserPlan(), **chosen(options)), device=device)


def run_package(options: argparse.Namespace, device: str) -> None:
    from training.starter.package import STARTER_FOLDER, write_package

    print(f"{STARTER_FOLDER}: {write_package(options.state):,} bytes")


def run_evaluate(options: argparse.Namespace, device: str) -> None:
    from training.starter.evaluate import evaluate

    print(evaluate(options.state, concepts_drawn=options.concepts))


def run_lesson(options: argparse.Namespace, device: str) -> None:
    from training.starter.lesson import measure_lesson

    print(measure_lesson(options.state, sheet=options.state / "logs" / "lesson.png"))


RUN: dict[str, Callable[[argparse.Namespace, str], None]] = dict(
    zip(STAGES, (run_data, run_autoencoder, run_text_image, run_denoiser, run_package, run_evaluate, run_lesson), strict=True)
)


def chosen(options: argparse.Namespace) -> dict[str, Any]:
    """The plan's fields that the command line names."""
    named = {"steps": options.steps, "learning_rate": options.lr, "batch": options.batch}
    return {field: value for field, value in named.items() if value is not None}


def main(words: list[str] | None = None) -> None:
    options = parse_arguments(words)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    for stage in STAGES if options.stage == "all" else (options.stage,):
        RUN[stage](options, device)


if __name__ == "__main__":
    main()
