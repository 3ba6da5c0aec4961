"""Every operation against torch in float64, value and gradients, over drawn arguments; none is left out."""

import os

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.ops import arithmetic
from pellucid.ops.arithmetic.normalization import batch_norm
from tests.ops import against_torch
from tests.ops.against_torch import agree, torch_pass
from tests.ops.drawn_arguments import (
    TORCH_MODES,
    Drawn,
    before_and_after,
    convolutions,
    images,
    pools,
    seeds,
    transposed_convolutions,
)

CONFIGURATIONS = int(os.environ.get("PELLUCID_CONFIGURATIONS", "400"))
drawn = settings(max_examples=CONFIGURATIONS)


def torch_conv2d(x, weight, bias, arguments):
    """torch's own convolution behind torch's own padding."""
    kernel, dilation = tuple(weight.shape[2:]), arguments["dilation"]
    (top, bottom), (left, right) = before_and_after(arguments["padding"], kernel, dilation)
    padded = F.pad(x, (left, right, top, bottom), mode=TORCH_MODES[arguments["padding_mode"]])
    return F.conv2d(padded, weight, bias, arguments["stride"], 0, dilation, arguments["groups"])


@drawn
@given(case=convolutions())
def test_conv2d(case: Drawn):
    expected, grad_output, grads = torch_pass(
        lambda x, weight, bias=None: torch_conv2d(x, weight, bias, case.arguments),
        *(one for one in (case.x, case.weight, case.bias) if one is not None),
    )
    agree("conv2d", arithmetic.conv2d(case.x, case.weight, case.bias, **case.arguments), expected)
    ours = arithmetic.conv2d_backward(grad_output, case.x, case.weight, **case.arguments)
    for name, mine, theirs in zip(("x", "weight", "bias"), ours, grads, strict=False):
        agree(f"conv2d grad_{name}", mine, theirs)
    for form in ("scatter", "gather", "full"):
        mine = arithmetic.conv2d_grad_x(grad_output, case.x.shape, case.weight, **case.arguments, form=form)
        agree(f"conv2d grad_x {form}", mine, grads[0])


@settings(max_examples=50)
@given(case=convolutions())
def test_the_gradient_of_the_bias_does_not_need_one(case: Drawn):
    output = arithmetic.conv2d(case.x, case.weight, **case.arguments)
    *_, grad_bias = arithmetic.conv2d_backward(output, case.x, case.weight, **case.arguments)
    np.testing.assert_allclose(grad_bias, output.sum(axis=(0, 2, 3)), rtol=1e-12)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # torch says so once, and is right
@settings(max_examples=50)
@given(case=convolutions())
def test_conv2d_takes_the_padding_mode_as_a_layer_does(case: Drawn):
    """The same once more against nn.Conv2d, which knows 'same' and the modes by itself."""
    out_channels, _, *kernel = case.weight.shape
    layer = torch.nn.Conv2d(case.x.shape[1], out_channels, tuple(kernel), **case.arguments, bias=False).double()
    layer.weight.data = torch.tensor(case.weight)
    ours = arithmetic.conv2d(case.x, case.weight, **case.arguments)
    agree("nn.Conv2d", ours, layer(torch.tensor(case.x)).detach().numpy())


@drawn
@given(case=transposed_convolutions())
def test_conv_transpose2d(case: Drawn):
    expected, grad_output, grads = torch_pass(
        lambda x, weight, bias=None: F.conv_transpose2d(x, weight, bias, **case.arguments),
        *(one for one in (case.x, case.weight, case.bias) if one is not None),
    )
    agree("conv_transpose2d", arithmetic.conv_transpose2d(case.x, case.weight, case.bias, **case.arguments), expected)
    ours = arithmetic.conv_transpose2d_backward(grad_output, case.x, case.weight, **case.arguments)
    for name, mine, theirs in zip(("x", "weight", "bias"), ours, grads, strict=False):
        agree(f"conv_transpose2d grad_{name}", mine, theirs)


@drawn
@given(case=convolutions(), seed=seeds)
def test_conv_transpose2d_is_the_transpose_of_conv2d(case: Drawn, seed: int):
    """⟨conv(x), y⟩ = ⟨x, convT(y)⟩ for every argument, padding by name and every padding mode included."""
    output = arithmetic.conv2d(case.x, case.weight, **case.arguments)
    y = np.random.default_rng(seed).standard_normal(output.shape)
    back = arithmetic.conv2d_grad_x(y, case.x.shape, case.weight, **case.arguments)
    stride = case.arguments["stride"]
    steps = stride if isinstance(stride, tuple) else (stride, stride)
    pads = before_and_after(case.arguments["padding"], case.weight.shape[2:], case.arguments["dilation"])
    extra = tuple(
        (i + sum(p) - d * (k - 1) - 1) % s
        for i, p, d, k, s in zip(
            case.x.shape[2:], pads, case.arguments["dilation"], case.weight.shape[2:], steps, strict=True
        )
    )
    agree(
        "convT as transpose", arithmetic.conv_transpose2d(y, case.weight, **case.arguments, output_padding=extra), back
    )


