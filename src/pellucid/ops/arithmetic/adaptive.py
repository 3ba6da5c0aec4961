"""Adaptive pooling: windows chosen so that the output has the size that is asked for.

Of i rows and o wanted, output row y reads the rows ⌊y·i/o⌋ up to, and without, ⌈(y + 1)·i/o⌉; windows may overlap and
differ by one in size. Source: torch.nn.AdaptiveAvgPool2d and its implementation.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from pellucid.ops.arguments import array, check_shape, positive
from pellucid.ops.arithmetic.routing import routed

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_backward",
    "adaptive_max_pool2d_with_indices",
    "adaptive_spans",
    "output_pair",
]

Array = np.ndarray
Size = int | tuple[int | None, int | None]


def adaptive_spans(size: int, output_size: int) -> list[slice]:
    """The rows that each output row reads."""
    return [slice(y * size // output_size, -(-(y + 1) * size // output_size)) for y in range(output_size)]


def output_pair(x: Array, output_size: Size) -> tuple[int, int]:
    """Height and width of the output, None being the input's."""
    wanted = output_size if isinstance(output_size, tuple | list) else (output_size, output_size)
    kept = tuple(side if one is None else one for one, side in zip(wanted, x.shape[2:], strict=False))
    return positive("output_size", kept)


def _spans(x: Array, output_size: Size) -> tuple[list[slice], list[slice]]:
    height, width = output_pair(x, output_size)
    return adaptive_spans(x.shape[2], height), adaptive_spans(x.shape[3], width)


def adaptive_avg_pool2d(x: ArrayLike, output_size: Size) -> Float[Array, "n c out_h out_w"]:
    """The mean of each window: Y[n,c,y,x] = mean of X[n,c,rows(y),columns(x)].

    `output_size` is an int, or (height, width), where None keeps the input's. With 1 it is global average pooling.
    """
    x = array("x", x, 4)
    rows, columns = _spans(x, output_size)
    means = [[x[:, :, row, column].mean(axis=(2, 3)) for column in columns] for row in rows]
    return np.stack([np.stack(line, axis=-1) for line in means], axis=-2)


def adaptive_avg_pool2d_backward(grad_output: ArrayLike, x: ArrayLike, output_size: Size) -> Float[Array, "n c h w"]:
    """dX[n,c,rows(y),columns(x)] += dY[n,c,y,x] / number of cells of that window."""
    x, grad_output = array("x", x, 4), array("grad_output", grad_output, 4)
    rows, columns = _spans(x, output_size)
    check_shape("grad_output", grad_output, (*x.shape[:2], len(rows), len(columns)), "that of the output")
    grad_x = np.zeros(x.shape, grad_output.dtype)
    for y, row in enumerate(rows):
        for z, column in enumerate(columns):
            cells = (row.stop - row.start) * (column.stop - column.start)
            grad_x[:, :, row, column] += grad_output[:, :, y, z, None, None] / cells
    return grad_x


def adaptive_max_pool2d(x: ArrayLike, output_size: Size) -> Float[Array, "n c out_h out_w"]:
    """The largest value of each window: Y[n,c,y,x] = max of X[n,c,rows(y),columns(x)]."""
    return adaptive_max_pool2d_with_indices(x, output_size)[0]


def adaptive_max_pool2d_with_indices(
    x: ArrayLike, output_size: Size
) -> tuple[Float[Array, "n c out_h out_w"], Int[Array, "n c out_h out_w"]]:
    """The largest value of each window and its place, row·W + column; of equal values the first in row-major order."""
    x = array("x", x, 4)
    rows, columns = _spans(x, output_size)
    winners = np.zeros((*x.shape[:2], len(rows), len(columns)), np.int64)
    for y, row in enumerate(rows):
        for z, column in enumerate(columns):
            cells = x[:, :, row, column].reshape(*x.shape[:2], -1)
            down, across = np.divmod(cells.argmax(axis=2), column.stop - column.start)
            winners[:, :, y, z] = (row.start + down) * x.shape[3] + column.start + across
    flat = x.reshape(*x.shape[:2], -1)
    values = np.take_along_axis(flat, winners.reshape(*x.shape[:2], -1), axis=2)
    return values.reshape(winners.shape), winners


def adaptive_max_pool2d_backward(grad_output: ArrayLike, x: ArrayLike, output_size: Size) -> Float[Array, "n c h w"]:
    """dX[n, c, winner(n,c,y,x)] += dY[n,c,y,x]."""
    x = array("x", x, 4)
    _, winners = adaptive_max_pool2d_with_indices(x, output_size)
    return routed(grad_output, x, winners)
