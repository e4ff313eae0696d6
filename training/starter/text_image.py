"""Train the text-image encoder: a small CLIPModel whose text tower is the denoiser's text encoder.

In: rendered drawings and concepts from data.py. Out, in the state folder: `text_image/tokenizer/` and `text_image/last.pt` (weights, heads, optimizer, step).
Beside the contrastive loss, linear heads read concept, style and background off the padding's token states: those are the states
that the denoiser attends to, and the contrastive loss alone shapes only the pooled one. The heads are not shipped.
"""

from __future__ import annotations

import json
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTokenizer, CLIPVisionConfig

from training.starter.compose import COLOURS, Scene, draw_scene, sample_scene, shrink_drawings
from training.starter.data import STYLES, Concept, load_concepts
from training.starter.muon import Muon
from training.starter.wording import choose_concepts, name_of, write_caption

log = logging.getLogger(__name__)

TEXT_WIDTH = 256  # the denoiser's cross_attention_dim
IMAGE_PX = 64
MAX_TOKENS = 77
SHORT_TOKENS = 24  # captions fit; three steps of four train on this many, the others on all 77


@dataclass(frozen=True)
class TextImagePlan:
    steps: int = 600
    batch: int = 96
    learning_rate: float = 2e-3
    warmup_steps: int = 30
    is_text_locked: bool = False  # go on with the image tower alone, once the denoiser depends on the text tower


def train_tokenizer(concepts: list[Concept], *, entries: int = 4096) -> CLIPTokenizer:
    """A lower-case byte-level BPE in CLIPTokenizer's form, trained on captions, labels and tags."""
    from tokenizers import pre_tokenizers, trainers

    blank = CLIPTokenizer(model_max_length=MAX_TOKENS)._tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=entries - 2,
        min_frequency=2,
        end_of_word_suffix="</w>",
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    blank.train_from_iterator(corpus(concepts), trainer)
    learnt = json.loads(blank.to_str())["model"]
    order = sorted(learnt["vocab"], key=lambda token: learnt["vocab"][token])
    # Every byte may end a word; the trainer knows only the endings of its corpus, and an unknown one would read as the end of the text.
    endings = [letter + "</w>" for letter in sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocab: dict[str, int] = {}
    for token in (*order, "<|startoftext|>", "<|endoftext|>", *endings):
        vocab.setdefault(token, len(vocab))
    merges = [tuple(pair) if not isinstance(pair, str) else tuple(pair.split(" ")) for pair in learnt["merges"]]
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=MAX_TOKENS)


def corpus(concepts: list[Concept]) -> list[str]:
    """Text for the tokenizer: names weigh more than tags, so that most names become one or two tokens."""
    rng = np.random.default_rng(0)
    rows = np.arange(len(concepts))
    captions = [write_caption(rng, sample_scene(rng, rows), concepts) for _ in range(4000)]
    names = [name_of(concept) for concept in concepts for _ in range(6)]
    return captions + names + [" ".join(concept.tags) for concept in concepts for _ in range(2)]


def tokenize(tokenizer: CLIPTokenizer, captions: list[str], *, tokens: int = MAX_TOKENS) -> Tensor:
    """Token ids [B, tokens], padded as StableDiffusionPipeline pads."""
    return tokenizer(captions, padding="max_length", max_length=tokens, truncation=True, return_tensors="pt").input_ids


def build_text_image(tokenizer: CLIPTokenizer) -> CLIPModel:
    """Untrained: 3 text layers of 256, 4 picture layers of 192 on 64 px in patches of 8."""
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=TEXT_WIDTH, intermediate_size=4 * TEXT_WIDTH, num_hidden_layers=3, num_attention_heads=4,
        max_position_embeddings=MAX_TOKENS, projection_dim=TEXT_WIDTH, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=192,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=3,
        image_size=IMAGE_PX,
        patch_size=8,
        projection_dim=TEXT_WIDTH,
    )
    return CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=TEXT_WIDTH))


class Heads(nn.Module):
    """Linear readings of the padding's mean token state."""

    def __init__(self, concepts: int) -> None:
        super().__init__()
        self.concept = nn.Linear(TEXT_WIDTH, concepts)
        self.style = nn.Linear(TEXT_WIDTH, len(STYLES))
        self.background = nn.Linear(TEXT_WIDTH, len(COLOURS))

    def loss(self, states: Tensor, scenes: list[Scene]) -> Tensor:
        """states: [B, width]. Two things count half each."""
        wanted = torch.zeros(len(scenes), self.concept.out_features, device=states.device)
        for row, scene in enumerate(scenes):
            wanted[row, list(scene.things)] = 1 / len(scene.things)
        style = torch.tensor([scene.style for scene in scenes], device=states.device)
        background = torch.tensor([list(COLOURS).index(scene.background) for scene in scenes], device=states.device)
        cross = functional.cross_entropy
        return cross(self.concept(states), wanted) + cross(self.style(states), style) + cross(self.background(states), background)


