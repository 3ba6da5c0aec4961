"""Worked examples with their published answers: courses, papers, documentation. Grids are written row by row."""

import numpy as np
import pytest

from pellucid.ops import arithmetic, terms
from pellucid.ops.arithmetic import conv2d, conv2d_backward, conv2d_grad_x, conv_transpose2d, relu
from pellucid.ops.windows import Axis


def grid(text: str) -> np.ndarray:
    """`1 2 / 3 4` as N C H W."""
    return np.array([[float(word) for word in row.split()] for row in text.split("/")])[None, None]


def same(found: np.ndarray, text: str) -> None:
    np.testing.assert_array_equal(found, grid(text))


# The 5x5 input and 3x3 filter of the course

X = grid("-5 3 2 -5 3 / 4 3 2 1 -3 / 1 0 3 3 5 / -2 0 1 4 4 / 5 6 7 9 -1")
W = grid("6 1 8 / -7 9 2 / -5 -9 3")
P1 = "-66 25 -43 -81 84 / 52 -4 -39 -7 -121 / 55 55 64 -24 -29 / -44 -12 -22 -21 -5 / 55 29 72 72 -44"

COURSE = {
    "padding 1": ({"padding": 1}, P1),
    "same": ({"padding": "same"}, P1),
    "valid": ({"padding": "valid"}, "-4 -39 -7 / 55 64 -24 / -12 -22 -21"),
    "stride 2, padding 1": ({"stride": 2, "padding": 1}, "-66 -43 84 / 55 64 -29 / 55 72 -44"),
    "dilation 2, padding 2": (
        {"dilation": 2, "padding": 2},
        "-41 26 42 -93 -47 / 61 41 -3 -48 -82 / 2 -58 -65 -71 13 / 4 19 33 55 38 / 84 96 75 42 -35",
    ),
    "dilation 2": ({"dilation": 2}, "-65"),
    "reflect": (
        {"padding": 1, "padding_mode": "reflect"},
        "-56 68 -15 -92 88 / 49 -4 -39 -7 -150 / 73 55 64 -24 -3 / -74 -12 -22 -21 54 / 31 42 75 43 -38",
    ),
    "replicate": (
        {"padding": 1, "padding_mode": "replicate"},
        "-62 14 -63 -50 78 / -11 -4 -39 -7 -88 / 82 55 64 -24 -31 / -49 -12 -22 -21 40 / -44 -29 6 -47 -53",
    ),
    "circular": (
        {"padding": 1, "padding_mode": "circular"},
        "-25 117 72 -38 179 / 66 -4 -39 -7 -150 / -18 55 64 -24 -1 / -37 -12 -22 -21 14 / 125 33 24 116 -67",
    ),
}


@pytest.mark.parametrize("name", COURSE)
def test_the_course_convolution(name):
    arguments, expected = COURSE[name]
    same(conv2d(X, W, **arguments), expected)


def test_the_course_convolution_with_the_filter_rotated():
    expected = "-44 50 91 -63 22 / 46 -5 54 127 -38 / -44 -54 17 46 117 / 14 65 48 26 79 / 21 4 -17 49 -15"
    same(arithmetic.true_conv2d(X, W, padding=1), expected)


def test_the_nine_products_of_one_output():
    found = terms.conv2d(X, W, padding=1)((0, 0, 2, 2))
    same(found.products.reshape(1, 1, 3, 3), "18 2 8 / 0 27 6 / 0 -9 12")
    assert found.total == 64


def test_the_way_back_by_a_transposed_convolution():
    small = conv2d(X, W, stride=2, padding=1)
    same(
        conv_transpose2d(small, W, stride=2, padding=1),
        "-594 169 -387 -674 756 / 649 841 451 -211 -785 / 495 -338 576 331 -261 / -440 717 -504 649 217"
        " / 495 -394 648 452 -396",
    )


