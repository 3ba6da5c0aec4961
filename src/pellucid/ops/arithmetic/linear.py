"""A fully connected layer, softmax and cross entropy: the end of a classifier.

Symbols: X [N, in], W [out, in], b [out]; logits z [N, C], probabilities p, target class t of each row.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from pellucid.errors import UsageError
from pellucid.ops.arguments import array, check_shape, integers

__all__ = [
    "class_indices",
    "cross_entropy",
    "cross_entropy_backward",
    "linear",
    "linear_arguments",
    "linear_backward",
    "log_softmax",
    "softmax",
    "softmax_backward",
]

Array = np.ndarray
WEIGHT_AXES = "out in"


def linear(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Float[Array, "n out"]:
    """Y[n,o] = b[o] + Σ_i W[o,i] · X[n,i]"""
    x, weight, shift = linear_arguments(x, weight, bias)
    return x @ weight.T + shift


def linear_arguments(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None
) -> tuple[Float[Array, "n in"], Float[Array, "out in"], Float[Array, " out"]]:
    """The three, checked against each other; a bias of zeros where there is none."""
    x, weight = array("x", x, 2), array("weight", weight, 2, WEIGHT_AXES)
    check_shape("weight", weight, (len(weight), x.shape[1]), "x is that wide")
    shift = np.zeros(len(weight), weight.dtype) if bias is None else array("bias", bias, 1)
    check_shape("bias", shift, (len(weight),), "one number for each output")
    return x, weight, shift


def linear_backward(
    grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike
) -> tuple[Float[Array, "n in"], Float[Array, "out in"], Float[Array, " out"]]:
    """dX = dY·W, dW = dYᵀ·X, db = Σ_n dY."""
    x, weight, _ = linear_arguments(x, weight, None)
    grad_output = array("grad_output", grad_output, 2)
    check_shape("grad_output", grad_output, (len(x), len(weight)), "that of the output")
    return grad_output @ weight, grad_output.T @ x, grad_output.sum(axis=0)


def softmax(logits: ArrayLike) -> Float[Array, "n classes"]:
    """p_c = exp(z_c) / Σ_k exp(z_k); the row's largest logit is taken off first, which changes nothing but overflow."""
    z = array("logits", logits, 2)
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def softmax_backward(grad_output: ArrayLike, logits: ArrayLike) -> Float[Array, "n classes"]:
    """dz_c = p_c · (dp_c − Σ_k dp_k·p_k)"""
    probs, grad_output = softmax(logits), array("grad_output", grad_output, 2)
    check_shape("grad_output", grad_output, probs.shape, "that of the logits")
    return probs * (grad_output - (grad_output * probs).sum(axis=1, keepdims=True))


def cross_entropy(logits: ArrayLike, target: ArrayLike) -> float:
    """L = −(1/N) Σ_n log p[n, t_n], with log p_c = z_c − log Σ_k exp(z_k)."""
    z, classes = array("logits", logits, 2), class_indices(target, logits)
    return float(-log_softmax(z)[np.arange(len(z)), classes].mean())


def cross_entropy_backward(logits: ArrayLike, target: ArrayLike) -> Float[Array, "n classes"]:
    """dz = (p − onehot(t)) / N, for ∂L/∂L = 1."""
    probs, classes = softmax(logits), class_indices(target, logits)
    onehot = np.zeros_like(probs)
    onehot[np.arange(len(probs)), classes] = 1
    return (probs - onehot) / len(probs)


def log_softmax(z: Float[Array, "n classes"]) -> Float[Array, "n classes"]:
    """log p_c = z_c − log Σ_k exp(z_k)"""
    shifted = z - z.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def class_indices(target: ArrayLike, logits: ArrayLike) -> Int[Array, " n"]:
    """The target class of each row, which must be a column of the logits."""
    rows, classes = np.shape(logits)
    found = integers("target", target)
    check_shape("target", found, (rows,), "one class for each row of logits")
    outside = found[(found < 0) | (found >= classes)]
    if outside.size:
        raise UsageError(f"target has class {outside[0]}, and there are {classes}: 0 to {classes - 1}.")
    return found
