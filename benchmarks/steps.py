"""Training step and whole epoch against the plain loop: eager, fp32, NCHW, same model and batch.

python -m benchmarks.steps [resnet20 | resnet18 | fcn_compact | fcn8s_resnet18 | yolo_n]

The plain loop is measured twice: in the same process, in turns, with our memory settings, which help it too; and in a
process of its own as it comes, before and after, of which the better counts.
"""

import dataclasses
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.machine import header
from pellucid.config import TrainConfig
from pellucid.data.boxes import Boxes
from pellucid.data.cache import Decoded
from pellucid.data.loader import Loader
from pellucid.data.pixels import RaggedPixels, Shelf, StoredPixels
from pellucid.machine import keep_memory
from pellucid.models.base import AbstractModel, build_model
from pellucid.preprocess import Preprocess
from pellucid.ranks import ALONE, Ranks
from pellucid.tasks.classify import Classify
from pellucid.tasks.detect import Detect
from pellucid.tasks.segment import Segment
from pellucid.training.events import Stepped
from pellucid.training.loop import fit
from pellucid.training.plan import Plan, fill_settings
from pellucid.types import Record

CASES = {
    "resnet20": (10, 32, 128),
    "resnet18": (1000, 224, 16),
    "fcn_compact": (2, 256, 8),
    "fcn8s_resnet18": (21, 256, 8),
    "yolo_n": (80, 320, 8),
}
"""Classes, side and batch."""
ROUNDS, RUN = 8, 5
"""Runs of each contender, and steps in a run: in an epoch, too, a step follows one of its own kind."""
AS_IT_COMES = "--as-it-comes"
OBJECTS = 15  # in each image to detect
TASKS = {"classify": Classify, "segment": Segment, "detect": Detect}


def loss_of(model: AbstractModel, outputs: Any, targets: Any) -> torch.Tensor:
    """Cross entropy; of a detector its own loss, since there is none that a tutorial would write."""
    if model.task == "detect":
        return torch.stack(list(model.loss(outputs, targets).values())).sum()
    return functional.cross_entropy(outputs.float(), targets)


def plain_step(model: AbstractModel, images: torch.Tensor, targets: Any) -> Callable[[], None]:
    """What a first tutorial writes."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def step() -> None:
        optimizer.zero_grad()
        loss_of(model, model(images), targets).backward()
        optimizer.step()

    return step


def our_steps(
    model: AbstractModel, loader: Loader, preprocess: Preprocess, steps: int, ranks: Ranks = ALONE
) -> Iterator[Stepped]:
    """The loop as `pellucid train` runs it: data from the memory-mapped cache, augmentation, all."""
    settings = TrainConfig(
        optimizer="sgd", precision="bf16", size=preprocess.size[0], batch=loader.batch, save_seconds=1e9
    )
    filled, _ = fill_settings(
        settings, loader.task, parameters=sum(weight.numel() for weight in model.parameters()), steps=steps
    )
    events = fit(model, loader.task, loader, None, Plan(filled, preprocess, steps), ranks=ranks)
    return (event for event in events if isinstance(event, Stepped))


def cached(model: AbstractModel, classes: int, side: int, count: int, folder: Path) -> Loader:
    """Random images in a memory-mapped file, wide enough for crops; with random masks for a segmenter."""
    names, masked = tuple(map(str, range(classes))), model.task == "segment"
    margin = round(side / 0.875) if side > 64 and model.task == "classify" else side
    shape = (count, margin, margin, 3)
    np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8).tofile(folder / "pixels.bin")
    array = np.memmap(folder / "pixels.bin", np.uint8, "r", shape=shape)
    pixels = RaggedPixels(shelf(array), shelf(array[..., 0] % classes)) if masked else StoredPixels(array)
    label = random_boxes(classes, side) if model.task == "detect" else (lambda place: place % classes)
    records = tuple(Record(Path(str(place)), label(place)) for place in range(count))
    preprocess = Preprocess((margin, margin), "scale" if masked else "stretch", 3, (0.5,) * 3, (0.25,) * 3)
    sizes, marks = np.full((count, 2), margin), np.zeros((count, 0), int)
    decoded = Decoded(records, pixels, preprocess, sizes, marks, (), (), None)
    return Loader(decoded, TASKS[model.task](names), 1, zoom=0.7 if masked else 1.0)


def random_boxes(classes: int, side: int) -> Callable[[int], Boxes]:
    """Makes labels of 15 boxes from a sixteenth to a half of the side."""

    def label(place: int) -> Boxes:
        rng = np.random.default_rng(place)
        sides = rng.uniform(side / 16, side / 2, (OBJECTS, 2))
        corners = rng.uniform(0, side - sides)
        rows = np.hstack([corners, corners + sides]).tolist()
        return Boxes.of([((row[0], row[1], row[2], row[3]), int(rng.integers(classes))) for row in rows])

    return label


def shelf(arrays: np.ndarray) -> Shelf:
    return Shelf.of(arrays.reshape(-1), np.tile(arrays.shape[1:], (len(arrays), 1)))


def seconds(step: Callable[[], object]) -> float:
    """A step's, in a run of them."""
    start = time.perf_counter()
    for _ in range(RUN):
        step()
    return (time.perf_counter() - start) / RUN


