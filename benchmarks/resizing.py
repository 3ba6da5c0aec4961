"""torch's antialiased resize of bytes beside its definition in NumPy, which processes without torch use: milliseconds.

python -m benchmarks.resizing
"""

import os
import time
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported

import numpy as np
import torch

from benchmarks.machine import header
from pellucid.ops import resizing
from pellucid.preprocess import resize

SIZES = (((960, 1280), (480, 640)), ((480, 640), (240, 320)), ((3000, 4000), (480, 640)), ((375, 500), (480, 640)))
ROUNDS = 30


def best(work: Callable[[], object]) -> float:
    """Of some rounds, for others may want the processor too."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main() -> None:
    """A line a size, one thread."""
    torch.set_num_threads(1)
    print(header())
    rng = np.random.default_rng(0)
    for old, new in SIZES:
        photo = rng.integers(0, 256, (*old, 3), dtype=np.uint8)
        assert np.array_equal(resize(photo, new), resizing.resize(photo, new))
        both = [best(lambda photo=photo, new=new, way=way: way(photo, new)) for way in (resize, resizing.resize)]
        sizes = f"{old[1]}x{old[0]} to {new[1]}x{new[0]}"
        print(f"{sizes:<24} torch {both[0]:6.2f}  NumPy {both[1]:6.2f}")


if __name__ == "__main__":
    main()
