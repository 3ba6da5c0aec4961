"""COCO's figures of 5,000 images with 100 detections each, and the suppression of 8,400 candidates.

python -m benchmarks.detection
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.machine import header
from pellucid.data.boxes import Boxes
from pellucid.metrics.detection import Detections
from pellucid.ops.boxes import nms
from pellucid.tasks.box_metric import BoxMetric

IMAGES, FOUND, OBJECTS, CLASSES = 5_000, 100, 7, 80
CANDIDATES = 8_400


def boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Random boxes of 8 to 200 pixels in a photo of 640 x 480."""
    sides = np.exp(rng.uniform(np.log(8), np.log(200), (count, 2)))
    corners = rng.uniform(0, [640, 480] - sides)
    return np.hstack([corners, corners + sides])


def image(rng: np.random.Generator) -> tuple[Detections, Boxes]:
    """Objects, and detections of which some lie near them."""
    there, labels = boxes(rng, OBJECTS), rng.integers(0, CLASSES, OBJECTS)
    found, kinds = boxes(rng, FOUND), rng.integers(0, CLASSES, FOUND)
    found[:OBJECTS], kinds[:OBJECTS] = there + rng.normal(0, 3, there.shape), labels
    rows = [(tuple(row), int(label)) for row, label in zip(there.tolist(), labels, strict=True)]
    return Detections(found, rng.random(FOUND), kinds), Boxes.of(rows)


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The median of some rounds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def judged(rows: list[tuple[Detections, Boxes]], *, brief: bool) -> float:
    """AP of all images."""
    metric = BoxMetric(tuple(map(str, range(CLASSES))), found=lambda decoded, targets: ([], []), brief=brief)
    metric.add_images([found for found, _ in rows], [label for _, label in rows])
    return metric.headline()[1]


def crowded(rng: np.random.Generator, spread: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Candidates around 100 objects, as a detector gives them: many for each."""
    objects = boxes(rng, 100)[rng.integers(0, 100, CANDIDATES)]
    xyxy = torch.from_numpy(objects + rng.normal(0, spread, objects.shape)).float()
    return (
        xyxy,
        torch.from_numpy(rng.random(CANDIDATES)).float(),
        torch.from_numpy(rng.integers(0, CLASSES, CANDIDATES)),
    )


if __name__ == "__main__":
    print(header())
    generator = np.random.default_rng(0)
    rows = [image(generator) for _ in range(IMAGES)]
    for brief in (True, False):
        took = seconds(lambda brief=brief: judged(rows, brief=brief), 3)
        print(f"{'AP alone' if brief else 'AP with sizes'}: {took:.2f} s for {IMAGES} images of {FOUND} detections")
    for spread in (2.0, 20.0):
        given = crowded(generator, spread)
        took = seconds(lambda given=given: nms(*given, 0.6, most=300), 50)
        print(f"suppression of {CANDIDATES} candidates, {spread:g} pixels around 100 objects: {1000 * took:.2f} ms")
