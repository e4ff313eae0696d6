"""A pipeline folder as older programs read it: transformers below 5.6 looks for text encoders' keys under text_model, below 5 for a tokenizer's vocab.json
and merges.txt. Without the first they begin with random weights and hardly say so.

In: a diffusers folder that today's libraries wrote. Out: the same folder; today's read it as before.
"""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file, save_file

from pipelines.formats.paths import with_level


def open_to_older_readers(folder: Path) -> None:
    """Rename text encoders' keys and write the tokenizers' vocabularies once more, where that is needed."""
    for weights in sorted(folder.glob("text_encoder*/model.safetensors")):
        tensors = load_file(weights)
        renamed = {with_level(key): tensor for key, tensor in tensors.items()}
        if renamed.keys() != tensors.keys():
            save_file(renamed, weights, metadata={"format": "pt"})
    for tokenizer in sorted(folder.glob("tokenizer*/tokenizer.json")):
        write_vocabulary(tokenizer)


def write_vocabulary(tokenizer: Path) -> None:
    """vocab.json and merges.txt beside a tokenizer.json of byte pairs."""
    content = json.loads(tokenizer.read_text(encoding="utf-8"))
    model = content["model"]
    entries = model["vocab"] | {token["content"]: token["id"] for token in content.get("added_tokens", ())}
    pairs = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    tokenizer.with_name("vocab.json").write_text(json.dumps(entries, ensure_ascii=False), encoding="utf-8")
    tokenizer.with_name("merges.txt").write_text("\n".join(["#version: 0.2", *pairs]) + "\n", encoding="utf-8")