def loader_of(name: str, folder: Path) -> Loader:
    classes, side, batch = CASES[name]
    loader = cached(build_model(name, classes), classes, side, batch * 20, folder)
    loader.batch = batch
    return loader


def plain_of(name: str, loader: Loader) -> tuple[Callable[[], None], torch.Tensor, Any]:
    """The plain loop's step, and the batch that it is given."""
    classes, side, batch = CASES[name]
    images, targets = torch.randn(batch, 3, side, side), targets_of(loader, classes, side)
    return plain_step(build_model(name, classes).train(), images, targets), images, targets


def as_it_comes(name: str) -> float:
    """Images a second of the plain loop alone."""
    with tempfile.TemporaryDirectory() as folder:
        step, images, _ = plain_of(name, loader_of(name, Path(folder)))
        step()
        step()
        return len(images) / statistics.median(seconds(step) for _ in range(ROUNDS))


def apart(name: str) -> float:
    """The same in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.steps", AS_IT_COMES, name]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def compare(name: str) -> str:
    before = apart(name)
    found, our_rate = in_turns(name)
    alone = max(before, apart(name))
    return f"{found}; plain loop as it comes {alone:.0f}, epoch : it {our_rate / alone:.2f}"


def in_turns(name: str) -> tuple[str, float]:
    """All that was found, and images a second of our epoch."""
    classes, side, batch = CASES[name]
    model = build_model(name, classes)
    with tempfile.TemporaryDirectory() as folder:
        loader = loader_of(name, Path(folder))
        preprocess = dataclasses.replace(loader.decoded.preprocess, size=(side, side))
        plain, images, targets = plain_of(name, loader)
        ours = our_steps(model, loader, preprocess, 1000)
        bare_images = images.contiguous(memory_format=torch.channels_last)
        bare = bare_step(build_model(name, classes).to(memory_format=torch.channels_last), bare_images, targets)
        for step in (plain, bare, lambda: next(ours)):
            step()
            step()
        rows = [(seconds(plain), seconds(bare), seconds(lambda: next(ours))) for _ in range(ROUNDS)]
    plain_rate, bare_rate, our_rate = (batch / statistics.median(column) for column in zip(*rows, strict=True))
    ratio = statistics.median(row[0] / row[2] for row in rows)
    share = statistics.median(row[1] / row[2] for row in rows)
    return (
        f"{name} at {side}, batch {batch}: plain {plain_rate:.0f} images/s, bare step in bf16 {bare_rate:.0f}, "
        f"whole epoch with data and augmentation {our_rate:.0f}; "
        f"epoch : plain {ratio:.2f}, bare : plain {statistics.median(row[0] / row[1] for row in rows):.2f}, "
        f"epoch : bare {share:.2f} (medians of {ROUNDS} interleaved runs of {RUN} steps)"
    ), our_rate


def targets_of(loader: Loader, classes: int, side: int) -> Any:
    """What the loss is given for one batch."""
    match loader.task.name:
        case "detect":
            return loader.at(0).targets.tensors
        case "segment":
            return torch.randint(0, classes, (loader.batch, side, side))
    return torch.randint(0, classes, (loader.batch,))


def bare_step(model: AbstractModel, images: torch.Tensor, targets: Any) -> Callable[[], None]:
    """Only forward, backward and update in our arithmetic, on one batch that is there already."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True, fused=True)
    model.train()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            outputs = model(images)
        loss_of(model, outputs, targets).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def main(words: list[str]) -> None:
    if words[:1] == [AS_IT_COMES]:
        print(as_it_comes(words[1]))
        return
    keep_memory()
    print(header())
    for case in words or CASES:
        print(compare(case), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
