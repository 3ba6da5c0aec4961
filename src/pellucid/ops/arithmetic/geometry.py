"""The arguments of a convolution as one value, checked against each other."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from pellucid.errors import UsageError
from pellucid.ops.arguments import array, check_groups, check_shape
from pellucid.ops.windows import PaddingMode, Taps, Window, check_mode, window_arguments

__all__ = ["FILTER_AXES", "Geometry", "checked_bias"]

FILTER_AXES = "C_out C_in/groups kh kw"


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the filters lie, which channels they see, and what the padding shows."""

    window: Window
    groups: int
    mode: PaddingMode

    @classmethod
    def of(
        cls,
        x_shape: tuple[int, ...],
        weight: np.ndarray,
        stride: Any,
        padding: Any,
        dilation: Any,
        *,
        groups: Any,
        padding_mode: str,
    ) -> "Geometry":
        """Of a convolution's arguments, for an input N C_in H W; what does not fit raises `UsageError`."""
        _, channels, height, width = x_shape
        checked_groups = check_groups(groups, in_channels=channels, out_channels=len(weight))
        if weight.shape[1] * checked_groups != channels:
            raise UsageError(
                f"x has {channels} channels in groups={groups}, so weight must see"
                f" {channels // checked_groups} of them, and its shape is {weight.shape} ({FILTER_AXES})."
            )
        window = window_arguments((height, width), weight.shape[2:], stride, padding, dilation).checked()
        return cls(window, checked_groups, check_mode(padding_mode, window))

    @property
    def taps(self) -> Taps:
        """Where each tap of the kernel lies on the padded input."""
        return self.window.taps

    @property
    def padded_size(self) -> tuple[int, int]:
        """Height and width of the padded input."""
        return self.window.rows.padded, self.window.columns.padded

    def on_padded(self) -> "Geometry":
        """The same windows over the padded input as if that were the input."""
        axes = (self.window.rows, self.window.columns)
        rows, columns = (replace(axis, size=axis.padded, padding=(0, 0)) for axis in axes)
        return replace(self, window=Window(rows, columns), mode="zeros")

    def grad_output(
        self, value: ArrayLike, x_shape: tuple[int, ...], channels: int
    ) -> Float[np.ndarray, "n c_out out_h out_w"]:
        """dY, which must have the shape of the output."""
        grad_output = array("grad_output", value, 4)
        shape = (x_shape[0], channels, *self.window.output_size)
        check_shape("grad_output", grad_output, shape, "that of the output")
        return grad_output


def checked_bias(bias: ArrayLike | None, channels: int) -> Float[np.ndarray, "c_out 1 1"]:
    """The bias as it is added to C H W; zeros where there is none."""
    if bias is None:
        return np.zeros((channels, 1, 1))
    checked = array("bias", bias, 1, "C_out")
    check_shape("bias", checked, (channels,), "one number for each output channel")
    return checked[:, None, None]
