"""This machine's roofline, measured: how fast it multiplies, how fast it moves, what a call costs by itself.

An operation of I FLOPs a byte can run at min(peak, I·bandwidth): below the ridge, peak / bandwidth, the memory is what
holds it back, above it the arithmetic. Source: Williams, Waterman & Patterson 2009, "Roofline: An Insightful Visual
Performance Model for Multicore Architectures". Each figure is the best of several rounds: other work on the machine
makes a time longer, never shorter.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.nn import functional

__all__ = ["Machine", "measured_machine"]

SIDE = 1024
"""Of the square matrices that are multiplied: 2 GFLOPs, far above the ridge."""
COPIED = 1 << 28
"""Bytes that are copied: more than caches hold."""
ROUNDS = 8
CALLS = 200


@dataclass(frozen=True, slots=True)
class Machine:
    """FLOPs a second, bytes a second, and seconds that an operation or a convolution takes which has nothing to do."""

    peak: float
    bandwidth: float
    launch: float
    convolution_launch: float
    threads: int

    @property
    def ridge(self) -> float:
        """FLOPs a byte from which on arithmetic is the limit."""
        return self.peak / self.bandwidth

    def predicted(self, macs: int, moved: int) -> float:
        """Seconds that so many multiply-adds and bytes take at least."""
        return max(2 * macs / self.peak, moved / self.bandwidth)

    def bound(self, macs: int, moved: int) -> str:
        """`compute` or `memory`: which of the two it is."""
        return "compute" if 2 * macs / self.peak >= moved / self.bandwidth else "memory"

    def text(self) -> str:
        """The figures in a line."""
        return (
            f"This machine, measured on {self.threads} threads: {self.peak / 1e9:.0f} GFLOP/s, "
            f"{self.bandwidth / 1e9:.1f} GB/s, ridge at {self.ridge:.0f} FLOPs a byte, "
            f"{self.launch * 1e6:.0f} µs a call, {self.convolution_launch * 1e6:.0f} µs a convolution."
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "ridge": self.ridge}


@functools.cache
def measured_machine() -> Machine:
    """This machine with the threads that torch uses, in fp32; it takes about a second."""
    with torch.inference_mode():
        return Machine(
            peak=max(_product_rate(), _convolution_rate()),
            bandwidth=_copy_rate(),
            launch=_launch(_nothing()),
            convolution_launch=_launch(_no_convolution()),
            threads=torch.get_num_threads(),
        )


def _product_rate() -> float:
    x = torch.ones(SIDE, SIDE)
    return 2 * SIDE**3 / _shortest(lambda: x @ x, ROUNDS)


def _convolution_rate() -> float:
    """Of the kind that networks are made of: 3x3, 256 to 256 channels at 56x56, channels last."""
    x = torch.ones(1, 256, 56, 56).contiguous(memory_format=torch.channels_last)
    weight = torch.ones(256, 256, 3, 3).contiguous(memory_format=torch.channels_last)
    return 2 * 56 * 56 * 256 * 256 * 9 / _shortest(lambda: functional.conv2d(x, weight, padding=1), ROUNDS)


def _copy_rate() -> float:
    """Read and written, into memory that was touched before."""
    source = torch.zeros(COPIED // 4)
    target = torch.ones(COPIED // 4)
    return 2 * COPIED / _shortest(lambda: target.copy_(source), ROUNDS)


def _nothing() -> Callable[[], object]:
    x = torch.ones(1)
    return lambda: functional.relu(x)


def _no_convolution() -> Callable[[], object]:
    x, weight = torch.ones(1, 16, 1, 1), torch.ones(16, 16, 1, 1)
    return lambda: functional.conv2d(x, weight)


def _launch(call: Callable[[], object]) -> float:
    return _shortest(call, CALLS)


def _shortest(call: Callable[[], object], rounds: int) -> float:
    call()
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)
