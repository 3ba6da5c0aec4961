"""What layers cost: sizes, parameters, multiply-adds, bytes.

The convention, which every table states: a MAC is one multiply-add, FLOPs are 2·MACs; biases are counted apart; a
transposed convolution multiplies at its *input* positions; one image, fp32. Dense MACs count the products with padded
zeros, effective MACs do not: they are the number of terms.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from pellucid.errors import UsageError
from pellucid.ops.arguments import positive
from pellucid.ops.arithmetic.pooling import pool_window
from pellucid.ops.arithmetic.transposed import transposed_window
from pellucid.ops.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Branches,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    Upsample,
    layers,
)
from pellucid.ops.windows import PaddingMode, Window, window_arguments

__all__ = [
    "CONVENTION",
    "Cost",
    "Sliding",
    "bytes_moved",
    "cost",
    "effective_macs",
    "macs",
    "output_shape",
    "output_size",
    "parameters",
    "reads",
    "window",
]

CONVENTION = "MAC = one multiply-add; FLOPs = 2·MAC; bias apart; ConvTranspose at input positions; batch 1; fp32"

Shape = tuple[int, ...]
Sliding = Conv2d | ConvTranspose2d | MaxPool2d | AvgPool2d


@dataclass(frozen=True, slots=True)
class Cost:
    """One layer's share; `bytes` is what must be moved at least when nothing is in the cache."""

    layer: Layer
    input_shape: Shape
    output_shape: Shape
    parameters: int
    macs: int
    effective_macs: int
    bytes: int


def cost(modules: Any, shape: Shape) -> tuple[Cost, ...]:
    """Every layer of a network with its cost, for one image C H W; the layers of branches one after another."""
    found: list[Cost] = []
    for one in layers(modules):
        if isinstance(one, Branches):
            found += [row for path in one.paths for row in cost(path, shape)]
        else:
            found.append(_cost(one, shape))
        shape = output_shape(one, shape)
    return tuple(found)


def _cost(one: Layer, shape: Shape) -> Cost:
    return Cost(
        one,
        shape,
        output_shape(one, shape),
        parameters(one),
        macs(one, shape),
        effective_macs(one, shape),
        bytes_moved(one, shape),
    )


def window(one: Sliding, size: tuple[int, int]) -> Window:
    """The sliding window of a layer over an input H W; that of a transposed convolution slides over its output."""
    kernel = positive("kernel_size", one.kernel_size)
    match one:
        case Conv2d():
            return window_arguments(size, kernel, one.stride, one.padding, one.dilation).checked()
        case ConvTranspose2d():
            return transposed_window(size, kernel, one.stride, one.padding, one.output_padding, one.dilation)
        case MaxPool2d():
            return pool_window(size, kernel, one.stride, one.padding, one.dilation, one.ceil_mode)
        case AvgPool2d():
            return pool_window(size, kernel, one.stride, one.padding, 1, one.ceil_mode)


def reads(one: Sliding, size: tuple[int, int]) -> tuple[Int[np.ndarray, "o_h kh"], Int[np.ndarray, "o_w kw"]]:
    """`Axis.reads` of the layer's window by rows and by columns; of a transposed convolution, one row an input."""
    found = window(one, size)
    mode: PaddingMode = one.padding_mode if isinstance(one, Conv2d) else "zeros"
    rows, columns = found.rows.reads(mode), found.columns.reads(mode)
    return (rows[: size[0]], columns[: size[1]]) if isinstance(one, ConvTranspose2d) else (rows, columns)


def output_size(module: Any, size: tuple[int, int]) -> tuple[int, int]:
    """H W behind a layer, or behind many one after another; behind Flatten and Linear there is one place."""
    for one in layers(module):
        size = _output_size(one, size)
    return size


def _output_size(one: Layer, size: tuple[int, int]) -> tuple[int, int]:
    match one:
        case Conv2d() | MaxPool2d() | AvgPool2d():
            return window(one, size).output_size
        case ConvTranspose2d():
            found = window(one, size)
            return found.rows.size, found.columns.size
        case AdaptiveAvgPool2d():
            return positive("output_size", one.output_size)
        case Upsample():
            return int(size[0] * one.scale_factor), int(size[1] * one.scale_factor)
        case Flatten() | Linear():
            return 1, 1
        case Branches():
            return output_size(one.paths[0], size)
    return size


