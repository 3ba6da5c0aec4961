"""The arguments of a recorded call by torch's names, whether they were given by place or by name."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from pellucid.inspection.recording import Operation

__all__ = ["COPIES", "CopiesOf", "copies_of", "named"]

WINDOW = ("input", "weight", "bias", "stride", "padding")
NAMES = {
    "conv2d": (*WINDOW, "dilation", "groups"),
    "conv_transpose2d": (*WINDOW, "output_padding", "groups", "dilation"),
    "linear": ("input", "weight", "bias"),
    "batch_norm": ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    "max_pool2d": ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    "avg_pool2d": ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    "adaptive_avg_pool2d": ("input", "output_size"),
    "adaptive_max_pool2d": ("input", "output_size"),
    "interpolate": ("input", "size", "scale_factor", "mode", "align_corners"),
    "upsample": ("input", "size", "scale_factor", "mode", "align_corners"),
    "leaky_relu": ("input", "negative_slope"),
    "relu": ("input",),
    "amax": ("input", "dim", "keepdim"),
    "mean": ("input", "dim", "keepdim"),
    "cat": ("tensors", "dim"),
}
ALIASES = {"kernel": "kernel_size", "self": "input", "x": "input"}
COPIES = {"getitem", "pad", "cat", "flatten", "unflatten", "view", "reshape", "permute", "transpose", "T", "mT"} | {
    *("squeeze", "unsqueeze", "chunk", "split", "unbind", "dropout", "contiguous", "clone", "detach", "narrow", "flip"),
    *("expand", "roll", "interpolate", "upsample"),
}
"""Kinds whose every number is one of their inputs (or a constant): of interpolation, only the nearest."""


def named(operation: Operation) -> dict[str, Any]:
    """What the call was given; arguments beyond the known ones are left out."""
    placed = dict(zip(NAMES[operation.kind], operation.arguments, strict=False))
    keywords = {ALIASES.get(name, name): value for name, value in (operation.keywords or {}).items()}
    return placed | keywords


CopiesOf = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]


def copies_of(operation: Operation) -> CopiesOf:
    """The inputs of a copying call, and where each number of its outputs comes from.

    Inputs are numbered on, from 1, in row-major order one after the other; 0 is a constant. The call itself is made
    with these numbers in float64, which are whole up to 2^53.
    """
    inputs: list[Tensor] = []
    counted = 1

    def numbers(tensor: Tensor) -> Tensor:
        nonlocal counted
        inputs.append(tensor)
        first, counted = counted, counted + tensor.numel()
        return torch.arange(first, counted, dtype=torch.float64).reshape(tensor.shape)

    assert operation.function is not None
    arguments, keywords = tree_map_only(Tensor, numbers, (operation.arguments, operation.keywords or {}))
    with torch.no_grad():
        result = operation.function(*arguments, **keywords)
    outputs = (result,) if isinstance(result, Tensor) else tuple(result)
    return tuple(inputs), tuple(one.long() for one in outputs)
