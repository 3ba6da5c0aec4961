"""Three ways to the same labels: raw pixels and hand-made features under a linear classifier, and a network.

python -m benchmarks.features [digits | fashion-mnist | DATA] [epochs]

All learn from the same training images and are judged on the same test images. The linear classifiers choose how much
they are held back (C) by the validation images, the network its best moment.
"""

import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.machine import header
from pellucid import Dataset, TrainConfig, load, open_dataset, train
from pellucid.demo import write_digits
from pellucid.metrics.intervals import mcnemar, paired_bootstrap, wilson
from pellucid.ops.arithmetic import avg_pool2d, conv2d
from pellucid.ops.kernels import KERNELS

NAMES = ("gaussian", "edge", "sobel-x", "sobel-y", "roberts")
SHARES = (0.01, 0.1, 1.0, 10.0)
STEPS = 1000
BATCH = 1000
CELLS = {8: 2, 28: 4}  # side of the images -> side of a pooled cell


@dataclass(frozen=True)
class Split:
    """Grey images N H W (uint8) and their labels."""

    images: np.ndarray
    labels: np.ndarray


def read_split(dataset: Dataset, name: str) -> Split:
    records = dataset.split(name)
    images = np.stack([dataset.image(record).pixels[..., 0] for record in records])
    return Split(images, np.array([record.label for record in records]))


def raw(images: np.ndarray) -> np.ndarray:
    """Every pixel is a feature."""
    return images.reshape(len(images), -1) / 255


def hand_made(images: np.ndarray) -> np.ndarray:
    """Responses of fixed kernels, brighter and darker apart, each the mean over a cell."""
    return np.concatenate([_hand_made(part) for part in np.array_split(images, -(-len(images) // BATCH))])


def _hand_made(images: np.ndarray) -> np.ndarray:
    x = images[:, None] / 255
    kernels = [KERNELS[name].values[None, None] for name in NAMES]
    found = [conv2d(x, kernel, padding="same", padding_mode="replicate") for kernel in kernels]
    halves = np.concatenate([np.maximum(sign * part, 0) for part in found for sign in (1, -1)], axis=1)
    return avg_pool2d(halves, CELLS[images.shape[1]]).reshape(len(images), -1)


def linear(features: Callable[[np.ndarray], np.ndarray], splits: dict[str, Split]) -> tuple[np.ndarray, str]:
    """Which test images a linear classifier gets right, and its settings."""
    seen = {name: features(split.images) for name, split in splits.items()}
    tried = []
    for share in SHARES:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=share, max_iter=STEPS, tol=1e-3))
        model.fit(seen["train"], splits["train"].labels)
        tried.append((model.score(seen["val"], splits["val"].labels), -share, model))
    _, share, model = max(tried, key=lambda one: one[:2])
    weights = model[-1].coef_.size + model[-1].intercept_.size
    right = model.predict(seen["test"]) == splits["test"].labels
    return right, f"{seen['test'].shape[1]} features, {weights:,} weights, C={-share:g}"


def network(data: str | Path, dataset: Dataset, test: Split, epochs: int, folder: Path) -> tuple[np.ndarray, str]:
    """Which test images `net` gets right."""
    mirrored = {"hflip": 0.0} if dataset.root.name == "digits" else {}
    outcome = train(data, folder, TrainConfig(model="net", epochs=epochs, **mirrored))
    predictor = load(outcome.folder / "model.safetensors")
    said = [found.label for part in _parts(test.images) for found in predictor(list(part[..., None]))]
    right = np.array([dataset.classes.index(label) for label in said]) == test.labels
    weights = sum(weight.numel() for weight in predictor.model.parameters())
    return right, f"{weights:,} weights, {epochs} passes"


def _parts(images: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(images), BATCH):
        yield images[start : start + BATCH]


def compare(name: str, epochs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if name == "digits":
            write_digits(Path(folder) / "digits")
        data = Path(folder) / "digits" if name == "digits" else name
        dataset = open_dataset(data)
        splits = {split: read_split(dataset, split) for split in ("train", "val", "test")}
        print(f"{name}: " + ", ".join(f"{len(split.labels):,} {key}" for key, split in splits.items()))
        contenders = {
            "raw pixels": lambda: linear(raw, splits),
            "hand-made features": lambda: linear(hand_made, splits),
            "net": lambda: network(data, dataset, splits["test"], epochs, Path(folder) / "run"),
        }
        found = {key: _told(key, contender) for key, contender in contenders.items()}
    for (first, one), (second, other) in itertools.combinations(found.items(), 2):
        gap = paired_bootstrap(other.astype(float), one.astype(float), np.random.default_rng(0))
        low, high = (100 * bound for bound in gap.interval)
        p = mcnemar(int((one & ~other).sum()), int((other & ~one).sum()))
        print(f"{second} over {first}: {100 * gap.value:+.2f} points ({low:+.2f} to {high:+.2f}), McNemar p {p:.1g}")


def _told(name: str, contender: Callable[[], tuple[np.ndarray, str]]) -> np.ndarray:
    start = time.perf_counter()
    right, about = contender()
    seconds = time.perf_counter() - start
    low, high = 100 * wilson(np.array([right.sum()]), np.array([len(right)]))[0]
    print(f"{name:<20} {100 * right.mean():6.2f} % ({low:.2f} to {high:.2f})   {about}, {seconds:.0f} s", flush=True)
    return right


if __name__ == "__main__":
    print(header())
    compare(sys.argv[1] if len(sys.argv) > 1 else "digits", int(sys.argv[2]) if len(sys.argv) > 2 else 25)