@settings(max_examples=50)
@given(case=convolutions())
def test_true_convolution_rotates_the_filter(case: Drawn):
    expected, grad_output, grads = torch_pass(
        lambda x, weight: torch_conv2d(x, weight.flip(2, 3), None, case.arguments), case.x, case.weight
    )
    agree("true_conv2d", arithmetic.true_conv2d(case.x, case.weight, **case.arguments), expected)
    ours = arithmetic.true_conv2d_backward(grad_output, case.x, case.weight, **case.arguments)
    agree("true_conv2d grad_x", ours[0], grads[0])
    agree("true_conv2d grad_weight", ours[1], grads[1])


@drawn
@given(case=pools(dilated=True))
def test_max_pool2d(case):
    x, arguments = case
    ours, places = arithmetic.max_pool2d_with_indices(x, **arguments)
    np.testing.assert_array_equal(arithmetic.max_pool2d(x, **arguments), ours)
    theirs, their_places = F.max_pool2d(torch.tensor(x), **arguments, return_indices=True)
    np.testing.assert_array_equal(ours, theirs.numpy())
    np.testing.assert_array_equal(places[places >= 0], their_places.numpy()[places >= 0])
    if places.min() >= 0:
        _, grad_output, (grad,) = torch_pass(lambda x: F.max_pool2d(x, **arguments), x)
        agree("max_pool2d grad_x", arithmetic.max_pool2d_backward(grad_output, x, **arguments), grad)
    else:  # torch's backward pass would write outside its memory
        grad = arithmetic.max_pool2d_backward(np.ones_like(ours), x, **arguments)
        assert grad.sum() == (places >= 0).sum()


def test_a_window_that_sees_padding_alone_has_no_winner():
    x = np.ones((1, 1, 2, 1))
    arguments = {"kernel_size": (2, 1), "stride": 1, "padding": (1, 0), "dilation": (3, 1)}
    best, places = arithmetic.max_pool2d_with_indices(x, **arguments)
    assert best.ravel().tolist() == [-np.inf]
    assert places.ravel().tolist() == [-1]
    assert not arithmetic.max_pool2d_backward(np.ones_like(best), x, **arguments).any()


@drawn
@given(case=pools(dilated=False))
def test_avg_pool2d(case):
    x, arguments = case
    expected, grad_output, (grad,) = torch_pass(lambda x: F.avg_pool2d(x, **arguments), x)
    agree("avg_pool2d", arithmetic.avg_pool2d(x, **arguments), expected)
    agree("avg_pool2d grad_x", arithmetic.avg_pool2d_backward(grad_output, x, **arguments), grad)


@pytest.mark.parametrize("kind", ["avg", "max"])
@drawn
@given(
    x=images(), size=st.one_of(st.integers(1, 9), st.tuples(st.integers(1, 9), st.one_of(st.none(), st.integers(1, 9))))
)
def test_adaptive_pools(kind, x, size):
    name = f"adaptive_{kind}_pool2d"
    expected, grad_output, (grad,) = torch_pass(lambda x: getattr(F, name)(x, size), x)
    agree(name, getattr(arithmetic, name)(x, size), expected)
    agree(f"{name} grad_x", getattr(arithmetic, f"{name}_backward")(grad_output, x, size), grad)


@drawn
@given(x=images(2), seed=seeds, training=st.booleans(), affine=st.booleans(), eps=st.sampled_from([1e-5, 1e-3, 0.5]))
def test_batch_norm(x, seed, training, affine, eps):
    rng, channels = np.random.default_rng(seed), x.shape[1]
    mean, var = rng.standard_normal(channels), rng.random(channels) + 0.1
    given_affine = (rng.standard_normal(channels), rng.standard_normal(channels)) if affine else ()
    kept = torch.tensor(mean), torch.tensor(var)
    expected, grad_output, grads = torch_pass(
        lambda x, *affine: F.batch_norm(x, *kept, *affine, training=training, eps=eps), x, *given_affine
    )
    weight, bias = given_affine or (None, None)
    agree("batch_norm", batch_norm(x, mean, var, weight, bias, training, eps=eps), expected)
    ours = arithmetic.batch_norm_backward(grad_output, x, mean, var, weight, training, eps=eps)
    sizes = absolute_terms_of_batch_norm(grad_output, x, mean, var, weight, training=training, eps=eps)
    for name, mine, theirs, size in zip(("x", "weight", "bias"), ours, grads, sizes, strict=False):
        agree(f"batch_norm grad_{name}", mine, theirs, size)
    if training:
        for name, mine, theirs in zip(("mean", "var"), arithmetic.running_statistics(x, mean, var), kept, strict=True):
            agree(f"running_{name}", mine, theirs.numpy())