def output_shape(module: Any, shape: Shape) -> Shape:
    """C H W behind a layer, or behind many one after another; a row behind Flatten and Linear."""
    for one in layers(module):
        shape = _output_shape(one, shape)
    return shape


def _output_shape(one: Layer, shape: Shape) -> Shape:
    match one:
        case Conv2d() | ConvTranspose2d():
            _check_input("in_channels", one.in_channels, shape[0], one)
            return one.out_channels, *_output_size(one, (shape[1], shape[2]))
        case MaxPool2d() | AvgPool2d() | AdaptiveAvgPool2d() | Upsample():
            return shape[0], *_output_size(one, (shape[1], shape[2]))
        case Flatten():
            return (math.prod(shape),)
        case Linear():
            _check_input("in_features", one.in_features, shape[-1], one)
            return *shape[:-1], one.out_features
        case Branches():
            return _joined(one, [output_shape(path, shape) for path in one.paths])
        case BatchNorm2d():
            _check_input("num_features", one.num_features, shape[0], one)
    return shape


def _joined(one: Branches, shapes: list[Shape]) -> Shape:
    ends = shapes if one.join == "add" else [shape[1:] for shape in shapes]
    if len(set(ends)) > 1:
        raise UsageError(f"Branches end in the shapes {shapes}, which cannot be joined by {one.join}.")
    return shapes[0] if one.join == "add" else (sum(shape[0] for shape in shapes), *shapes[0][1:])


def _check_input(name: str, expected: int, given: int, one: Layer) -> None:
    if expected != given:
        raise UsageError(
            f"{type(one).__name__} has {name}={expected}, and what comes in has {given}."
            f" Give {name}={given}, or change what comes before."
        )


def parameters(module: Any) -> int:
    """Numbers that are learned: C_out·(C_in/g)·kh·kw + C_out of a convolution, 2C of a batch norm, in·out + out."""
    return sum(_parameters(one) for one in layers(module))


def _parameters(one: Layer) -> int:
    match one:
        case Conv2d() | ConvTranspose2d():
            return _weights(one) + one.out_channels * one.bias
        case Linear():
            return one.in_features * one.out_features + one.out_features * one.bias
        case BatchNorm2d():
            return 2 * one.num_features
        case Branches():
            return sum(parameters(path) for path in one.paths)
    return 0


def _weights(one: Conv2d | ConvTranspose2d) -> int:
    return one.in_channels * one.out_channels // one.groups * math.prod(positive("kernel_size", one.kernel_size))


def macs(module: Any, shape: Shape) -> int:
    """Multiply-adds for one image C H W, products with padded zeros included.

    Convolution H_out·W_out·C_out·(C_in/g)·kh·kw; transposed convolution H_in·W_in·C_in·(C_out/g)·kh·kw; linear in·out.
    """
    total = 0
    for one in layers(module):
        total += _macs(one, shape)
        shape = output_shape(one, shape)
    return total


def _macs(one: Layer, shape: Shape) -> int:
    match one:
        case Conv2d():
            return _weights(one) * math.prod(output_shape(one, shape)[1:])
        case ConvTranspose2d():
            return _weights(one) * math.prod(shape[1:])
        case Linear():
            return one.in_features * one.out_features * math.prod(shape[:-1])
        case Branches():
            return sum(macs(path, shape) for path in one.paths)
    return 0


def effective_macs(module: Any, shape: Shape) -> int:
    """Multiply-adds without those of padded or cropped places: the number of terms."""
    total = 0
    for one in layers(module):
        total += _effective_macs(one, shape)
        shape = output_shape(one, shape)
    return total


def _effective_macs(one: Layer, shape: Shape) -> int:
    match one:
        case Conv2d() | ConvTranspose2d():
            rows, columns = reads(one, (shape[1], shape[2]))
            channels = one.in_channels * one.out_channels // one.groups
            return channels * int((rows >= 0).sum()) * int((columns >= 0).sum())
        case Branches():
            return sum(effective_macs(path, shape) for path in one.paths)
    return _macs(one, shape)


def bytes_moved(module: Any, shape: Shape, item: int = 4) -> int:
    """Bytes from and to memory at least: `item`·(|X| + |W| + |b| + |Y|), each layer by itself."""
    total = 0
    for one in layers(module):
        if isinstance(one, Branches):
            total += sum(bytes_moved(path, shape, item) for path in one.paths)
        else:
            total += item * (math.prod(shape) + parameters(one) + math.prod(output_shape(one, shape)))
        shape = output_shape(one, shape)
    return total
