"""Two ranks of one thread each against one: training steps with all that belongs to them, in turns in one run.

OMP_NUM_THREADS=1 torchrun --standalone --nproc-per-node 2 -m benchmarks.ranks [resnet18 | resnet20 | yolo_n | …]

`apart` is what two processes reach that have nothing to do with each other: more than that no ranks can.
"""

import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import distributed

from benchmarks.machine import header
from benchmarks.steps import CASES, cached, our_steps
from pellucid.machine import keep_memory
from pellucid.models.base import build_model
from pellucid.ranks import ALONE, Ranks, joined

ROUNDS, RUN, STEPS = 6, 4, 1000
"""Runs of each contender, steps in a run, and steps that a plan would have."""


def contender(name: str, batch: int, ranks: Ranks, folder: Path) -> Callable[[], object]:
    """Takes a step of a run of these ranks, each of which sees `batch` images."""
    classes, side, _ = CASES[name]
    torch.manual_seed(0)
    model = build_model(name, classes)
    loader = cached(model, classes, side, batch * 20, folder)
    loader.batch = batch * ranks.count
    preprocess = dataclasses.replace(loader.decoded.preprocess, size=(side, side))
    steps = our_steps(model, loader, preprocess, STEPS, ranks)
    return lambda: next(steps)


def seconds(ranks: Ranks, step: Callable[[], object] | None) -> float:
    """A step's, until the last rank has taken it; None is for one that waits for the others."""
    ranks.wait()
    start = time.perf_counter()
    for _ in range(RUN if step else 0):
        step()
    ranks.wait()
    return (time.perf_counter() - start) / RUN


def exchange(ranks: Ranks, name: str) -> str:
    """How long the sum of as many numbers as a network has takes by itself."""
    numbers = torch.zeros(sum(weight.numel() for weight in build_model(name, CASES[name][0]).parameters()))
    taken = [seconds(ranks, lambda: distributed.all_reduce(numbers)) for _ in range(ROUNDS)]
    found = statistics.median(taken)
    size = 4 * len(numbers)
    return f"all-reduce of {size / 1e6:.1f} MB by itself: {1000 * found:.1f} ms, {size / found / 1e9:.2f} GB/s"


def compare(ranks: Ranks, name: str) -> str:
    batch = CASES[name][2]
    with tempfile.TemporaryDirectory() as folder:
        single = contender(name, batch, ALONE, Path(folder))
        shared = contender(name, batch, ranks, Path(folder))
        turns = {"alone": single if ranks.main else None, "apart": single, "together": shared}
        for step in (single, shared):
            step()
            step()
        rows = [{turn: seconds(ranks, step) for turn, step in turns.items()} for _ in range(ROUNDS)]
    rate = {
        turn: batch * (1 if turn == "alone" else ranks.count) / statistics.median(row[turn] for row in rows)
        for turn in turns
    }
    gain, ceiling = (
        statistics.median(ranks.count * row["alone"] / row[turn] for row in rows) for turn in ("together", "apart")
    )
    return (
        f"{name} at {CASES[name][1]}, batch {batch} a rank: one rank {rate['alone']:.1f} images/s, {ranks.count} apart "
        f"{rate['apart']:.1f}, {ranks.count} together {rate['together']:.1f}; together : one {gain:.2f}, apart : one "
        f"{ceiling:.2f} (medians of {ROUNDS} interleaved runs of {RUN} steps)"
    )


if __name__ == "__main__":
    keep_memory()
    torch.set_num_threads(1)
    with joined() as mine:
        found = [header()]
        for case in sys.argv[1:] or ["resnet18"]:
            found += [compare(mine, case), exchange(mine, case)]
        if mine.main:
            print("\n".join(found))
