"""A run's summary that was never run: every kind of panel, refusals, notes, names that mean harm."""

import math
from dataclasses import replace

import numpy as np

from pellucid.data.ledger import Ledger, Note, Refusal
from pellucid.panels import Bars, Curve, Gallery, Matrix, Picture, Table
from pellucid.report import DataSummary, RunSummary
from tests.drawn import draw_images

HOSTILE = '<script>alert("x")</script>'
NAMES = ("bee", "wasp & hornet", HOSTILE)


def sample_run(names: tuple[str, ...] = NAMES, pictures: int = 4) -> RunSummary:
    """A summary over the given classes, the same for the same arguments."""
    counts = sample_counts(len(names))
    per_split = {"train": tuple(20 + i for i in range(len(names))), "test": (10,) * len(names)}
    return RunSummary(
        title=f"photos of {names[0]}",
        task="classify",
        model="net",
        outcome=f"net names 9 of 10 right; it takes a {names[-1]} for a {names[0]}.",
        figures=(("top1", 0.97222222, (0.95281, 0.98613)), ("loss", 1.25, None), ("ece", 0.0000213, None)),
        panels=sample_panels(names, counts, pictures),
        history=sample_history(),
        ledger=sample_ledger(),
        data=DataSummary(
            classes=names,
            images={name: sum(found) for name, found in per_split.items()},
            labels=per_split,
            facts={"format": "folder"},
        ),
        settings={"model": "net", "epochs": 3, "seed": 0, "lr": 0.05, "minutes": None, "freeze": ()},
        derived={"epochs": "few images", "lr": "0.05 for sgd at batch 32"},
        machine={"processor": "two cores"},
        versions={"pellucid": "0.1.0"},
        digests={"data": "5f1c" * 16},
    )


def sample_counts(size: int) -> tuple[tuple[int, ...], ...]:
    """Mostly on the diagonal, row i a little to the right of it."""
    counts = np.diag(np.full(size, 9)) + np.roll(np.diag(np.arange(size) % 4), 1, axis=1)
    return tuple(tuple(int(value) for value in row) for row in counts)


def sample_panels(names, counts, pictures):
    recall = tuple(row[i] / sum(row) for i, row in enumerate(counts))
    xs = tuple(i / 10 + 0.05 for i in range(10))
    images = draw_images(range(pictures), size=48)
    files = tuple(f"{names[i % len(names)]}/{i:03}.png" for i in range(pictures))
    return (
        Matrix("Confusion", names, counts),
        Bars("Recall by class", names, recall, tuple((max(0, r - 0.1), min(1, r + 0.05)) for r in recall)),
        Curve("Reliability", "score", "accuracy", (("net", xs, tuple(x**1.2 for x in xs)),), diagonal=True),
        Curve("Precision", "recall", "precision", (("net", (0.1, 0.1, 0.5), (1.0, 0.9, 0.8)),)),
        Table("Classes", ("class", "images", "f1"), tuple((n, 10, r) for n, r in zip(names, recall, strict=True))),
        Table("Odd cells", ("what", "value"), (("none", None), ("nan", math.nan), ("minus", -1234.5))),
        Gallery(
            "Mistakes",
            tuple(Picture((("photo", im),), f"is {HOSTILE}", f) for im, f in zip(images, files, strict=True)),
        ),
    )


def sample_history():
    rows = [
        {"step": s, "epoch": s / 20, "lr": 0.1, "images_per_second": 900.0, "cross_entropy": 2.3 * 0.95**s}
        for s in range(1, 61)
    ]
    for s in (20, 40, 60):
        rows[s - 1] |= {"val_top1": 1 - 1 / s}
    return tuple(rows)


def sample_ledger() -> Ledger:
    return Ledger(
        {f"train/{i}.png": 1 for i in range(1200)},
        (
            Refusal(f"train/{HOSTILE}.png", "the file ends in the middle of the image", "Copy it again"),
            Refusal("labels.csv", "no such class", "Use one of the classes", 17, "hornet"),
            *(Refusal(f"train/{i}.txt", "not an image", "Remove it") for i in range(300)),
        ),
        (Note("train/1.tif", "16-bit, reduced to 8-bit"),),
    )


def without_training(run: RunSummary) -> RunSummary:
    """The run with nothing in it that a run can lack."""
    empty = DataSummary(classes=run.data.classes, images={"train": 3}, labels={"train": (1,) * len(run.data.classes)})
    return replace(
        run, history=(), panels=(), figures=(), ledger=Ledger(), data=empty, notes=("No image was held out.",)
    )
