"""Terms of batch normalisation: affine in x forward, linear in dY backward."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pellucid.ops.arguments import array, check_shape
from pellucid.ops.arithmetic.normalization import channels_of, normalised, statistics
from pellucid.ops.terms.links import grid
from pellucid.ops.terms.value import Explain, Part, Terms, checked_index

__all__ = ["batch_norm", "batch_norm_backward"]

Array = np.ndarray
Index = Sequence[int]


def batch_norm(
    x: ArrayLike,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    *,
    eps: float = 1e-5,
) -> Explain:
    """y: β + a·x − a·μ with a = γ/√(σ² + ε)."""
    x = array("x", x, 4)
    mean, var = statistics(x, running_mean, running_var, training=training)
    slope = channels_of("weight", weight, x, 1.0) / np.sqrt(var + eps)
    shift = channels_of("bias", bias, x, 0.0)

    def explain(index: Index) -> Terms:
        place = checked_index(index, x.shape)
        c = place[1]
        taken = Part("mean", np.array([[c]]), np.array([-slope[c]]), np.array([mean[c]]))
        given = Part("x", np.array([place]), np.array([slope[c]]), np.array([x[place]]))
        return Terms((given, taken), float(shift[c]))

    return explain


def batch_norm_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
    weight: ArrayLike | None = None,
    training: bool = False,
    *,
    eps: float = 1e-5,
) -> tuple[Explain, Explain, Explain]:
    """dx_i: a · dy_i, and in training −a·(1 + x̂_i·x̂_j)/m · dy_j of every value of the channel.

    dγ: x̂_j · dy_j. dβ: 1 · dy_j.
    """
    x, given = array("x", x, 4), array("grad_output", grad_output, 4)
    check_shape("grad_output", given, x.shape, "that of x")
    mean, var = statistics(x, running_mean, running_var, training=training)
    slope, x_hat = channels_of("weight", weight, x, 1.0) / np.sqrt(var + eps), normalised(x, mean, var, eps)

    def explain_x(index: Index) -> Terms:
        place = checked_index(index, x.shape)
        c = place[1]
        own = Terms.single("grad_output", place, slope[c], given[place])
        if not training:
            return own
        values = x.size // x.shape[1]
        return Terms((*own.parts, _channel(given, c, -slope[c] * (1 + x_hat[place] * x_hat[:, c]) / values)))

    def explain_weight(index: Index) -> Terms:
        (c,) = checked_index(index, (x.shape[1],))
        return Terms((_channel(given, c, x_hat[:, c]),))

    def explain_bias(index: Index) -> Terms:
        (c,) = checked_index(index, (x.shape[1],))
        return Terms((_channel(given, c, np.ones_like(x[:, c])),))

    return explain_x, explain_weight, explain_bias


def _channel(given: Array, c: int, coefficient: Array) -> Part:
    """All dY of a channel with their coefficients."""
    n, _, height, width = given.shape
    places = grid(np.arange(n), [c], np.arange(height), np.arange(width))
    return Part("grad_output", places, coefficient.ravel(), given[:, c].ravel())
