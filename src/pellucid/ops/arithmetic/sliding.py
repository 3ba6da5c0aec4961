"""The three sums that convolution, its gradients and transposed convolution are made of.

A canvas (padded input), a weight and a result are joined by the same products; each function sums them for another of
the three. In all of them r = y·s_h + u·d_h and t = x·s_w + v·d_w, and channel o of the result belongs to group
G = ⌊o / (C_out/g)⌋, which sees the canvas channels c0 + c with c0 = G·C_in/g.
"""

import numpy as np
from jaxtyping import Float

from pellucid.ops.windows import Taps

__all__ = ["collect", "correlate", "spread"]


def correlate(
    canvas: Float[np.ndarray, "n c_in h w"],
    weight: Float[np.ndarray, "c_out c_of_group kh kw"],
    taps: Taps,
    groups: int,
) -> Float[np.ndarray, "n c_out out_h out_w"]:
    """Y[n,o,y,x] = Σ_c Σ_u Σ_v W[o,c,u,v] · X̂[n,c0+c,r,t]: each result collects its window."""
    seen, filters = _in_groups(canvas, 1, groups), _in_groups(weight, 0, groups)
    shape = (len(canvas), groups, filters.shape[1], *taps.outputs)
    result = np.zeros(shape, np.result_type(canvas, weight))
    for u, v, (rows, columns) in taps:
        result += np.einsum("goc,ngcyx->ngoyx", filters[..., u, v], seen[..., rows, columns], optimize=True)
    return result.reshape(len(canvas), -1, *taps.outputs)


def spread(
    result: Float[np.ndarray, "n c_out out_h out_w"],
    weight: Float[np.ndarray, "c_out c_of_group kh kw"],
    taps: Taps,
    groups: int,
    canvas_size: tuple[int, int],
) -> Float[np.ndarray, "n c_in h w"]:
    """X̂[n,c0+c,r,t] += W[o,c,u,v] · Y[n,o,y,x]: each result is stamped over its window."""
    given, filters = _in_groups(result, 1, groups), _in_groups(weight, 0, groups)
    shape = (len(result), groups, filters.shape[2], *canvas_size)
    canvas = np.zeros(shape, np.result_type(result, weight))
    for u, v, (rows, columns) in taps:
        canvas[..., rows, columns] += np.einsum("goc,ngoyx->ngcyx", filters[..., u, v], given, optimize=True)
    return canvas.reshape(len(result), -1, *canvas_size)


def collect(
    result: Float[np.ndarray, "n c_out out_h out_w"],
    canvas: Float[np.ndarray, "n c_in h w"],
    taps: Taps,
    groups: int,
) -> Float[np.ndarray, "c_out c_of_group kh kw"]:
    """W[o,c,u,v] = Σ_n Σ_y Σ_x Y[n,o,y,x] · X̂[n,c0+c,r,t]: each weight collects all that it multiplied."""
    given, seen = _in_groups(result, 1, groups), _in_groups(canvas, 1, groups)
    shape = (groups, given.shape[2], seen.shape[2], *taps.kernel_size)
    weight = np.zeros(shape, np.result_type(result, canvas))
    for u, v, (rows, columns) in taps:
        weight[..., u, v] = np.einsum("ngoyx,ngcyx->goc", given, seen[..., rows, columns], optimize=True)
    return weight.reshape(-1, *shape[2:])


def _in_groups(values: np.ndarray, axis: int, groups: int) -> np.ndarray:
    """The channel axis as two: group, channel within it."""
    shape = values.shape
    return values.reshape(*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])
