"""What each choice in `yolo_n` and its training is worth: one change at a time, the same steps and seeds.

python -m benchmarks.ablation DATA [EPOCHS [SIDE [SEEDS]]]

DATA has boxes and a test split (BCCD: ../shared/data/bccd). Figures are means over the seeds, with the standard error
of the difference to the first row, seed by seed.
"""

import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.machine import header
from pellucid import TrainConfig, train

EPOCHS, SIDE, SEEDS = 30, 224, 2

VARIANTS: Mapping[str, dict[str, Any]] = {
    "as it is": {},
    "dynamic soft labels instead of TAL": {"arguments": ("assignment=dynamic_soft",)},
    "one point an object, no suppression": {"arguments": ("one_to_one=true",)},
    "half the channels": {"arguments": ("share=0.5",)},
    "box term x 0.5": {"box": 1.0},
    "box term x 2": {"box": 4.0},
    "no mosaic": {"mosaic": 0.0},
    "multi-scale 0.3": {"multi_scale": 0.3},
    "mixup 0.2": {"mixup": 0.2},
    "AdamW instead of Muon": {"optimizer": "adamw"},
    "SGD instead of Muon": {"optimizer": "sgd"},
    "no running mean of the weights": {"ema": 0.0},
    "balanced classes": {"class_weights": "balanced"},
}


@contextmanager
def box_share(value: float | None) -> Iterator[None]:
    """Another weight of the GIoU term, which is no setting."""
    if value is None:
        yield
    else:
        with mock.patch("pellucid.models.yolo.BOX_SHARE", value):
            yield


def figures(data: str, out: Path, changed: dict[str, Any], seed: int, epochs: int, side: int) -> tuple[float, float]:
    """AP50 and AP on the test split."""
    given = {"model": "yolo_n", "epochs": epochs, "size": side, "seed": seed, "evaluate_every": 5, "save_seconds": 1e6}
    settings = TrainConfig(**given | {name: value for name, value in changed.items() if name != "box"})
    with box_share(changed.get("box")):
        metrics = train(data, str(out), settings).metrics["test"]["metrics"]
    return metrics["ap50"], metrics["ap"]


def spread(differences: list[float]) -> str:
    """Mean and standard error, in points."""
    mean = statistics.mean(differences)
    error = statistics.stdev(differences) / len(differences) ** 0.5 if len(differences) > 1 else float("nan")
    return f"{100 * mean:+5.1f} ± {100 * error:.1f}"


if __name__ == "__main__":
    data = sys.argv[1]
    epochs, side, seeds = (int(word) for word in (sys.argv[2:] + [EPOCHS, SIDE, SEEDS][len(sys.argv) - 2 :]))
    print(header())
    print(f"yolo_n, {epochs} epochs of {data} at {side} px, {seeds} seeds\n")
    print(f"{'change':<38} {'AP50':>6} {'AP':>6}   AP against the first")
    first: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        for place, (title, changed) in enumerate(VARIANTS.items()):
            out = Path(name) / str(place)
            rows = [figures(data, out / str(seed), changed, seed, epochs, side) for seed in range(seeds)]
            first = first or rows
            ap50, ap = (statistics.mean(row[at] for row in rows) for at in (0, 1))
            against = spread([row[1] - base[1] for row, base in zip(rows, first, strict=True)])
            print(f"{title:<38} {ap50:6.3f} {ap:6.3f}   {against}", flush=True)