def absolute_terms_of_batch_norm(grad_output, x, mean, var, weight, *, training, eps):
    """Of (dX, dγ, dβ); in training dX is what remains of dY without its mean and its part along x̂, maybe nothing."""
    if training:
        mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    x_hat = np.abs(x - mean[:, None, None]) / np.sqrt(var + eps)[:, None, None]
    given, slope = np.abs(grad_output), np.abs(1.0 if weight is None else weight) / np.sqrt(var + eps)
    along = x_hat * (given * x_hat).mean(axis=(0, 2, 3), keepdims=True) + given.mean(axis=(0, 2, 3), keepdims=True)
    grad_x = slope[:, None, None] * (given + along * training)
    return grad_x, (given * x_hat).sum(axis=(0, 2, 3)), given.sum(axis=(0, 2, 3))


@settings(max_examples=100)
@given(n=st.integers(1, 5), inputs=st.integers(1, 9), outputs=st.integers(1, 9), seed=seeds)
def test_linear_softmax_and_cross_entropy(n, inputs, outputs, seed):
    rng = np.random.default_rng(seed)
    x, weight, bias = (
        rng.standard_normal((n, inputs)),
        rng.standard_normal((outputs, inputs)),
        rng.standard_normal(outputs),
    )
    expected, grad_output, grads = torch_pass(F.linear, x, weight, bias)
    agree("linear", arithmetic.linear(x, weight, bias), expected)
    for mine, theirs in zip(arithmetic.linear_backward(grad_output, x, weight), grads, strict=True):
        agree("linear grads", mine, theirs)

    logits = expected * 100
    probs, grad_output, (grad,) = torch_pass(lambda z: F.softmax(z, dim=1), logits)
    agree("softmax", arithmetic.softmax(logits), probs)
    agree("softmax grad", arithmetic.softmax_backward(grad_output, logits), grad)

    target = rng.integers(0, outputs, n)
    leaf = torch.tensor(logits, requires_grad=True)
    loss = F.cross_entropy(leaf, torch.tensor(target))
    loss.backward()
    agree("cross_entropy", np.array(arithmetic.cross_entropy(logits, target)), loss.detach().numpy())
    agree("cross_entropy grad", arithmetic.cross_entropy_backward(logits, target), leaf.grad.numpy())


@settings(max_examples=100)
@given(x=images(), slope=st.sampled_from([0.0, 0.01, 0.1, 1.5]))
def test_activations_and_the_residual_sum(x, slope):
    expected, grad_output, (grad,) = torch_pass(lambda x: F.leaky_relu(x, slope), x)
    agree("leaky_relu", arithmetic.leaky_relu(x, slope), expected)
    agree("leaky_relu grad", arithmetic.leaky_relu_backward(grad_output, x, slope), grad)
    expected, grad_output, (grad,) = torch_pass(F.relu, x)
    agree("relu", arithmetic.relu(x), expected)
    agree("relu grad", arithmetic.relu_backward(grad_output, x), grad)
    expected, grad_output, grads = torch_pass(torch.add, x, x[::-1].copy())
    agree("residual_add", arithmetic.residual_add(x, x[::-1]), expected)
    for mine, theirs in zip(arithmetic.residual_add_backward(grad_output), grads, strict=True):
        agree("residual_add grad", mine, theirs)


@settings(max_examples=200)
@given(
    x=images(),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    scale=st.tuples(st.floats(1, 3.5), st.floats(1, 3.5)),
    by_size=st.booleans(),
    align_corners=st.booleans(),
)
def test_interpolate_bilinear(x, size, scale, by_size, align_corners):
    wanted = {"size": size} if by_size else {"scale_factor": scale}
    expected, grad_output, (grad,) = torch_pass(
        lambda x: F.interpolate(x, **wanted, mode="bilinear", align_corners=align_corners), x
    )
    agree("interpolate_bilinear", arithmetic.interpolate_bilinear(x, **wanted, align_corners=align_corners), expected)
    ours = arithmetic.interpolate_bilinear_backward(grad_output, x, **wanted, align_corners=align_corners)
    agree("interpolate_bilinear grad", ours, grad)


def test_the_worst_errors_are_known(capsys):
    """What the tests above measured; `pytest -s` prints it."""
    if not against_torch.worst:
        pytest.skip("no test before this one measured anything in this process")
    for name in sorted(against_torch.worst):
        count, error = against_torch.counted[name], against_torch.worst[name]
        print(f"{name:30} {count:6} comparisons, worst relative error {error:.1e}")
    assert max(against_torch.worst.values()) < against_torch.BOUND
