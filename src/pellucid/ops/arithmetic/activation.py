"""Activation functions, value by value, and the sum where a shortcut joins."""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from pellucid.errors import UsageError

__all__ = [
    "floating",
    "leaky_relu",
    "leaky_relu_backward",
    "like",
    "relu",
    "relu_backward",
    "residual_add",
    "residual_add_backward",
]

Array = np.ndarray


def relu(x: ArrayLike) -> Float[Array, "..."]:
    """Y = max(X, 0), of any shape."""
    return leaky_relu(x, 0.0)


def relu_backward(grad_output: ArrayLike, x: ArrayLike) -> Float[Array, "..."]:
    """dX = dY where X > 0, and 0 elsewhere; at X = 0 it is 0, as in torch."""
    return leaky_relu_backward(grad_output, x, 0.0)


def leaky_relu(x: ArrayLike, negative_slope: float = 0.01) -> Float[Array, "..."]:
    """Y = X where X > 0, negative_slope·X elsewhere. YOLO v1 has a slope of 0.1."""
    x = floating(x)
    return np.where(x > 0, x, x * x.dtype.type(negative_slope))


def leaky_relu_backward(grad_output: ArrayLike, x: ArrayLike, negative_slope: float = 0.01) -> Float[Array, "..."]:
    """dX = dY where X > 0, negative_slope·dY elsewhere; at X = 0 it is the slope, as in torch."""
    x, grad_output = floating(x), like("grad_output", grad_output, "x", x)
    return np.where(x > 0, grad_output, grad_output * grad_output.dtype.type(negative_slope))


def residual_add(x: ArrayLike, shortcut: ArrayLike) -> Float[Array, "..."]:
    """Y = X + S: what a block computed, and what went round it (He et al. 2015, equation 1)."""
    x = floating(x)
    return x + like("shortcut", shortcut, "x", x)


def residual_add_backward(grad_output: ArrayLike) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """(dX, dS): both are dY, unchanged."""
    grad_output = floating(grad_output)
    return grad_output.copy(), grad_output.copy()


def floating(value: ArrayLike) -> Array:
    """The value as an array of any shape: float64, or the floating type that it has already."""
    found = np.asarray(value)
    return found if found.dtype.kind == "f" else found.astype(np.float64)


def like(name: str, value: ArrayLike, other_name: str, other: Array) -> Array:
    """The value as an array of the other's shape."""
    found = floating(value)
    if found.shape != other.shape:
        raise UsageError(f"{name} has shape {found.shape}, and {other_name} has {other.shape}. Give the same shape.")
    return found
