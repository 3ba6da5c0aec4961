"""What one gradient of a recorded pass is made of: the same products, transposed, of every operation that read it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.inspection.arguments import COPIES, copies_of, named
from pellucid.inspection.recording import Operation
from pellucid.inspection.terms_forward import (
    array,
    blended,
    channel,
    forward_terms,
    moved,
    pool_arguments,
    single,
    summed,
)
from pellucid.ops import terms
from pellucid.ops.terms.value import Terms

__all__ = ["backward_terms", "weight_terms"]

Index = tuple[int, ...]
GIVEN = "grad_output"


def backward_terms(operation: Operation, source: Tensor, at: Index) -> Terms:
    """∂number/∂source[at], as far as it comes through this operation; `source` is one of its recorded inputs."""
    if operation.kind in BACKWARD:
        return BACKWARD[operation.kind](operation, at)
    if operation.kind in COPIES:
        return _copied(operation, source, at)
    if operation.kind in ("add", "sub", "mul", "div"):
        return _joined(operation, source, at)
    raise UsageError(f"No gradient is known in terms of {operation.name!r}, a {operation.kind}.")


def weight_terms(operation: Operation, at: Index) -> Terms:
    """∂number/∂weight[at] of a convolution or a linear layer: all that this weight multiplies."""
    given, gradient = named(operation), _gradient(operation)
    x, weight = given["input"], given["weight"]
    match operation.kind:
        case "conv2d":
            o, c = at[:2]
            place = o // (len(weight) // given.get("groups", 1)) * weight.shape[1] + c
            cuts = (gradient[:1, o : o + 1], x[:1, place : place + 1], weight[o : o + 1, c : c + 1])
            dy, values, filters = map(array, cuts)
            found = terms.conv2d_backward(dy, values, filters, *_window(given))[1]((0, 0, *at[2:]))
            return moved(found, GIVEN, (0, o, 0, 0))
        case "linear":
            o, i = at
            dy, values, filters = map(array, (gradient[:1, o : o + 1], x[:1, i : i + 1], weight[o : o + 1, i : i + 1]))
            return moved(terms.linear_backward(dy, values, filters)[1]((0, 0)), GIVEN, (0, o))
    raise UsageError(f"{operation.name!r} is a {operation.kind}; gradients of weights are those of conv2d and linear.")


def _gradient(operation: Operation) -> Tensor:
    if not operation.gradients or operation.gradients[0] is None:
        raise UsageError(f"No gradient came back to {operation.name!r}. Record the pass with a number that it serves.")
    return operation.gradients[0]


def _window(given: dict[str, Any]) -> tuple[Any, Any, Any]:
    return given.get("stride", 1), given.get("padding", 0), given.get("dilation", 1)


def _conv(operation: Operation, at: Index) -> Terms:
    given, gradient = named(operation), _gradient(operation)
    x, weight = given["input"], given["weight"]
    group, own = divmod(at[1], weight.shape[1])
    size = len(weight) // given.get("groups", 1)
    outputs = slice(group * size, (group + 1) * size)
    cuts = (gradient[:1, outputs], x[:1, at[1] : at[1] + 1], weight[outputs, own : own + 1])
    dy, values, filters = map(array, cuts)
    found = terms.conv2d_backward(dy, values, filters, *_window(given))[0]((0, 0, *at[2:]))
    return moved(found, GIVEN, (0, outputs.start, 0, 0))


def _conv_transpose(operation: Operation, at: Index) -> Terms:
    given, gradient = named(operation), _gradient(operation)
    x, weight, c = given["input"], given["weight"], at[1]
    group = c // (len(weight) // given.get("groups", 1))
    outputs = slice(group * weight.shape[1], (group + 1) * weight.shape[1])
    dy, values, filters = map(array, (gradient[:1, outputs], x[:1, c : c + 1], weight[c : c + 1]))
    found = terms.conv_transpose2d_backward(
        *(dy, values, filters),
        *(given.get("stride", 1), given.get("padding", 0), given.get("output_padding", 0)),
        dilation=given.get("dilation", 1),
    )[0]((0, 0, *at[2:]))
    return moved(found, GIVEN, (0, outputs.start, 0, 0))


def _linear(operation: Operation, at: Index) -> Terms:
    given, i = named(operation), at[1]
    cuts = (_gradient(operation)[:1], given["input"][:1, i : i + 1], given["weight"][:, i : i + 1])
    dy, values, filters = map(array, cuts)
    return terms.linear_backward(dy, values, filters)[0]((0, 0))


def _batch_norm(operation: Operation, at: Index) -> Terms:
    given, c = named(operation), at[1]
    gradient, x = (array(one[:1, c : c + 1]) for one in (_gradient(operation), given["input"]))
    mean, var, weight = (channel(given, name, slice(c, c + 1)) for name in ("running_mean", "running_var", "weight"))
    found = terms.batch_norm_backward(gradient, x, mean, var, weight, eps=given.get("eps", 1e-5))[0]
    return moved(found((0, 0, *at[2:])), GIVEN, (0, c, 0, 0))


def _relu(operation: Operation, at: Index) -> Terms:
    """The coefficient is that of the forward pass."""
    (coefficient,) = forward_terms(operation, at)[0].parts[0].coefficient
    return single(GIVEN, _gradient(operation), at, float(coefficient))


def _pool(operation: Operation, at: Index) -> Terms:
    c, function = at[1], getattr(terms, f"{operation.kind}_backward")
    gradient, x = (array(one[:1, c : c + 1]) for one in (_gradient(operation), named(operation)["input"]))
    *window, last = pool_arguments(operation)
    if operation.kind == "max_pool2d":
        found = function(gradient, x, *window, ceil_mode=last)
    elif operation.kind == "avg_pool2d":
        found = function(gradient, x, *window[:-1], ceil_mode=window[-1], count_include_pad=last)
    else:
        found = function(gradient, x, last)
    return moved(found((0, 0, *at[2:])), GIVEN, (0, c, 0, 0))


def _interpolate(operation: Operation, at: Index) -> Terms:
    given, c = named(operation), at[1]
    if given.get("mode", "nearest") == "nearest":
        return _copied(operation, given["input"], at)
    gradient, x = (array(one[:1, c : c + 1]) for one in (_gradient(operation), given["input"]))
    found = terms.interpolate_bilinear_backward(gradient, x, **blended(operation))((0, 0, *at[2:]))
    return moved(found, GIVEN, (0, c, 0, 0))


def _extreme(operation: Operation, at: Index) -> Terms:
    """Torch shares the gradient out between equal ones."""
    x, gradient = named(operation)["input"], _gradient(operation)
    plane = x[0, at[1]]
    share = float(plane[at[2:]] == plane.max()) / int((plane == plane.max()).sum())
    return single(GIVEN, gradient, (0, at[1]) + (0,) * (gradient.ndim - 2), share)


def _mean(operation: Operation, at: Index) -> Terms:
    x, gradient = named(operation)["input"], _gradient(operation)
    return single(GIVEN, gradient, (0, at[1]) + (0,) * (gradient.ndim - 2), 1 / x[0, 0].numel())


def _joined(operation: Operation, source: Tensor, at: Index) -> Terms:
    """The coefficients of the forward pass; a tensor that is spread over others has no terms here."""
    gradient = _gradient(operation)
    if source.shape != gradient.shape:
        raise UsageError(f"{operation.name!r} spreads {tuple(source.shape)} over {tuple(gradient.shape)}: no terms.")
    found, sources = forward_terms(operation, at)
    own = [part for part in found.parts if sources[part.source] is source]
    if len(found.parts) != len(sources) or len(own) < sum(one is source for one in operation.arguments):
        raise UsageError(f"{operation.name!r} multiplies two tensors; its gradient is not known in terms.")
    return summed([single(GIVEN, gradient, at, float(part.coefficient[0])) for part in own])


def _copied(operation: Operation, source: Tensor, at: Index) -> Terms:
    """Every output that is this number."""
    inputs, outputs = copies_of(operation)
    number, before = int(np.ravel_multi_index(at, tuple(source.shape))) + 1, 0
    found: list[Terms] = []
    for one in inputs:
        if one is source:
            for places, gradient in zip(outputs, operation.gradients, strict=True):
                if gradient is not None:
                    where = (places == number + before).nonzero().tolist()
                    found += [single(GIVEN, gradient, tuple(place)) for place in where]
        before += one.numel()
    return summed(found)


BACKWARD: dict[str, Callable[[Operation, Index], Terms]] = {
    "conv2d": _conv,
    "conv_transpose2d": _conv_transpose,
    "linear": _linear,
    "batch_norm": _batch_norm,
    "relu": _relu,
    "leaky_relu": _relu,
    **dict.fromkeys(("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"), _pool),
    **dict.fromkeys(("interpolate", "upsample"), _interpolate),
    "amax": _extreme,
    "mean": _mean,
}
