"""The arithmetic of convolutional networks from its definitions: each operation forward and backward, in NumPy.

Functions are named and called as in `torch.nn.functional`; `f_backward` takes dY (∂L/∂Y) first, then what `f` took,
and gives the gradient of each of its inputs. Everything is computed in float64 unless it is given in another floating
type. Nothing is changed in place. What does not fit together raises `UsageError` with the argument, its value and the
cure.

    convolution.py      conv2d, true_conv2d (the filter rotated), and the three forms of dX (input_gradient.py)
    transposed.py       conv_transpose2d
    pooling.py          max_pool2d, avg_pool2d            adaptive.py   adaptive_max_pool2d, adaptive_avg_pool2d
    activation.py       relu, leaky_relu, residual_add    bilinear.py   interpolate_bilinear
    normalization.py    batch_norm                        linear.py     linear, softmax, cross_entropy
    sliding.py          the three sums below all of it    padding.py    padded cells, and back
"""

from pellucid.ops.arithmetic.activation import (
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    residual_add,
    residual_add_backward,
)
from pellucid.ops.arithmetic.adaptive import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    adaptive_max_pool2d,
    adaptive_max_pool2d_backward,
    adaptive_max_pool2d_with_indices,
)
from pellucid.ops.arithmetic.bilinear import (
    bilinear_kernel,
    interpolate_bilinear,
    interpolate_bilinear_backward,
)
from pellucid.ops.arithmetic.convolution import (
    conv2d,
    conv2d_backward,
    conv2d_grad_x,
    flip,
    true_conv2d,
    true_conv2d_backward,
)
from pellucid.ops.arithmetic.linear import (
    cross_entropy,
    cross_entropy_backward,
    linear,
    linear_backward,
    softmax,
    softmax_backward,
)
from pellucid.ops.arithmetic.normalization import (
    batch_norm,
    batch_norm_backward,
    fold_batch_norm,
    running_statistics,
)
from pellucid.ops.arithmetic.pooling import (
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
    max_pool2d_with_indices,
)
from pellucid.ops.arithmetic.transposed import conv_transpose2d, conv_transpose2d_backward

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_backward",
    "adaptive_max_pool2d_with_indices",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "bilinear_kernel",
    "conv2d",
    "conv2d_backward",
    "conv2d_grad_x",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "flip",
    "fold_batch_norm",
    "interpolate_bilinear",
    "interpolate_bilinear_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool2d_with_indices",
    "relu",
    "relu_backward",
    "residual_add",
    "residual_add_backward",
    "running_statistics",
    "softmax",
    "softmax_backward",
    "true_conv2d",
    "true_conv2d_backward",
]
