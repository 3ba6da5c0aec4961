"""Convolution as networks use the word (cross-correlation), true convolution, and their gradients.

Symbols: X input [N, C_in, H, W], X̂ the padded input, W weight [C_out, C_in/g, kh, kw], b bias [C_out], Y output; s
stride, p padding before, d dilation, g groups; dY is ∂L/∂Y, and so on. Channel o belongs to group G = ⌊o /
(C_out/g)⌋, which sees the input channels c0 + c with c0 = G·C_in/g.

Sources: documentation of torch.nn.Conv2d; Dumoulin and Visin, "A guide to convolution arithmetic for deep learning",
arXiv 1603.07285.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from pellucid.ops.arguments import array
from pellucid.ops.arithmetic.geometry import FILTER_AXES, Geometry, checked_bias
from pellucid.ops.arithmetic.input_gradient import FORMS, scatter
from pellucid.ops.arithmetic.padding import pad
from pellucid.ops.arithmetic.sliding import collect, correlate

__all__ = ["conv2d", "conv2d_backward", "conv2d_grad_x", "flip", "true_conv2d", "true_conv2d_backward"]

Array = np.ndarray


def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    *,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Float[Array, "n c_out out_h out_w"]:
    """Each output is the sum of products of a filter with the window it lies on, and a bias.

        Y[n,o,y,x] = b[o] + Σ_c Σ_u Σ_v  W[o,c,u,v] · X̂[n, c0+c, y·s_h − p_h + u·d_h, x·s_w − p_w + v·d_w]

    `x` is N C_in H W, `weight` C_out C_in/g kh kw, `bias` C_out; H_out = ⌊(H + 2p − d(kh − 1) − 1) / s⌋ + 1, and
    W_out likewise. `padding` is an int, a pair, 'same' (of t = d(k − 1), ⌊t/2⌋ before and the rest behind) or 'valid'
    (none). Arguments that do not fit together raise `UsageError`.
    """
    x, weight = array("x", x, 4), array("weight", weight, 4, FILTER_AXES)
    geometry = Geometry.of(x.shape, weight, stride, padding, dilation, groups=groups, padding_mode=padding_mode)
    output = correlate(pad(x, geometry.window, geometry.mode), weight, geometry.taps, geometry.groups)
    return output if bias is None else output + checked_bias(bias, len(weight))


def conv2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    *,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> tuple[Float[Array, "n c_in h w"], Float[Array, "c_out c kh kw"], Float[Array, " c_out"]]:
    """(dX, dW, db) from dY: each product of the forward pass, summed for its other two factors.

        dX[source(n,c,y,x,u,v)] += W[o,c,u,v] · dY[n,o,y,x]
        dW[o,c,u,v] = Σ_n Σ_y Σ_x  dY[n,o,y,x] · X̂[n, c0+c, y·s_h − p_h + u·d_h, x·s_w − p_w + v·d_w]
        db[o]       = Σ_n Σ_y Σ_x  dY[n,o,y,x]

    `grad_output` is dY, of the output's shape; the other arguments are those of `conv2d`.
    """
    x, weight = array("x", x, 4), array("weight", weight, 4, FILTER_AXES)
    geometry = Geometry.of(x.shape, weight, stride, padding, dilation, groups=groups, padding_mode=padding_mode)
    grad_output = geometry.grad_output(grad_output, x.shape, len(weight))
    padded = pad(x, geometry.window, geometry.mode)
    grad_weight = collect(grad_output, padded, geometry.taps, geometry.groups)
    return scatter(grad_output, weight, geometry), grad_weight, grad_output.sum(axis=(0, 2, 3))


def conv2d_grad_x(
    grad_output: ArrayLike,
    x_shape: tuple[int, int, int, int],
    weight: ArrayLike,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    *,
    groups: int = 1,
    padding_mode: str = "zeros",
    form: Literal["scatter", "gather", "full"] = "scatter",
) -> Float[Array, "n c_in h w"]:
    """dX alone, in one of its three equal forms, whose equations stand in `input_gradient`.

    scatter: each output hands its gradient back over its window. gather: each input collects from the outputs that
    read it. full: the filter, rotated by 180°, slides over the widened and padded dY.
    """
    weight = array("weight", weight, 4, FILTER_AXES)
    geometry = Geometry.of(x_shape, weight, stride, padding, dilation, groups=groups, padding_mode=padding_mode)
    return FORMS[form](geometry.grad_output(grad_output, x_shape, len(weight)), weight, geometry)


def true_conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    *,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Float[Array, "n c_out out_h out_w"]:
    """Convolution as mathematics defines it: the filter is rotated by 180° before it slides.

        Y[n,o,y,x] = b[o] + Σ_c Σ_u Σ_v  W[o,c,kh−1−u,kw−1−v] · X̂[n, c0+c, y·s_h − p_h + u·d_h, x·s_w − p_w + v·d_w]

    Arguments as for `conv2d`.
    """
    return conv2d(x, flip(weight), bias, stride, padding, dilation, groups=groups, padding_mode=padding_mode)


def true_conv2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    *,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> tuple[Float[Array, "n c_in h w"], Float[Array, "c_out c kh kw"], Float[Array, " c_out"]]:
    """(dX, dW, db) of `true_conv2d`; dW is rotated back like the filter."""
    grad_x, grad_weight, grad_bias = conv2d_backward(
        grad_output, x, flip(weight), stride, padding, dilation, groups=groups, padding_mode=padding_mode
    )
    return grad_x, flip(grad_weight), grad_bias


def flip(weight: ArrayLike) -> Float[Array, "c_out c kh kw"]:
    """The filters rotated by 180°."""
    return array("weight", weight, 4, FILTER_AXES)[:, :, ::-1, ::-1]
