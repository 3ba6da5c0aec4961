"""Batch normalisation: each channel shifted and scaled, by its own statistics or by remembered ones.

m = N·H·W values a channel; μ their mean, σ² their biased variance; γ weight, β bias; x̂ = (x − μ)/√(σ² + ε).
Source: Ioffe and Szegedy 2015, algorithm 1; documentation of torch.nn.BatchNorm2d.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from pellucid.errors import UsageError
from pellucid.ops.arguments import array, check_shape

__all__ = [
    "batch_norm",
    "batch_norm_backward",
    "channels_of",
    "fold_batch_norm",
    "normalised",
    "running_statistics",
    "statistics",
]

Array = np.ndarray
Channels = Float[Array, " c"]


def batch_norm(
    x: ArrayLike,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    *,
    eps: float = 1e-5,
) -> Float[Array, "n c h w"]:
    """y = γ·x̂ + β. In training μ and σ² are those of x; in evaluation they are the running ones.

    The input is not changed, nor are the statistics: `running_statistics` gives the new ones.
    """
    x = array("x", x, 4)
    mean, var = statistics(x, running_mean, running_var, training=training)
    gamma, beta = channels_of("weight", weight, x, 1.0), channels_of("bias", bias, x, 0.0)
    return _wide(gamma) * normalised(x, mean, var, eps) + _wide(beta)


def batch_norm_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
    weight: ArrayLike | None = None,
    training: bool = False,
    *,
    eps: float = 1e-5,
) -> tuple[Float[Array, "n c h w"], Channels, Channels]:
    """(dX, dγ, dβ) from dY.

    dγ = Σ dy·x̂      dβ = Σ dy
    dx = γ/√(σ² + ε) · (dy − mean(dy) − x̂·mean(dy·x̂))       training: μ and σ² depend on x
    dx = γ/√(σ² + ε) · dy                                    evaluation: they do not
    """
    x, grad_output = array("x", x, 4), array("grad_output", grad_output, 4)
    check_shape("grad_output", grad_output, x.shape, "that of x")
    mean, var = statistics(x, running_mean, running_var, training=training)
    x_hat = normalised(x, mean, var, eps)
    grad_weight, grad_bias = (grad_output * x_hat).sum(axis=(0, 2, 3)), grad_output.sum(axis=(0, 2, 3))
    scale = _wide(channels_of("weight", weight, x, 1.0) / np.sqrt(var + eps))
    if not training:
        return scale * grad_output, grad_weight, grad_bias
    values = x.size // x.shape[1]
    moved = grad_output - _wide(grad_bias / values) - x_hat * _wide(grad_weight / values)
    return scale * moved, grad_weight, grad_bias


def running_statistics(
    x: ArrayLike, running_mean: ArrayLike, running_var: ArrayLike, momentum: float = 0.1
) -> tuple[Channels, Channels]:
    """(mean, variance) after a training step: (1 − momentum)·old + momentum·new.

    The new variance is the unbiased one, σ²·m/(m − 1), though the normalisation itself uses the biased.
    """
    x = array("x", x, 4)
    mean, var = statistics(x, None, None, training=True)
    values = x.size // x.shape[1]
    new = mean, var * values / (values - 1)
    old = channels_of("running_mean", running_mean, x, 0.0), channels_of("running_var", running_var, x, 1.0)
    updated = ((1 - momentum) * before + momentum * now for before, now in zip(old, new, strict=True))
    mean, var = updated
    return mean, var


def fold_batch_norm(
    weight: ArrayLike,
    bias: ArrayLike | None,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    *,
    eps: float = 1e-5,
) -> tuple[Float[Array, "c_out c kh kw"], Float[Array, " c_out"]]:
    """Weight and bias of the one convolution that equals a convolution and the batch norm behind it, in evaluation.

        a = γ/√(σ² + ε)      W' = a·W      b' = β + (b − μ)·a

    A batch norm *before* a zero-padded convolution cannot be folded: the border's zeros are not β.
    """
    weight = array("weight", weight, 4)
    shift = np.zeros(len(weight)) if bias is None else array("bias", bias, 1)
    mean, var, gamma, beta = (np.asarray(one, np.float64) for one in (running_mean, running_var, gamma, beta))
    scale = gamma / np.sqrt(var + eps)
    return weight * scale[:, None, None, None], beta + (shift - mean) * scale


def normalised(x: Float[Array, "n c h w"], mean: Channels, var: Channels, eps: float) -> Float[Array, "n c h w"]:
    """x̂ = (x − μ)/√(σ² + ε)"""
    return (x - _wide(mean)) / np.sqrt(_wide(var) + eps)


def statistics(
    x: Array, running_mean: ArrayLike | None, running_var: ArrayLike | None, *, training: bool
) -> tuple[Array, Array]:
    """(μ, σ²) by channel: those of x in training, else the running ones."""
    if not training:
        if running_mean is None or running_var is None:
            raise UsageError("running_mean and running_var are None: give both, or training=True to use those of x.")
        return channels_of("running_mean", running_mean, x, 0.0), channels_of("running_var", running_var, x, 1.0)
    if x.size == x.shape[1]:
        raise UsageError(f"x has shape {x.shape}, one value a channel, which has no variance. Give a larger batch.")
    return x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))


def channels_of(name: str, value: ArrayLike | None, x: Array, default: float) -> Array:
    """One number for each channel of x; the default where there is none."""
    if value is None:
        return np.full(x.shape[1], default, x.dtype)
    found = array(name, value, 1)
    check_shape(name, found, (x.shape[1],), "one number for each channel")
    return found


def _wide(values: Array) -> Array:
    return values[:, None, None]
