"""One contract for every operation: the terms of any of its numbers sum to that number, within the rounding bound."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import UsageError
from pellucid.ops import arithmetic, terms
from tests.ops.drawn_arguments import convolutions, images, pools, seeds, transposed_convolutions

PLACES = 4  # random positions of each array

# Operations that are no sum of their inputs, but parts or arguments of one.
WITHOUT_TERMS = {"bilinear_kernel", "conv2d_grad_x", "flip", "fold_batch_norm", "running_statistics"}

measured: dict[str, list[float]] = {}


@st.composite
def a_convolution(draw):
    case = draw(convolutions())
    return (case.x, case.weight, case.bias), case.arguments


@st.composite
def a_transposed_convolution(draw):
    case = draw(transposed_convolutions())
    return (case.x, case.weight, case.bias), case.arguments


@st.composite
def a_pool(draw, dilated):
    x, arguments = draw(pools(dilated=dilated))
    return (x,), arguments


@st.composite
def an_adaptive_pool(draw):
    return (draw(images()),), {"output_size": (draw(st.integers(1, 9)), draw(st.integers(1, 9)))}


@st.composite
def a_batch_norm(draw):
    x, rng = draw(images(2)), np.random.default_rng(draw(seeds))
    row = lambda: rng.random(x.shape[1]) + 0.1  # noqa: E731
    return (x, row(), row(), row(), row()), {"training": draw(st.booleans())}


@st.composite
def a_linear(draw):
    rng, shape = np.random.default_rng(draw(seeds)), st.integers(1, 9)
    n, inputs, outputs = draw(shape), draw(shape), draw(shape)
    return (rng.standard_normal((n, inputs)), rng.standard_normal((outputs, inputs)), rng.standard_normal(outputs)), {}


@st.composite
def some_logits(draw):
    rng = np.random.default_rng(draw(seeds))
    return (rng.standard_normal((draw(st.integers(1, 5)), draw(st.integers(1, 9)))) * 10,), {}


@st.composite
def logits_and_targets(draw):
    (logits,), _ = draw(some_logits())
    return (logits, np.array([draw(st.integers(0, logits.shape[1] - 1)) for _ in logits])), {}


@st.composite
def an_enlargement(draw):
    return (draw(images()),), {"size": (draw(st.integers(1, 20)), draw(st.integers(1, 20)))}


@st.composite
def an_activation(draw, slope=False):
    return (draw(images()),), {"negative_slope": draw(st.sampled_from([0.01, 0.1]))} if slope else {}


@st.composite
def a_sum(draw):
    x = draw(images())
    return (x, x[..., ::-1].copy()), {}


INPUTS = {
    "conv2d": a_convolution(),
    "true_conv2d": a_convolution(),
    "conv_transpose2d": a_transposed_convolution(),
    "max_pool2d": a_pool(dilated=True),
    "avg_pool2d": a_pool(dilated=False),
    "adaptive_max_pool2d": an_adaptive_pool(),
    "adaptive_avg_pool2d": an_adaptive_pool(),
    "batch_norm": a_batch_norm(),
    "linear": a_linear(),
    "softmax": some_logits(),
    "cross_entropy": logits_and_targets(),
    "interpolate_bilinear": an_enlargement(),
    "relu": an_activation(),
    "leaky_relu": an_activation(slope=True),
    "residual_add": a_sum(),
}


def test_every_operation_has_terms():
    operations = {name for name in arithmetic.__all__ if not name.endswith("_with_indices")} - WITHOUT_TERMS
    assert operations == {name for name in terms.__all__ if name.islower()}
    assert operations == set(INPUTS) | {f"{name}_backward" for name in INPUTS}


@pytest.mark.parametrize("name", sorted(INPUTS))
@settings(max_examples=60)
@given(data=st.data())
def test_terms_sum_to_the_output(name, data):
    inputs, arguments = data.draw(INPUTS[name])
    output = getattr(arithmetic, name)(*inputs, **arguments)
    compare(name, (np.asarray(output),), getattr(terms, name)(*inputs, **arguments), data)


@pytest.mark.parametrize("name", sorted(INPUTS))
@settings(max_examples=60)
@given(data=st.data())
def test_terms_sum_to_the_gradients(name, data):
    inputs, arguments = data.draw(INPUTS[name])
    function = getattr(arithmetic, f"{name}_backward")
    inputs = gradient_inputs(function, name, inputs, arguments)
    found = function(*inputs, **arguments)
    compare(f"{name}_backward", found, getattr(terms, f"{name}_backward")(*inputs, **arguments), data)


def gradient_inputs(function, name, inputs, arguments):
    """What the backward function takes first: a drawn dY, then the inputs without the bias."""
    wanted = inspect.signature(function).parameters
    if "grad_output" not in wanted:
        return inputs
    output = getattr(arithmetic, name)(*inputs, **arguments)
    grad_output = np.random.default_rng(output.size).standard_normal(output.shape)
    if name == "residual_add":
        return (grad_output,)
    return (grad_output, *(inputs[:4] if name == "batch_norm" else inputs[:2]))


def compare(name, arrays, explains, data):
    arrays = arrays if isinstance(arrays, tuple) else (arrays,)
    explains = explains if isinstance(explains, tuple) else (explains,)
    assert len(arrays) == len(explains)
    for array, explain in zip(arrays, explains, strict=True):
        for _ in range(PLACES if array.ndim else 1):
            index = tuple(data.draw(st.integers(0, size - 1)) for size in array.shape)
            found, value = explain(index), float(array[index])
            if math.isinf(value):  # the maximum of nothing
                assert (found.total, len(found)) == (value, 0)
                continue
            assert abs(found.total - value) <= found.bound(), f"{name}{index}: {found.check(value)}"
            assert found.check(value).endswith("✓")
            if found.bound():
                measured.setdefault(name, []).append(abs(found.total - value) / found.bound())


def test_the_bounds_are_known():
    """How much of the rounding bound was used; `pytest -s` prints it."""
    for name, shares in sorted(measured.items()):
        print(f"{name:32} {len(shares):5} numbers, at most {max(shares):5.1%} of the bound")
    assert all(max(shares) <= 1 for shares in measured.values())


# The value itself


def test_terms_read_like_a_calculation():
    x = np.array([[3.0, 2, 1], [0, 3, 3], [0, 1, 4]])[None, None]
    weight = np.array([[6.0, 1, 8], [-7, 9, 2], [-5, -9, 3]])[None, None]
    found = terms.conv2d(x, weight, [0.5])((0, 0, 0, 0))
    assert str(found) == "64.5 = 0.5 + 6·3 + 1·2 + 8·1 + −7·0 + 9·3 + 2·3 + −5·0 + −9·1 + 3·4"
    assert found.check(64.5) == "Σ 64.5 · value 64.5 · Δ 0.0e+00 of at most 1.3e-13 ✓"
    assert found.check(64.6).endswith("✗")
    assert next(iter(found)) == ("x", (0, 0, 0, 0), 6.0, 3.0)
    assert len(found) == 9


def test_of_very_many_terms_the_first_are_shown():
    found = terms.conv2d(np.ones((1, 64, 3, 3)), np.ones((1, 64, 3, 3)))((0, 0, 0, 0))
    assert str(found).endswith("+ (564 more)")
    assert (len(found), found.total) == (576, 576.0)


def test_a_coarser_precision_has_a_wider_bound():
    found = terms.linear([[1.0, 2.0]], [[3.0, 4.0]])((0, 0))
    assert found.bound("float64") < found.bound("float32") < found.bound("bfloat16")
    with pytest.raises(UsageError, match=r"dtype='int8': there is float64"):
        found.bound("int8")


def test_an_index_outside_is_refused():
    with pytest.raises(UsageError, match=r"index=\(0, 5\) is outside of the shape \(1, 1\)"):
        terms.linear([[1.0]], [[3.0]])((0, 5))
    with pytest.raises(UsageError, match="one whole number for each axis"):
        terms.relu([[1.0]])((0,))


def test_padded_zeros_have_no_term_and_other_padding_has():
    x, weight = np.ones((1, 1, 5, 5)), np.ones((1, 1, 3, 3))
    assert len(terms.conv2d(x, weight, padding=1)((0, 0, 0, 0))) == 4
    reflected = terms.conv2d(x, weight, padding=1, padding_mode="reflect")((0, 0, 0, 0))
    assert len(reflected) == 9
    assert {term.index[2:] for term in reflected} == {(r, q) for r in (0, 1) for q in (0, 1)}
