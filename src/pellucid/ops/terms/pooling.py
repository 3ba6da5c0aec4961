"""Terms of pooling: the winner alone, or every cell with its share."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from pellucid.ops.arguments import array, check_shape
from pellucid.ops.arithmetic.adaptive import Size, adaptive_max_pool2d_with_indices, adaptive_spans, output_pair
from pellucid.ops.arithmetic.pooling import Pair, divisors, max_pool2d_with_indices, pool_window
from pellucid.ops.terms.separable import mixed, mixed_backward
from pellucid.ops.terms.value import Explain, Part, Terms, checked_index
from pellucid.ops.windows import Axis

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "max_pool2d",
    "max_pool2d_backward",
]

Array = np.ndarray
Index = Sequence[int]


def max_pool2d(
    x: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> Explain:
    """Y[n,c,y,x]: 1 · the winner."""
    _, winners = max_pool2d_with_indices(x, kernel_size, stride, padding, dilation, ceil_mode)
    return _winner(array("x", x, 4), winners)


def max_pool2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    *,
    ceil_mode: bool = False,
) -> Explain:
    """dX[n,c,r,q]: 1 · dY of every window that it won."""
    _, winners = max_pool2d_with_indices(x, kernel_size, stride, padding, dilation, ceil_mode)
    return _won(grad_output, array("x", x, 4), winners)


def adaptive_max_pool2d(x: ArrayLike, output_size: Size) -> Explain:
    """Y[n,c,y,x]: 1 · the winner."""
    return _winner(array("x", x, 4), adaptive_max_pool2d_with_indices(x, output_size)[1])


def adaptive_max_pool2d_backward(grad_output: ArrayLike, x: ArrayLike, output_size: Size) -> Explain:
    """dX[n,c,r,q]: 1 · dY of every window that it won."""
    return _won(grad_output, array("x", x, 4), adaptive_max_pool2d_with_indices(x, output_size)[1])


def avg_pool2d(
    x: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Explain:
    """Y[n,c,y,x]: 1/divisor · every real cell of the window."""
    x = array("x", x, 4)
    window = pool_window(x.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    rows, columns = _read(window.rows), _read(window.columns)
    return mixed(x, rows, columns, 1 / divisors(window, count_include_pad=count_include_pad))


def avg_pool2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Explain:
    """dX[n,c,r,q]: 1/divisor · dY of every window that holds it."""
    x = array("x", x, 4)
    window = pool_window(x.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    rows, columns = _read(window.rows), _read(window.columns)
    return mixed_backward(grad_output, x, rows, columns, 1 / divisors(window, count_include_pad=count_include_pad))


def adaptive_avg_pool2d(x: ArrayLike, output_size: Size) -> Explain:
    """Y[n,c,y,x]: 1/cells · every cell of the window."""
    x = array("x", x, 4)
    return mixed(x, *_adaptive(x, output_size))


def adaptive_avg_pool2d_backward(grad_output: ArrayLike, x: ArrayLike, output_size: Size) -> Explain:
    """dX[n,c,r,q]: 1/cells · dY of every window that holds it."""
    x = array("x", x, 4)
    return mixed_backward(grad_output, x, *_adaptive(x, output_size))


def _winner(x: Float[Array, "n c h w"], winners: Int[Array, "n c out_h out_w"]) -> Explain:
    def explain(index: Index) -> Terms:
        n, c, y, z = checked_index(index, winners.shape)
        if winners[n, c, y, z] < 0:
            return Terms((), -np.inf)
        row, column = divmod(int(winners[n, c, y, z]), x.shape[3])
        return Terms.single("x", (n, c, row, column), 1.0, x[n, c, row, column])

    return explain


def _won(grad_output: ArrayLike, x: Float[Array, "n c h w"], winners: Int[Array, "n c out_h out_w"]) -> Explain:
    given = array("grad_output", grad_output, 4)
    check_shape("grad_output", given, winners.shape, "that of the output")

    def explain(index: Index) -> Terms:
        n, c, row, column = checked_index(index, x.shape)
        y, z = np.nonzero(winners[n, c] == row * x.shape[3] + column)
        places = np.column_stack([np.full(len(y), n), np.full(len(y), c), y, z])
        return Terms((Part("grad_output", places, np.ones(len(y)), given[n, c, y, z]),))

    return explain


def _read(axis: Axis) -> Float[Array, "o i"]:
    """1 where an output row reads an input row, else 0."""
    reads = axis.reads()
    matrix = np.zeros((axis.output_size, axis.size))
    y, u = np.nonzero(reads >= 0)
    matrix[y, reads[y, u]] = 1.0
    return matrix


def _adaptive(x: Array, output_size: Size) -> tuple[Array, Array, Array]:
    rows, columns = (
        _spanned(side, wanted) for side, wanted in zip(x.shape[2:], output_pair(x, output_size), strict=True)
    )
    return rows, columns, 1 / np.outer(rows.sum(axis=1), columns.sum(axis=1))


def _spanned(size: int, output_size: int) -> Float[Array, "o i"]:
    matrix = np.zeros((output_size, size))
    for y, span in enumerate(adaptive_spans(size, output_size)):
        matrix[y, span] = 1.0
    return matrix
