"""Receptive fields on any recorded graph: what a unit of every operation sees of the image, through all its branches.

The field of an operation (size, jump, start; `ops.receptive`) holds for every unit of it. What one unit sees in an
image of one size is exact: sets of places, followed backwards to the input, with the holes that dilation leaves and
without what lies beyond the image.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from pellucid.errors import UsageError
from pellucid.inspection.reading import places, reading_of
from pellucid.inspection.recording import Operation, Trace
from pellucid.ops.receptive import ReceptiveField, merged

__all__ = ["Field", "box_around", "fields", "last_maps", "seen"]

NOTHING = "it reads nothing of the image"


@dataclass(frozen=True, slots=True)
class Field:
    """What the units of an operation see along rows and columns; `unknown` says why that is not known.

    `output` are rows and columns of the operation's own maps.
    """

    name: str
    kind: str
    output: tuple[int, int]
    rows: ReceptiveField | None
    columns: ReceptiveField | None
    unknown: str = ""

    @property
    def aligned(self) -> bool:
        """Whether all branches are centred on the same pixel."""
        return self.rows is not None and self.columns is not None and self.rows.aligned and self.columns.aligned

    @property
    def everything(self) -> bool:
        """Whether every unit sees the whole image."""
        return self.rows is not None and self.rows.size == np.inf

    def to_json(self) -> dict[str, Any]:
        """Plain values; sizes are null where a unit sees all of the image or nothing is known."""
        found: dict[str, Any] = {"name": self.name, "kind": self.kind, "output": list(self.output)}
        if self.rows is None or self.columns is None:
            return {**found, "known": False, "unknown": self.unknown}
        both = (self.rows, self.columns)
        numbers = {name: [_plain(getattr(one, name)) for one in both] for name in ("size", "jump", "start", "padding")}
        return {**found, "known": True, "everything": self.everything, **numbers, "aligned": self.aligned}


def fields(trace: Trace) -> tuple[Field, ...]:
    """The field of every operation, that of the input included."""
    found: list[Field] = []
    for operation in trace:
        found.append(_field(trace, operation, found))
    return tuple(found)


def _field(trace: Trace, operation: Operation, before: list[Field]) -> Field:
    told = (operation.name, operation.kind, places(operation.output))
    if operation.index == 0:
        return Field(*told, ReceptiveField(), ReceptiveField())
    inputs = [before[parent] for parent in operation.parents]
    behind_unknown = next((one for one in inputs if one.unknown and one.unknown != NOTHING), None)
    if behind_unknown is not None:
        return Field(*told, None, None, behind_unknown.unknown)
    inputs = [one for one in inputs if not one.unknown]
    if not inputs:
        return Field(*told, None, None, NOTHING)
    try:
        rows, columns = (merged([*_behind(trace, operation, inputs, axis)]) for axis in (0, 1))
    except (LookupError, UsageError) as error:
        return Field(*told, None, None, f"{operation.name} ({operation.kind}): {error.args[0]}")
    return Field(*told, rows, columns)


def _behind(trace: Trace, operation: Operation, inputs: list[Field], axis: int) -> Iterator[ReceptiveField]:
    for field in inputs:
        parent = trace[field.name]
        before = field.rows if axis == 0 else field.columns
        assert before is not None
        for output in _read(operation, parent):
            reading = reading_of(operation, output)
            if reading is None:
                raise UsageError("which places it reads is not known")
            yield reading.field(before, axis)


def _read(operation: Operation, parent: Operation) -> list[Any]:
    """The outputs of the parent that are among the inputs of the operation."""
    from torch.utils._pytree import tree_leaves

    given = {id(one) for one in tree_leaves((operation.arguments, operation.keywords or {}))}
    return [output for output in parent.outputs if id(output) in given]


def seen(trace: Trace, name: str, at: tuple[int, int]) -> Bool[ndarray, "h w"]:
    """The pixels of the image that the unit (row, column) of the operation reads: exact, holes included."""
    last = trace[name]
    rows, columns = places(last.output)
    if not (0 <= at[0] < rows and 0 <= at[1] < columns):
        raise UsageError(f"{name!r} has {rows} rows and {columns} columns, and no unit {at[0]},{at[1]}.")
    mask = np.zeros((rows, columns), bool)
    mask[at] = True
    masks = {last.index: mask}
    for operation in reversed(trace.operations[1 : last.index + 1]):
        own = masks.pop(operation.index, None)
        if own is not None:
            _spread(trace, operation, own, masks)
    return masks.get(0, np.zeros(places(trace.operations[0].output), bool))


def _spread(trace: Trace, operation: Operation, own: ndarray, masks: dict[int, ndarray]) -> None:
    """The places of its inputs that an operation reads join those that others read."""
    for index in operation.parents:
        for output in _read(operation, trace.operations[index]):
            reading = reading_of(operation, output)
            if reading is None:
                raise UsageError(f"Which places {operation.name!r} reads, a {operation.kind}, is not known.")
            found = reading.mask(own)
            masks[index] = masks[index] | found if index in masks else found


def box_around(mask: Bool[ndarray, "h w"]) -> tuple[int, int, int, int] | None:
    """The smallest box xyxy that holds the places, in whole pixels; None where there are none."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def last_maps(trace: Trace) -> list[Field]:
    """Of the network's ends that are maps, the field of each; where there is none, the last that does not see all."""
    found = fields(trace)
    read = {parent for operation in trace for parent in operation.parents}
    ends = [field for at, field in enumerate(found) if at not in read and field.rows and not field.everything]
    if ends:
        return ends
    return [field for field in found if field.rows and not field.everything][-1:]


def _plain(value: Fraction | float) -> float | int | None:
    """Whole numbers as such; none where it is infinite."""
    if not np.isfinite(float(value)):
        return None
    return int(value) if value == int(value) else float(value)
