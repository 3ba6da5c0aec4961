"""Sliding windows, one axis at a time: which input rows an output row reads, how many there are, what is left over.

Symbols, per axis: input size i, kernel size k, stride s, dilation d, padding p₀ before and p₁ after, output size o.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from pellucid.errors import UsageError
from pellucid.ops.arguments import non_negative, positive

__all__ = ["PADDING_MODES", "Axis", "PaddingMode", "Taps", "Window", "axis_sources", "check_mode", "padding_pairs"]

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
PADDING_MODES: tuple[PaddingMode, ...] = ("zeros", "reflect", "replicate", "circular")
NO_SOURCE = -1  # a padded zero: it comes from nowhere in the input

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a window that slides over a padded input."""

    size: int
    kernel_size: int
    stride: int = 1
    padding: tuple[int, int] = (0, 0)
    dilation: int = 1

    @property
    def extent(self) -> int:
        """Rows from the first tap to the last: d(k − 1) + 1."""
        return self.dilation * (self.kernel_size - 1) + 1

    @property
    def padded(self) -> int:
        """Rows of the padded input: i + p₀ + p₁."""
        return self.size + sum(self.padding)

    @property
    def output_size(self) -> int:
        """o = ⌊(i + p₀ + p₁ − d(k − 1) − 1) / s⌋ + 1; 0 where the window does not fit."""
        return max(0, (self.padded - self.extent) // self.stride + 1)

    @property
    def leftover(self) -> int:
        """r = (i + p₀ + p₁ − d(k − 1) − 1) mod s: padded rows behind the last window, which no output reads."""
        return (self.padded - self.extent) % self.stride

    def reads(self, mode: PaddingMode = "zeros") -> Int[np.ndarray, "o k"]:
        """The input row that output row y reads through tap u, −1 for a padded zero."""
        outputs, taps = np.arange(self.output_size)[:, None], np.arange(self.kernel_size)
        return axis_sources(outputs * self.stride - self.padding[0] + taps * self.dilation, self.size, mode)

    def unread(self, mode: PaddingMode = "zeros") -> tuple[int, ...]:
        """Input rows that no output reads: left over at the end, or skipped by the stride or the dilation."""
        return tuple(sorted(set(range(self.size)) - set(self.reads(mode).flat)))

    def formula(self) -> str:
        """The output size with its numbers: `⌊(5 + 2·1 − 1·(3 − 1) − 1) / 1⌋ + 1 = 5`."""
        before, after = self.padding
        pad = f"2·{before}" if before == after else f"{before} + {after}"
        taps = f"{self.dilation}·({self.kernel_size} − 1)"
        return f"⌊({self.size} + {pad} − {taps} − 1) / {self.stride}⌋ + 1 = {self.output_size}"


def axis_sources(place: Integers, size: int, mode: PaddingMode) -> Integers:
    """The input row at a place of the padded axis that runs from −p₀; −1 for a padded zero.

    zeros 00123400 · replicate 11123444 · reflect 32123432 · circular 34123412, each of 1234 with padding 2.
    """
    match mode:
        case "zeros":
            return np.where((place >= 0) & (place < size), place, NO_SOURCE)
        case "replicate":
            return np.clip(place, 0, size - 1)
        case "reflect":
            mirrored = np.abs(place)
            return np.where(mirrored >= size, 2 * (size - 1) - mirrored, mirrored)
        case "circular":
            return place % size


@dataclass(frozen=True, slots=True)
class Window:
    """A window of two axes."""

    rows: Axis
    columns: Axis

    @classmethod
    def over(
        cls,
        size: tuple[int, int],
        kernel_size: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
        dilation: tuple[int, int] = (1, 1),
    ) -> "Window":
        """The window of these arguments, each given as (rows, columns)."""
        rows, columns = (Axis(*each) for each in zip(size, kernel_size, stride, padding, dilation, strict=True))
        return cls(rows, columns)

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of the output."""
        return self.rows.output_size, self.columns.output_size

    @property
    def leftover(self) -> tuple[int, int]:
        """Padded rows and columns behind the last window."""
        return self.rows.leftover, self.columns.leftover

    @property
    def taps(self) -> "Taps":
        """The taps of every output."""
        rows, columns = self.rows, self.columns
        return Taps(
            (rows.kernel_size, columns.kernel_size),
            (rows.stride, columns.stride),
            (rows.dilation, columns.dilation),
            self.output_size,
        )

    def leftover_text(self) -> str:
        """`1 row and 2 columns at the end are never read`, or nothing."""
        named = zip(self.leftover, ("row", "column"), strict=True)
        parts = [f"{number} {name}{'s' * (number > 1)}" for number, name in named if number]
        verb = "is" if sum(self.leftover) == 1 else "are"
        return f"{' and '.join(parts)} at the end {verb} never read" if parts else ""

    def checked(self) -> "Window":
        """This window, which must fit into the padded input at least once."""
        for name, axis in (("height", self.rows), ("width", self.columns)):
            if axis.output_size < 1:
                raise UsageError(
                    f"kernel_size={axis.kernel_size} with dilation={axis.dilation} reaches over {axis.extent} values,"
                    f" and the padded {name} is {axis.padded} ({axis.size} + {axis.padding[0]} + {axis.padding[1]})."
                    " Give a smaller kernel or dilation, or more padding."
                )
        return self


@dataclass(frozen=True, slots=True)
class Taps:
    """Where each tap (u, v) of a kernel lies on the padded input, for all `outputs` at once."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    outputs: tuple[int, int]

    def __iter__(self) -> Iterator[tuple[int, int, tuple[slice, slice]]]:
        """(u, v, the rows and columns that all outputs read through that tap), row by row."""
        for u, v in np.ndindex(self.kernel_size):
            yield u, v, (self._places(0, u), self._places(1, v))

    def _places(self, axis: int, tap: int) -> slice:
        """u·d, u·d + s, u·d + 2s, …: one for each output."""
        start, stride = tap * self.dilation[axis], self.stride[axis]
        return slice(start, start + stride * (self.outputs[axis] - 1) + 1, stride)


def padding_pairs(
    padding: Any, kernel_size: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """`padding` (int, pair, 'same' or 'valid') as (before, after) of rows and columns.

    'same' keeps the size, which needs stride 1: of t = d(k − 1), p₀ = ⌊t/2⌋ come before and t − p₀ after.
    """
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        if stride != (1, 1):
            raise UsageError(f"padding='same' with stride={stride}: 'same' needs stride 1. Give padding as a number.")
        rows, columns = (d * (k - 1) for d, k in zip(dilation, kernel_size, strict=True))
        return (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)
    if isinstance(padding, str):
        raise UsageError(f"padding={padding!r}: give an integer, two of them, 'same' or 'valid'.")
    rows, columns = non_negative("padding", padding)
    return (rows, rows), (columns, columns)


def check_mode(mode: str, window: Window) -> PaddingMode:
    """The padding mode, which must find what it repeats: reflect needs p < i, circular p ≤ i."""
    if mode not in PADDING_MODES:
        raise UsageError(f"padding_mode={mode!r}: there is {', '.join(PADDING_MODES)}.")
    for name, axis in (("height", window.rows), ("width", window.columns)):
        most = {"reflect": axis.size - 1, "circular": axis.size}.get(mode)
        if most is not None and max(axis.padding) > most:
            raise UsageError(
                f"padding={max(axis.padding)} with padding_mode={mode!r}: at a {name} of {axis.size} there is no more"
                f" than {most} to take. Give less padding, or padding_mode='replicate'."
            )
    return mode


def window_arguments(size: tuple[int, int], kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> Window:
    """The window of arguments as torch takes them: each an int or a pair, padding by name too."""
    kernel, steps, gaps = (
        positive("kernel_size", kernel_size),
        positive("stride", stride),
        positive("dilation", dilation),
    )
    return Window.over(size, kernel, steps, padding_pairs(padding, kernel, steps, gaps), gaps)
