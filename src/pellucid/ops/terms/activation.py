"""Terms of activation functions and of the sum where a shortcut joins: one product, or two."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pellucid.ops.arithmetic.activation import floating, like
from pellucid.ops.terms.value import Explain, Part, Terms, checked_index

__all__ = [
    "leaky_relu",
    "leaky_relu_backward",
    "relu",
    "relu_backward",
    "residual_add",
    "residual_add_backward",
]

Index = Sequence[int]


def relu(x: ArrayLike) -> Explain:
    """Y: 1 · X where X > 0, 0 · X elsewhere."""
    return leaky_relu(x, 0.0)


def relu_backward(grad_output: ArrayLike, x: ArrayLike) -> Explain:
    """dX: 1 · dY where X > 0, 0 · dY elsewhere."""
    return leaky_relu_backward(grad_output, x, 0.0)


def leaky_relu(x: ArrayLike, negative_slope: float = 0.01) -> Explain:
    """Y: 1 · X where X > 0, negative_slope · X elsewhere."""
    values = floating(x)

    def explain(index: Index) -> Terms:
        place = checked_index(index, values.shape)
        return Terms.single("x", place, 1.0 if values[place] > 0 else negative_slope, values[place])

    return explain


def leaky_relu_backward(grad_output: ArrayLike, x: ArrayLike, negative_slope: float = 0.01) -> Explain:
    """dX: 1 · dY where X > 0, negative_slope · dY elsewhere."""
    values = floating(x)
    given = like("grad_output", grad_output, "x", values)

    def explain(index: Index) -> Terms:
        place = checked_index(index, values.shape)
        return Terms.single("grad_output", place, 1.0 if values[place] > 0 else negative_slope, given[place])

    return explain


def residual_add(x: ArrayLike, shortcut: ArrayLike) -> Explain:
    """Y: 1 · X and 1 · S."""
    values = floating(x)
    round_it = like("shortcut", shortcut, "x", values)

    def explain(index: Index) -> Terms:
        place = checked_index(index, values.shape)
        return Terms((_once("x", place, values[place]), _once("shortcut", place, round_it[place])))

    return explain


def residual_add_backward(grad_output: ArrayLike) -> tuple[Explain, Explain]:
    """dX and dS: 1 · dY each."""
    given = floating(grad_output)

    def explain(index: Index) -> Terms:
        place = checked_index(index, given.shape)
        return Terms((_once("grad_output", place, given[place]),))

    return explain, explain


def _once(source: str, place: tuple[int, ...], value: float) -> Part:
    return Part(source, np.array([place]).reshape(1, -1), np.ones(1), np.array([float(value)]))
