"""Receptive fields: which input a unit sees, through strides, dilation, transposed layers and branches that merge.

Per axis the unit at index y of a layer sees the inputs j·y + low … j·y + high, at first (j, low, high) = (1, 0, 0). A
convolution or pooling makes

    low −= p₀·j      high += (d(k − 1) − p₀)·j      j ·= s             (low and high with the old j)

and a transposed convolution, output y of which reads inputs (y + p − d(k − 1))/s … (y + p)/s,

    low −= (d(k − 1) − p)·j/s      high += p·j/s      j /= s

Where branches join, j must be equal; low is the least of them and high the greatest. Source: Araujo, Norris and Sim,
"Computing Receptive Fields of Convolutional Neural Networks", Distill 2019.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from pellucid.errors import UsageError
from pellucid.ops.arguments import non_negative, positive
from pellucid.ops.arithmetic.adaptive import adaptive_spans
from pellucid.ops.arithmetic.bilinear import bilinear_matrix
from pellucid.ops.counting import Sliding, output_size, reads
from pellucid.ops.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Branches,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Upsample,
    layers,
)
from pellucid.ops.windows import padding_pairs

__all__ = ["ReceptiveField", "behind", "interpolated", "merged", "read_matrix", "receptive_field", "seen"]


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """Along one axis: the unit y sees the inputs jump·y + low … jump·y + high, padding included."""

    jump: Fraction = Fraction(1)
    low: Fraction | float = Fraction(0)
    high: Fraction | float = Fraction(0)
    aligned: bool = True

    @property
    def size(self) -> Fraction | float:
        """How many inputs a unit sees; infinite where it sees them all."""
        return self.high - self.low + 1

    @property
    def start(self) -> Fraction | float:
        """The centre of what unit 0 sees."""
        return (self.low + self.high) / 2

    @property
    def padding(self) -> Fraction | float:
        """How far unit 0 reaches beyond the first input: the effective padding."""
        return -self.low


def receptive_field(modules: Any, axis: int = 0) -> ReceptiveField:
    """The field of a unit behind these layers along the rows (axis 0) or columns (1).

    Where a layer sees everything (Flatten, Linear, adaptive pooling) its size is infinite. `aligned` says whether the
    branches of every join are centred on the same input.
    """
    field = ReceptiveField()
    for one in layers(modules):
        field = behind(field, one, axis)
    return field


def behind(field: ReceptiveField, one: Layer, axis: int) -> ReceptiveField:
    """The field of a unit behind one more layer."""
    match one:
        case Conv2d() | MaxPool2d() | AvgPool2d():
            return _slid(field, one, axis)
        case ConvTranspose2d():
            return _stamped(field, one, axis)
        case Upsample():
            return interpolated(field, Fraction(one.scale_factor))
        case AdaptiveAvgPool2d() | Flatten() | Linear():
            return replace(field, low=-math.inf, high=math.inf)
        case Branches():
            return merged([_along(field, path, axis) for path in one.paths])
    return field


def _along(field: ReceptiveField, path: Iterable[Layer], axis: int) -> ReceptiveField:
    for one in path:
        field = behind(field, one, axis)
    return field


def _slid(field: ReceptiveField, one: Conv2d | MaxPool2d | AvgPool2d, axis: int) -> ReceptiveField:
    kernel = positive("kernel_size", one.kernel_size)
    steps = kernel if one.stride is None else positive("stride", one.stride)
    gaps = (1, 1) if isinstance(one, AvgPool2d) else positive("dilation", one.dilation)
    before = padding_pairs(one.padding, kernel, steps, gaps)[axis][0]
    reach = gaps[axis] * (kernel[axis] - 1)
    return replace(
        field,
        low=field.low - before * field.jump,
        high=field.high + (reach - before) * field.jump,
        jump=field.jump * steps[axis],
    )


def _stamped(field: ReceptiveField, one: ConvTranspose2d, axis: int) -> ReceptiveField:
    kernel, gaps = positive("kernel_size", one.kernel_size), positive("dilation", one.dilation)
    jump = field.jump / positive("stride", one.stride)[axis]
    padding, reach = non_negative("padding", one.padding)[axis], gaps[axis] * (kernel[axis] - 1)
    return replace(field, low=field.low + (padding - reach) * jump, high=field.high + padding * jump, jump=jump)


def interpolated(field: ReceptiveField, scale: Fraction) -> ReceptiveField:
    """⌊f⌋ and ⌊f⌋ + 1 with f = (y + ½)/scale − ½ lie less than one input from f."""
    place = Fraction(1, 2) / scale - Fraction(1, 2)
    low, high = field.low + (place - 1) * field.jump, field.high + (place + 1) * field.jump
    return replace(field, low=low, high=high, jump=field.jump / scale)


def merged(fields: list[ReceptiveField]) -> ReceptiveField:
    """The field of a unit where branches join, which must have one stride."""
    jumps = {field.jump for field in fields}
    if len(jumps) > 1:
        told = ", ".join(str(jump) for jump in sorted(jumps))
        raise UsageError(f"Branches with strides of {told} meet. Give all paths the same stride.")
    low, high = min(field.low for field in fields), max(field.high for field in fields)
    aligned = all(field.aligned for field in fields) and len({field.start for field in fields}) == 1
    return ReceptiveField(jumps.pop(), low, high, aligned)


def seen(modules: Any, size: tuple[int, int], unit: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """Which places of an input H W the unit (row, column) behind these layers reads: exact, holes included."""
    every = layers(modules)
    mask = np.zeros(output_size(every, size), bool)
    mask[unit] = True
    return _seen(every, size, mask)


def _seen(
    every: tuple[Layer, ...], size: tuple[int, int], mask: Bool[np.ndarray, "out_h out_w"]
) -> Bool[np.ndarray, "h w"]:
    sizes = [size]
    for one in every:
        sizes.append(output_size(one, sizes[-1]))
    for one, before in zip(reversed(every), reversed(sizes[:-1]), strict=True):
        mask = _read(one, before, mask)
    return mask


def _read(one: Layer, size: tuple[int, int], mask: Bool[np.ndarray, "out_h out_w"]) -> Bool[np.ndarray, "h w"]:
    """The inputs of one layer that the units in the mask read."""
    match one:
        case Branches():
            return np.logical_or.reduce([_seen(path, size, mask) for path in one.paths])
        case Flatten() | Linear():
            return np.full(size, mask.any())
        case BatchNorm2d() | ReLU() | LeakyReLU():
            return mask
    rows, columns = (read_matrix(one, size, axis) for axis in (0, 1))
    return (rows.T @ mask.astype(np.float32) @ columns) > 0


def read_matrix(
    one: Sliding | Upsample | AdaptiveAvgPool2d, size: tuple[int, int], axis: int
) -> Float[np.ndarray, "o i"]:
    """1 where an output row (or column) reads an input row."""
    wanted = output_size(one, size)[axis]
    match one:
        case Upsample():
            return (bilinear_matrix(size[axis], wanted, one.scale_factor) > 0).astype(np.float32)
        case AdaptiveAvgPool2d():
            return _placed((np.arange(size[axis])[span] for span in adaptive_spans(size[axis], wanted)), size[axis])
    found = reads(one, size)[axis]
    return _placed(found, wanted).T if isinstance(one, ConvTranspose2d) else _placed(found, size[axis])


def _placed(read: Iterable[Int[np.ndarray, " k"]], size: int) -> Float[np.ndarray, "o i"]:
    """Float32, in which a product of these is fast and its counts are exact."""
    rows = list(read)
    matrix = np.zeros((len(rows), size), np.float32)
    for y, row in enumerate(rows):
        matrix[y, row[row >= 0]] = 1
    return matrix
