"""Training step and whole epoch against the plain loop: eager, fp32, NCHW, same model, batch and process.

python -m benchmarks.steps [resnet20 | resnet18]
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.machine import header
from pellucid.config import TrainConfig
from pellucid.data.cache import Decoded
from pellucid.data.loader import Loader
from pellucid.data.pixels import StoredPixels
from pellucid.machine import keep_memory
from pellucid.models.base import AbstractModel, build_model
from pellucid.preprocess import Preprocess
from pellucid.tasks.classify import Classify
from pellucid.training.events import Stepped
from pellucid.training.loop import fit
from pellucid.training.plan import Plan, fill_settings
from pellucid.types import Record

CASES = {"resnet20": (10, 32, 128), "resnet18": (1000, 224, 16)}
ROUNDS = 12


def plain_step(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    """What a first tutorial writes."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    criterion = nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        criterion(model(images), labels).backward()
        optimizer.step()

    return step


def our_steps(model: AbstractModel, loader: Loader, preprocess: Preprocess, steps: int) -> Iterator[Stepped]:
    """The loop as `pellucid train` runs it: data from the memory-mapped cache, augmentation, all."""
    settings = TrainConfig(
        optimizer="sgd", precision="bf16", size=preprocess.size[0], batch=loader.batch, save_seconds=1e9
    )
    filled, _ = fill_settings(
        settings, loader.task, parameters=sum(weight.numel() for weight in model.parameters()), steps=steps
    )
    events = fit(model, loader.task, loader, None, Plan(filled, preprocess, steps))
    return (event for event in events if isinstance(event, Stepped))


def cached(classes: int, side: int, count: int, folder: Path) -> Loader:
    path = folder / "pixels.bin"
    margin = side if side <= 64 else round(side / 0.875)
    np.random.default_rng(0).integers(0, 256, (count, margin, margin, 3), dtype=np.uint8).tofile(path)
    array = np.memmap(path, np.uint8, "r", shape=(count, margin, margin, 3))
    records = tuple(Record(Path(str(place)), place % classes) for place in range(count))
    sizes = np.full((count, 2), margin)
    preprocess = Preprocess((margin, margin), "stretch", 3, (0.5,) * 3, (0.25,) * 3)
    decoded = Decoded(records, StoredPixels(array), preprocess, sizes, np.zeros((count, 0), int), (), (), None)
    return Loader(decoded, Classify(tuple(map(str, range(classes)))), 1)


def seconds(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def compare(name: str) -> str:
    classes, side, batch = CASES[name]
    preprocess = Preprocess((side, side), "stretch", 3, (0.5,) * 3, (0.25,) * 3)
    with tempfile.TemporaryDirectory() as folder:
        loader = cached(classes, side, batch * 20, Path(folder))
        loader.batch = batch
        images, labels = torch.randn(batch, 3, side, side), torch.randint(0, classes, (batch,))
        plain = plain_step(build_model(name, classes).train(), images, labels)
        ours = our_steps(build_model(name, classes), loader, preprocess, 1000)
        bare_images = images.contiguous(memory_format=torch.channels_last)
        bare = bare_step(build_model(name, classes).to(memory_format=torch.channels_last), bare_images, labels)
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
        f"epoch : bare {share:.2f} (medians of {ROUNDS} interleaved rounds)"
    )


def bare_step(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    """Only forward, backward and update in our arithmetic, on one batch that is there already."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True, fused=True)
    criterion = nn.CrossEntropyLoss()
    model.train()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            outputs = model(images)
        criterion(outputs.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


if __name__ == "__main__":
    keep_memory()
    print(header())
    for case in sys.argv[1:] or CASES:
        print(compare(case))
