"""Small networks of every task, trained in seconds on drawn images whose colours matter."""

import dataclasses
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pellucid.checkpoint import load_model, save_model
from pellucid.config import TrainConfig
from pellucid.training.run import train
from tests.drawn import make_box_table, make_mask_folder

COLORS = {"red": (200, 50, 40), "green": (60, 170, 60), "blue": (40, 60, 210), "grey": (120, 120, 120)}
COMMON = {"seed": 0, "precision": "fp32", "device": "cpu", "threads": 1, "evaluate_every": 5, "color": 0.0}
SETTINGS = {
    "classify": {"model": "compact", "arguments": ("width=8", "side=32"), "epochs": 12, "batch": 16, "lr": 0.02},
    "segment": {"model": "fcn_compact", "arguments": ("width=8",), "epochs": 15, "batch": 8, "size": 32},
    "detect": {"model": "yolo_n", "arguments": ("share=0.5",), "epochs": 14, "batch": 8, "size": 64, "lr": 0.02},
}


def make_data(task: str, root: Path) -> Path:
    if task == "segment":
        return make_mask_folder(root, {"train": 24, "val": 12})
    if task == "detect":
        return make_box_table(root, {"train": 48, "val": 16})
    return make_color_folder(root)


def make_color_folder(root: Path) -> Path:
    """Discs that differ in nothing but their colour."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:32, :32]
    for split, count in (("train", 24), ("val", 12)):
        for name, color in COLORS.items():
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                top, left = rng.uniform(10, 22, 2)
                disc = (np.hypot(rows - top, columns - left) < 8)[..., None]
                pixels = np.where(disc, np.array(color), 0) + rng.integers(0, 45, (32, 32, 3))
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / split / name / f"{number}.png")
    return root


def trained(task: str, data: Path, out: Path) -> Path:
    """The model file."""
    train(data, out, TrainConfig(**COMMON, **SETTINGS[task]))
    return out / "model.safetensors"


def spoiled(path: Path, out: Path, spoil) -> Path:
    """A copy of the model file with a bug: `spoil(model, manifest)` changes weights, or gives facts to change."""
    model, manifest = load_model(path)
    with torch.no_grad():
        changes = spoil(model, manifest) or {}
    save_model(out, model, dataclasses.replace(manifest, **changes))
    return out
