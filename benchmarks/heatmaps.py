"""How long an account and each heat map take, and what their trials take beside: ResNet-18 at 224 and the course's net.

python -m benchmarks.heatmaps [RUNS]

The least of RUNS (3), after one that warms up. Weights are random: no figure but time is meant.
"""

import sys
import time
from collections.abc import Callable

import torch

from benchmarks.machine import header
from pellucid.inspection.accounting import account
from pellucid.inspection.heatmaps import METHODS, heat_map
from pellucid.inspection.layering import account_layers
from pellucid.inspection.targets import Class
from pellucid.inspection.trials import try_map
from pellucid.models.base import build_model


def least(call: Callable[[], object], runs: int) -> float:
    """Milliseconds of the quickest call."""
    call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def rows(name: str, side: int, runs: int) -> None:
    torch.manual_seed(0)
    model, x, target = build_model(name, 10).eval(), torch.randn(1, 3, side, side), Class(1)
    with torch.no_grad():
        print(f"{name} at {side}: forward {least(lambda: model(x), runs):.1f} ms")
    print(f"  account                     {least(lambda: account(model, x, target), runs):9.1f} ms")
    print(f"  account, layer by layer     {least(lambda: account_layers(model, x, target), runs):9.1f} ms")
    for method in METHODS:
        took = least(lambda method=method: heat_map(model, x, target, method=method), runs)
        print(f"  {method:27s} {took:9.1f} ms")
    found = heat_map(model, x, target)
    print(f"  trials of grad-cam          {least(lambda: try_map(model, x, target, (), found), 1):9.1f} ms")


if __name__ == "__main__":
    print(header())
    many = int(sys.argv[1]) if sys.argv[1:] else 3
    rows("net", 32, many)
    rows("resnet18", 224, many)