def test_the_course_relu():
    same(relu(conv2d(X, W, padding=1)), "0 25 0 0 84 / 52 0 0 0 0 / 55 55 64 0 0 / 0 0 0 0 0 / 55 29 72 72 0")


BACKWARD = {
    "ones": (
        np.ones_like,
        1,
        "9 19 19 19 20 / -5 8 8 8 14 / -5 8 8 8 14 / -5 8 8 8 14 / -12 -7 -7 -7 5",
        "15 24 26 / 42 50 47 / 47 52 44",
        25,
    ),
    "through a relu": (
        lambda y: arithmetic.relu_backward(np.ones_like(y), y),
        1,
        "-6 17 2 -7 9 / 11 8 12 3 -9 / -7 7 11 2 0 / -7 4 9 12 8 / 2 4 4 11 2",
        "6 7 18 / 9 41 32 / 3 0 7",
        10,
    ),
    "half the square": (
        lambda y: y,
        1,
        "-741 572 117 -2448 417 / 1350 1012 917 1200 -2323 / -454 48 984 439 586 / -853 209 370 739 634"
        " / 748 -47 469 1248 -270",
        "577 -226 1131 / -540 3087 1116 / -1129 -2187 -422",
        1,
    ),
    "ones, valid": (
        np.ones_like,
        0,
        "6 7 15 9 8 / -1 9 19 20 10 / -6 -5 8 14 13 / -12 -12 -7 5 5 / -5 -14 -11 -6 3",
        "13 12 11 / 12 17 20 / 21 33 35",
        9,
    ),
}


@pytest.mark.parametrize("name", BACKWARD)
def test_the_course_convolution_backward(name):
    grad_of, padding, grad_x, grad_weight, grad_bias = BACKWARD[name]
    output = conv2d(X, W, padding=padding)
    grad_output = grad_of(output)
    found = conv2d_backward(grad_output, X, W, padding=padding)
    same(found[0], grad_x)
    same(found[1], grad_weight)
    assert found[2].tolist() == [grad_bias]
    for form in ("scatter", "gather", "full"):
        same(conv2d_grad_x(grad_output, X.shape, W, padding=padding, form=form), grad_x)


def test_the_loss_of_half_the_square():
    assert (conv2d(X, W, padding=1) ** 2).sum() / 2 == 35_070.5


# Pooling

FOUR = grid("5 3 1 9 / 2 4 5 6 / 7 8 5 6 / 1 3 4 5")


def test_the_course_pooling():
    best, places = arithmetic.max_pool2d_with_indices(FOUR, 2)
    same(best, "5 9 / 8 6")
    assert places.ravel().tolist() == [0, 3, 9, 11]
    same(arithmetic.avg_pool2d(FOUR, 2), "3.5 5.25 / 4.75 5")
    ones = np.ones((1, 1, 2, 2))
    same(arithmetic.max_pool2d_backward(ones, FOUR, 2), "1 0 0 1 / 0 0 0 0 / 0 1 0 1 / 0 0 0 0")
    np.testing.assert_array_equal(arithmetic.avg_pool2d_backward(ones, FOUR, 2), np.full((1, 1, 4, 4), 0.25))


def test_average_pooling_of_nine():
    nine = grid("1 2 3 / 4 5 6 / 7 8 9")
    same(arithmetic.avg_pool2d(nine, 2, 2, 1), "0.25 1.25 / 2.75 7")
    same(arithmetic.avg_pool2d(nine, 2, 2, 1, count_include_pad=False), "1 2.5 / 5.5 7")
    same(arithmetic.avg_pool2d(nine, 2, 2, ceil_mode=True), "3 4.5 / 7.5 9")


def test_of_equal_values_the_first_wins():
    grad = arithmetic.max_pool2d_backward(np.ones((1, 1, 1, 1)), np.ones((1, 1, 2, 2)), 2)
    same(grad, "1 0 / 0 0")


