"""What every number is made of. Each operation of `ops.arithmetic` stands here under its name, with the same
arguments.

Where the operation gives an array, its namesake here gives a function of an index of that array, which gives the
`Terms` of that one number: `bias + Σ coefficient · value`, each value with its source and place. Where the operation
gives several arrays (the gradients), there are as many functions.

    explain = terms.conv2d(x, weight, bias, padding=1)
    found = explain((0, 0, 2, 2))
    for source, index, coefficient, value in found: ...
    print(found.check(y[0, 0, 2, 2]))        # Σ 64 · value 64 · Δ 0.0e+00 of at most 1.3e-13 ✓

What follows from it: the sum checks the number, the indices are the receptive field, the transposed list is the
backward pass, the number of terms is the number of multiplications that count.
"""

from pellucid.ops.terms.activation import (
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    residual_add,
    residual_add_backward,
)
from pellucid.ops.terms.bilinear import interpolate_bilinear, interpolate_bilinear_backward
from pellucid.ops.terms.convolution import (
    conv2d,
    conv2d_backward,
    conv_transpose2d,
    conv_transpose2d_backward,
    true_conv2d,
    true_conv2d_backward,
)
from pellucid.ops.terms.linear import (
    cross_entropy,
    cross_entropy_backward,
    linear,
    linear_backward,
    softmax,
    softmax_backward,
)
from pellucid.ops.terms.normalization import batch_norm, batch_norm_backward
from pellucid.ops.terms.pooling import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    adaptive_max_pool2d,
    adaptive_max_pool2d_backward,
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from pellucid.ops.terms.value import Explain, Part, Term, Terms

__all__ = [
    "Explain",
    "Part",
    "Term",
    "Terms",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "conv2d",
    "conv2d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "interpolate_bilinear",
    "interpolate_bilinear_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "relu",
    "relu_backward",
    "residual_add",
    "residual_add_backward",
    "softmax",
    "softmax_backward",
    "true_conv2d",
    "true_conv2d_backward",
]
