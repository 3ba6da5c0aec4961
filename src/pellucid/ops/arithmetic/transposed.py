"""Transposed convolution: the forward pass that is the backward pass of a convolution.

Symbols as in `convolution`; here X [N, C_in, H, W] is the small side, W weight [C_in, C_out/g, kh, kw], and input
channel c of group G = ⌊c / (C_in/g)⌋ makes the output channels G·C_out/g + q. Sources: documentation of
torch.nn.ConvTranspose2d; Dumoulin and Visin, arXiv 1603.07285, section 4.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from pellucid.errors import UsageError
from pellucid.ops.arguments import array, check_groups, check_shape, non_negative, positive
from pellucid.ops.arithmetic.geometry import checked_bias
from pellucid.ops.arithmetic.padding import pad, unpad
from pellucid.ops.arithmetic.sliding import collect, correlate, spread
from pellucid.ops.windows import Axis, PaddingMode, Taps, Window, check_mode, padding_pairs

__all__ = ["Stamps", "conv_transpose2d", "conv_transpose2d_backward", "transposed_window"]

Array = np.ndarray
FILTER_AXES = "C_in C_out/groups kh kw"


@dataclass(frozen=True, slots=True)
class Stamps:
    """Where each input is stamped: the windows of the convolution that this transposes, over the output."""

    window: Window
    taps: Taps
    groups: int
    mode: PaddingMode

    @classmethod
    def of(
        cls,
        x_shape: tuple[int, ...],
        weight: Array,
        places: tuple[Any, Any, Any, Any],
        *,
        groups: Any,
        padding_mode: str,
    ) -> "Stamps":
        """Of a transposed convolution's arguments, `places` being stride, padding, output_padding and dilation."""
        _, channels, height, width = x_shape
        if len(weight) != channels:
            raise UsageError(f"x has {channels} channels, and weight is made for {len(weight)}. Give as many.")
        checked_groups = check_groups(groups, in_channels=channels)
        kernel = (weight.shape[2], weight.shape[3])
        found = transposed_window((height, width), kernel, *places)
        taps = replace(found.taps, outputs=(height, width))
        return cls(found, taps, checked_groups, check_mode(padding_mode, found))

    @property
    def canvas_size(self) -> tuple[int, int]:
        """Height and width before the padding is taken off."""
        return self.window.rows.padded, self.window.columns.padded

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of the output."""
        return self.window.rows.size, self.window.columns.size

    def grad_output(
        self, value: ArrayLike, x_shape: tuple[int, ...], weight: Array
    ) -> Float[Array, "n c_out out_h out_w"]:
        """dY, which must have the shape of the output."""
        grad_output = array("grad_output", value, 4)
        shape = (x_shape[0], weight.shape[1] * self.groups, *self.output_size)
        check_shape("grad_output", grad_output, shape, "that of the output")
        return grad_output


def transposed_window(
    size: tuple[int, int], kernel_size: tuple[int, int], stride: Any, padding: Any, output_padding: Any, dilation: Any
) -> Window:
    """The window over the *output*, for an input H W; where output_padding adds a place, no input stands there."""
    steps, gaps = positive("stride", stride), positive("dilation", dilation)
    extra = _output_padding(output_padding, steps, gaps)
    pads = padding_pairs(padding, kernel_size, steps, gaps)
    rows, columns = (_axis(*one) for one in zip(size, kernel_size, steps, pads, gaps, extra, strict=True))
    return Window(rows, columns)


def _axis(size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int, output_padding: int) -> Axis:
    """o = (i − 1)s − p₀ − p₁ + d(k − 1) + output_padding + 1"""
    output = (size - 1) * stride - sum(padding) + dilation * (kernel - 1) + output_padding + 1
    if output < 1:
        raise UsageError(
            f"padding={padding[0]} takes all of the output away: its size would be {output}. Give less padding."
        )
    return Axis(output, kernel, stride, padding, dilation)


def _output_padding(value: Any, stride: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    extra = non_negative("output_padding", value)
    for one, step, gap in zip(extra, stride, dilation, strict=True):
        if one >= max(step, gap):
            raise UsageError(
                f"output_padding={value!r} must be smaller than stride ({step}) or dilation ({gap}): it chooses between"
                f" the sizes that the stride makes equal. Give at most {max(step, gap) - 1}."
            )
    return extra


def conv_transpose2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    output_padding: int | tuple[int, int] = 0,
    *,
    groups: int = 1,
    dilation: int | tuple[int, int] = 1,
    padding_mode: str = "zeros",
) -> Float[Array, "n c_out out_h out_w"]:
    """Each input stamps the filter, times its value, onto the output; overlapping stamps add up.

        Y[n, G·C_out/g + q, i·s_h − p_h + u·d_h, j·s_w − p_w + v·d_w] += W[c,q,u,v] · X[n,c,i,j];   Y[n,o,·,·] += b[o]

    `x` is N C_in H W, `weight` C_in C_out/g kh kw; H_out = (H − 1)s − 2p + d(kh − 1) + output_padding + 1. It is the
    transpose of `conv2d` with the same arguments, so `padding='same'` and the padding modes mean here what is the
    transpose of them there: what is stamped onto the border is folded back in (torch has padded zeros only).
    """
    x, weight = array("x", x, 4), array("weight", weight, 4, FILTER_AXES)
    places = (stride, padding, output_padding, dilation)
    stamps = Stamps.of(x.shape, weight, places, groups=groups, padding_mode=padding_mode)
    canvas = spread(x, weight, stamps.taps, stamps.groups, stamps.canvas_size)
    output = unpad(canvas, stamps.window, stamps.mode)
    return output if bias is None else output + checked_bias(bias, output.shape[1])


def conv_transpose2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    output_padding: int | tuple[int, int] = 0,
    *,
    groups: int = 1,
    dilation: int | tuple[int, int] = 1,
    padding_mode: str = "zeros",
) -> tuple[Float[Array, "n c_in h w"], Float[Array, "c_in c kh kw"], Float[Array, " c_out"]]:
    """(dX, dW, db) from dY; with r = i·s_h − p_h + u·d_h and t = j·s_w − p_w + v·d_w:

        dX[n,c,i,j] = Σ_q Σ_u Σ_v  W[c,q,u,v] · dY[n, G·C_out/g + q, r, t]          a convolution of dY with W
        dW[c,q,u,v] = Σ_n Σ_i Σ_j  X[n,c,i,j] · dY[n, G·C_out/g + q, r, t]
        db[o]       = Σ_n Σ_r Σ_t  dY[n,o,r,t]

    Arguments as for `conv_transpose2d`; `grad_output` is dY, of its output's shape.
    """
    x, weight = array("x", x, 4), array("weight", weight, 4, FILTER_AXES)
    places = (stride, padding, output_padding, dilation)
    stamps = Stamps.of(x.shape, weight, places, groups=groups, padding_mode=padding_mode)
    grad_output = stamps.grad_output(grad_output, x.shape, weight)
    canvas = pad(grad_output, stamps.window, stamps.mode)
    grad_x = correlate(canvas, weight, stamps.taps, stamps.groups)
    return grad_x, collect(x, canvas, stamps.taps, stamps.groups), grad_output.sum(axis=(0, 2, 3))
