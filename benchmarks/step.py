"""How near a training step comes to what the machine can do: forward and backward of one SD 1.5 block with LoRA, random weights, against plain matrix products.

    python benchmarks/step.py [--formats fp32,bf16,bf16-products] [--width 640] [--side 32] [--batch 4] [--rank 16] [--rounds 5]

The limit is measured first, by square products in the same format through torch.mm and, on a CPU, through oneDNN (on AMD processors PyTorch gives float32 to MKL,
which runs at half of oneDNN's rate): the better one counts. Operations are counted by PyTorch (FlopCounterMode), on the plain layers.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from pipelines.settings import AdapterSettings
from training.precision import DTYPES, PRODUCTS
from training.quick_adapters import QuickAdapters

TEXT_WIDTH, TOKENS, TIME_WIDTH = 768, 77, 1280
LIMIT_SIDE = 2048


def main() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    print("| format | way | CPU ms | GFLOP | GFLOP/s | share of the limit |\n| --- | --- | ---: | ---: | ---: | ---: |")
    for name in options.formats.split(","):
        measure(name, options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--formats", default="fp32,bf16,bf16-products")
    parser.add_argument("--width", type=int, default=640, help="channels: 320, 640 and 1280 in SD 1.5")
    parser.add_argument("--side", type=int, default=32, help="of the latents at this depth: 64, 32, 16 and 8 at 512 px")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


def measure(name: str, options: argparse.Namespace) -> None:
    """Rows of one format: the limit, the plain block, and ours where it differs."""
    dtype = DTYPES[name]
    multiplied = PRODUCTS[name]
    block, base = block_with_adapter(dtype, options)
    inputs = inputs_of(dtype, options)
    with FlopCounterMode(display=False) as counter:
        learn(block, inputs)
    work = counter.get_total_flops()
    quick = QuickAdapters(base, inputs[0].shape, products=multiplied)
    ways: dict[str, Callable[[], None]] = {"plain": lambda: learn(block, inputs)}
    if quick.anywhere:
        ways["ours"] = lambda: learn_quickly(block, inputs, quick)
    limit = max(2 * LIMIT_SIDE**3 / seconds for seconds in take_turns(products(multiplied, options.device), options).values())
    print(f"| {name} | limit | | | {limit / 1e9:.0f} | 100 % |")
    for way, seconds in take_turns(ways, options).items():
        print(
            f"| {name} | {way} | {1000 * seconds:.0f} | {work / 1e9:.1f} | {work / seconds / 1e9:.0f} | {work / seconds / limit:.0%} |",
            flush=True,
        )


def block_with_adapter(dtype: torch.dtype, options: argparse.Namespace) -> tuple[Any, Any]:
    """A CrossAttnDownBlock2D as in SD 1.5 with LoRA on attention and feed-forward; and the little of a base that QuickAdapters asks for."""
    from diffusers.models.unets.unet_2d_blocks import CrossAttnDownBlock2D
    from peft import LoraConfig, inject_adapter_in_model

    from pipelines.families.targets import unet_paths

    torch.manual_seed(0)
    block: Any = CrossAttnDownBlock2D(
        in_channels=options.width, out_channels=options.width, temb_channels=TIME_WIDTH, num_layers=2, num_attention_heads=8,
        cross_attention_dim=TEXT_WIDTH, add_downsample=False,
    )  # fmt: skip
    block = block.to(options.device, dtype).requires_grad_(False)
    settings = AdapterSettings(rank=options.rank, targets="attention+ff")
    config = LoraConfig(r=settings.rank, lora_alpha=settings.rank, target_modules=list(unet_paths(block, settings.targets)))
    inject_adapter_in_model(config, block, adapter_name="adapter")
    for path, parameter in block.named_parameters():
        if ".lora_" in path:
            parameter.data = parameter.data.float()
    base = SimpleNamespace(unet=block, text_encoders=(), device=torch.device(options.device))
    return block, base


def inputs_of(dtype: torch.dtype, options: argparse.Namespace) -> tuple[Tensor, Tensor, Tensor]:
    """Features, time embedding, text. Gradients flow to the features, as they do in the middle of a UNet."""
    shapes = ((options.batch, options.width, options.side, options.side), (options.batch, TIME_WIDTH), (options.batch, TOKENS, TEXT_WIDTH))
    features, times, text = (torch.randn(shape, device=options.device).to(dtype) for shape in shapes)
    return features.requires_grad_(True), times, text


def learn(block: Any, inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    features, times, text = inputs
    wide = features.dtype == torch.float32
    with nullcontext() if wide else torch.autocast(features.device.type, features.dtype):
        output, _ = block(features, times, encoder_hidden_states=text)
    output.float().square().mean().backward()


def learn_quickly(block: Any, inputs: tuple[Tensor, Tensor, Tensor], quick: QuickAdapters) -> None:
    with quick.at(inputs[0].shape):
        learn(block, inputs)


def products(dtype: torch.dtype, device: str) -> dict[str, Callable[[], object]]:
    """Ways of multiplying two square matrices."""
    one, other = (torch.randn(LIMIT_SIDE, LIMIT_SIDE, device=device).to(dtype) for _ in range(2))
    ways: dict[str, Callable[[], object]] = {"torch": lambda: torch.mm(one, other)}
    if device == "cpu" and torch.backends.mkldnn.is_available():
        ways["oneDNN"] = lambda: torch.ops.mkldnn._linear_pointwise(one, other, None, "none", [], "")
    return ways


def take_turns(ways: dict[str, Callable[[], Any]], options: argparse.Namespace) -> dict[str, float]:
    """Median seconds of each. On a CPU: CPU seconds over threads, which other work on the machine disturbs less; on a GPU wall seconds."""
    seen: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        for name, work in ways.items():
            began = now(options)
            work()
            if number:  # the first is a warm-up
                seen[name].append(now(options) - began)
    return {name: statistics.median(times) for name, times in seen.items()}


def now(options: argparse.Namespace) -> float:
    if options.device != "cpu":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() / options.threads


if __name__ == "__main__":
    main()
