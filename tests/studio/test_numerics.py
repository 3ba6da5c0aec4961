"""The page's arithmetic, run in a browser, against torch in float64 with autograd, over drawn arguments."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from tests.browser import watched_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel lengths"),
]

DRAWN = 40  # of each operation
OPERATIONS = ("conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d", "relu")
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")

# Both ways to every number: the whole tensors, and the sum of terms at each place.
EVALUATE = """async (states) => {
  const { evaluate, fullAt, hasFull, plan, resultShape, resultTensor, sumAt, unflat, count, arriving } =
    await import('/static/numerics.js');
  const all = (state, p, result, pass) => {
    const tensor = resultTensor(result, pass);
    if (!tensor) return null;
    const shape = resultShape(p, pass);
    const sums = Array.from({ length: count(shape) }, (_, place) => sumAt(p, state, unflat(shape, place), pass).total);
    const onBig = hasFull(p) && pass === (p.transposed ? 'forward' : 'x');
    const small = p.transposed ? state.x.values : arriving(state, p).values;
    const full = onBig && Array.from({ length: count(shape) }, (_, place) => {
      const index = unflat(shape, place);
      const bias = p.transposed && state.bias ? state.bias.values[index[0]] : 0;
      return fullAt(p, state.weight.values, small, index) + bias;
    });
    return { shape, values: tensor.values, sums, full: full || null };
  };
  return states.map((state) => {
    const [p, result] = [plan(state), evaluate(state)];
    const passes = ['forward', 'x', 'weight', 'bias'].map((pass) => [pass, all(state, p, result, pass)]);
    return Object.fromEntries(passes);
  });
}"""


def drawn_state(operation: str, rng: random.Random) -> dict:
    """Arguments that torch accepts, with numbers of a normal distribution."""
    while True:
        state = candidate(operation, rng)
        try:
            with torch.no_grad():
                output = reference_layer(state)(tensor(state["x"]))
        except (RuntimeError, ValueError):
            continue
        if output.numel():
            return state | {"grad_output": drawn(tuple(output.shape), rng)}


def candidate(operation: str, rng: random.Random) -> dict:
    def pair(low: int, high: int) -> list[int]:
        return [rng.randint(low, high), rng.randint(low, high)]

    groups = rng.choice((1, 1, 2, 3))
    inputs, outputs = groups * rng.randint(1, 2), groups * rng.randint(1, 2)
    kernel, stride = pair(1, 4), pair(1, 3)
    padding: list[int] | str = pair(0, 3)
    if operation == "conv2d" and rng.random() < 0.3:
        padding = rng.choice(("same", "valid"))
        stride = [1, 1] if padding == "same" else stride
    weighted = operation.startswith("conv")
    first, second = (inputs, outputs) if operation == "conv_transpose2d" else (outputs, inputs)
    state = {
        "preset": "conv-3x3",
        "operation": operation,
        "pass": "forward",
        "x": drawn((inputs, *pair(1, 8)), rng),
        "weight": drawn((first, second // groups, *kernel), rng),
        "bias": drawn((outputs,), rng) if rng.random() < 0.5 else None,
        "grad_output": None,
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": [1, 1] if operation == "avg_pool2d" else pair(1, 3),
        "groups": groups if weighted else 1,
        "output_padding": pair(0, 2),
        "padding_mode": rng.choice(PADDING_MODES) if operation == "conv2d" else "zeros",
        "ceil_mode": rng.random() < 0.5 and operation.endswith("pool2d"),
        "count_include_pad": rng.random() < 0.5,
        "flip": weighted and rng.random() < 0.3,
        "at": [0, 0, 0],
        "ask": None,
    }
    if operation == "relu":
        state |= {"kernel_size": [1, 1], "stride": [1, 1], "padding": [0, 0], "dilation": [1, 1]}
    return state


def drawn(shape: tuple[int, ...], rng: random.Random) -> dict:
    count = int(np.prod(shape))
    return {"shape": list(shape), "values": [round(rng.gauss(0, 3), 2) for _ in range(count)]}


def tensor(value: dict) -> torch.Tensor:
    return torch.tensor(value["values"], dtype=torch.float64).reshape(value["shape"])


def reference_layer(state: dict) -> nn.Module:
    """torch's own layer with the state's arguments and numbers."""
    kernel, stride, padding = state["kernel_size"], state["stride"], state["padding"]
    padding = padding if isinstance(padding, str) else tuple(padding)
    match state["operation"]:
        case "relu":
            return nn.ReLU()
        case "max_pool2d":
            return nn.MaxPool2d(kernel, stride, padding, state["dilation"], ceil_mode=state["ceil_mode"])
        case "avg_pool2d":
            return nn.AvgPool2d(kernel, stride, padding, state["ceil_mode"], state["count_include_pad"])
    shape, groups = state["weight"]["shape"], state["groups"]
    shared = {"stride": stride, "padding": padding, "dilation": state["dilation"], "groups": groups}
    shared |= {"bias": state["bias"] is not None, "dtype": torch.float64}
    if state["operation"] == "conv2d":
        layer = nn.Conv2d(shape[1] * groups, shape[0], kernel, padding_mode=state["padding_mode"], **shared)
    else:
        layer = nn.ConvTranspose2d(
            shape[0], shape[1] * groups, kernel, output_padding=state["output_padding"], **shared
        )
    weight = tensor(state["weight"])
    layer.weight.data = weight.flip(-2, -1) if state["flip"] else weight
    if state["bias"] is not None:
        layer.bias.data = tensor(state["bias"])
    return layer


def reference(state: dict) -> dict[str, torch.Tensor | None]:
    """Output and gradients by autograd."""
    layer = reference_layer(state)
    x = tensor(state["x"]).requires_grad_()
    output = layer(x[None])[0]
    output.backward(tensor(state["grad_output"]))
    found: dict[str, torch.Tensor | None] = {"forward": output.detach(), "x": x.grad, "weight": None, "bias": None}
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        found["weight"] = layer.weight.grad.flip(-2, -1) if state["flip"] else layer.weight.grad
        found["bias"] = None if layer.bias is None else layer.bias.grad
    return found


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_number_is_torchs(browser, studio, operation):
    rng = random.Random(f"studio {operation}")
    states = [drawn_state(operation, rng) for _ in range(DRAWN)]
    with watched_page(browser) as window:
        window.goto(f"{studio}/arithmetic")
        found = window.evaluate(EVALUATE, states)
    for state, passes in zip(states, found, strict=True):
        for name, expected in reference(state).items():
            ours = passes[name]
            assert (ours is None) == (expected is None), name
            if expected is None:
                continue
            message = f"{name} of {state}"
            assert ours["shape"] == list(expected.shape), message
            for way in ("values", "sums", "full"):
                if ours[way] is not None and not (way == "sums" and name == "forward" and torch.isinf(expected).any()):
                    values = np.array(ours[way], float).reshape(ours["shape"])
                    np.testing.assert_allclose(values, expected.numpy(), rtol=1e-12, atol=1e-11, err_msg=message)


def test_drawn_arguments_cover_what_can_be_set():
    rng = random.Random("studio conv2d")
    states = [drawn_state("conv2d", rng) for _ in range(DRAWN)]
    assert {state["padding_mode"] for state in states} == set(PADDING_MODES)
    assert {state["groups"] for state in states} == {1, 2, 3}
    assert {str(state["padding"]) for state in states} >= {"same", "valid"}
    assert {state["flip"] for state in states} == {True, False}


def test_group_1_to_11_of_the_worked_examples(browser, studio):
    """Published and hand-checked outputs of the presets."""
    expected = {
        "conv-3x3": "-66 25 -43 -81 84 52 -4 -39 -7 -121 55 55 64 -24 -29 -44 -12 -22 -21 -5 55 29 72 72 -44",
        "stride-2": "-66 -43 84 55 64 -29 55 72 -44",
        "dilation-1": "-4 -39 -7 55 64 -24 -12 -22 -21",
        "dilation-2": "-41 26 42 -93 -47 61 41 -3 -48 -82 2 -58 -65 -71 13 4 19 33 55 38 84 96 75 42 -35",
        "pooling-4x4": "5 9 8 6",
        "relu": "0 25 0 0 84 52 0 0 0 0 55 55 64 0 0 0 0 0 0 0 55 29 72 72 0",
        "transposed": "0 0 1 0 4 6 4 12 9",
        "cs231n": "-2 2 1 2 1",
        "d2l": "19 25 37 43",
    }
    script = """async (names) => {
      const { evaluate } = await import('/static/numerics.js');
      const { parse } = await import('/static/state/fragment.js');
      return names.map((name) => evaluate(parse(`#preset=${name}`).state).output.values);
    }"""
    with watched_page(browser) as window:
        window.goto(f"{studio}/arithmetic")
        found = window.evaluate(script, list(expected))
    assert [[float(part) for part in text.split()] for text in expected.values()] == found
