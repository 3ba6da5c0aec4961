"""A number of a network as a state of the page Arithmetic: the window that it reads and what that is multiplied by.

The page draws eight channels of small windows. Of a number with more the eight that give most are drawn, and what the
others give stands in the bias, which the page says; so its sum is the network's own number.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from pellucid.inspection.arguments import named
from pellucid.inspection.recording import Operation, Trace
from pellucid.inspection.terms_forward import pool_arguments
from pellucid.inspection.terms_of import Explained
from pellucid.ops.terms.value import Part
from pellucid.studio.hops import Hop

__all__ = ["CHANNELS", "arithmetic_address"]

CHANNELS = 8
KERNEL = 11
SPACING = 6
"""The most that the page Arithmetic draws."""


@dataclass(frozen=True, slots=True, eq=False)
class _Plane:
    """The terms of one channel of a source: numbers of a window, a coefficient each tap, taps so far apart."""

    name: str
    values: Float[ndarray, "h w"]
    coefficients: Float[ndarray, "kh kw"]
    dilation: tuple[int, int]
    total: float


def arithmetic_address(trace: Trace, hop: Hop, found: Explained) -> str:
    """The address of the page with the real numbers of that output."""
    operation = trace[hop.name]
    if operation.kind == "relu":
        value = float(named(operation)["input"][(0, *hop.at)])
        return _address(found, {"operation": "relu", "size": "1", "x": _grid([np.array([[value]])])})
    if operation.kind == "max_pool2d" and (window := _pooled(operation, hop.at)) is not None:
        sides = ",".join(map(str, window.shape))
        return _address(
            found, {"operation": "max_pool2d", "size": sides, "kernel_size": sides, "stride": "1", "x": _grid([window])}
        )
    return _weighted(trace, found)


def _pooled(operation: Operation, at: Sequence[int]) -> Float[ndarray, "h w"] | None:
    """What a window of a maximum reads, without what lies outside; None where it is more than the page draws."""
    x = named(operation)["input"]
    size, step, *others, _ = pool_arguments(operation)
    kernel, stride, padding, dilation = (_both(one) for one in (size, step or size, *others))
    sides = []
    for axis in range(2):
        first = at[1 + axis] * stride[axis] - padding[axis]
        sides.append(slice(max(0, first), min(x.shape[2 + axis], first + kernel[axis])))
    window: ndarray = x[0, at[0], sides[0], sides[1]].double().numpy()
    return window if dilation == (1, 1) and max(window.shape) <= KERNEL else None


def _both(value: Any) -> tuple[int, int]:
    rows, columns = value if isinstance(value, list | tuple) else (value, value)
    return rows, columns


def _weighted(trace: Trace, found: Explained) -> str:
    planes = [plane for part in found.terms.parts for plane in _planes(trace, part)]
    if not planes or len({(plane.coefficients.shape, plane.values.shape, plane.dilation) for plane in planes}) > 1:
        planes = [plane for part in found.terms.parts for plane in _points(part)]
    drawable = [plane for plane in planes if plane.name]
    shown = sorted(drawable, key=lambda plane: -abs(plane.total))[:CHANNELS]
    rest = math.fsum(plane.total for plane in drawable) - math.fsum(plane.total for plane in shown)
    bias = found.terms.bias + rest + math.fsum(plane.total for plane in planes if not plane.name)
    if not shown:
        return _address(found, {"size": "1", "kernel_size": "1", "x": "0", "weight": "0", "bias": repr(bias)})
    first = shown[0]
    state = {
        "in_channels": str(len(shown)),
        "size": ",".join(map(str, first.values.shape)),
        "kernel_size": ",".join(map(str, first.coefficients.shape)),
        "dilation": ",".join(map(str, first.dilation)),
        "x": _grid([plane.values for plane in shown]),
        "weight": _grid([plane.coefficients for plane in shown]),
        "bias": repr(bias),
        "channels": " · ".join(plane.name for plane in shown),
    }
    more = len(drawable) - len(shown)
    return _address(found, state | ({"more": str(more), "rest": repr(rest)} if more else {}))


def _planes(trace: Trace, part: Part) -> list[_Plane]:
    """The terms of a source channel by channel; each in the smallest box that holds them, and the source's numbers."""
    tensors = [one.output for one in trace if one.name == part.source]
    if not tensors or part.index.shape[1] != 4:
        return _points(part)
    source, found = tensors[0][0].double().numpy(), []
    boxes = [_taps(part.index[:, axis]) for axis in (2, 3)]
    if None in boxes:
        return _points(part)
    (top, rows, down), (left, columns, across) = boxes  # type: ignore[misc]
    for channel in np.unique(part.index[:, 1]).tolist():
        own = part.index[:, 1] == channel
        coefficients = np.zeros((rows, columns))
        places = (part.index[own, 2] - top) // down, (part.index[own, 3] - left) // across
        np.add.at(coefficients, places, part.coefficient[own])
        values = source[channel, top : top + down * (rows - 1) + 1, left : left + across * (columns - 1) + 1]
        total = float((part.coefficient[own] * part.value[own]).sum())
        found.append(_Plane(f"{part.source}[{channel}]", values, coefficients, (down, across), total))
    return found


def _taps(places: ndarray) -> tuple[int, int, int] | None:
    """(first, count, step) of a row of taps; None where they are more or further apart than the page draws."""
    each = np.unique(places)
    step = int(np.gcd.reduce(np.diff(each))) if len(each) > 1 else 1
    count = int(each[-1] - each[0]) // step + 1
    fits = count <= KERNEL and step <= SPACING and step * (count - 1) < 16
    return (int(each[0]), count, step) if fits else None


def _points(part: Part) -> list[_Plane]:
    """Every term by itself; those of weights, which are in no operation, without a name."""
    found = []
    for index, coefficient, value in zip(part.index.tolist(), part.coefficient, part.value, strict=True):
        name = "" if part.source == "a constant" else f"{part.source}[{', '.join(map(str, index[1:]))}]"
        numbers = (np.array([[value]]), np.array([[coefficient]]))
        found.append(_Plane(name, *numbers, (1, 1), float(coefficient * value)))
    return found


def _grid(planes: Sequence[Float[ndarray, "h w"]]) -> str:
    """Numbers by `,`, rows by `/`, channels by `;`, every digit of them."""
    return ";".join("/".join(",".join(map(repr, row)) for row in plane.tolist()) for plane in planes)


def _address(found: Explained, state: dict[str, str]) -> str:
    told = {
        "preset": "conv-3x3",
        "padding": "0",
        "at": "0,0,0",
        **state,
        "network": repr(found.value),
        "from": found.name,
    }
    return "/arithmetic#" + "&".join(f"{key}={quote(value, safe=',/;:[]·')}" for key, value in told.items())
