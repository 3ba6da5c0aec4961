"""Choosing what was left open before training: the network, its input, the batch and the length of the run."""

import dataclasses
import math
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pellucid.config import TrainConfig
from pellucid.cores import usable_cores
from pellucid.data.cache import Decoded
from pellucid.data.dataset import Dataset
from pellucid.errors import DataError, ImageError, UsageError
from pellucid.machine import best_device, fast_precision
from pellucid.models.base import AbstractModel, build_model
from pellucid.preprocess import Preprocess
from pellucid.tasks.base import AbstractTask
from pellucid.training.budget import choose, measure_rate
from pellucid.training.plan import Plan, epochs_for, fill_settings, steps_for
from pellucid.training.start import Origin

__all__ = ["Draft", "Look", "draft", "look", "settle", "with_statistics"]

SMALL = 64
"""Images up to this side come in batches of up to 256."""
LARGE = 1024
"""Photos to segment whose short side is longer are made smaller, unless a scale was given."""


EVALUATIONS = 30


@dataclass(frozen=True, slots=True)
class Look:
    """What a glance at some of the images shows: typical short side, whether all have one square size, channels."""

    side: int
    one_size: bool
    channels: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A network and its input, before the training images were decoded."""

    architecture: dict[str, Any]
    preprocess: Preprocess
    settings: TrainConfig
    reasons: dict[str, str]


def look(dataset: Dataset, most: int = 48) -> Look:
    """Decode a few training images, evenly spread; those that cannot be read are left to the ledger."""
    records = dataset.split("train")
    some = [records[place] for place in sorted({place * len(records) // most for place in range(most)})]

    def shape(record: Any) -> tuple[int, ...] | None:
        try:
            return dataset.image(record).pixels.shape
        except ImageError:
            return None

    with ThreadPoolExecutor(usable_cores()) as pool:
        shapes = [found for found in pool.map(shape, some) if found is not None]
    if not shapes:
        raise DataError(f"None of {len(some)} images looked at in {dataset.root} can be read. See `pellucid check`.")
    side = int(statistics.median(min(found[:2]) for found in shapes))
    one_size = len({found[:2] for found in shapes}) == 1
    return Look(side, one_size, 1 if all(found[2] == 1 for found in shapes) else 3)


def draft(
    dataset: Dataset, task: AbstractTask, settings: TrainConfig, origin: Origin | None, seconds: float | None
) -> Draft:
    """The network, the size of its input, the batch and the machine's share, with reasons.

    `seconds` is what is left of the minutes; speed is measured to choose by it.
    """
    seen, images = look(dataset), len(dataset.split("train"))
    reasons: dict[str, str] = {}
    settings = _fill_machine(settings, reasons)
    if origin is not None:
        drafted = _from_origin(settings, task, origin, seen, images)
        return dataclasses.replace(drafted, reasons=reasons | drafted.reasons)
    if settings.minutes is not None and settings.model is None:
        return _fitting(dataset, task, settings, seen, seconds or 0.0, reasons)
    if settings.model is None:
        name, why = task.usual(seen.side)
        settings, reasons["model"] = dataclasses.replace(settings, model=name), f"{name}: {why}"
    settings = _fill_size(settings, task, seen, images, reasons)
    arguments = task.arguments(settings.model or "", settings.size or 0, images)
    architecture = {"name": settings.model, "in_channels": seen.channels, **arguments, **_asked(settings, task)}
    return Draft(architecture, _input(settings, task, seen), settings, reasons)


def _asked(settings: TrainConfig, task: AbstractTask) -> dict[str, Any]:
    """What the constructor of the network is given because of the settings: the side, where it must know it."""
    model = _declared(settings, task)
    return {**({"side": settings.size} if model.side_unit else {}), **settings.model_arguments()}


def _fill_machine(settings: TrainConfig, reasons: dict[str, str]) -> TrainConfig:
    filled: dict[str, Any] = {}
    if settings.threads is None:
        filled["threads"] = torch.get_num_threads()
        reasons["threads"] = f"{filled['threads']}: the cores this process may use"
    if settings.precision is None:
        filled["precision"], gain = fast_precision(best_device(settings.device))
        reasons["precision"] = f"{filled['precision']}: a bf16 convolution ran {gain:.1f} times as fast as in fp32 here"
    return dataclasses.replace(settings, **filled)


def _fill_size(
    settings: TrainConfig, task: AbstractTask, seen: Look, images: int, reasons: dict[str, str]
) -> TrainConfig:
    filled: dict[str, Any] = {}
    model = _declared(settings, task)
    _refuse_other_size(model, settings)
    if task.pieces and settings.scale is None:
        filled["scale"] = min(1.0, round(LARGE / 2 / seen.side, 2)) if seen.side > LARGE else 1.0
        reasons["scale"] = f"{filled['scale']:g}: the short side of images is typically {seen.side} px"
    if settings.size is None:
        side = seen.side if not task.pieces else round(seen.side * (settings.scale or filled["scale"]))
        filled["size"], reasons["size"] = _size(model, task, side)
    side = settings.size or filled["size"]
    if settings.batch is None:
        filled["batch"] = _batch(side, images, settings.accumulate)
        reasons["batch"] = f"{filled['batch']}: for {images} images of {side} px"
    return dataclasses.replace(settings, **filled)


def _declared(settings: TrainConfig, task: AbstractTask) -> AbstractModel:
    """The model without weights, to read what it declares; one that serves another task is refused."""
    name = settings.model or ""
    with torch.device("meta"):
        model = build_model(name, 2, **settings.model_arguments())
    if model.task != task.name:
        raise UsageError(f"--model {name} is made to {model.task}; this data is labelled to {task.name}.")
    return model


def _refuse_other_size(model: AbstractModel, settings: TrainConfig) -> None:
    unit = model.side_unit
    if unit and settings.size is not None and settings.size % unit:
        raise UsageError(f"--size is {settings.size}; {settings.model} takes multiples of {unit}.")
    if model.fixed_size and not unit and settings.size not in (None, model.size):
        raise UsageError(f"--size is {settings.size}, but {settings.model} takes {model.size} only. Leave --size out.")


def _size(model: AbstractModel, task: AbstractTask, side: int) -> tuple[int, str]:
    if model.fixed_size:
        return model.size, f"{model.size}: the network takes no other"
    if side <= (model.size if task.pieces else SMALL) and (task.pieces or model.size <= SMALL):
        return max(8, side), f"{max(8, side)}: the images' own size"
    return model.size, f"{model.size}: what the network is made for"


def _batch(side: int, images: int, accumulate: int) -> int:
    """A power of two that leaves at least 30 updates a pass, at most 256 small or 32 large images."""
    most = 256 if side <= SMALL else 32
    fitting = 2 ** int(math.log2(max(8, images / 30)))
    return max(accumulate, min(most, fitting, max(1, images)) // accumulate * accumulate)


def _input(settings: TrainConfig, task: AbstractTask, seen: Look) -> Preprocess:
    return task.preprocess(settings, seen.channels, one_size=seen.one_size)


def _from_origin(settings: TrainConfig, task: AbstractTask, origin: Origin, seen: Look, images: int) -> Draft:
    """The network of some weights, or one that is built on it, which is shown what its task shows."""
    name = str(origin.architecture["name"])
    chosen = settings.model or name
    if chosen == name and settings.arguments:
        raise UsageError(f"--arguments {' '.join(settings.arguments)}: those of --weights {origin.name} are fixed.")
    model = _declared(dataclasses.replace(settings, model=chosen), task)
    if name not in (chosen, model.ancestor):
        raise UsageError(
            f"--weights {origin.name} belongs to {name!r}, not to --model {chosen}. Give one of them, or a model "
            f"that is built on {name!r}."
        )
    reasons: dict[str, str] = {}
    if chosen == name:
        architecture = {key: value for key, value in origin.architecture.items() if key != "classes"}
        side = settings.size or origin.preprocess.size[0]
    else:
        side = settings.size or _size(model, task, seen.side)[0]
        asked = _asked(dataclasses.replace(settings, model=chosen, size=side), task)
        architecture = {"name": chosen, "in_channels": origin.preprocess.channels, **asked}
    filled: dict[str, Any] = {"model": chosen, "size": side}
    _refuse_other_size(model, dataclasses.replace(settings, model=chosen))
    if settings.model is None:
        reasons["model"] = f"{name}: the network of these weights"
    if settings.size is None:
        reasons["size"] = f"{side}: what these weights are used to"
    if settings.batch is None:
        filled["batch"] = _batch(side, images, settings.accumulate)
        reasons["batch"] = f"{filled['batch']}: for {images} images of {side} px"
    settings = dataclasses.replace(settings, **filled)
    preprocess = origin.preprocess.resized(side)
    if chosen != name:
        shown = task.preprocess(settings, preprocess.channels, one_size=seen.one_size)
        preprocess = dataclasses.replace(shown, mean=preprocess.mean, std=preprocess.std)
    return Draft(architecture, preprocess, settings, reasons)


def _fitting(
    dataset: Dataset,
    task: AbstractTask,
    settings: TrainConfig,
    seen: Look,
    seconds: float,
    reasons: dict[str, str],
) -> Draft:
    """The largest rung of the ladder that the minutes allow, by measured speed."""
    images, drafts = len(dataset.split("train")), {}
    ladder = task.ladder(settings.size or seen.side)

    def rate(candidate: Any) -> float:
        scale = settings.scale or candidate.scale
        given = dataclasses.replace(settings, model=candidate.model, size=candidate.side, scale=scale)
        given = _fill_size(given, task, seen, images, {})
        architecture = {"name": candidate.model, "in_channels": seen.channels, **candidate.arguments}
        preprocess = _input(given, task, seen)
        drafts[str(candidate)] = Draft(architecture, preprocess, given, reasons)
        arguments = {key: value for key, value in architecture.items() if key != "name"}
        model = build_model(candidate.model, len(dataset.classes), **arguments)
        return measure_rate(model, task, given, preprocess, dataset.split("train"))

    offer, why = choose(rate, ladder, images, epochs_for(images, task), seconds)
    chosen = drafts[str(offer.candidate)]
    reasons["model"] = f"{_told(chosen.architecture)}: {why}"
    if settings.size is None:
        reasons["size"] = f"{offer.candidate.side}: chosen together with the network"
    if settings.batch is None:
        reasons["batch"] = f"{chosen.settings.batch}: for {images} images of {offer.candidate.side} px"
    return chosen


def _told(architecture: dict[str, Any]) -> str:
    """`compact, in_channels 1, width 32`."""
    arguments = [f"{name} {value}" for name, value in architecture.items() if name != "name"]
    return ", ".join([str(architecture["name"]), *arguments])


def with_statistics(preprocess: Preprocess, train: Decoded, most: int = 10_000) -> Preprocess:
    """The preprocess with mean and standard deviation of the training images, to four digits.

    Sums of integers, so the same for any order and machine. A channel that never varies gets 1 for its deviation.
    """
    count = min(most, len(train.records))
    places = [place * len(train.records) // count for place in range(count)]
    total = np.zeros(preprocess.channels, np.float64)
    squares = np.zeros(preprocess.channels, np.float64)
    number = 0
    for place in places:
        pixels = train.pixels.one(place)[0].reshape(-1, preprocess.channels).astype(np.int64)
        total, squares, number = total + pixels.sum(0), squares + (pixels**2).sum(0), number + len(pixels)
    mean = total / number
    deviation = np.sqrt(np.maximum(squares / number - mean**2, 0))
    mean_digits = tuple(round(float(value) / 255, 4) for value in mean)
    std_digits = tuple(round(float(value) / 255, 4) or 1.0 for value in deviation)
    return dataclasses.replace(preprocess, mean=mean_digits, std=std_digits)


def settle(
    drafted: Draft,
    task: AbstractTask,
    preprocess: Preprocess,
    images: int,
    model: AbstractModel,
    *,
    pace: tuple[float, float] | None,
) -> Plan:
    """The whole plan. `pace` is (seconds for training, measured images a second) where minutes were given."""
    settings, reasons = drafted.settings, dict(drafted.reasons)
    batch = settings.batch or 1
    seconds = None
    if pace is not None:
        seconds, rate = pace
        steps = max(10, int(seconds * rate / batch))
        reasons["epochs"] = (
            f"{steps * batch / images:.1f}: {rate:.0f} images/s measured, for {seconds:.0f} s of training"
        )
    else:
        if settings.epochs is None:
            settings = dataclasses.replace(settings, epochs=min(100, 2 * epochs_for(images, task)))
            reasons["epochs"] = f"{settings.epochs}: for {images} images"
        steps = steps_for(settings.epochs or 1, images, batch)
    if settings.evaluate_every is None:
        every = max(1, round(steps * batch / images / EVALUATIONS))
        settings = dataclasses.replace(settings, evaluate_every=every)
        reasons["evaluate_every"] = f"{every}: some {EVALUATIONS} looks at the validation split in a run"
    parameters = sum(weight.numel() for weight in model.parameters())
    settings, more = fill_settings(settings, task, parameters=parameters, steps=steps, defaults=model.defaults)
    return Plan(settings, preprocess, steps, seconds, reasons | more)
