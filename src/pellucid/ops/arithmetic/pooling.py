"""Pooling: one number for each window of each channel, the largest or the mean; and where its gradient goes.

Symbols, per axis: i input size, k kernel size, s stride (k where not given), p padding on both sides, d dilation, o
output size; n = i + 2p − d(k − 1) − 1. Source: documentation of torch.nn.MaxPool2d, AvgPool2d, AdaptiveAvgPool2d.

    o = ⌊n/s⌋ + 1                                   ceil_mode False
    o = ⌈n/s⌉ + 1, less 1 if (o − 1)s ≥ i + p       ceil_mode True: the last window begins inside input or left
    padding
"""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from pellucid.errors import UsageError
from pellucid.ops.arguments import array, check_shape, non_negative, positive
from pellucid.ops.arithmetic.padding import pad
from pellucid.ops.arithmetic.routing import routed
from pellucid.ops.windows import Axis, Window

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "divisors",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool2d_with_indices",
    "pool_axis",
    "pool_window",
]

Array = np.ndarray
Pair = int | tuple[int, int]


def pool_axis(size: int, kernel_size: int, stride: int, padding: int, dilation: int, *, ceil_mode: bool) -> Axis:
    """One axis of a pooling window; with `ceil_mode` the padding behind grows until the last window fits."""
    axis = Axis(size, kernel_size, stride, (padding, padding), dilation)
    begins = ((axis.padded - axis.extent) // stride + 1) * stride  # where one window more would begin
    if not ceil_mode or not axis.leftover or not 0 <= begins < size + padding:
        return axis
    return replace(axis, padding=(padding, begins + axis.extent - size - padding))


def pool_window(
    size: tuple[int, int], kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Window:
    """The window of a pooling; what does not fit raises `UsageError`."""
    kernel, gaps = positive("kernel_size", kernel_size), positive("dilation", dilation)
    steps = kernel if stride is None else positive("stride", stride)
    pads = non_negative("padding", padding)
    for one, half in zip(pads, kernel, strict=True):
        if one > half // 2:
            raise UsageError(
                f"padding={padding!r} is more than half of kernel_size={kernel_size!r}: a window could lie outside the"
                f" input. Give at most {half // 2}."
            )
    rows, columns = (
        pool_axis(*each, ceil_mode=ceil_mode) for each in zip(size, kernel, steps, pads, gaps, strict=True)
    )
    return Window(rows, columns).checked()


def max_pool2d(
    x: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> Float[Array, "n c out_h out_w"]:
    """The largest value of each window.

        Y[n,c,y,x] = max over u, v of  X[n, c, y·s_h − p_h + u·d_h, x·s_w − p_w + v·d_w]

    Padded cells never win. `x` is N C H W.
    """
    return max_pool2d_with_indices(x, kernel_size, stride, padding, dilation, ceil_mode)[0]


def max_pool2d_with_indices(
    x: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> tuple[Float[Array, "n c out_h out_w"], Int[Array, "n c out_h out_w"]]:
    """The largest value of each window and its place, row·W + column in the plane without padding.

    Of equal values the first in row-major order wins. Where dilation steps over the whole input, so that a window sees
    nothing but padding, the maximum is −∞ and its place −1. (There torch gives a place outside the plane, to which its
    backward pass then writes.)
    """
    x = array("x", x, 4)
    window = pool_window(x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    padded, places = pad(x, window, value=-np.inf), _places(window)
    best = np.full((*x.shape[:2], *window.output_size), -np.inf, x.dtype)
    winners = np.full(best.shape, -1)
    for _, _, (rows, columns) in window.taps:
        seen, place = padded[:, :, rows, columns], places[rows, columns]
        better = (place >= 0) & ((winners < 0) | (seen > best) | np.isnan(seen))
        best, winners = np.where(better, seen, best), np.where(better, place, winners)
    return best, winners


def _places(window: Window) -> Int[Array, "padded_h padded_w"]:
    """row·W + column of each padded cell, −1 for one that is padding."""
    height, width = window.rows.size, window.columns.size
    plane = np.arange(1.0, height * width + 1).reshape(1, 1, height, width)
    return pad(plane, window)[0, 0].astype(np.int64) - 1


def max_pool2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    *,
    ceil_mode: bool = False,
) -> Float[Array, "n c h w"]:
    """dX: the value that won a window gets its gradient, all others none; where windows overlap, gradients add.

    dX[n, c, winner(n,c,y,x)] += dY[n,c,y,x]
    """
    x = array("x", x, 4)
    _, winners = max_pool2d_with_indices(x, kernel_size, stride, padding, dilation, ceil_mode)
    return routed(grad_output, x, winners)


def avg_pool2d(
    x: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Float[Array, "n c out_h out_w"]:
    """The mean of each window.

        Y[n,c,y,x] = Σ_u Σ_v  X̂[n, c, y·s_h − p_h + u, x·s_w − p_w + v] / divisor[y,x]

    The divisor is the number of cells of the window, padding included, or with `count_include_pad=False` of real
    cells; what `ceil_mode` adds beyond the padding is never counted.
    """
    x = array("x", x, 4)
    window = pool_window(x.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    padded = pad(x, window)
    total = np.zeros((*x.shape[:2], *window.output_size), x.dtype)
    for _, _, (rows, columns) in window.taps:
        total += padded[:, :, rows, columns]
    return total / divisors(window, count_include_pad=count_include_pad)


def avg_pool2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Float[Array, "n c h w"]:
    """dX: each window spreads its gradient evenly over its real cells.

    dX[n, c, y·s_h − p_h + u, x·s_w − p_w + v] += dY[n,c,y,x] / divisor[y,x]
    """
    x, grad_output = array("x", x, 4), array("grad_output", grad_output, 4)
    window = pool_window(x.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    check_shape("grad_output", grad_output, (*x.shape[:2], *window.output_size), "that of the output")
    share = grad_output / divisors(window, count_include_pad=count_include_pad)
    canvas = np.zeros((*x.shape[:2], window.rows.padded, window.columns.padded), share.dtype)
    for _, _, (rows, columns) in window.taps:
        canvas[:, :, rows, columns] += share
    (top, _), (left, _) = window.rows.padding, window.columns.padding
    return canvas[:, :, top : top + x.shape[2], left : left + x.shape[3]]


def divisors(window: Window, *, count_include_pad: bool) -> Float[Array, "out_h out_w"]:
    """By what each window's sum is divided: its rows times its columns."""
    rows, columns = (_cells(axis, count_include_pad) for axis in (window.rows, window.columns))
    return np.outer(rows, columns)


def _cells(axis: Axis, count_include_pad: bool) -> Float[Array, " o"]:
    """Cells of each window that count, on one axis."""
    first = np.arange(axis.output_size) * axis.stride - axis.padding[0]
    low, high = (-axis.padding[0], axis.size + axis.padding[0]) if count_include_pad else (0, axis.size)
    return (np.minimum(first + axis.kernel_size, high) - np.maximum(first, low)).astype(np.float64)
