"""Arithmetic written down as ONNX nodes, so that what a graph computes can be read as the formula it is."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import onnx_ir as ir
from numpy.typing import ArrayLike

__all__ = ["Nodes", "Term"]

KINDS = {
    kind: ir.DataType.from_numpy(np.dtype(kind)) for kind in ("bool", "uint8", "int32", "int64", "float32", "float64")
}


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A value of a graph under construction; `kind` is NumPy's name of its type."""

    nodes: "Nodes"
    value: ir.Value
    kind: str

    def __add__(self, other: "Operand") -> "Term":
        return self.nodes("Add", self, other)

    def __sub__(self, other: "Operand") -> "Term":
        return self.nodes("Sub", self, other)

    def __rsub__(self, other: "Operand") -> "Term":
        return self.nodes("Sub", self.nodes.constant(other, self.kind), self)

    def __mul__(self, other: "Operand") -> "Term":
        return self.nodes("Mul", self, other)

    def __truediv__(self, other: "Operand") -> "Term":
        return self.nodes("Div", self, other)

    def __rtruediv__(self, other: "Operand") -> "Term":
        return self.nodes("Div", self.nodes.constant(other, self.kind), self)

    def __floordiv__(self, other: "Operand") -> "Term":
        """Of whole numbers that are not negative: ONNX cuts towards zero."""
        return self.nodes("Div", self, other)

    def __mod__(self, other: "Operand") -> "Term":
        return self.nodes("Mod", self, other)

    def __ge__(self, other: "Operand") -> "Term":
        return self.nodes("GreaterOrEqual", self, other, kind="bool")

    def __lt__(self, other: "Operand") -> "Term":
        return self.nodes("Less", self, other, kind="bool")

    def __and__(self, other: Self) -> "Term":
        return self.nodes("And", self, other)

    def __or__(self, other: Self) -> "Term":
        return self.nodes("Or", self, other)

    def to(self, kind: str) -> "Term":
        """The same numbers in another type."""
        return self if kind == self.kind else self.nodes("Cast", self, kind=kind, to=int(KINDS[kind]))

    def rounded(self, how: str) -> "Term":
        """`Floor`, `Ceil` or `Round`, which takes a half to the even side, as whole numbers."""
        return self.nodes(how, self).to("int64")

    def between(self, low: "Operand", high: "Operand") -> "Term":
        """Not below the one, not above the other."""
        return self.nodes("Min", self.nodes("Max", self, low), high)

    def with_axes(self, *axes: int) -> "Term":
        """With axes of length 1 put in at these places."""
        return self.nodes("Unsqueeze", self, np.array(axes))

    def without_axes(self, *axes: int) -> "Term":
        """Without these axes of length 1."""
        return self.nodes("Squeeze", self, np.array(axes))

    def transposed(self, *axes: int) -> "Term":
        """With its axes in this order."""
        return self.nodes("Transpose", self, perm=axes)

    def taken(self, places: "Operand", axis: int) -> "Term":
        """What stands at these places along an axis."""
        return self.nodes("Gather", self, places, axis=axis)

    def side(self, axis: int) -> "Term":
        """Its length along an axis, int64 without axes."""
        return self.nodes("Shape", self, kind="int64", start=axis, end=axis + 1).without_axes(0)


Operand = Term | ArrayLike


class Nodes:
    """The nodes of one part of a graph, in order, with the constants they need; names begin with that of the part."""

    def __init__(self, part: str) -> None:
        self.part = part
        self.made: list[ir.Node] = []
        self.constants: dict[tuple[str, bytes, tuple[int, ...]], ir.Value] = {}

    def __call__(self, op_type: str, *inputs: Operand, kind: str | None = None, **attributes: Any) -> Term:
        """One node with one output; numbers become constants of the type of the first input that has one.

        `kind` is the type of the output where it is not that of this input.
        """
        return self.several(op_type, *inputs, kinds=(kind,), **attributes)[0]

    def several(
        self, op_type: str, *inputs: Operand, kinds: tuple[str | None, ...], **attributes: Any
    ) -> tuple[Term, ...]:
        """One node with as many outputs as types are given."""
        own = next((term.kind for term in inputs if isinstance(term, Term) and term.kind != "bool"), "bool")
        values = [self.constant(operand, own).value for operand in inputs]
        name = f"{self.part}/{op_type}_{len(self.made)}"
        outputs = [ir.val(f"{name}:{place}" if place else name) for place in range(len(kinds))]
        self.made.append(ir.node(op_type, values, attributes, outputs=outputs, name=name))
        return tuple(Term(self, value, kind or own) for value, kind in zip(outputs, kinds, strict=True))

    def constant(self, number: Operand, kind: str) -> Term:
        """A number or array as a term; whole arrays keep their own type."""
        if isinstance(number, Term):
            return number
        array = number if isinstance(number, np.ndarray) else np.asarray(number, kind)
        key = (array.dtype.name, array.tobytes(), array.shape)
        if key not in self.constants:
            name = f"{self.part}/constant_{len(self.constants)}"
            tensor = ir.tensor(array, name=name)
            self.constants[key] = ir.Value(name=name, const_value=tensor)
        return Term(self, self.constants[key], array.dtype.name)

    def term(self, value: ir.Value, kind: str) -> Term:
        """A value that comes from elsewhere."""
        return Term(self, value, kind)

    def count(self, length: Operand) -> Term:
        """0, 1, … length - 1."""
        return self("Range", self.constant(0, "int64"), self.constant(length, "int64"), self.constant(1, "int64"))
