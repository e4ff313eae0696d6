"""Does what a run folder asks for: the one entry for the command line, the worker, torchrun and a cluster's job.

In: a `Run`. Out: its events, written as they come, and its results in the folder. Ctrl-C, a stop request and an error all leave a run that can be resumed.
Does not choose settings (plan.py) or start processes (app/jobs.py).
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from accelerate import PartialState

from pipelines.card import Card
from pipelines.errors import BrandprintError, ConfigError
from pipelines.events import Event, Failed, Stopped
from pipelines.families.base import Base, load_base
from training.base_facts import read_base_facts
from training.config import TrainSettings
from training.dataset import load_dataset
from training.device import find_device
from training.forecast import closing_advice
from training.latents import cache_dataset, cache_prompts
from training.precision import DTYPES, choose_precision, settled_precision
from training.prior import cache_prior
from training.rights import stated_line
from training.runs import CACHE, Run
from training.timing import peak_memory_bytes, remember_speed, speed_of_run
from training.trainer import Trainer

logger = logging.getLogger(__name__)


def execute(run: Run, *, watch: Callable[[Event], None] = lambda event: None) -> None:
    """Do the run's job to its end, or to a stop request. watch: sees every event after it was written. Raises what the job raises, recorded first."""
    if run.job.kind != "train":
        raise ConfigError(f"This entry trains; the run asks for a {run.job.kind}.", fix="Use `brandprint preview`, `board` or `export`.")
    if int(os.environ.get("RANK", "0")) > 0:  # under torchrun the first process writes the run, the others only learn
        for _ in train(run):
            pass
        return
    with run.held(), _logged(run.path / "log.txt"), _interrupts() as interrupts:
        work = train(run)
        try:
            for event in work:
                run.append(event)
                watch(event)
                if interrupts:
                    raise KeyboardInterrupt
                if run.is_asked_to_stop():
                    _stop(run, work, watch)
                    return
            _close(run, watch)
        except KeyboardInterrupt:
            _stop(run, work, watch)
            raise
        except Exception as error:
            logger.error("%s", traceback.format_exc())
            message, fix = f"{type(error).__name__}: {error}", "This is a fault of ours; log.txt holds the details."
            if isinstance(error, BrandprintError):
                message, fix = error.message, error.fix
            run.append(Failed(message, fix))
            raise


def train(run: Run) -> Generator[Event, None, None]:
    """Dataset, cache, precision, loop: every event of a training, in order."""
    settings = TrainSettings.model_validate(run.job.settings)
    dataset = load_dataset(run.dataset_path)
    device = best_device()
    settled = settled_precision(settings.loop.precision, device.type)  # a large base would hardly fit in float32 first
    base = load_base(settings.base, device=device, dtype=DTYPES[settled or "fp32"])
    cache = run.path.parent / CACHE
    with _first_process_first(base.device):
        cached = yield from cache_dataset(dataset, base, settings, folder=cache)
        prior = (yield from cache_prior(base, settings, folder=cache)) if settings.loss.prior_weight else None
        first = cached.training[0]
        prompts = cached.prompts or (yield from cache_prompts(base, [first.caption], folder=cache))
        shape = (settings.loop.batch, *cached.batch([first], mirrored=[False]).latents.shape[1:])
        told = replace(cached, prompts=prompts).conditioning([first.caption])
        precision = choose_precision(
            settings.loop.precision, base, adapter=settings.adapter, latent_shape=shape, conditioning=told, folder=cache
        )
    card = make_card(run.job.name, settings, base, pictures=len(cached.training), rights=stated_line(dataset.root))
    yield from Trainer(base, cached, settings, folder=run.path, card=card, precision=precision, prior=prior).run()


def make_card(name: str, settings: TrainSettings, base: Base, *, pictures: int, rights: str = "") -> Card:
    """The card of an adapter that these settings teach. Paths are cut to names."""
    recorded = settings.model_dump(mode="json")
    recorded["base"] = Path(settings.base).name if "/" not in settings.base or Path(settings.base).exists() else settings.base
    recorded["loss"]["prior_folder"] = Path(settings.loss.prior_folder).name
    subject = settings.subject
    return Card(
        name=name,
        intent=subject.intent,
        trigger=subject.trigger,
        noun=subject.noun,
        base=recorded["base"],
        base_family=base.family,
        base_fingerprint=base.fingerprint,
        prediction=base.prediction,
        resolution_px=settings.pictures.resolution_px or base.native_size_px,
        pictures=pictures,
        rights=rights,
        steps=settings.loop.steps,
        batch=settings.loop.batch * settings.loop.accumulation,
        seed=settings.loop.seed,
        settings=recorded,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def best_device() -> torch.device:
    """CUDA (under torchrun each process its own), else Apple's, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _first_process_first(device: torch.device) -> AbstractContextManager:
    """Under torchrun the first process fills the cache, the others find it filled; alone it does nothing."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return nullcontext()
    return PartialState(cpu=device.type == "cpu").main_process_first()


def _stop(run: Run, work: Generator[Event, None, None], watch: Callable[[Event], None]) -> None:
    """Let the job save what can be resumed, and say where it stands."""
    work.close()
    steps = [record["step"] for record in run.records()[0] if record.get("kind") == "step"]
    stopped = Stopped(steps[-1] if steps else 0)
    run.append(stopped)
    watch(stopped)


def _close(run: Run, watch: Callable[[Event], None]) -> None:
    """How far off the forecast was, where the run began with one; and how fast it went, for the next one."""
    peak_bytes = peak_memory_bytes(best_device().type)
    told = closing_advice(run.path, run.events(), peak_bytes=peak_bytes)
    if told is not None:
        run.append(told)
        watch(told)
    try:
        _remember(run, peak_bytes)
    except OSError as error:  # the adapter is done; a full disk may cost the next forecast, no more
        logger.warning("this run's speed could not be kept: %s", error)


def _remember(run: Run, peak_bytes: int) -> None:
    settings = TrainSettings.model_validate(run.job.settings)
    facts, device = read_base_facts(settings.base), find_device()
    speed = speed_of_run(run.records()[0], settings, base=facts, device=device, peak_bytes=peak_bytes)
    if speed is not None:
        remember_speed(run.path.parent / CACHE, speed, base=facts, device=device, settings=settings)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Collects the first Ctrl-C, so that the step at hand is finished and kept: weights that are half updated are no state to go on from. The second one ends at once."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only there signals can be caught
        yield came
        return

    def note(number: int, _: object) -> None:
        came.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Everything that is logged while it lasts, in the run's log.txt too."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
