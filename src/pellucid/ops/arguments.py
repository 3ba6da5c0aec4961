"""Arguments of the operations, checked: a refusal names the argument, its value and the cure."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.errors import UsageError

__all__ = ["array", "check_groups", "check_shape", "integers", "non_negative", "pair", "positive"]

Numbers = NDArray[Any]

AXES = {1: "C", 2: "N C", 4: "N C H W"}


def array(name: str, value: ArrayLike, dimensions: int, axes: str = "") -> Numbers:
    """The value as an array of that many dimensions: float64, or the floating type that it has already."""
    try:
        found = np.asarray(value)
    except ValueError as error:
        raise UsageError(f"{name} is no array: its rows have different lengths. Give every row the same.") from error
    if found.dtype.kind not in "fiub":
        raise UsageError(f"{name} has values of type {found.dtype}. Give real numbers.")
    if found.ndim != dimensions:
        wanted = axes or AXES[dimensions]
        raise UsageError(
            f"{name} has shape {found.shape}, and {dimensions} dimensions ({wanted}) are expected."
            f"{_cure(name, found.ndim, dimensions)}"
        )
    return found if found.dtype.kind == "f" else found.astype(np.float64)


def _cure(name: str, dimensions: int, wanted: int) -> str:
    if dimensions < wanted:
        return f" Write {name}[{', '.join(['None'] * (wanted - dimensions))}] to add the axes in front."
    return f" Take one part of it, such as {name}[0]."


def integers(name: str, value: ArrayLike, dimensions: int = 1) -> NDArray[np.int64]:
    """The value as whole numbers."""
    found = np.asarray(value)
    if found.dtype.kind not in "iu" or found.ndim != dimensions:
        raise UsageError(
            f"{name} is of type {found.dtype} and shape {found.shape}. Give {dimensions}-dimensional integers."
        )
    return found.astype(np.int64)


def check_shape(name: str, value: Numbers, expected: Sequence[int], reason: str) -> None:
    """The array must have the shape that the other arguments imply."""
    if value.shape != tuple(expected):
        raise UsageError(f"{name} has shape {value.shape}. It must be {tuple(expected)}: {reason}.")


def pair(name: str, value: Any, least: int) -> tuple[int, int]:
    """An int for both axes, or (rows, columns); each at least `least`."""
    both = value if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2 or not all(_is_whole(one) and one >= least for one in both):
        kind = "a positive integer" if least == 1 else f"an integer of {least} or more"
        raise UsageError(f"{name}={value!r}: give {kind}, or two of them (rows, columns), such as {name}=({least}, 2).")
    return int(both[0]), int(both[1])


def positive(name: str, value: Any) -> tuple[int, int]:
    """An int for both axes, or (rows, columns); each 1 or more."""
    return pair(name, value, 1)


def non_negative(name: str, value: Any) -> tuple[int, int]:
    """An int for both axes, or (rows, columns); each 0 or more."""
    return pair(name, value, 0)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_groups(groups: Any, **channels: int) -> int:
    """`groups`, which must divide each number of channels, given by its name."""
    if not _is_whole(groups) or groups < 1:
        raise UsageError(f"groups={groups!r}: give a positive integer.")
    for name, number in channels.items():
        if number % groups:
            common = [str(n) for n in range(1, number + 1) if not any(other % n for other in channels.values())]
            raise UsageError(f"groups={groups} does not divide {name}={number}. Give one of {', '.join(common)}.")
    return int(groups)
