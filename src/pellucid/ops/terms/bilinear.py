"""Terms of bilinear interpolation: at most four pixels, each with its weight."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pellucid.ops.arguments import array
from pellucid.ops.arithmetic.bilinear import bilinear_matrices
from pellucid.ops.terms.separable import mixed, mixed_backward
from pellucid.ops.terms.value import Explain

__all__ = ["interpolate_bilinear", "interpolate_bilinear_backward"]

Index = Sequence[int]


def interpolate_bilinear(
    x: ArrayLike,
    size: int | tuple[int, int] | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    *,
    align_corners: bool = False,
) -> Explain:
    """Y[n,c,y,x]: A[y,r]·B[x,q] · the pixels around it."""
    x = array("x", x, 4)
    rows, columns = bilinear_matrices(x, size, scale_factor, align_corners=align_corners)
    return mixed(x, rows, columns, np.ones((len(rows), len(columns))))


def interpolate_bilinear_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    size: int | tuple[int, int] | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    *,
    align_corners: bool = False,
) -> Explain:
    """dX[n,c,r,q]: A[y,r]·B[x,q] · dY of every output that the pixel is mixed into."""
    x = array("x", x, 4)
    rows, columns = bilinear_matrices(x, size, scale_factor, align_corners=align_corners)
    return mixed_backward(grad_output, x, rows, columns, np.ones((len(rows), len(columns))))
