"""What does not fit is refused with the argument, its value and the cure."""

import numpy as np
import pytest

from pellucid.errors import UsageError
from pellucid.ops import arithmetic, terms
from pellucid.ops.arithmetic import conv2d, conv_transpose2d

X, W = np.ones((1, 4, 5, 5)), np.ones((6, 4, 3, 3))

CONVOLUTIONS = {
    "an image without a batch": (
        lambda: conv2d(X[0], W),
        r"x has shape (4, 5, 5), and 4 dimensions (N C H W) are expected. Write x[None] to add the axes in front.",
    ),
    "a video": (
        lambda: conv2d(X[None], W),
        r"x has shape (1, 1, 4, 5, 5), and 4 dimensions (N C H W) are expected. Take one part of it, such as x[0].",
    ),
    "a flat filter": (
        lambda: conv2d(X, W[0, 0]),
        "weight has shape (3, 3), and 4 dimensions (C_out C_in/groups kh kw) are expected."
        " Write weight[None, None] to add the axes in front.",
    ),
    "words": (
        lambda: conv2d(np.full((1, 1, 2, 2), "a"), W),
        "x has values of type <U1. Give real numbers.",
    ),
    "ragged rows": (
        lambda: conv2d([[[[1.0, 2.0], [3.0]]]], W),
        "x is no array: its rows have different lengths. Give every row the same.",
    ),
    "a stride of nothing": (
        lambda: conv2d(X, W, stride=0),
        "stride=0: give a positive integer, or two of them (rows, columns), such as stride=(1, 2).",
    ),
    "a negative padding": (
        lambda: conv2d(X, W, padding=(1, -1)),
        "padding=(1, -1): give an integer of 0 or more, or two of them (rows, columns), such as padding=(0, 2).",
    ),
    "a padding by another name": (
        lambda: conv2d(X, W, padding="full"),
        "padding='full': give an integer, two of them, 'same' or 'valid'.",
    ),
    "same with a stride": (
        lambda: conv2d(X, W, stride=2, padding="same"),
        "padding='same' with stride=(2, 2): 'same' needs stride 1. Give padding as a number.",
    ),
    "another padding mode": (
        lambda: conv2d(X, W, padding_mode="symmetric"),
        "padding_mode='symmetric': there is zeros, reflect, replicate, circular.",
    ),
    "more to reflect than there is": (
        lambda: conv2d(X, W, padding=5, padding_mode="reflect"),
        "padding=5 with padding_mode='reflect': at a height of 5 there is no more than 4 to take."
        " Give less padding, or padding_mode='replicate'.",
    ),
    "no room": (
        lambda: conv2d(X, W, dilation=3),
        "kernel_size=3 with dilation=3 reaches over 7 values, and the padded height is 5 (5 + 0 + 0)."
        " Give a smaller kernel or dilation, or more padding.",
    ),
    "groups that do not divide": (
        lambda: conv2d(X, W, groups=3),
        "groups=3 does not divide in_channels=4. Give one of 1, 2.",
    ),
    "no groups": (lambda: conv2d(X, W, groups=0), "groups=0: give a positive integer."),
    "a filter for other channels": (
        lambda: conv2d(X, W, groups=2),
        "x has 4 channels in groups=2, so weight must see 2 of them, and its shape is (6, 4, 3, 3)"
        " (C_out C_in/groups kh kw).",
    ),
    "a bias for other channels": (
        lambda: conv2d(X, W, [1.0, 2.0]),
        "bias has shape (2,). It must be (6,): one number for each output channel.",
    ),
    "a gradient of another shape": (
        lambda: arithmetic.conv2d_backward(np.ones((1, 6, 5, 5)), X, W),
        "grad_output has shape (1, 6, 5, 5). It must be (1, 6, 3, 3): that of the output.",
    ),
}

