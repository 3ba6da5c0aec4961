"""Any one number of a pass as the sum that it is: of a layer's output, of a gradient, of a weight's gradient.

    trace = record(model, x, number)
    found = explain(trace, "layer1.0.conv1", (3, 20, 20))        # channel, row, column
    print(found.text())         # layer1.0.conv1[3, 20, 20]  Σ 0.7104 · value 0.7104 · Δ 2.1e-08 of at most 1.9e-05 ✓

Each term names the operation and the place that its value comes from, so that it can be followed to the photo's pixels.
The sum is made in float64 of the values that the network had, and compared with what the network computed: the
difference is at most n·u·Σ|coefficient·value| of its arithmetic, or the badge is not EXACT.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pellucid.errors import UsageError
from pellucid.inspection.arguments import named
from pellucid.inspection.recording import Operation, Trace
from pellucid.inspection.terms_backward import backward_terms, weight_terms
from pellucid.inspection.terms_forward import forward_terms
from pellucid.ops.terms.value import Part, Terms, checked_index

__all__ = ["Explained", "explain", "explain_gradient", "explain_weight"]

EXACT, INEXACT = "EXACT", "INEXACT"


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """A number of the network, what it is called, and the terms that add up to it. `dtype` is the network's own."""

    name: str
    value: float
    terms: Terms
    dtype: str

    @property
    def residual(self) -> float:
        """What the sum is more than the network's own number."""
        return self.terms.total - self.value

    @property
    def bound(self) -> float:
        """How much of that is rounding, at most."""
        return self.terms.bound(self.dtype)

    @property
    def badge(self) -> str:
        """EXACT where the residual is rounding."""
        return EXACT if abs(self.residual) <= self.bound else INEXACT

    def largest(self, most: int = 12) -> Terms:
        """The terms that give most, either way, in one table a source."""
        order = set(np.argsort(-np.abs(self.terms.products), kind="stable")[:most].tolist())
        parts, before = [], 0
        for part in self.terms.parts:
            sizes = np.abs(part.coefficient * part.value)
            own = [place for place in np.argsort(-sizes, kind="stable").tolist() if place + before in order]
            before += len(part.value)
            if own:
                parts.append(Part(part.source, part.index[own], part.coefficient[own], part.value[own]))
        return Terms(tuple(parts), self.terms.bias)

    def text(self, most: int = 12) -> str:
        """The sum and its check in a line, and the largest terms with where they come from."""
        lines = [f"{self.name}  {self.terms.check(self.value, self.dtype)}  {self.badge}, {len(self.terms):,} terms"]
        lines += [f"  {self.terms.bias:+.6g}  bias"] if self.terms.bias else []
        for term in self.largest(most):
            place = ", ".join(map(str, term.index[1:] if len(term.index) > 1 else term.index))
            product = f"{term.coefficient:+.6g} · {term.value:+.6g}"
            lines.append(f"  {term.coefficient * term.value:+.6g}  = {product}  {term.source}[{place}]")
        left = len(self.terms) - most
        return "\n".join([*lines, *([f"  and {left:,} smaller ones"] if left > 0 else [])])

    def to_json(self, most: int | None = None) -> dict[str, Any]:
        """Plain values; of the terms all, or the largest."""
        shown = self.terms if most is None else self.largest(most)
        return {
            "name": self.name,
            "value": self.value,
            "sum": self.terms.total,
            "residual": self.residual,
            "bound": self.bound,
            "badge": self.badge,
            "bias": self.terms.bias,
            "count": len(self.terms),
            "terms": [
                {"source": term.source, "at": list(term.index), "coefficient": term.coefficient, "value": term.value}
                for term in shown
            ],
        }


def explain(trace: Trace, name: str, at: Sequence[int]) -> Explained:
    """One output of the operation `name`: at (channel, row, column), or (unit,) where there are no maps."""
    operation = trace[name]
    place = _place(operation.output, at)
    found, tensors = forward_terms(operation, place)
    owners = {source: _owner(trace, tensor) for source, tensor in tensors.items()}
    return _explained(f"{name}{list(at)}", operation.output[place], _renamed(found, owners))


def explain_gradient(trace: Trace, name: str, at: Sequence[int]) -> Explained:
    """∂number/∂output of the operation `name` there, from all operations that read it."""
    operation = trace[name]
    place = _place(operation.output, at)
    (gradient,) = operation.gradients[:1] or (None,)
    if gradient is None:
        raise UsageError(f"{name!r} has no gradient. Record the pass with a number that depends on it.")
    parts: list[Part] = []
    for reader in trace.operations:
        if operation.index in reader.parents and any(one is not None for one in reader.gradients):
            found = backward_terms(reader, operation.output, place)
            parts += _renamed(found, {"grad_output": f"∂{reader.name}"}).parts
    bias = 0.0 if parts else float(gradient[place])  # nothing reads the outputs: their gradient is the number's own
    return _explained(f"∂{name}{list(at)}", gradient[place], Terms(tuple(parts), bias))


def explain_weight(trace: Trace, name: str, at: Sequence[int]) -> Explained:
    """∂number/∂weight of a convolution or linear layer at that index of its weight, for the one use of it."""
    operation = trace[name]
    weight = operation.arguments[1]
    place = checked_index(at, weight.shape)
    found = _renamed(weight_terms(operation, place), {"grad_output": f"∂{name}"})
    return _explained(f"∂{name}.weight{list(at)}", _weight_gradient(operation, place[0])[place[1:]], found)


def _weight_gradient(operation: Operation, o: int) -> Tensor:
    """Torch's own, of the filter `o` of this operation alone."""
    given, (gradient, *_) = named(operation), operation.gradients
    weight = given["weight"].detach()
    filters = weight[o : o + 1].clone().requires_grad_()
    x = given["input"]
    assert gradient is not None  # or there were no terms
    with torch.enable_grad():
        if operation.kind == "linear":
            output = functional.linear(x, filters)
        else:
            first = o // (len(weight) // given.get("groups", 1)) * weight.shape[1]
            window = (given.get(name, usual) for name, usual in (("stride", 1), ("padding", 0), ("dilation", 1)))
            output = functional.conv2d(x[:, first : first + weight.shape[1]], filters, None, *window)
        (found,) = torch.autograd.grad(output, filters, gradient[:, o : o + 1])
    return found[0]


def _place(output: Tensor, at: Sequence[int]) -> tuple[int, ...]:
    if len(output) != 1:
        raise UsageError(f"A trace of {len(output)} images: numbers are explained of one. Record them one by one.")
    return checked_index((0, *at), output.shape)


def _owner(trace: Trace, tensor: Tensor) -> str:
    """The operation that gave the tensor."""
    for operation in trace.operations:
        if any(output is tensor for output in operation.outputs):
            return operation.name
    return "a constant"


def _renamed(found: Terms, names: dict[str, str]) -> Terms:
    return Terms(tuple(replace(part, source=names.get(part.source, part.source)) for part in found.parts), found.bias)


def _explained(name: str, value: Tensor, found: Terms) -> Explained:
    return Explained(name, float(value), found, str(value.dtype).removeprefix("torch."))
