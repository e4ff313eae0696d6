"""The training loop. Read this file first.

In: a frozen base, cached pictures, settings, the run's folder. Out: events, checkpoints, adapter.safetensors. Nothing but the adapter's weights changes.
Everything random is drawn from (seed, step), so a run that was killed goes on from its newest checkpoint as if nothing had happened.
The loop prints nothing and calls nobody back: whoever wants to know reads the events; whoever wants it to end closes the generator.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from diffusers.training_utils import free_memory
from torch import nn

from pipelines import adapter as adapters
from pipelines import generation
from pipelines.card import Card
from pipelines.errors import OutOfMemory, TrainingDiverged
from pipelines.events import Advice, Event, Finished, Saved, Started, Step, Validated
from pipelines.families.base import Base
from pipelines.lean import give_memory_back
from pipelines.set_aside import let_go, set_aside
from training.averages import Averages
from training.batches import BatchOrder
from training.chance import Draw, draw_for, generator_of, mixed_seed
from training.checkpoint import TrainState, load_newest, restore, save_checkpoint, save_state
from training.config import TrainSettings
from training.gradients import Gradients
from training.latents import Batch, CachedDataset, CachedPicture
from training.live_previews import draw_previews
from training.optim import build_optimizer, milestones, rate_share, set_rate
from training.precision import PRODUCTS, Precision, set_precision
from training.quick_adapters import QuickAdapters, usual_shape
from training.runs import checkpoint_name
from training.validation import HeldOut

NAME = "adapter"
STATE_SECONDS = 120  # of work that a kill costs at most: checkpoints stand far apart where the rate has fallen


class Trainer:
    """One training of one adapter. Call run() once."""

    def __init__(
        self,
        base: Base,
        cached: CachedDataset,
        settings: TrainSettings,
        *,
        folder: Path,
        card: Card,
        precision: Precision = "fp32",
        prior: CachedDataset | None = None,
    ) -> None:
        self.base, self.cached, self.prior, self.settings, self.folder, self.card = base, cached, prior, settings, folder, card
        self.precision = precision
        set_precision(base, precision)
        autocast = "no" if base.dtype == torch.float32 else precision
        AcceleratorState._reset_state()  # of an earlier training in this process, whose format may have been another
        self.accelerator = Accelerator(cpu=base.device.type == "cpu", mixed_precision=autocast)
        self.parameters = adapters.create(base, settings.adapter, seed=settings.loop.seed, name=NAME)
        denoiser = [parameter for parameter in base.unet.parameters() if parameter.requires_grad]
        self.optimizer = self.accelerator.prepare(
            build_optimizer(settings.optim, denoiser=denoiser, text_encoder=self.parameters[len(denoiser) :])
        )
        self.averages = Averages(self.parameters, decay=settings.optim.ema_decay)
        self.order = self._order_of(cached.training)
        self.prior_order = self._order_of(prior.training) if prior else None
        buckets = [picture.bucket for picture in cached.training for _ in range(picture.repeats)]
        shape = usual_shape(buckets, batch=settings.loop.batch, channels=base.unet.config.in_channels, stride_px=base.stride_px)
        self.quick = QuickAdapters(base, shape, name=NAME, products=PRODUCTS[precision])
        self.aside = set_aside((base.unet, base.vae, *base.text_encoders), folder) if self.quick.at_usual else []
        give_memory_back()
        self.gradients = Gradients(base, self.parameters, settings, self.quick, self.accelerator)
        self.chunks = 1  # pieces that each micro-batch is cut into for memory
        told = partial(self.gradients.conditioning, cached)
        self.held_out = HeldOut(base, cached, settings.loop, self.quick, conditioning=told, autocast=self.accelerator.autocast)
        steps = settings.loop.steps
        self.checkpoints = {*milestones(settings.optim, steps, settings.loop.checkpoints), steps}
        self.validations = set(milestones(settings.optim, steps, settings.loop.validations))
        self.pictures = _pictures_of(cached)
        self.before: TrainState | None = None  # what the run goes on from
        self.began, self.saved = time.monotonic(), 0

    def run(self) -> Iterator[Event]:
        """Train to the end. Closing the generator early saves a checkpoint to go on from. Raises TrainingDiverged, OutOfMemory, RunError."""
        loop, total = self.settings.loop, self.settings.loop.steps
        self.began = time.monotonic()
        step = self._resume()
        yield Started(total, step, str(self.accelerator.device), self.precision)
        yield from self._compare_pictures()
        self._teach(False)
        base_loss = self.held_out.of_base()
        recent: deque[float] = deque(maxlen=50)
        self.saved, kept = step, time.monotonic()
        try:
            if step:  # a stop may have come between the step and what is due after it
                yield from self._after(step, base_loss, is_saved=True)
            while step < total:
                tick = time.perf_counter()
                loss, advice = self._step(step)
                recent.append(time.perf_counter() - tick)
                step += 1
                if len(recent) == 1:
                    self._rest()
                yield Step(step, loss, self.optimizer.param_groups[0]["lr"], sum(recent) / len(recent))
                yield from advice
                yield from self._after(step, base_loss)
                if loop.early_stop and step in self.validations and self.held_out.is_getting_worse():
                    break
                if self.saved == step:
                    kept = time.monotonic()
                elif time.monotonic() - kept > STATE_SECONDS:
                    self._save_state(step)
                    kept = time.monotonic()
        except GeneratorExit:
            if self.saved < step:
                self._save(step)
            raise
        if self.saved < step:
            yield Saved(step, self._save(step))
        if self.accelerator.is_main_process:
            adapters.save_adapter(self._adapter(step), self.folder / "adapter.safetensors")
        yield Finished("adapter.safetensors", self._seconds())

    def _after(self, step: int, base_loss: float | None, *, is_saved: bool = False) -> Iterator[Event]:
        """What is due after a step: the held-out loss, a checkpoint, its previews. is_saved: the checkpoint, where one is due, stands already."""
        if base_loss is not None and step in self.validations and step not in dict(self.held_out.losses):
            self._teach(False)
            with self.averages.in_place():
                loss = self.held_out.measure(step)
            yield Validated(step, loss, base_loss)
            if self.held_out.is_getting_worse():
                yield Advice(
                    "overfitting",
                    f"Held-out pictures got worse three times in a row, last at step {step}: it has begun to copy.",
                    "An earlier checkpoint is likely the best.",
                )
                if self.settings.loop.early_stop:
                    return
        if step in self.checkpoints:
            yield Saved(step, checkpoint_name(step) if is_saved else self._save(step))
            yield from self._draw_previews(step)
            self._rest()

    def _rest(self) -> None:
        """Give back what the first step took to lay out weights, and what previews read again of those set aside."""
        let_go(*self.aside)
        give_memory_back()

    def _step(self, step: int) -> tuple[float, list[Advice]]:
        """One optimizer step; micro-batches are halved and the step taken again where memory does not suffice."""
        advice: list[Advice] = []
        while True:
            try:
                return self._try_step(step), advice
            except RuntimeError as error:
                if not generation.is_out_of_memory(error):
                    raise
                self.optimizer.zero_grad()
                free_memory()
                advice.append(self._use_less_memory(error))

    def _try_step(self, step: int) -> float:
        loop, accelerator = self.settings.loop, self.accelerator
        set_rate(self.optimizer, rate_share(self.settings.optim, step, loop.steps))
        torch.manual_seed(mixed_seed(loop.seed, step, 7))  # adapter dropout
        self._teach(True)
        numbers = [
            (step * loop.accumulation + part) * accelerator.num_processes + accelerator.process_index for part in range(loop.accumulation)
        ]
        pictures = sum(len(self.order.at(number)) for number in numbers)
        loss = sum(self._learn(self.cached, self.order, number, weight=1 / pictures) for number in numbers)
        if self.prior and self.prior_order:
            weight = self.settings.loss.prior_weight / pictures
            loss += sum(self._learn(self.prior, self.prior_order, number, weight=weight) for number in numbers)
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"The loss became {loss} at step {step + 1}.",
                fix="The last checkpoint is whole. Lower the learning rate, or choose bf16 or fp32.",
            )
        self._share_gradients()
        accelerator.unscale_gradients(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.settings.optim.clip_norm or math.inf)
        if self.precision != "fp16" and not torch.isfinite(norm):
            raise TrainingDiverged(
                f"The gradient became {norm} at step {step + 1}.", fix="The last checkpoint is whole. Lower the learning rate."
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.averages.step()
        return loss

    def _learn(self, cached: CachedDataset, order: BatchOrder, number: int, *, weight: float) -> float:
        """Add the gradients of one micro-batch, cut into self.chunks pieces; returns its share of the loss."""
        pictures = [cached.training[index] for index in order.at(number)]
        generator = generator_of(self.settings.loop.seed, number, 1 if cached is self.prior else 0)
        mirrored = (torch.rand(len(pictures), generator=generator) < 0.5).tolist()
        batch = cached.batch(pictures, mirrored=mirrored)
        draw = draw_for(batch.latents.shape, self.settings, timesteps=len(self.base.alphas_cumprod), generator=generator)
        size = -(-len(pictures) // self.chunks)
        total = 0.0
        for start in range(0, len(pictures), size):
            part = slice(start, start + size)
            total += self.gradients.add(
                cached, _cut(batch, part), Draw(draw.timesteps[part], draw.noise[part], draw.dropped[part]), weight=weight
            )
        return total

    def _share_gradients(self) -> None:
        """Mean over processes. The adapter is small, so no bucketing wrapper is laid around the base."""
        if self.accelerator.num_processes > 1:
            for parameter in self.parameters:
                parameter.grad = self.accelerator.reduce(parameter.grad, reduction="mean")

    def _draw_previews(self, step: int) -> Iterator[Event]:
        """One picture per preview prompt, always with the same seeds."""
        if self.accelerator.is_main_process:
            self._teach(False)
            loop = self.settings.loop
            yield from draw_previews(self.base, loop.preview_prompts, seed=loop.seed, step=step, folder=self.folder, drawing=self._averaged)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        with self.averages.in_place(), self.accelerator.autocast():
            yield

    def _resume(self) -> int:
        """Take up the newest checkpoint; returns the steps done."""
        state = load_newest(self.folder)
        if state is None:
            return 0
        restore(state, self.parameters, self.optimizer)
        self.averages.load_state_dict(state.averages, self.base.device)
        if self.accelerator.scaler is not None and state.scaler:
            self.accelerator.scaler.load_state_dict(state.scaler)
        self.chunks, self.held_out.losses, self.before = state.chunks, list(state.held_out), state
        return state.step

    def _compare_pictures(self) -> Iterator[Event]:
        """Held-out losses of other pictures than today's say nothing beside today's."""
        if self.before is None or self.before.pictures in ("", self.pictures):
            return
        self.held_out.losses = []
        yield Advice(
            "pictures-changed",
            f"The pictures have changed since step {self.before.step}: held-out figures begin anew, and some of the pictures kept aside may have been taught before.",
            "For figures that you can trust, train anew.",
        )

    def _seconds(self) -> float:
        """Of the whole run, earlier parts included."""
        return time.monotonic() - self.began + (self.before.seconds if self.before else 0.0)

    def _save(self, step: int) -> str:
        """A checkpoint, its path relative to the run."""
        if self.accelerator.is_main_process:
            save_checkpoint(self.folder, self._state(step), self._adapter(step))
        self.saved = step
        return checkpoint_name(step)

    def _save_state(self, step: int) -> None:
        if self.accelerator.is_main_process:
            save_state(self.folder, self._state(step))

    def _state(self, step: int) -> TrainState:
        return TrainState(
            step=step,
            parameters=tuple(self.parameters),
            optimizer=self.optimizer.state_dict(),
            averages=self.averages.state_dict(),
            scaler=self.accelerator.scaler.state_dict() if self.accelerator.scaler is not None else {},
            chunks=self.chunks,
            held_out=tuple(self.held_out.losses),
            seconds=self._seconds(),
            pictures=self.pictures,
        )

    def _adapter(self, step: int) -> adapters.Adapter:
        card = self.card.model_copy(update={"steps": step})
        with self.averages.in_place():
            return adapters.read(self.base, self.settings.adapter, card, name=NAME)

    def _use_less_memory(self, error: RuntimeError) -> Advice:
        loop = self.settings.loop
        if self.chunks < loop.batch:
            self.chunks *= 2
            size = -(-loop.batch // self.chunks)
            return Advice(
                "memory",
                f"Memory ran out: pictures now go through {size} at a time; a step still learns from {loop.batch * loop.accumulation}.",
            )
        if not self.base.unet.is_gradient_checkpointing:
            self.gradients.checkpoint()
            return Advice(
                "memory", "Memory ran out with one picture at a time: gradient checkpointing is on now, steps take a quarter longer."
            )
        raise OutOfMemory(
            f"Memory does not suffice for one picture at a time ({error}).", fix="Lower the resolution, or choose a smaller base."
        ) from error

    def _teach(self, on: bool) -> None:
        """Training mode turns the adapter's dropout and gradient checkpointing on; frozen bases have nothing else that it changes."""
        for module in (self.base.unet, *self.base.text_encoders):
            if module.training != on:
                module.train(on)

    def _order_of(self, pictures: Sequence[CachedPicture]) -> BatchOrder:
        loop = self.settings.loop
        return BatchOrder(
            tuple(picture.bucket for picture in pictures), tuple(picture.repeats for picture in pictures), loop.batch, loop.seed
        )


def _pictures_of(cached: CachedDataset) -> str:
    """Which pictures are taught and which are kept aside, as a digest: by their cached latents, so by content and cut."""
    parts = [sorted(str(path.name) for picture in pictures for path in picture.latents) for pictures in (cached.training, cached.held_out)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _cut(batch: Batch, part: slice) -> Batch:
    return Batch(batch.latents[part], batch.captions[part], batch.frames[part], None if batch.mask is None else batch.mask[part])
