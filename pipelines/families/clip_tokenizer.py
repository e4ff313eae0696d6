"""CLIP's tokenizer, from the byte pair table that ships with Brandprint: the one that every Stable Diffusion uses. No network.

In: the padding mark of a family. Out: a CLIPTokenizer of 49,408 entries. The table (configs/clip/merges.txt) is OpenAI's, under the MIT licence.
"""

from __future__ import annotations

from typing import Any

from pipelines.families.located import CONFIGS

MARKS = ("<|startoftext|>", "<|endoftext|>")


def clip_tokenizer(pad: str = "<|endoftext|>") -> Any:
    """A tokenizer that cuts at 77 and pads with `pad` ("!" in OpenCLIP's families)."""
    from transformers import CLIPTokenizer

    merges = read_merges()
    return CLIPTokenizer(vocab=vocabulary(merges), merges=merges, pad_token=pad, model_max_length=77)


def read_merges() -> list[tuple[str, str]]:
    """The pairs in order of precedence."""
    lines = (CONFIGS / "clip" / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    return [(left, right) for left, right in (line.split() for line in lines)]


def vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    """Entry -> id: the 256 bytes, the same at a word's end, each merge's result, the two marks."""
    letters = list(_byte_letters())
    entries = [*letters, *(letter + "</w>" for letter in letters), *(left + right for left, right in merges), *MARKS]
    return {entry: number for number, entry in enumerate(entries)}


def _byte_letters() -> list[str]:
    """One visible letter per byte, visible bytes first: the alphabet of byte-level BPE (GPT-2, Radford et al. 2019)."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return [chr(byte) for byte in visible] + [chr(256 + place) for place in range(len(hidden))]
