"""A whole training: kohya's sd-scripts train_network.py against ours, on a GPU. Same SD 1.5 base, pictures, captions, size, rank, layers, rate, batch and steps.

    python benchmarks/train_vs_sd_scripts.py --script SD_SCRIPTS/train_network.py --peer-python PEER/bin/python --tokenizers FOLDER --base SD15_FOLDER

The script comes from a checkout of sd-scripts with its own requirements in the Python named by --peer-python. It takes the tokenizer from --tokenizers (its
tokenizer_cache_dir), caches latents, leaves the text encoder alone and trains the layers of networks.lora, which are our "attention+ff". Each in --precision.
"""

from __future__ import annotations

import argparse
import functools
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.held_out import held_out_loss_of
from benchmarks.picture_set import write_set
from benchmarks.side_by_side import Medians, report, run_timed, take_turns
from benchmarks.train_vs_diffusers import HELD_OUT, add_common_options, environment, run_ours
from pipelines.families.load import locate


def main() -> None:
    options = parse_options()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        pictures = write_set(work / "pictures", options.pictures, side_px=options.side_px)
        shutil.copytree(pictures, work / "kohya" / "1_pictures")  # its layout: the number says how often each is seen in an epoch
        write_set(work / "held_out", HELD_OUT, side_px=options.side_px, first=options.pictures)
        ways = {
            "ours": functools.partial(run_ours, options, work, targets="attention+ff"),
            "sd-scripts": functools.partial(run_script, options, work),
        }
        medians = take_turns(ways, rounds=options.rounds)
    print(json.dumps({name: one.__dict__ for name, one in medians.items()}, indent=1) if options.json else report(medians))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--script", type=Path, required=True, help="train_network.py of an sd-scripts checkout")
    parser.add_argument("--peer-python", required=True, help="a Python that has sd-scripts' requirements")
    parser.add_argument("--tokenizers", type=Path, required=True, help="its tokenizer_cache_dir, holding openai_clip-vit-large-patch14")
    add_common_options(parser)
    parser.set_defaults(base="stable-diffusion-v1-5/stable-diffusion-v1-5", side_px=512, precision="bf16")
    return parser.parse_args()


def run_script(options: argparse.Namespace, work: Path, number: int) -> Medians:
    """One run of the script from latents that are not cached yet."""
    out = work / f"sd-scripts-{number}"
    arguments = {
        "pretrained_model_name_or_path": locate(options.base).path, "tokenizer_cache_dir": options.tokenizers, "train_data_dir": work / "kohya",
        "caption_extension": ".txt", "resolution": options.side_px, "train_batch_size": options.batch, "max_train_steps": options.steps,
        "learning_rate": options.rate, "lr_scheduler": "constant", "optimizer_type": "AdamW", "network_module": "networks.lora",
        "network_dim": options.rank, "network_alpha": options.rank, "mixed_precision": {"fp32": "no"}.get(options.precision, options.precision),
        "seed": 0, "output_dir": out, "output_name": "adapter", "save_model_as": "safetensors",
    }  # fmt: skip
    switches = ("network_train_unet_only", "cache_latents", "sdpa")
    command = [
        "example",
        str(options.script),
        *(f"--{name}={value}" for name, value in arguments.items()),
        *(f"--{name}" for name in switches),
    ]
    seen = run_timed(options.peer_python, command, record=work / "record.json", log=work / "log.txt", environment=environment(options))
    loss = held_out_loss_of(out / "adapter.safetensors", options.base, work / "held_out", cache=work / "cache", side_px=options.side_px)
    return replace(seen, held_out=loss)


if __name__ == "__main__":
    main()