@pytest.mark.parametrize(("size", "arguments", "expected"), [(4, (2, 3, 1), 2), (2, (2, 3, 1), 1), (3, (1, 3, 0), 1)])
def test_ceil_mode_is_not_one_window_too_many(size, arguments, expected):
    kernel_size, stride, padding = arguments
    pooled = arithmetic.max_pool2d(np.ones((1, 1, size, size)), kernel_size, stride, padding, ceil_mode=True)
    assert pooled.shape[2:] == (expected, expected)


def test_pooling_of_cs231n():
    same(arithmetic.max_pool2d(grid("1 1 2 4 / 5 6 7 8 / 3 2 1 0 / 1 2 3 4"), 2), "6 8 / 3 4")


def test_pooling_of_dive_into_deep_learning():
    nine, sixteen = np.arange(9.0).reshape(1, 1, 3, 3), np.arange(16.0).reshape(1, 1, 4, 4)
    same(arithmetic.max_pool2d(nine, 2, 1), "4 5 / 7 8")
    same(arithmetic.avg_pool2d(nine, 2, 1), "2 3 / 5 6")
    same(arithmetic.max_pool2d(sixteen, 3), "10")
    same(arithmetic.max_pool2d(sixteen, 3, 2, 1), "5 7 / 13 15")
    same(arithmetic.max_pool2d(sixteen, (2, 3), (2, 3), (0, 1)), "5 7 / 13 15")


# CS231n and Dive into Deep Learning


@pytest.mark.parametrize(("stride", "expected"), [(1, "-2 2 1 2 1"), (2, "-2 1 1"), (3, "-2 2")])
def test_one_dimension_of_cs231n(stride, expected):
    same(conv2d(grid("1 2 -1 1 -3"), grid("1 0 -1"), stride=(1, stride), padding=(0, 1)), expected)


def test_correlation_of_dive_into_deep_learning():
    x, kernel = np.arange(9.0).reshape(1, 1, 3, 3), grid("0 1 / 2 3")
    same(conv2d(x, kernel), "19 25 / 37 43")
    same(conv2d(x, kernel, padding=1), "0 3 8 4 / 9 19 25 10 / 21 37 43 16 / 6 7 8 0")
    same(conv2d(x, kernel, stride=(3, 2), padding=1), "0 8 / 6 8")
    stacked, filters = np.concatenate([x, x + 1], axis=1), np.concatenate([kernel, kernel + 1], axis=1)
    same(conv2d(stacked, filters), "56 72 / 104 120")
    three = conv2d(stacked, np.concatenate([filters, filters + 1, filters + 2]))
    assert three[0].tolist() == [[[56, 72], [104, 120]], [[76, 100], [148, 172]], [[96, 128], [192, 224]]]


def test_the_edge_of_dive_into_deep_learning():
    x = np.ones((1, 1, 6, 8))
    x[..., 2:6] = 0
    same(conv2d(x, grid("1 -1")), " / ".join(["0 1 0 0 0 -1 0"] * 6))


def test_transposed_convolution_of_dive_into_deep_learning():
    x = grid("0 1 / 2 3")
    same(conv_transpose2d(x, x), "0 0 1 / 0 4 6 / 4 12 9")
    same(conv_transpose2d(x, x, stride=2), "0 0 0 1 / 0 0 2 3 / 0 2 0 3 / 4 6 6 9")
    same(conv_transpose2d(x, x, padding=1), "4")
    y = conv2d(np.arange(9.0).reshape(1, 1, 3, 3), grid("1 2 / 3 4"))
    same(y, "27 37 / 57 67")
    same(conv_transpose2d(y, grid("1 2 / 3 4")), "27 91 74 / 138 400 282 / 171 429 268")


# Bilinear filters and batch normalisation


