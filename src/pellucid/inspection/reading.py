"""Which places of its inputs a recorded operation reads: of every kind that is known, and of others that it is not.

A place is a row and a column of a map N C H W; what has no maps (N features) is one place. Layers are read as
`ops.receptive` reads them; operations that only copy (slices, padding, joins) are asked where their numbers come from.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from pellucid.inspection.arguments import COPIES, copies_of, named
from pellucid.inspection.recording import Operation
from pellucid.inspection.terms_forward import pool_arguments
from pellucid.ops.arithmetic.bilinear import bilinear_matrix
from pellucid.ops.layers import AdaptiveAvgPool2d, AvgPool2d, Conv2d, ConvTranspose2d, MaxPool2d
from pellucid.ops.receptive import ReceptiveField, behind, interpolated, read_matrix

__all__ = ["AbstractReading", "places", "reading_of"]

Mask = Bool[ndarray, "_ _"]
ELEMENTWISE = {"relu", "leaky_relu", "batch_norm", "add", "sub", "mul", "div", "sigmoid", "tanh", "silu", "gelu"} | {
    *("hardtanh", "relu6", "elu", "softplus", "neg", "exp", "abs", "clamp", "clamp_min", "clamp_max", "sqrt", "pow"),
    *("dropout", "contiguous", "clone", "detach", "float", "double", "hardswish", "hardsigmoid", "prelu"),
}
"""Kinds of which every number is made of those at the same place (batch norm: in evaluation mode)."""
POOLED = {"amax", "amin", "mean", "sum", "max", "std", "var"}
FLAT = {"flatten", "view", "reshape", "linear", "unflatten"}


class AbstractReading(ABC):
    """How an operation reads one of its inputs."""

    __slots__ = ()

    @abstractmethod
    def field(self, field: ReceptiveField, axis: int) -> ReceptiveField:
        """The field behind it, of one in front of it."""

    @abstractmethod
    def mask(self, mask: Mask) -> Mask:
        """The places of the input that these places of the output read."""


@dataclass(frozen=True, slots=True)
class _Same(AbstractReading):
    """Each place itself."""

    def field(self, field: ReceptiveField, axis: int) -> ReceptiveField:
        return field

    def mask(self, mask: Mask) -> Mask:
        return mask


@dataclass(frozen=True, slots=True)
class _Whole(AbstractReading):
    """All that there is."""

    size: tuple[int, int]

    def field(self, field: ReceptiveField, axis: int) -> ReceptiveField:
        return replace(field, low=-math.inf, high=math.inf)

    def mask(self, mask: Mask) -> Mask:
        return np.full(self.size, mask.any())


@dataclass(frozen=True, slots=True, eq=False)
class _Layer(AbstractReading):
    """As a layer of `ops.layers`."""

    layer: Any
    size: tuple[int, int]

    def field(self, field: ReceptiveField, axis: int) -> ReceptiveField:
        return behind(field, self.layer, axis)

    def mask(self, mask: Mask) -> Mask:
        return _product(mask, read_matrix(self.layer, self.size, 0), read_matrix(self.layer, self.size, 1))


@dataclass(frozen=True, slots=True, eq=False)
class _Bilinear(AbstractReading):
    size: tuple[int, int]
    output: tuple[int, int]
    scales: tuple[float, float]
    align_corners: bool

    def field(self, field: ReceptiveField, axis: int) -> ReceptiveField:
        return interpolated(field, Fraction(self.output[axis], self.size[axis]))

    def mask(self, mask: Mask) -> Mask:
        rows, columns = (
            (bilinear_matrix(side, out, scale, align_corners=self.align_corners) > 0).astype(np.float32)
            for side, out, scale in zip(self.size, self.output, self.scales, strict=True)
        )
        return _product(mask, rows, columns)


@dataclass(frozen=True, slots=True, eq=False)
class _Copy(AbstractReading):
    """Row and column numbers, from 1, by output row and column; 0 where a constant stands."""

    size: tuple[int, int]
    sources: tuple[ndarray, ndarray]
    nearest: bool

    def field(self, field: ReceptiveField, axis: int) -> ReceptiveField:
        found = self.sources[axis]
        if self.nearest:
            step = Fraction(self.size[axis], len(found))
            early = max(Fraction(0), 1 - step) * field.jump
            return replace(field, low=field.low - early, jump=field.jump * step)
        stride, start = _line(found)
        shift = start * field.jump
        return replace(field, low=field.low + shift, high=field.high + shift, jump=field.jump * stride)

    def mask(self, mask: Mask) -> Mask:
        rows, columns = (
            (found[:, None] == np.arange(1, side + 1)).astype(np.float32)
            for found, side in zip(self.sources, self.size, strict=True)
        )
        return _product(mask, rows, columns)


def places(tensor: Tensor) -> tuple[int, int]:
    """Rows and columns of a map; one place where there are no maps."""
    return (tensor.shape[2], tensor.shape[3]) if tensor.ndim == 4 else (1, 1)


def reading_of(operation: Operation, source: Tensor) -> AbstractReading | None:
    """How the operation reads `source`, one of its inputs; None where that is not known."""
    size, output = places(source), places(operation.output)
    if source.ndim != 4 and operation.output.ndim != 4:
        return _Same() if operation.kind in ELEMENTWISE | FLAT | COPIES | POOLED else None
    if operation.kind in ELEMENTWISE:
        return _Same() if size == output else _Whole(size) if size == (1, 1) else None
    if operation.kind in LAYERS:
        return _Layer(LAYERS[operation.kind](operation), size)
    if operation.kind in ("interpolate", "upsample"):
        return _interpolation(operation, source)
    if _flattens(operation, source):
        return _Whole(size)
    return _copied(operation, source) if operation.kind in COPIES else None


def _flattens(operation: Operation, source: Tensor) -> bool:
    """Whether maps become one place, or features become maps: any of them then sees all."""
    ends = {source.ndim, operation.output.ndim}
    if operation.kind in POOLED:
        return (
            places(operation.output) == (1, 1) and source.ndim == 4 and operation.output.shape[1:2] == source.shape[1:2]
        )
    return operation.kind in FLAT and ends != {4}


def _interpolation(operation: Operation, source: Tensor) -> AbstractReading | None:
    given = named(operation)
    mode = given.get("mode", "nearest")
    if (operation.keywords or {}).get("antialias") or mode not in ("nearest", "bilinear"):
        return None
    if mode == "nearest":
        return _copied(operation, source)
    size, output = places(source), places(operation.output)
    scale = given.get("scale_factor")
    known = (scale, scale) if isinstance(scale, int | float) else scale
    scales = known or tuple(out / side for out, side in zip(output, size, strict=True))
    return _Bilinear(size, output, (float(scales[0]), float(scales[1])), bool(given.get("align_corners")))


def _copied(operation: Operation, source: Tensor) -> AbstractReading | None:
    """Where rows come from rows and columns from columns; None where a copy mixes them, or several inputs there."""
    inputs, outputs = copies_of(operation)
    before = sum(one.numel() for one in inputs[: next(at for at, one in enumerate(inputs) if one is source)])
    numbers = np.concatenate([one.numpy() for one in outputs], axis=1) - before if outputs[0].ndim == 4 else None
    if numbers is None:
        return None
    own = (numbers > 0) & (numbers <= source.numel())
    _, _, rows, columns = np.unravel_index(np.where(own, numbers - 1, 0), tuple(source.shape))
    sources = []
    for axis, found in ((2, rows + 1), (3, columns + 1)):
        others = tuple(other for other in range(4) if other != axis)
        highest = np.where(own, found, 0).max(axis=others)
        lowest = np.where(own, found, source.numel() + 1).min(axis=others)
        if (lowest[highest > 0] != highest[highest > 0]).any():
            return None
        sources.append(highest)
    straight = all((np.diff(one[one > 0]) >= 0).all() for one in sources)
    nearest = operation.kind in ("interpolate", "upsample")
    return _Copy(places(source), (sources[0], sources[1]), nearest) if straight else None


def _line(found: ndarray) -> tuple[int, int]:
    """(step, start) with source = start + step·output, away from the ends, where padding repeats."""
    if len(found) < 2:
        return 1, int(found.max()) - 1
    steps = np.where(found[:-1] > 0, np.diff(found), 0)
    at = int(steps.argmax())
    return max(1, int(steps[at])), int(found[at]) - 1 - max(1, int(steps[at])) * at


def _product(mask: Mask, rows: Float[ndarray, "o i"], columns: Float[ndarray, "o2 i2"]) -> Bool[ndarray, "i i2"]:
    found: Bool[ndarray, "i i2"] = (rows.T @ mask.astype(np.float32) @ columns) > 0
    return found


def _conv(operation: Operation) -> Conv2d:
    given = named(operation)
    padding = given.get("padding", 0)
    kernel = tuple(given["weight"].shape[2:])
    return Conv2d(1, 1, kernel, _pair(given.get("stride", 1)), _pair(padding), _pair(given.get("dilation", 1)))


def _conv_transpose(operation: Operation) -> ConvTranspose2d:
    given = named(operation)
    kernel = tuple(given["weight"].shape[2:])
    steps, padding, extra = (_pair(given.get(name, usual)) for name, usual in UPWARDS)
    return ConvTranspose2d(1, 1, kernel, steps, padding, extra, dilation=_pair(given.get("dilation", 1)))


UPWARDS = (("stride", 1), ("padding", 0), ("output_padding", 0))


def _pair(value: Any) -> Any:
    """A layer is a value, and keeps tuples."""
    return tuple(value) if isinstance(value, list | tuple) else value


def _max_pool(operation: Operation) -> MaxPool2d:
    kernel, stride, padding, dilation, ceil_mode = map(_pair, pool_arguments(operation))
    return MaxPool2d(kernel, stride, padding, dilation, ceil_mode)


def _avg_pool(operation: Operation) -> AvgPool2d:
    kernel, stride, padding, ceil_mode, _ = map(_pair, pool_arguments(operation))
    return AvgPool2d(kernel, stride, padding, ceil_mode)


def _adaptive(operation: Operation) -> AdaptiveAvgPool2d:
    return AdaptiveAvgPool2d(places(operation.output))


LAYERS: dict[str, Callable[[Operation], Any]] = {
    "conv2d": _conv,
    "conv_transpose2d": _conv_transpose,
    "max_pool2d": _max_pool,
    "avg_pool2d": _avg_pool,
    "adaptive_avg_pool2d": _adaptive,
    "adaptive_max_pool2d": _adaptive,
}
