"""Random images with objects and detections, and small ones by hand."""

import numpy as np

from pellucid.metrics.detection import Detections, Objects, gathered, matched, paired


def objects(*rows):
    """Objects of (xyxy, label) or (xyxy, label, ignored)."""
    xyxy = np.array([row[0] for row in rows], np.float64).reshape(-1, 4)
    ignored = np.array([len(row) > 2 and row[2] for row in rows], bool)
    areas = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    return Objects(xyxy, np.array([row[1] for row in rows], np.int64), ignored, areas)


def found(*rows):
    """Detections of (xyxy, score, label)."""
    xyxy = np.array([row[0] for row in rows], np.float64).reshape(-1, 4)
    scores = np.array([row[1] for row in rows], np.float64)
    return Detections(xyxy, scores, np.array([row[2] for row in rows], np.int64))


def judged(detections, targets, classes):
    """The table, its pairs and its matches."""
    table = gathered(detections, targets, classes)
    pairs = paired(table)
    return table, pairs, matched(table, pairs)


def random_scene(images, classes, *, seed, ignored=0.1, size=300, most=40):
    """Detections near objects, with equal scores, wrong classes, crowds, and images without one or both."""
    rng = np.random.default_rng(seed)
    detections, targets = [], []
    for _ in range(images):
        count = int(rng.integers(0, 9)) * int(rng.integers(0, 5) > 0)
        low = rng.random((count, 2)) * size
        xyxy = np.concatenate([low, low + 4 + rng.random((count, 2)) ** 2 * size / 2], axis=1).round(1)
        labels = rng.integers(classes, size=count)
        targets.append(objects(*zip(xyxy, labels, rng.random(count) < ignored, strict=True)))
        detections.append(_near(xyxy, labels, classes, int(rng.integers(0, most)), rng))
    return detections, targets


def _near(xyxy, labels, classes, count, rng):
    if not len(labels):
        xyxy, labels = np.array([[0.0, 0, 40, 40]]), np.zeros(1, np.int64)
    at = rng.integers(len(labels), size=count)
    moved = xyxy[at] + rng.normal(size=(count, 4)) * rng.choice([1, 8], size=(count, 1))
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    right = rng.random(count) < 0.8
    return Detections(moved, rng.random(count).round(2), np.where(right, labels[at], rng.integers(classes, size=count)))