def test_bilinear_filters():
    same(arithmetic.bilinear_kernel(4)[None, None] * 16, "1 3 3 1 / 3 9 9 3 / 3 9 9 3 / 1 3 3 1")
    same(arithmetic.bilinear_kernel(3)[None, None] * 4, "1 2 1 / 2 4 2 / 1 2 1")
    sums = {size: float(arithmetic.bilinear_kernel(size).sum()) for size in (3, 4, 16, 64)}
    assert sums == {3: 4, 4: 4, 16: 64, 64: 1024}


ENLARGING = [(2, 4, 1), (3, 5, 1), (4, 8, 2), (8, 16, 4), (16, 32, 8), (32, 64, 16)]


@pytest.mark.parametrize(("scale", "kernel", "padding"), ENLARGING)
def test_a_bilinear_filter_interpolates_but_for_the_border(scale, kernel, padding):
    assert (kernel, padding) == (2 * scale - scale % 2, -(-(scale - 1) // 2))
    assert arithmetic.bilinear_kernel(kernel).sum() == pytest.approx(((kernel + 1) // 2) ** 2)
    x = np.random.default_rng(scale).standard_normal((1, 1, 6, 5))
    stamped = conv_transpose2d(x, arithmetic.bilinear_kernel(kernel)[None, None], stride=scale, padding=padding)
    inside = (..., slice(scale, -scale), slice(scale, -scale))
    enlarged = arithmetic.interpolate_bilinear(x, scale_factor=scale)
    np.testing.assert_allclose(stamped[inside], enlarged[inside], rtol=0, atol=1e-15 * 4)
    assert np.abs(stamped - enlarged).max() > 0.01


def test_batch_norm_in_training():
    x = grid("1 2 3 6")
    statistics = ([0.0], [1.0])
    y = arithmetic.batch_norm(x, *statistics, [2.0], [1.0], True, eps=0.5)
    same(y, "-1 0 1 4")
    backward = arithmetic.batch_norm_backward(grid("1 0 0 0"), x, *statistics, [2.0], True, eps=0.5)
    same(backward[0], "0.5 -0.375 -0.25 0.125")
    assert (backward[1].tolist(), backward[2].tolist()) == ([-1.0], [1.0])
    mean, var = arithmetic.running_statistics(x, *statistics)
    assert mean[0] == pytest.approx(0.3)
    assert var[0] == pytest.approx(0.9 + 0.1 * 14 / 3)


def test_batch_norm_folded_into_the_convolution_before_it():
    weight, bias = arithmetic.fold_batch_norm([[[[2.0]]]], [1.0], [0.5], [3.5], [3.0], [-1.0], eps=0.5)
    assert (weight.item(), bias.item()) == (3.0, -0.25)
    same(conv2d(grid("0 1 2"), weight, bias), "-0.25 2.75 5.75")


def test_folding_changes_nothing_but_rounding():
    rng = np.random.default_rng(5)
    x, weight, bias = rng.standard_normal((2, 3, 9, 9)), rng.standard_normal((4, 3, 3, 3)), rng.standard_normal(4)
    mean, gamma, beta = rng.standard_normal((3, 4))
    var = rng.random(4) + 0.1
    plain = arithmetic.batch_norm(conv2d(x, weight, bias, padding=1), mean, var, gamma, beta)
    folded = conv2d(x, *arithmetic.fold_batch_norm(weight, bias, mean, var, gamma, beta), padding=1)
    np.testing.assert_allclose(folded, plain, rtol=0, atol=1e-12)


# The forgotten row: a stride that leaves rows unread


def test_the_full_form_knows_of_the_leftover_row():
    x_shape, weight = (1, 1, 6, 6), np.ones((1, 1, 3, 3))
    assert Axis(6, 3, 2).leftover == 1
    grad = conv2d_grad_x(np.ones((1, 1, 2, 2)), x_shape, weight, stride=2, form="full")
    assert grad.shape == x_shape
    assert not grad[..., 5, :].any()
    assert not grad[..., 5].any()
