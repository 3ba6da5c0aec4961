"""What one output of a recorded operation is made of: `ops.terms`, given no more of the tensors than the number needs.

The indices have the batch axis in front, which is 0: a trace that is explained is of one image.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.inspection.arguments import COPIES, copies_of, named
from pellucid.inspection.recording import Operation
from pellucid.ops import terms
from pellucid.ops.terms.value import Part, Terms

__all__ = ["array", "blended", "channel", "forward_terms", "moved", "pool_arguments", "single", "summed"]

Index = tuple[int, ...]


def forward_terms(operation: Operation, at: Index) -> tuple[Terms, dict[str, Tensor]]:
    """The terms of that output, and the tensor that each of their sources is."""
    kind = operation.kind
    if kind in FORWARD:
        return FORWARD[kind](operation, at)
    if kind in COPIES:
        return _copied(operation, at)
    known = ", ".join(sorted({*FORWARD, *COPIES}))
    raise UsageError(f"No terms are known of {operation.name!r}, a {kind}. There are those of {known}.")


def array(tensor: Tensor) -> ndarray:
    """Float64, as `ops` computes."""
    found: ndarray = tensor.detach().double().numpy()
    return found


def channel(given: dict[str, Any], name: str, part: slice) -> ndarray | None:
    """Some numbers of an argument with one a channel, where it was given."""
    tensor = given.get(name)
    return None if tensor is None else array(tensor[part])


def moved(found: Terms, source: str, by: Index) -> Terms:
    """The terms with the places of one source counted from elsewhere: what was cut out lies there in the whole."""
    parts = (
        Part(part.source, part.index + np.array(by), part.coefficient, part.value) if part.source == source else part
        for part in found.parts
    )
    return Terms(tuple(parts), found.bias)


def single(source: str, tensor: Tensor, at: Index, coefficient: float = 1.0) -> Terms:
    """One term, of a number of that tensor."""
    return Terms.single(source, at, coefficient, float(tensor[at]))


def summed(found: list[Terms]) -> Terms:
    """All of them together."""
    return Terms(tuple(part for one in found for part in one.parts), sum(one.bias for one in found))


Found = tuple[Terms, dict[str, Tensor]]


def _conv(operation: Operation, at: Index) -> Found:
    given = named(operation)
    x, weight = given["input"], given["weight"]
    _, o, row, column = at
    size = weight.shape[1]
    first = o // (len(weight) // given.get("groups", 1)) * size
    found = terms.conv2d(
        array(x[:1, first : first + size]),
        array(weight[o : o + 1]),
        channel(given, "bias", slice(o, o + 1)),
        *(given.get("stride", 1), given.get("padding", 0), given.get("dilation", 1)),
    )((0, 0, row, column))
    return moved(found, "x", (0, first, 0, 0)), {"x": x}


def _conv_transpose(operation: Operation, at: Index) -> Found:
    given = named(operation)
    x, weight = given["input"], given["weight"]
    _, o, row, column = at
    group, own = divmod(o, weight.shape[1])
    size = len(weight) // given.get("groups", 1)
    channels = slice(group * size, (group + 1) * size)
    found = terms.conv_transpose2d(
        array(x[:1, channels]),
        array(weight[channels, own : own + 1]),
        channel(given, "bias", slice(o, o + 1)),
        *(given.get("stride", 1), given.get("padding", 0), given.get("output_padding", 0)),
        dilation=given.get("dilation", 1),
    )((0, 0, row, column))
    return moved(found, "x", (0, channels.start, 0, 0)), {"x": x}


def _linear(operation: Operation, at: Index) -> Found:
    given = named(operation)
    x, weight = given["input"], given["weight"]
    if x.ndim != 2:
        raise UsageError(f"{operation.name!r} is a linear layer on {tuple(x.shape)}; terms are known of N features.")
    o = at[1]
    own = channel(given, "bias", slice(o, o + 1))
    return terms.linear(array(x[:1]), array(weight[o : o + 1]), own)((0, 0)), {"x": x}


def _batch_norm(operation: Operation, at: Index) -> Found:
    given = named(operation)
    x, c = given["input"], at[1]
    if x.ndim != 4 or given.get("training"):
        raise UsageError(f"{operation.name!r} is a batch norm on {tuple(x.shape)}; terms are known in evaluation mode.")
    mean, var, weight, bias = (
        channel(given, name, slice(c, c + 1)) for name in ("running_mean", "running_var", "weight", "bias")
    )
    found = terms.batch_norm(array(x[:1, c : c + 1]), mean, var, weight, bias, eps=given.get("eps", 1e-5))
    shifted = moved(found((0, 0, *at[2:])), "x", (0, c, 0, 0))
    return moved(shifted, "mean", (c,)), {"x": x, "mean": given["running_mean"]}


def _relu(operation: Operation, at: Index) -> Found:
    given = named(operation)
    x, slope = given["input"], given.get("negative_slope", 0.01)
    closed = 0.0 if operation.kind == "relu" else float(slope)
    return single("x", x, at, 1.0 if x[at] > 0 else closed), {"x": x}


def pool_arguments(operation: Operation) -> tuple[Any, ...]:
    """Kernel, stride, padding, and dilation or what an average has instead, as `ops.terms` takes them."""
    given = named(operation)
    if operation.kind.startswith("adaptive"):
        return (_pair(given["output_size"], given["input"]),)
    window = (given["kernel_size"], given.get("stride") or None, given.get("padding", 0))
    if operation.kind == "max_pool2d":
        return (*window, given.get("dilation", 1), given.get("ceil_mode", False))
    if given.get("divisor_override") is not None:
        raise UsageError(f"{operation.name!r} divides by a number of its own, whose terms are not known.")
    return (*window, given.get("ceil_mode", False), given.get("count_include_pad", True))


def _pair(wanted: Any, x: Tensor) -> tuple[int, int]:
    """`(None, 7)` keeps the height."""
    both = (wanted, wanted) if isinstance(wanted, int) else wanted
    rows, columns = (own if one is None else one for one, own in zip(both, x.shape[2:], strict=True))
    return rows, columns


def _pool(operation: Operation, at: Index) -> Found:
    x, c = named(operation)["input"], at[1]
    function: Any = getattr(terms, operation.kind)
    found = function(array(x[:1, c : c + 1]), *pool_arguments(operation))((0, 0, *at[2:]))
    return moved(found, "x", (0, c, 0, 0)), {"x": x}


def blended(operation: Operation) -> dict[str, Any]:
    """The arguments of a bilinear interpolation as `ops.terms` takes them."""
    given = named(operation)
    size, scale = given.get("size"), given.get("scale_factor")
    both = {"size": size} if scale is None else {"scale_factor": scale}
    return {**both, "align_corners": bool(given.get("align_corners"))}


def _interpolate(operation: Operation, at: Index) -> Found:
    given = named(operation)
    mode = given.get("mode", "nearest")
    if mode == "nearest":
        return _copied(operation, at)
    if mode != "bilinear" or (operation.keywords or {}).get("antialias"):
        raise UsageError(f"{operation.name!r} interpolates by {mode!r}; terms are known of bilinear and nearest.")
    x, c = given["input"], at[1]
    found = terms.interpolate_bilinear(array(x[:1, c : c + 1]), **blended(operation))((0, 0, *at[2:]))
    return moved(found, "x", (0, c, 0, 0)), {"x": x}


def _extreme(operation: Operation, at: Index) -> Found:
    """The greatest of a map."""
    x, c = _map_of(operation, at)
    row, column = divmod(int(x[0, c].reshape(-1).argmax()), x.shape[3])
    return single("x", x, (0, c, row, column)), {"x": x}


def _mean(operation: Operation, at: Index) -> Found:
    x, c = _map_of(operation, at)
    found = terms.adaptive_avg_pool2d(array(x[:1, c : c + 1]), 1)((0, 0, 0, 0))
    return moved(found, "x", (0, c, 0, 0)), {"x": x}


def _map_of(operation: Operation, at: Index) -> tuple[Tensor, int]:
    """The input and the channel of what takes every map as a whole."""
    given = named(operation)
    x, axes = given["input"], given.get("dim")
    if x.ndim != 4 or not isinstance(axes, tuple | list) or {axis % 4 for axis in axes} != {2, 3}:
        raise UsageError(f"{operation.name!r} is over the axes {axes}; terms are known over rows and columns, (2, 3).")
    return x, at[1]


def _joined(operation: Operation, at: Index) -> Found:
    """Sums, differences and products of two, of which one may be a number."""
    arguments = [*operation.arguments, *(operation.keywords or {}).values()][:2]
    tensors = [one for one in arguments if isinstance(one, Tensor)]
    if len(tensors) == 2:
        return _two(operation, tensors, at)
    zero, one = (_value(operation, [at_it]) for at_it in (0.0, 1.0))
    found = single("x", tensors[0], at, one - zero)
    return Terms(found.parts, zero), {"x": tensors[0]}


def _two(operation: Operation, tensors: list[Tensor], at: Index) -> Found:
    first, second = (tuple(min(place, side - 1) for place, side in zip(at, one.shape, strict=True)) for one in tensors)
    x, shortcut = tensors
    if _value(operation, [1.0, 1.0]) == _value(operation, [1.0, 0.0]) + _value(operation, [0.0, 1.0]):
        parts = [single("x", x, first, _value(operation, [1.0, 0.0]))]
        parts += [single("shortcut", shortcut, second, _value(operation, [0.0, 1.0]))]
        return summed(parts), {"x": x, "shortcut": shortcut}
    return single("x", x, first, _value(operation, [1.0, float(shortcut[second])])), {"x": x}


def _value(operation: Operation, values: list[float]) -> float:
    """What the operation makes of these numbers in the places of its tensors."""
    left = iter(values)
    arguments = [
        torch.tensor(next(left), dtype=torch.float64) if isinstance(one, Tensor) else one for one in operation.arguments
    ]
    assert operation.function is not None
    return float(operation.function(*arguments, **(operation.keywords or {})))


def _copied(operation: Operation, at: Index) -> Found:
    inputs, (places, *_) = copies_of(operation)
    number = int(places[at]) - 1
    if number < 0:
        return Terms((), float(operation.output[at])), {}
    for which, one in enumerate(inputs):
        if number < one.numel():
            place = tuple(int(axis) for axis in np.unravel_index(number, tuple(one.shape)))
            return single(f"x{which}", one, place), {f"x{which}": one}
        number -= one.numel()
    raise AssertionError(operation.name)


FORWARD: dict[str, Callable[[Operation, Index], Found]] = {
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
    **dict.fromkeys(("add", "sub", "mul", "div"), _joined),
}
