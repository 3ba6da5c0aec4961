"""Padding from its definition, and back: what each padded cell shows, and where its gradient goes."""

import numpy as np
from jaxtyping import Float

from pellucid.ops.windows import NO_SOURCE, Axis, PaddingMode, Window, axis_sources

__all__ = ["pad", "unpad"]


def pad(
    x: Float[np.ndarray, "n c h w"], window: Window, mode: PaddingMode = "zeros", value: float = 0.0
) -> Float[np.ndarray, "n c padded_h padded_w"]:
    """X̂: the input with its padding around it; padded zeros hold `value`."""
    rows, columns = _sources(window.rows, mode)[:, None], _sources(window.columns, mode)
    nowhere = (rows == NO_SOURCE) | (columns == NO_SOURCE)
    return np.where(nowhere, x.dtype.type(value), x[:, :, rows, columns])


def unpad(
    grad: Float[np.ndarray, "n c padded_h padded_w"], window: Window, mode: PaddingMode = "zeros"
) -> Float[np.ndarray, "n c h w"]:
    """The transpose of `pad`: each padded cell's gradient goes back to the cell it shows, zeros to nothing."""
    return _folded(_folded(grad, window.rows, mode, 2), window.columns, mode, 3)


def _folded(
    grad: Float[np.ndarray, "n c h w"], axis: Axis, mode: PaddingMode, dimension: int
) -> Float[np.ndarray, "n c h2 w2"]:
    shape = [*grad.shape[:dimension], axis.size, *grad.shape[dimension + 1 :]]
    folded = np.zeros(shape, grad.dtype)
    for place, source in enumerate(_sources(axis, mode)):
        if source != NO_SOURCE:
            here, there = (slice(None),) * dimension + (source,), (slice(None),) * dimension + (place,)
            folded[here] += grad[there]
    return folded


def _sources(axis: Axis, mode: PaddingMode) -> np.ndarray:
    before, after = axis.padding
    return axis_sources(np.arange(-before, axis.size + after), axis.size, mode)
