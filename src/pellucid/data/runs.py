"""Run lengths as COCO writes them: column by column, first pixels outside a region, then inside, and so on."""

from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

__all__ = ["read_runs", "run_lengths", "run_pixels"]

BITS = 5  # of a number in one sign of the compressed form; the sixth says that more follow
MOST_BITS = 40


def read_runs(counts: Any) -> tuple[int, ...]:
    """Run lengths from a list of them, or from COCO's compressed text; ValueError where it is neither."""
    match counts:
        case list() if all(type(count) is int and count >= 0 for count in counts):
            return tuple(counts)
        case str():
            return _unpacked(counts)
    raise ValueError("its run lengths are neither a list of numbers nor compressed text")


def _unpacked(text: str) -> tuple[int, ...]:
    """Signs `0` to `o` carry six bits each: five of a number, the lowest first, and whether it goes on.

    From the fourth on, numbers are differences to the one before the last.
    """
    runs: list[int] = []
    value = shift = 0
    for sign in text:
        bits = ord(sign) - ord("0")
        if not 0 <= bits < 64 or shift > MOST_BITS:
            raise ValueError(f"its run lengths are damaged near {sign!r}")
        value |= (bits & 31) << shift
        shift += BITS
        if bits < 32:
            value -= (bits & 16) << (shift - 4)  # the highest bit is the sign
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift or min(runs, default=0) < 0:
        raise ValueError("its run lengths are damaged at their end" if shift else "it has a negative run length")
    return tuple(runs)


def run_pixels(runs: tuple[int, ...], size: tuple[int, int]) -> Bool[ndarray, "h w"]:
    """The pixels (height, width) inside."""
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(size[::-1]).T


def run_lengths(pixels: Bool[ndarray, "h w"]) -> list[int]:
    """The run lengths of a mask."""
    flat = pixels.T.ravel()
    changes = np.flatnonzero(np.diff(flat, prepend=False))
    return np.diff([0, *changes.tolist(), flat.size]).tolist()
