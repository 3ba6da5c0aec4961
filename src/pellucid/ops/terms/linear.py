"""Terms of a fully connected layer, softmax and cross entropy."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from pellucid.ops.arguments import array
from pellucid.ops.arithmetic.linear import class_indices, linear_arguments, log_softmax
from pellucid.ops.arithmetic.linear import linear_backward as backward
from pellucid.ops.arithmetic.linear import softmax as probabilities
from pellucid.ops.terms.links import grid
from pellucid.ops.terms.value import Explain, Part, Terms, checked_index

__all__ = ["cross_entropy", "cross_entropy_backward", "linear", "linear_backward", "softmax", "softmax_backward"]

Array = np.ndarray
Index = Sequence[int]


def linear(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Explain:
    """Y[n,o]: bias and W[o,i] · X[n,i]."""
    x, weight, shift = linear_arguments(x, weight, bias)

    def explain(index: Index) -> Terms:
        n, o = checked_index(index, (len(x), len(weight)))
        return Terms((Part("x", grid([n], np.arange(x.shape[1])), weight[o], x[n]),), float(shift[o]))

    return explain


def linear_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike) -> tuple[Explain, Explain, Explain]:
    """dX[n,i]: W[o,i] · dY[n,o]. dW[o,i]: X[n,i] · dY[n,o]. db[o]: 1 · dY[n,o]."""
    backward(grad_output, x, weight)
    x, weight, _ = linear_arguments(x, weight, None)
    given = array("grad_output", grad_output, 2)
    rows, outputs = np.arange(len(x)), np.arange(len(weight))

    def explain_x(index: Index) -> Terms:
        n, i = checked_index(index, x.shape)
        return Terms((Part("grad_output", grid([n], outputs), weight[:, i], given[n]),))

    def explain_weight(index: Index) -> Terms:
        o, i = checked_index(index, weight.shape)
        return Terms((Part("grad_output", grid(rows, [o]), x[:, i], given[:, o]),))

    def explain_bias(index: Index) -> Terms:
        (o,) = checked_index(index, (len(weight),))
        return Terms((Part("grad_output", grid(rows, [o]), np.ones(len(x)), given[:, o]),))

    return explain_x, explain_weight, explain_bias


def softmax(logits: ArrayLike) -> Explain:
    """p[n,c]: 1/Σ_k exp(z_k − max z) · exp(z_c − max z). The powers are the last linear thing to see."""
    z = array("logits", logits, 2)
    powers = np.exp(z - z.max(axis=1, keepdims=True))

    def explain(index: Index) -> Terms:
        n, c = checked_index(index, z.shape)
        return Terms.single("powers", (n, c), 1 / powers[n].sum(), powers[n, c])

    return explain


def softmax_backward(grad_output: ArrayLike, logits: ArrayLike) -> Explain:
    """dz[n,c]: p_c · dp[n,c] and −p_c·p_k · dp[n,k] of every k."""
    probs, given = probabilities(logits), array("grad_output", grad_output, 2)

    def explain(index: Index) -> Terms:
        n, c = checked_index(index, probs.shape)
        own = Part("grad_output", np.array([[n, c]]), probs[n, c : c + 1], given[n, c : c + 1])
        all_of_row = grid([n], np.arange(probs.shape[1]))
        return Terms((own, Part("grad_output", all_of_row, -probs[n, c] * probs[n], given[n])))

    return explain


def cross_entropy(logits: ArrayLike, target: ArrayLike) -> Explain:
    """L, whose index is (): −1/N · log p[n, t_n] of every row."""
    z, classes = array("logits", logits, 2), class_indices(target, logits)
    log_probs, rows = log_softmax(z), np.arange(len(z))

    def explain(index: Index) -> Terms:
        checked_index(index, ())
        places = np.column_stack([rows, classes])
        return Terms((Part("log_probs", places, np.full(len(z), -1 / len(z)), log_probs[rows, classes]),))

    return explain


def cross_entropy_backward(logits: ArrayLike, target: ArrayLike) -> Explain:
    """dz[n,c]: −1[c = t_n]/N and 1/N · p[n,c]."""
    probs: Float[Array, "n classes"] = probabilities(logits)
    classes, share = class_indices(target, logits), 1 / len(probs)

    def explain(index: Index) -> Terms:
        n, c = checked_index(index, probs.shape)
        return Terms.single("probs", (n, c), share, probs[n, c], bias=-share if classes[n] == c else 0.0)

    return explain
