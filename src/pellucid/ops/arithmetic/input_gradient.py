"""The gradient of a convolution's input in three forms, which are equal: three ways to sum the same products.

All take dY [N, C_out, H_out, W_out], the weight [C_out, C_in/g, kh, kw] and the geometry, and give dX [N, C_in, H,
W]. Gather and full convolution know padded zeros only; for another padding mode they give the gradient of the padded
input, whose border is then folded back to where it came from.
"""

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from pellucid.ops.arithmetic.geometry import Geometry
from pellucid.ops.arithmetic.padding import unpad
from pellucid.ops.arithmetic.sliding import correlate, spread
from pellucid.ops.windows import Axis, Window

__all__ = ["FORMS", "full", "gather", "scatter"]

Array = np.ndarray


def scatter(
    grad_output: Float[Array, "n c_out out_h out_w"], weight: Float[Array, "c_out c kh kw"], geometry: Geometry
) -> Float[Array, "n c_in h w"]:
    """From the outputs: each hands its gradient back over the window that it read.

    dX[source(n,c,y,x,u,v)] += W[o,c,u,v] · dY[n,o,y,x]     for every product of the forward pass
    """
    canvas = spread(grad_output, weight, geometry.taps, geometry.groups, geometry.padded_size)
    return unpad(canvas, geometry.window, geometry.mode)


def gather(
    grad_output: Float[Array, "n c_out out_h out_w"], weight: Float[Array, "c_out c kh kw"], geometry: Geometry
) -> Float[Array, "n c_in h w"]:
    """From the inputs: each collects from every output that read it.

    dX[n,c,r,q] = Σ_o Σ_u Σ_v  W[o, c mod (C_in/g), u, v] · dY[n, o, (r + p_h − u·d_h)/s_h, (q + p_w − v·d_w)/s_w]

    over the u and v for which both quotients are whole and inside dY.
    """
    if geometry.mode != "zeros":
        return unpad(gather(grad_output, weight, geometry.on_padded()), geometry.window, geometry.mode)
    rows, columns, groups = geometry.window.rows, geometry.window.columns, geometry.groups
    n, _, height, width = grad_output.shape
    given = grad_output.reshape(n, groups, -1, height, width)
    filters = weight.reshape(groups, -1, *weight.shape[1:])
    grad_x = np.zeros((n, groups, weight.shape[1], rows.size, columns.size), np.result_type(grad_output, weight))
    for u, v in np.ndindex(*weight.shape[2:]):
        r, y = _readers(rows, u)
        q, x = _readers(columns, v)
        read = given[..., y[:, None], x]
        grad_x[..., r[:, None], q] += np.einsum("goc,ngorq->ngcrq", filters[..., u, v], read, optimize=True)
    return grad_x.reshape(n, -1, rows.size, columns.size)


def _readers(axis: Axis, tap: int) -> tuple[np.ndarray, np.ndarray]:
    """(inputs, outputs): the inputs r that this tap reads, and for each the output (r + p − u·d)/s that reads it."""
    inputs = np.arange(axis.size)
    outputs, remainder = np.divmod(inputs + axis.padding[0] - tap * axis.dilation, axis.stride)
    read = (remainder == 0) & (outputs >= 0) & (outputs < axis.output_size)
    return inputs[read], outputs[read]


def full(
    grad_output: Float[Array, "n c_out out_h out_w"], weight: Float[Array, "c_out c kh kw"], geometry: Geometry
) -> Float[Array, "n c_in h w"]:
    """As a convolution: the rotated filter slides over the widened gradient.

    dY gets s − 1 zeros between its entries, d(k−1) − p₀ zeros before and d(k−1) − p₁ + r behind (a negative number
    crops), r being the rows left over by the stride. Over it slides, with stride 1 and dilation d, the weight rotated
    by 180°, its in and out channels exchanged within each group. For s = d = g = 1 and p = 0: pad by k − 1 and rotate
    by 180°.
    """
    if geometry.mode != "zeros":
        return unpad(full(grad_output, weight, geometry.on_padded()), geometry.window, geometry.mode)
    rows, columns = geometry.window.rows, geometry.window.columns
    widened = _widened(_widened(grad_output, rows, 2), columns, 3)
    sliding = Window(_slid(rows), _slid(columns))
    return correlate(widened, _exchanged(weight[:, :, ::-1, ::-1], geometry.groups), sliding.taps, geometry.groups)


def _widened(grad_output: Float[Array, "n c h w"], axis: Axis, dimension: int) -> Float[Array, "n c h2 w2"]:
    """dY with the zeros of the stride between, and those of the padding around."""
    reach = axis.extent - 1
    before, behind = reach - axis.padding[0], reach - axis.padding[1] + axis.leftover
    places = before + axis.stride * np.arange(axis.output_size)
    length = before + axis.stride * (axis.output_size - 1) + 1 + behind
    inside = (places >= 0) & (places < length)
    shape = (*grad_output.shape[:dimension], length, *grad_output.shape[dimension + 1 :])
    widened = np.zeros(shape, grad_output.dtype)
    kept = np.compress(inside, grad_output, axis=dimension)
    widened[(slice(None),) * dimension + (places[inside],)] = kept
    return widened


def _slid(axis: Axis) -> Axis:
    """The rotated filter over the widened gradient: as many places as the input has rows."""
    return Axis(axis.size + axis.extent - 1, axis.kernel_size, dilation=axis.dilation)


def _exchanged(weight: Float[Array, "c_out c kh kw"], groups: int) -> Float[Array, "c_in o kh kw"]:
    """In and out channels exchanged within each group."""
    grouped = weight.reshape(groups, -1, *weight.shape[1:])
    return grouped.swapaxes(1, 2).reshape(-1, grouped.shape[1], *weight.shape[2:])


FORMS: MappingProxyType[str, Callable[[Array, Array, Geometry], Array]] = MappingProxyType(
    {"scatter": scatter, "gather": gather, "full": full}
)
