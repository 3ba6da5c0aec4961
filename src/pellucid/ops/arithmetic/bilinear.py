"""Bilinear upsampling: as interpolation between pixels, and as the filter of a transposed convolution.

Rows and columns are interpolated one after the other, so that each axis is one matrix: Y = A·X·Bᵀ. Output row y lies
at f = (y + 0.5)/scale − 0.5 of the input (or y·(i − 1)/(o − 1) with `align_corners`), between rows ⌊f⌋ and ⌊f⌋ + 1;
places before the first row are that row. Source: documentation of torch.nn.functional.interpolate; Long et al. 2015
for the filter.
"""

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from pellucid.errors import UsageError
from pellucid.ops.arguments import array, check_shape, positive

__all__ = [
    "bilinear_kernel",
    "bilinear_matrices",
    "bilinear_matrix",
    "interpolate_bilinear",
    "interpolate_bilinear_backward",
]

Array = np.ndarray


def interpolate_bilinear(
    x: ArrayLike,
    size: int | tuple[int, int] | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    *,
    align_corners: bool = False,
) -> Float[Array, "n c out_h out_w"]:
    """Y[n,c,y,x] = Σ_r Σ_q A[y,r] · B[x,q] · X[n,c,r,q]: each output mixes at most four pixels.

    One of `size` and `scale_factor` is given, as a number or as (rows, columns).
    """
    x = array("x", x, 4)
    rows, columns = bilinear_matrices(x, size, scale_factor, align_corners=align_corners)
    return np.einsum("yr,ncrq,xq->ncyx", rows, x, columns, optimize=True)


def interpolate_bilinear_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    size: int | tuple[int, int] | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    *,
    align_corners: bool = False,
) -> Float[Array, "n c h w"]:
    """dX[n,c,r,q] = Σ_y Σ_x A[y,r] · B[x,q] · dY[n,c,y,x]: the same weights, the other way."""
    x, grad_output = array("x", x, 4), array("grad_output", grad_output, 4)
    rows, columns = bilinear_matrices(x, size, scale_factor, align_corners=align_corners)
    check_shape("grad_output", grad_output, (*x.shape[:2], len(rows), len(columns)), "that of the output")
    return np.einsum("yr,ncyx,xq->ncrq", rows, grad_output, columns, optimize=True)


def bilinear_matrices(x: Array, size: Any, scale_factor: Any, *, align_corners: bool) -> tuple[Array, Array]:
    """(A, B) of these arguments."""
    if (size is None) == (scale_factor is None):
        raise UsageError(f"size={size!r} and scale_factor={scale_factor!r}: give one of them.")
    wanted, scales = _by_size(x, size) if scale_factor is None else _by_scale(x, scale_factor)
    rows, columns = (
        bilinear_matrix(side, out, scale, align_corners=align_corners)
        for side, out, scale in zip(x.shape[2:], wanted, scales, strict=True)
    )
    return rows, columns


def _by_size(x: Array, size: Any) -> tuple[tuple[int, int], tuple[float, float]]:
    height, width = positive("size", size)
    return (height, width), (height / x.shape[2], width / x.shape[3])


def _by_scale(x: Array, scale_factor: Any) -> tuple[tuple[int, int], tuple[float, float]]:
    both = scale_factor if isinstance(scale_factor, tuple | list) else (scale_factor, scale_factor)
    if len(both) != 2 or not all(np.isfinite(one) and one > 0 for one in both):
        raise UsageError(f"scale_factor={scale_factor!r}: give a positive number, or two (rows, columns).")
    down, across = float(both[0]), float(both[1])
    return positive("size", (int(x.shape[2] * down), int(x.shape[3] * across))), (down, across)


def bilinear_matrix(size: int, output_size: int, scale: float, *, align_corners: bool = False) -> Float[Array, "o i"]:
    """A: by which weights each output row mixes the input rows; each row of A sums to 1 and has at most two entries."""
    if output_size == size:  # nothing is mixed then, whatever the scale: so torch has it
        return np.eye(size)
    outputs = np.arange(output_size)
    place = outputs * ((size - 1) / max(output_size - 1, 1)) if align_corners else (outputs + 0.5) / scale - 0.5
    place = np.maximum(place, 0.0)
    low = np.minimum(place.astype(np.int64), size - 1)
    high, share = np.minimum(low + 1, size - 1), place - low
    matrix = np.zeros((output_size, size))
    np.add.at(matrix, (outputs, low), 1 - share)
    np.add.at(matrix, (outputs, high), share)
    return matrix


def bilinear_kernel(kernel_size: int) -> Float[Array, "k k"]:
    """The filter with which a transposed convolution interpolates: w[y,x] = (1 − |y − c|/f)(1 − |x − c|/f).

    f = ⌊(k + 1)/2⌋, c = f − 1 for odd k and f − 0.5 for even. To enlarge s times: k = 2s − s mod 2, padding ⌈(s −
    1)/2⌉. Its sum is f². Equal to `interpolate_bilinear` except at the border, where it sees zeros.
    """
    (size, _) = positive("kernel_size", kernel_size)
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    slope = 1 - np.abs(np.arange(size) - centre) / factor
    return np.outer(slope, slope)
