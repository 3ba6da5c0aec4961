"""Objects found in large photos, whole and in tiles: mosaics of 4 x 4 drawn scenes, and the scenes by themselves.

python -m benchmarks.tiles prepare SCENES
pellucid train SCENES --out RUN --model yolo_n --size 160 --minutes 5
python -m benchmarks.tiles RUN/model.safetensors
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch

import pellucid
from benchmarks.machine import header
from pellucid.ops.boxes import pairwise_iou
from pellucid.predictions.detect import FoundBoxes
from pellucid.predictions.views import views
from pellucid.scenes import scene, write_boxed_scenes

SIDE, ACROSS, MOSAICS, SEED = 192, 4, 12, 77
COUNTS = {"train": 600, "val": 80, "test": 80}


def mosaic(number: int) -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Pixels, rows of xyxy and class, and the same of each scene in it."""
    parts = [scene(SEED, (SIDE, SIDE), number * ACROSS**2 + at) for at in range(ACROSS**2)]
    rows = [np.array([(*one.box, one.label - 1) for one in part.instances], float).reshape(-1, 5) for part in parts]
    lines = [
        np.concatenate([part.pixels for part in parts[at : at + ACROSS]], 1) for at in range(0, len(parts), ACROSS)
    ]
    offsets = [np.array([at % ACROSS, at // ACROSS] * 2 + [0]) * SIDE for at in range(len(parts))]
    moved = np.concatenate([row + offset for row, offset in zip(rows, offsets, strict=True)])
    return np.concatenate(lines), moved, [(part.pixels, row) for part, row in zip(parts, rows, strict=True)]


def counted(prediction: FoundBoxes, rows: np.ndarray) -> np.ndarray:
    """Objects found (IoU 0.5, the same class), found twice, boxes on none, objects."""
    found = prediction.found
    table = pairwise_iou(torch.from_numpy(found.xyxy), torch.from_numpy(rows[:, :4])).numpy()
    hits = (table >= 0.5) & (found.labels[:, None] == rows[:, 4])
    by_object = hits.sum(axis=0)
    return np.array([(by_object > 0).sum(), (by_object > 1).sum(), (~hits.any(axis=1)).sum(), len(rows)])


def main() -> None:
    """A line a way of looking."""
    if sys.argv[1] == "prepare":
        return write_boxed_scenes(Path(sys.argv[2]), COUNTS, (SIDE, SIDE), seed=1)
    predictor = pellucid.load(sys.argv[1])
    ways = {"whole": lambda pixels: predictor([pixels])[0]}
    ways["tiles"] = lambda pixels: predictor.postprocess.merged(views(predictor, pixels))
    print(header())
    mosaics = [mosaic(number) for number in range(MOSAICS)]
    for name, way in ways.items():
        start = time.perf_counter()
        total = sum(counted(way(pixels), rows) for pixels, rows, _ in mosaics)
        print(f"{name:<16} {_said(total)}, {(time.perf_counter() - start) / MOSAICS:.2f} s a mosaic")
    scenes = [one for *_, parts in mosaics for one in parts]
    print(f"{'scenes alone':<16} {_said(sum(counted(predictor([pixels])[0], rows) for pixels, rows in scenes))}")
    return None


def _said(total: np.ndarray) -> str:
    found, twice, wrong, objects = total
    return f"{found} of {objects} found, {twice} twice, {wrong} boxes on none"


if __name__ == "__main__":
    main()