def to_pixels(pictures: np.ndarray) -> Tensor:
    """uint8 [B, H, W, 3] -> [B, 3, H, W] in [-1, 1]: the image tower's normalisation is mean 0.5, deviation 0.5."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div(127.5).sub(1)


class Pairs:
    """Pictures at 64 px with captions; concepts that the denoiser is taught first come three times as often."""

    def __init__(self, drawings: np.ndarray, concepts: list[Concept]) -> None:
        self.drawings, self.concepts = shrink_drawings(drawings, IMAGE_PX), concepts
        self.rows = np.concatenate([np.arange(len(concepts)), *[choose_concepts(concepts)] * 2])

    def batch(self, rng: np.random.Generator, count: int) -> tuple[Tensor, list[str], list[Scene]]:
        scenes = [sample_scene(rng, self.rows) for _ in range(count)]
        pictures = np.stack([draw_scene(rng, scene, self.drawings) for scene in scenes])
        return to_pixels(pictures), [write_caption(rng, scene, self.concepts) for scene in scenes], scenes


@dataclass
class TextImageState:
    model: CLIPModel
    heads: Heads
    optimizer: torch.optim.Optimizer
    step: int

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        parts = {name: getattr(self, name).state_dict() for name in ("model", "heads", "optimizer")}
        torch.save(parts | {"step": self.step}, partial)
        partial.rename(path)


def resume(path: Path, plan: TextImagePlan, tokenizer: CLIPTokenizer, *, concepts: int, device: str) -> TextImageState:
    """The saved state, or a fresh one. A locked text tower starts a new count of steps and a new optimizer."""
    model, heads = build_text_image(tokenizer).to(device), Heads(concepts).to(device)
    saved = torch.load(path, map_location=device, weights_only=True) if path.exists() else None
    if saved:
        model.load_state_dict(saved["model"])
        heads.load_state_dict(saved["heads"])
    if plan.is_text_locked:
        model.text_model.requires_grad_(False)
        model.text_projection.requires_grad_(False)
    optimizer = Muon([*model.parameters(), *heads.parameters()], lr=plan.learning_rate)
    if not saved or plan.is_text_locked:
        return TextImageState(model, heads, optimizer, 0)
    optimizer.load_state_dict(saved["optimizer"])
    return TextImageState(model, heads, optimizer, saved["step"])


def learning_rate(step: int, plan: TextImagePlan) -> float:
    """Linear warm-up, cosine to 2 %."""
    share = min(1.0, step / plan.steps)
    return plan.learning_rate * min(1.0, (step + 1) / plan.warmup_steps) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))


def train_step(state: TextImageState, pixels: Tensor, tokens: Tensor, scenes: list[Scene], *, eos: int) -> tuple[float, float]:
    """One optimizer step. Returns the contrastive and the heads' loss."""
    state.optimizer.zero_grad(set_to_none=True)
    with torch.autocast(pixels.device.type, dtype=torch.bfloat16):
        output = state.model(input_ids=tokens, pixel_values=pixels, return_loss=True)
        padding = (tokens == eos).unsqueeze(-1)
        states = (output.text_model_output.last_hidden_state * padding).sum(1) / padding.sum(1)
        reading = state.heads.loss(states, scenes)
    (output.loss + reading).float().backward()
    state.optimizer.step()
    with torch.no_grad():
        state.model.logit_scale.clamp_(max=math.log(100))
    state.step += 1
    return float(output.loss.detach()), float(reading.detach())


@torch.no_grad()
def measure_retrieval(model: CLIPModel, pairs: Pairs, tokenizer: CLIPTokenizer, *, count: int = 200) -> tuple[float, float]:
    """Share of pictures whose own caption is the nearest, and of captions whose own picture is, among `count` unseen scenes of the first concepts."""
    rng = np.random.default_rng(77)
    chosen = rng.permutation(choose_concepts(pairs.concepts))[:count]
    scenes = [Scene((int(row),), int(rng.integers(len(STYLES))), str(rng.choice(list(COLOURS)))) for row in chosen]
    pixels = to_pixels(np.stack([draw_scene(rng, scene, pairs.drawings) for scene in scenes]))
    tokens = tokenize(tokenizer, [write_caption(rng, scene, pairs.concepts) for scene in scenes])
    device = model.logit_scale.device
    scores = model(input_ids=tokens.to(device), pixel_values=pixels.to(device)).logits_per_image
    own = torch.arange(len(scenes), device=device)
    return float((scores.argmax(1) == own).float().mean()), float((scores.argmax(0) == own).float().mean())


def load_tokenizer(state_folder: Path) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(state_folder / "text_image" / "tokenizer")


def train(state_folder: Path, plan: TextImagePlan = TextImagePlan(), *, device: str = "cpu", seed: int = 0) -> None:
    """The whole stage; goes on from `text_image/last.pt` when there is one."""
    concepts = load_concepts(state_folder)
    if not (state_folder / "text_image" / "tokenizer").exists():
        train_tokenizer(concepts).save_pretrained(state_folder / "text_image" / "tokenizer")
    tokenizer = load_tokenizer(state_folder)
    pairs = Pairs(np.load(state_folder / "data" / "emoji.npy", mmap_mode="r"), concepts)
    path = state_folder / "text_image" / "last.pt"
    state = resume(path, plan, tokenizer, concepts=len(concepts), device=device)
    started = time.monotonic()
    while state.step < plan.steps:
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(state.step, plan)
        rng = np.random.default_rng((seed, state.step, plan.is_text_locked))
        pixels, captions, scenes = pairs.batch(rng, plan.batch)
        tokens = tokenize(tokenizer, captions, tokens=MAX_TOKENS if state.step % 4 == 3 else SHORT_TOKENS)
        contrast, reading = train_step(state, pixels.to(device), tokens.to(device), scenes, eos=tokenizer.eos_token_id)
        if state.step % 25 == 0:
            log.info(
                "step %d contrastive %.3f heads %.3f, %.0f ms a step",
                state.step,
                contrast,
                reading,
                (time.monotonic() - started) / 25 * 1000,
            )
            started = time.monotonic()
        if state.step % 200 == 0 or state.step == plan.steps:
            log.info("step %d retrieval of captions %.3f, of pictures %.3f", state.step, *measure_retrieval(state.model, pairs, tokenizer))
            state.save(path)
