"""A 24-megapixel picture through a kernel: decode, filter, encode, and the filter beside scipy's and torch's.

python -m benchmarks.filter [megapixels]
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch.nn import functional

from benchmarks.machine import header
from pellucid.cores import usable_cores
from pellucid.image import read_image, write_image
from pellucid.ops.kernels import Kernel, read_kernel
from pellucid.ops.responses import filter_image

ROUNDS = 5
KERNELS = ("edge", "sobel-x", "box", "gaussian", "box:15")


def drawn(megapixels: float) -> np.ndarray:
    """A picture of 3:2 with gradients, edges and a camera's noise."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    y, x = np.mgrid[:height, : height * 3 // 2].astype(np.float32)
    waves = [80 + 60 * np.sin(x / 97 + y / 301 + c) + 50 * ((x // 211 + y // 173) % 2) for c in range(3)]
    noise = np.random.default_rng(0).normal(0, 4, (*y.shape, 3)).astype(np.float32)
    return np.clip(np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8)


def by_scipy(pixels: np.ndarray, kernel: Kernel) -> np.ndarray:
    """Channel by channel in int32, or float32 where the kernel has fractions; the response cut to bytes."""
    whole = np.array_equal(kernel.values, np.rint(kernel.values))
    weights = kernel.values.astype(np.int32 if whole else np.float32)
    found = np.empty_like(pixels)
    for channel in range(pixels.shape[2]):
        plane = pixels[..., channel].astype(weights.dtype)
        response = ndimage.correlate(plane, weights, mode="nearest")
        found[..., channel] = np.clip(np.abs(response) if kernel.sums_to_zero else response, 0, 255)
    return found


def by_torch(pixels: np.ndarray, kernel: Kernel) -> np.ndarray:
    """conv2d in float32, the channels as a batch; the response cut to bytes."""
    weight = torch.from_numpy(kernel.values.astype(np.float32))[None, None]
    rows, columns = (size - 1 for size in kernel.values.shape)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[:, None].float()
    x = functional.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2), mode="replicate")
    y = functional.conv2d(x, weight)
    y = (y.abs() if kernel.sums_to_zero else y).round().clamp(0, 255).byte()
    return y[:, 0].permute(1, 2, 0).contiguous().numpy()


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def stages(folder: Path, picture: np.ndarray) -> None:
    print("\nstage                      JPEG in, PNG out   PNG in, PNG out   JPEG in, JPEG out   (seconds, medians)")
    for name in ("in.jpg", "in.png"):
        write_image(folder / name, picture)
    kernel, ways = read_kernel("edge"), (("in.jpg", "out.png"), ("in.png", "out.png"), ("in.jpg", "out.jpg"))
    rows: dict[str, list[float]] = {}
    for source, target in ways:
        pixels = read_image(folder / source).pixels
        shown = filter_image(pixels, kernel, threads=usable_cores()).pixels
        for stage, work in {
            "decode": lambda source=source: read_image(folder / source),
            "filter": lambda pixels=pixels: filter_image(pixels, kernel, threads=usable_cores()),
            "encode": lambda target=target, shown=shown: write_image(folder / target, shown),
            "the whole command": lambda source=source, target=target: command(folder, source, target),
        }.items():
            rows.setdefault(stage, []).append(statistics.median(seconds(work) for _ in range(ROUNDS)))
    for stage, row in rows.items():
        print(f"{stage:<26} {row[0]:>16.2f} {row[1]:>17.2f} {row[2]:>19.2f}")


def command(folder: Path, source: str, target: str) -> None:
    words = ["filter", str(folder / source), "--kernel", "edge", "--out", str(folder / target)]
    subprocess.run([sys.executable, "-m", "pellucid", *words], check=True, capture_output=True)


def compare(picture: np.ndarray) -> None:
    print(
        f"\nkernel        pellucid (1 thread)  scipy  torch (float32)   seconds, medians of {ROUNDS} interleaved rounds"
    )
    for name in KERNELS:
        kernel = read_kernel(name)
        ways = (
            lambda kernel=kernel: filter_image(picture, kernel, threads=usable_cores()),
            lambda kernel=kernel: filter_image(picture, kernel),
            lambda kernel=kernel: by_scipy(picture, kernel),
            lambda kernel=kernel: by_torch(picture, kernel),
        )
        ours = ways[0]().pixels
        apart = [np.abs(ours.astype(int) - way()).max() for way in ways[2:]]
        times = zip(*[[seconds(way) for way in ways] for _ in range(ROUNDS)], strict=True)
        both, one, scipy, torch_ = (statistics.median(column) for column in times)
        print(
            f"{name:<12} {both:>9.3f} {one:>10.3f} {scipy:>7.2f} {torch_:>8.2f}   apart by at most {max(apart)} of 255"
        )


if __name__ == "__main__":
    print(header())
    size = float(sys.argv[1]) if len(sys.argv) > 1 else 24
    large = drawn(size)
    print(f"{large.shape[1]} x {large.shape[0]} pixels in colour; {usable_cores()} threads; Pillow {Image.__version__}")
    with tempfile.TemporaryDirectory() as scratch:
        stages(Path(scratch), large)
    compare(large)
