"""Terms of convolution and transposed convolution: the same links, summed for the output, the input, the weight."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pellucid.ops.arguments import array
from pellucid.ops.arithmetic.convolution import flip
from pellucid.ops.arithmetic.geometry import FILTER_AXES, Geometry, checked_bias
from pellucid.ops.arithmetic.transposed import FILTER_AXES as TRANSPOSED_AXES
from pellucid.ops.arithmetic.transposed import Stamps
from pellucid.ops.terms.links import Links, grid
from pellucid.ops.terms.value import Explain, Part, Terms, checked_index

__all__ = [
    "conv2d",
    "conv2d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "true_conv2d",
    "true_conv2d_backward",
]

Array = np.ndarray
Index = Sequence[int]


def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    *,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Explain:
    """Y[n,o,y,x]: bias and weight · x over its window; padded zeros have no term."""
    x, weight = array("x", x, 4), array("weight", weight, 4, FILTER_AXES)
    geometry = Geometry.of(x.shape, weight, stride, padding, dilation, groups=groups, padding_mode=padding_mode)
    links, shift = _links(geometry), checked_bias(bias, len(weight)).ravel()
    shape = (len(x), len(weight), *geometry.window.output_size)

    def explain(index: Index) -> Terms:
        place = checked_index(index, shape)
        return Terms((links.window(place, x, weight, "x"),), float(shift[place[1]]))

    return explain


def conv2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    *,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> tuple[Explain, Explain, Explain]:
    """dX: weight · dY over the fan-out. dW: x · dY over all positions. db: 1 · dY over all positions."""
    x, weight = array("x", x, 4), array("weight", weight, 4, FILTER_AXES)
    geometry = Geometry.of(x.shape, weight, stride, padding, dilation, groups=groups, padding_mode=padding_mode)
    given, links = geometry.grad_output(grad_output, x.shape, len(weight)), _links(geometry)

    def explain_x(index: Index) -> Terms:
        return Terms((links.fan_out(checked_index(index, x.shape), given, weight, "grad_output"),))

    def explain_weight(index: Index) -> Terms:
        return Terms((links.shared(checked_index(index, weight.shape), given, x, "grad_output"),))

    return explain_x, explain_weight, _over_positions(given)


def true_conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    *,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Explain:
    """As `conv2d`, with the filter rotated by 180°."""
    return conv2d(x, flip(weight), bias, stride, padding, dilation, groups=groups, padding_mode=padding_mode)


def true_conv2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    *,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> tuple[Explain, Explain, Explain]:
    """As `conv2d_backward`, with the filter, and so dW, rotated by 180°."""
    rotated = flip(weight)
    explain_x, explain_rotated, explain_bias = conv2d_backward(
        grad_output, x, rotated, stride, padding, dilation, groups=groups, padding_mode=padding_mode
    )

    def explain_weight(index: Index) -> Terms:
        o, c, u, v = checked_index(index, rotated.shape)
        return explain_rotated((o, c, rotated.shape[2] - 1 - u, rotated.shape[3] - 1 - v))

    return explain_x, explain_weight, explain_bias


def conv_transpose2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    output_padding: int | tuple[int, int] = 0,
    *,
    groups: int = 1,
    dilation: int | tuple[int, int] = 1,
    padding_mode: str = "zeros",
) -> Explain:
    """Y[n,o,r,t]: bias and weight · x of every input that is stamped there."""
    x, weight = array("x", x, 4), array("weight", weight, 4, TRANSPOSED_AXES)
    places = (stride, padding, output_padding, dilation)
    stamps = Stamps.of(x.shape, weight, places, groups=groups, padding_mode=padding_mode)
    shape = (len(x), weight.shape[1] * stamps.groups, *stamps.output_size)
    links, shift = _stamped(stamps), checked_bias(bias, shape[1]).ravel()

    def explain(index: Index) -> Terms:
        place = checked_index(index, shape)
        return Terms((links.fan_out(place, x, weight, "x"),), float(shift[place[1]]))

    return explain


def conv_transpose2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    output_padding: int | tuple[int, int] = 0,
    *,
    groups: int = 1,
    dilation: int | tuple[int, int] = 1,
    padding_mode: str = "zeros",
) -> tuple[Explain, Explain, Explain]:
    """dX: weight · dY over the window. dW: dY · x over all positions. db: 1 · dY over all positions."""
    x, weight = array("x", x, 4), array("weight", weight, 4, TRANSPOSED_AXES)
    places = (stride, padding, output_padding, dilation)
    stamps = Stamps.of(x.shape, weight, places, groups=groups, padding_mode=padding_mode)
    given, links = stamps.grad_output(grad_output, x.shape, weight), _stamped(stamps)

    def explain_x(index: Index) -> Terms:
        return Terms((links.window(checked_index(index, x.shape), given, weight, "grad_output"),))

    def explain_weight(index: Index) -> Terms:
        return Terms((links.shared(checked_index(index, weight.shape), x, given, "x"),))

    return explain_x, explain_weight, _over_positions(given)


def _links(geometry: Geometry) -> Links:
    rows, columns = geometry.window.rows, geometry.window.columns
    return Links(rows.reads(geometry.mode), columns.reads(geometry.mode), geometry.groups)


def _stamped(stamps: Stamps) -> Links:
    """Of the convolution that is transposed; where output_padding adds a window to it, no input stands there."""
    (height, width), rows, columns = stamps.taps.outputs, stamps.window.rows, stamps.window.columns
    return Links(rows.reads(stamps.mode)[:height], columns.reads(stamps.mode)[:width], stamps.groups)


def _over_positions(given: Array) -> Explain:
    """db[o]: every dY of the channel, once."""

    def explain(index: Index) -> Terms:
        (o,) = checked_index(index, (given.shape[1],))
        n, _, height, width = given.shape
        places = grid(np.arange(n), [o], np.arange(height), np.arange(width))
        return Terms((Part("grad_output", places, np.ones(len(places)), given[:, o].ravel()),))

    return explain
