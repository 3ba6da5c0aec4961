"""Small seeded pictures whose class a small network can learn: a shape and a colour for each class, in noise.

draw_images(labels, size=32, seed=0) -> uint8 N H W 3
make_image_folder(root, classes=("bars", "columns", "disc"), per_class=12, size=32, splits=None) -> root
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SHAPES = 5
COLORS = np.array([[230, 60, 60], [60, 200, 60], [70, 90, 240], [230, 200, 40], [200, 60, 200], [40, 200, 200]])


def draw_images(labels: Sequence[int], size: int = 32, seed: int = 0) -> np.ndarray:
    """One picture a label, uint8 N H W 3; the same label never gives the same picture twice."""
    return np.stack([_draw(label, size, np.random.default_rng([seed, at])) for at, label in enumerate(labels)])


def _draw(label: int, size: int, generator: np.random.Generator) -> np.ndarray:
    shape = _shape(label % SHAPES, size, generator)[..., None]
    color = COLORS[(label + label // len(COLORS)) % len(COLORS)] * generator.uniform(0.7, 1)
    ground = generator.uniform(20, 110, 3)
    noise = generator.normal(0, 12, (size, size, 3))
    return np.clip(np.where(shape, color, ground) + noise, 0, 255).round().astype(np.uint8)


def _shape(kind: int, size: int, generator: np.random.Generator) -> np.ndarray:
    """A mask H W: bars, columns, disc, ring or checkers, at a random place and scale."""
    y, x = np.mgrid[:size, :size] / size
    period, phase_y, phase_x = generator.uniform(0.22, 0.42), *generator.uniform(0, 1, 2)
    center_y, center_x = generator.uniform(0.35, 0.65, 2)
    distance = np.hypot(y - center_y, x - center_x) / generator.uniform(0.75, 1.25)
    bars = (y / period + phase_y) % 1 < 0.5
    columns = (x / period + phase_x) % 1 < 0.5
    return [bars, columns, distance < 0.28, (distance < 0.34) & (distance > 0.2), bars ^ columns][kind]


def make_image_folder(
    root: Path,
    classes: Sequence[str] = ("bars", "columns", "disc"),
    per_class: int = 12,
    size: int = 32,
    *,
    splits: Mapping[str, int] | None = None,
    suffix: str = ".png",
    seed: int = 0,
) -> Path:
    """Write `root/class/000.png` and so on; `splits={"train": 12, "test": 4}` adds the splits' folders."""
    for at, (split, count) in enumerate((splits or {"": per_class}).items()):
        for label, name in enumerate(classes):
            folder = root / split / name
            folder.mkdir(parents=True, exist_ok=True)
            images = draw_images([label] * count, size, seed + 1000 * at + 100_000 * label)
            for number, pixels in enumerate(images):
                Image.fromarray(pixels).save(folder / f"{number:03d}{suffix}")
    return root


def make_mask_folder(root: Path, splits: Mapping[str, int], size: int = 32, seed: int = 0) -> Path:
    """Noise with bright discs and bright bars: `split/images`, `split/masks` and `classes.txt`."""
    rows, columns = np.mgrid[:size, :size]
    for at, (split, count) in enumerate(splits.items()):
        rng = np.random.default_rng(seed + 1000 * at)
        for name in ("images", "masks"):
            (root / split / name).mkdir(parents=True)
        for number in range(count):
            mask = np.zeros((size, size), np.uint8)
            top, left, radius = rng.uniform(0.2, 0.8) * size, rng.uniform(0.2, 0.8) * size, rng.uniform(0.1, 0.2) * size
            mask[np.hypot(rows - top, columns - left) < radius] = 1
            start = int(rng.integers(size * 3 // 4))
            mask[start : start + size // 8] = 2
            pixels = rng.integers(0, 60, (size, size, 3)) + np.array([[0, 0, 0], [150, 60, 0], [0, 60, 150]])[mask]
            Image.fromarray(pixels.astype(np.uint8)).save(root / split / "images" / f"{number}.png")
            Image.fromarray(mask).save(root / split / "masks" / f"{number}.png")
    (root / "classes.txt").write_text("background\ndisc\nbar\n")
    return root


def make_box_table(root: Path, splits: Mapping[str, int], size: int = 64, seed: int = 0) -> Path:
    """Noise with one to three bright squares or bars an image, and `boxes.csv`, which says where they are."""
    rng = np.random.default_rng(seed)
    lines = ["path,label,left,top,right,bottom,split"]
    root.mkdir(parents=True, exist_ok=True)
    for split, count in splits.items():
        for number in range(count):
            pixels = rng.integers(0, 60, (size, size, 3))
            for place in rng.permutation(4)[: rng.integers(1, 4)]:  # one object a quarter, so that none is covered
                label = int(rng.integers(2))
                width, height = (int(rng.integers(12, 20)), 6 + 8 * (1 - label)) if label else (16, 16)
                left = int(place % 2 * size // 2 + rng.integers(0, size // 2 - width))
                top = int(place // 2 * size // 2 + rng.integers(0, size // 2 - height))
                pixels[top : top + height, left : left + width] += np.array([[150, 60, 0], [0, 60, 150]])[label]
                name = ("square", "bar")[label]
                lines.append(f"{split}-{number}.png,{name},{left},{top},{left + width},{top + height},{split}")
            Image.fromarray(pixels.astype(np.uint8)).save(root / f"{split}-{number}.png")
    (root / "boxes.csv").write_text("\n".join(lines) + "\n")
    return root
