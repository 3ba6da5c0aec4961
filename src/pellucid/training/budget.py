"""What fits the minutes: model size and resolution from speed measured here, on this machine, with this data."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.config import TrainConfig
from pellucid.data.cache import Decoded
from pellucid.data.loader import Loader
from pellucid.data.pixels import RaggedPixels, Shelf, StoredPixels
from pellucid.machine import best_device
from pellucid.models.base import AbstractModel
from pellucid.preprocess import Preprocess
from pellucid.tasks.base import AbstractTask, Candidate
from pellucid.training.events import Stepped
from pellucid.training.loop import fit
from pellucid.training.plan import Plan, fill_settings
from pellucid.types import Record

__all__ = ["Offer", "choose", "measure_rate"]

WARM_STEPS = 3
TIMED_STEPS = 6


@dataclass(frozen=True, slots=True)
class Offer:
    """A candidate with its measured training speed (images a second) and the passes that fit."""

    candidate: Candidate
    rate: float
    epochs: float


def choose(
    offers: Callable[[Candidate], float], ladder: list[Candidate], images: int, wanted: int, seconds: float
) -> tuple[Offer, str]:
    """The largest candidate that still makes the passes `wanted` over this many images, measured upwards.

    `offers` measures a candidate's images a second; what the measuring takes is no longer there for training. Where
    even the smallest is too slow, it is taken.
    """
    began = time.monotonic()
    best: Offer | None = None
    for candidate in ladder:
        rate = offers(candidate)
        left = max(0.0, seconds - (time.monotonic() - began))
        offer = Offer(candidate, rate, rate * left / images)
        if best is not None and offer.epochs < wanted * 0.9:
            break
        best = offer
    assert best is not None
    last = best.candidate is ladder[-1]
    next_one = "it is the largest on offer" if last else "the next larger network would make fewer"
    reason = (
        f"{best.rate:.0f} images/s measured; {seconds:.0f} s make {best.epochs:.1f} passes over {images} images, "
        f"and about {wanted} are wanted; {next_one}"
    )
    return best, reason


def measure_rate(
    model: AbstractModel,
    task: AbstractTask,
    settings: TrainConfig,
    preprocess: Preprocess,
    records: Sequence[Record],
) -> float:
    """Images a second of whole training steps on random pixels, loading and augmentation included.

    That of the fastest step: other work on the machine can make one slower, never faster.
    """
    batch = settings.batch or 1
    some = _random_images(records, preprocess.margin(), batch * 4)
    parameters = sum(weight.numel() for weight in model.parameters())
    filled, _ = fill_settings(settings, task, parameters=parameters, steps=1000, defaults=model.defaults)
    plan = Plan(dataclasses.replace(filled, save_seconds=1e9), preprocess, WARM_STEPS + TIMED_STEPS)
    loader = Loader(some, task, batch, zoom=filled.zoom or 1.0)
    events = fit(model, task, loader, None, plan, device=best_device(settings.device))
    times = [time.perf_counter() for event in events if isinstance(event, Stepped)]
    return float(batch / np.diff(times[-TIMED_STEPS - 1 :]).min())


def _random_images(records: Sequence[Record], preprocess: Preprocess, count: int) -> Decoded:
    generator = np.random.Generator(np.random.PCG64(0))
    shape = (*preprocess.size, preprocess.channels)
    array = generator.integers(0, 256, (count, *shape), dtype=np.uint8)
    ragged = RaggedPixels(_shelf(array), _shelf(np.zeros(array.shape[:3], np.uint8)))
    return Decoded(
        records=tuple(records[place % len(records)] for place in range(count)),
        pixels=StoredPixels(array) if preprocess.one_size else ragged,
        preprocess=preprocess,
        sizes=np.full((count, 2), preprocess.size, np.int64),
        marks=np.zeros((count, 0), np.int64),
        refused=(),
        notes=(),
        cached=None,
    )


def _shelf(arrays: np.ndarray) -> Shelf:
    return Shelf.of(arrays.reshape(-1), np.tile(np.array(arrays.shape[1:], np.int64), (len(arrays), 1)))
