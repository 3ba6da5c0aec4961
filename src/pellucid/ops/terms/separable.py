"""Terms of a mean or an interpolation: Y = scale · (A·X·Bᵀ), one matrix an axis, whose entries are the coefficients."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from pellucid.ops.arguments import array, check_shape
from pellucid.ops.terms.links import grid
from pellucid.ops.terms.value import Explain, Part, Terms, checked_index

__all__ = ["mixed", "mixed_backward"]

Array = np.ndarray
Index = Sequence[int]


def mixed(
    x: Float[Array, "n c h w"],
    rows: Float[Array, "out_h h"],
    columns: Float[Array, "out_w w"],
    scale: Float[Array, "out_h out_w"],
) -> Explain:
    """Y[n,c,y,x]: scale[y,x]·A[y,r]·B[x,q] · X[n,c,r,q] wherever the coefficient is not 0."""
    shape = (*x.shape[:2], len(rows), len(columns))

    def explain(index: Index) -> Terms:
        n, c, y, z = checked_index(index, shape)
        r, q = np.flatnonzero(rows[y]), np.flatnonzero(columns[z])
        coefficient = scale[y, z] * np.outer(rows[y, r], columns[z, q])
        value = x[n, c][r[:, None], q]
        return Terms((Part("x", grid([n], [c], r, q), coefficient.ravel(), value.ravel()),))

    return explain


def mixed_backward(
    grad_output: ArrayLike,
    x: Float[Array, "n c h w"],
    rows: Float[Array, "out_h h"],
    columns: Float[Array, "out_w w"],
    scale: Float[Array, "out_h out_w"],
) -> Explain:
    """dX[n,c,r,q]: scale[y,x]·A[y,r]·B[x,q] · dY[n,c,y,x] wherever the coefficient is not 0."""
    given = array("grad_output", grad_output, 4)
    check_shape("grad_output", given, (*x.shape[:2], len(rows), len(columns)), "that of the output")

    def explain(index: Index) -> Terms:
        n, c, r, q = checked_index(index, x.shape)
        y, z = np.flatnonzero(rows[:, r]), np.flatnonzero(columns[:, q])
        coefficient = scale[y[:, None], z] * np.outer(rows[y, r], columns[z, q])
        value = given[n, c][y[:, None], z]
        return Terms((Part("grad_output", grid([n], [c], y, z), coefficient.ravel(), value.ravel()),))

    return explain
