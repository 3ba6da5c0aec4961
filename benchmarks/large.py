"""A photograph of 24 megapixels segmented in tiles: time and the most memory the process held.

python -m benchmarks.large [fcn_compact | fcn8s_resnet18 | fcn_resnet50]
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.machine import header
from pellucid.checkpoint import Manifest, save_model
from pellucid.models.base import build_model
from pellucid.preprocess import Preprocess

MODELS = ("fcn_compact", "fcn8s_resnet18", "fcn_resnet50")
CLASSES = tuple(f"class {at}" for at in range(21))
WIDTH, HEIGHT = 6000, 4000

WATCHED = """
import json, resource, sys, time
from pellucid.cli import main
start = time.perf_counter()
code = main(sys.argv[1:])
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"code": code, "peak": usage.ru_maxrss * 1024, "seconds": time.perf_counter() - start}))
"""


def photo(path: Path) -> None:
    """Smooth random colours, so that the file has a realistic size."""
    coarse = np.random.default_rng(0).integers(0, 256, (HEIGHT // 16, WIDTH // 16, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(path, quality=90)


def model_file(name: str, path: Path) -> None:
    """An untrained network: only its speed and its memory are measured."""
    preprocess = Preprocess((256, 256), "scale", 3, (0.5,) * 3, (0.25,) * 3)
    save_model(path, build_model(name, len(CLASSES)), Manifest("segment", CLASSES, preprocess))


def watched(folder: Path, name: str) -> str:
    model_file(name, folder / f"{name}.safetensors")
    words = [
        "predict",
        f"{name}.safetensors",
        "photo.jpg",
        "--json",
        "--save",
        f"masks-{name}",
        "--draw",
        f"drawn-{name}",
    ]
    command = [sys.executable, "-c", WATCHED, *words]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    facts = json.loads(done.stdout.splitlines()[-1])
    return f"{name:<16} {facts['seconds']:6.1f} s  peak {facts['peak'] / 1e9:.2f} GB"


if __name__ == "__main__":
    print(header())
    with tempfile.TemporaryDirectory() as name:
        photo(Path(name) / "photo.jpg")
        print(f"{WIDTH}x{HEIGHT} pixels, JPEG of {(Path(name) / 'photo.jpg').stat().st_size / 1e6:.1f} MB, fp32,")
        print("mask and picture written:")
        for model in sys.argv[1:] or MODELS:
            print(watched(Path(name), model))