OTHERS = {
    "a filter for other inputs": (
        lambda: conv_transpose2d(X, W),
        "x has 4 channels, and weight is made for 6. Give as many.",
    ),
    "too much output padding": (
        lambda: conv_transpose2d(X, W[:4], stride=2, output_padding=2),
        "output_padding=2 must be smaller than stride (2) or dilation (1): it chooses between the sizes that the stride"
        " makes equal. Give at most 1.",
    ),
    "all cropped away": (
        lambda: conv_transpose2d(X[..., :1, :1], W[:4], padding=2),
        "padding=2 takes all of the output away: its size would be -1. Give less padding.",
    ),
    "a pool outside": (
        lambda: arithmetic.max_pool2d(X, 2, padding=2),
        "padding=2 is more than half of kernel_size=2: a window could lie outside the input. Give at most 1.",
    ),
    "no batch statistics": (
        lambda: arithmetic.batch_norm(X, None, None),
        "running_mean and running_var are None: give both, or training=True to use those of x.",
    ),
    "no variance": (
        lambda: arithmetic.batch_norm(X[..., :1, :1], None, None, training=True),
        "x has shape (1, 4, 1, 1), one value a channel, which has no variance. Give a larger batch.",
    ),
    "classes outside": (
        lambda: arithmetic.cross_entropy(np.ones((2, 3)), [0, 3]),
        "target has class 3, and there are 3: 0 to 2.",
    ),
    "classes in between": (
        lambda: arithmetic.cross_entropy(np.ones((2, 3)), [0.0, 1.5]),
        "target is of type float64 and shape (2,). Give 1-dimensional integers.",
    ),
    "a layer for other inputs": (
        lambda: arithmetic.linear(np.ones((2, 3)), np.ones((4, 5))),
        "weight has shape (4, 5). It must be (4, 3): x is that wide.",
    ),
    "two sizes": (
        lambda: arithmetic.interpolate_bilinear(X, 3, 2),
        "size=3 and scale_factor=2: give one of them.",
    ),
    "a scale of nothing": (
        lambda: arithmetic.interpolate_bilinear(X, scale_factor=0.0),
        "scale_factor=0.0: give a positive number, or two (rows, columns).",
    ),
    "a shortcut of another shape": (
        lambda: arithmetic.residual_add(X, X[:, :2]),
        "shortcut has shape (1, 2, 5, 5), and x has (1, 4, 5, 5). Give the same shape.",
    ),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_refuse(name):
    call, message = CONVOLUTIONS[name]
    with pytest.raises(UsageError) as refused:
        call()
    assert str(refused.value) == message


@pytest.mark.parametrize("name", OTHERS)
def test_other_operations_refuse(name):
    call, message = OTHERS[name]
    with pytest.raises(UsageError) as refused:
        call()
    assert str(refused.value) == message


def test_terms_refuse_what_the_operation_refuses():
    with pytest.raises(UsageError, match="groups=3 does not divide in_channels=4"):
        terms.conv2d(X, W, groups=3)


def test_whole_numbers_are_taken_as_float64_and_float32_stays():
    assert conv2d(np.ones((1, 1, 3, 3), np.uint8), np.ones((1, 1, 3, 3), np.int64)).dtype == np.float64
    single = np.ones((1, 1, 3, 3), np.float32)
    assert conv2d(single, single, np.ones(1, np.float32), padding=1).dtype == np.float32
    assert arithmetic.batch_norm(single, single[0, 0, 0, :1], single[0, 0, 0, :1]).dtype == np.float32
    assert arithmetic.max_pool2d(single, 2).dtype == arithmetic.relu(single).dtype == np.float32


def test_nothing_is_changed_in_place():
    rng = np.random.default_rng(0)
    x, weight, grad = (rng.standard_normal(shape) for shape in ((1, 2, 5, 5), (2, 2, 3, 3), (1, 2, 5, 5)))
    kept = [one.copy() for one in (x, weight, grad)]
    arithmetic.conv2d_backward(grad, x, weight, padding=1)
    arithmetic.max_pool2d_backward(grad, x, 3, 1, 1)
    given, _ = arithmetic.residual_add_backward(grad)
    given += 1
    for one, before in zip((x, weight, grad), kept, strict=True):
        np.testing.assert_array_equal(one, before)
