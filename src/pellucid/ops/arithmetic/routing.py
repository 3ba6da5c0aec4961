"""Where the gradient of a maximum goes: to the value that won."""

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from pellucid.ops.arguments import array, check_shape

__all__ = ["routed"]


def routed(
    grad_output: ArrayLike, x: Float[np.ndarray, "n c h w"], winners: Int[np.ndarray, "n c out_h out_w"]
) -> Float[np.ndarray, "n c h w"]:
    """dX[n, c, winner(n,c,y,x)] += dY[n,c,y,x]; a winner is row·W + column of its plane, or −1 for nobody."""
    grad_output = array("grad_output", grad_output, 4)
    check_shape("grad_output", grad_output, winners.shape, "that of the output")
    n, channels, height, width = x.shape
    planes = np.zeros((n * channels, height * width), grad_output.dtype)
    for plane, grad, winner in zip(planes, _planes(grad_output), _planes(winners), strict=True):
        won = winner >= 0
        np.add.at(plane, winner[won], grad[won])
    return planes.reshape(x.shape)


def _planes(values: np.ndarray) -> np.ndarray:
    n, channels, height, width = values.shape
    return values.reshape(n * channels, height * width)
