"""How long it takes to list the terms of one number, and how long the arithmetic takes beside torch's float64.

python -m benchmarks.terms
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.machine import header
from pellucid.ops import arithmetic, terms

ROUNDS = 200


def microseconds(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def main() -> None:
    print(header())
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((1, 64, 56, 56)), rng.standard_normal((64, 64, 3, 3))
    y = arithmetic.conv2d(x, weight, padding=1)
    explain = terms.conv2d(x, weight, padding=1)
    of_x, of_weight, _ = terms.conv2d_backward(y, x, weight, padding=1)
    print("\nterms of one number of a 3x3 convolution, 64 to 64 channels at 56x56")
    for name, function, index in (
        ("output", explain, (0, 3, 20, 20)),
        ("grad_x", of_x, (0, 3, 20, 20)),
        ("grad_weight", of_weight, (3, 4, 1, 1)),
    ):
        found = function(index)
        print(f"  {name:<12} {len(found):5} terms  {microseconds(lambda f=function, i=index: f(i)):7.0f} µs")

    torch.set_num_threads(1)
    theirs = [torch.tensor(one) for one in (x, weight)]
    print("\nthe whole convolution in float64, one thread")
    for name, call in (
        ("pellucid", lambda: arithmetic.conv2d(x, weight, padding=1)),
        ("torch", lambda: F.conv2d(*theirs, padding=1)),
    ):
        print(f"  {name:<12} {microseconds(call, 10) / 1e3:7.1f} ms")


if __name__ == "__main__":
    main()
