"""From one number to those it is made of, hop by hop, down to the pixels: `fc@281/avgpool@12,0,0/input@0,20,21`."""

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from pellucid.errors import UsageError
from pellucid.inspection.recording import INPUT, Operation, Trace
from pellucid.inspection.targets import Target
from pellucid.inspection.terms_of import explain
from pellucid.ops.terms.value import Term

__all__ = ["Hop", "followed", "hops_of", "largest_term", "owners", "path_text", "starts"]

MOST = 400
"""Hops that are followed: of the deepest network that is known here, fewer than half."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One number of the pass: at (channel, row, column) of an operation, or (unit,); `factor` is how the target
    changes with it where it is the first of a path."""

    name: str
    at: tuple[int, ...]
    factor: float = 1.0

    @property
    def text(self) -> str:
        """As it stands in an address."""
        return f"{self.name}@{','.join(map(str, self.at))}"

    @property
    def said(self) -> str:
        """As readers know it: `conv1[5, 19, 18]`."""
        return f"{self.name}[{', '.join(map(str, self.at))}]"


def path_text(path: tuple[Hop, ...]) -> str:
    """The hops, one after the other."""
    return "/".join(hop.text for hop in path)


def hops_of(text: str, trace: Trace) -> tuple[Hop, ...]:
    """The hops of an address; each must be a number of the trace."""
    return tuple(_hop(part, trace) for part in text.split("/")[:MOST])


def _hop(text: str, trace: Trace) -> Hop:
    found = re.fullmatch(r"(.+)@(\d{1,6}(?:,\d{1,6})*)", text)
    if not found:
        raise UsageError(f"{text!r} in the address: give an operation and a place in it, as conv1@5,19,18.")
    at, shape = tuple(map(int, found[2].split(","))), tuple(trace[found[1]].output.shape[1:])
    if len(at) != len(shape) or any(one >= side for one, side in zip(at, shape, strict=True)):
        raise UsageError(f"{text!r} in the address: {found[1]} has no such place, it is {shape}.")
    return Hop(found[1], at)


def starts(model: Any, trace: Trace, target: Target, classes: tuple[str, ...]) -> tuple[Hop, ...]:
    """The numbers of the network's outputs that the target reads, those it changes most with first."""
    result = tree_map_only(Tensor, lambda one: one.clone().requires_grad_(), trace.result)
    leaves = [one for one in tree_leaves(result) if isinstance(one, Tensor)]
    with torch.enable_grad():
        number = target.number(model, result, classes)
        gradients = torch.autograd.grad(number, leaves, allow_unused=True)
    found = []
    for leaf, gradient in zip(leaves, gradients, strict=True):
        if gradient is not None and gradient.any():
            maker = _maker(trace, leaf)
            places = gradient.nonzero().tolist()
            found += [Hop(maker.name, tuple(at[1:]), float(gradient[tuple(at)])) for at in places]
    return tuple(sorted(found, key=lambda hop: -hop.factor))


def _maker(trace: Trace, value: Tensor) -> Operation:
    """The last operation that gave these numbers."""
    for operation in reversed(trace.operations):
        if operation.output.shape == value.shape and torch.equal(operation.output, value):
            return operation
    raise UsageError("The network's output is not that of one operation that was recorded.")


def owners(trace: Trace) -> frozenset[str]:
    """The names that a term can be followed to."""
    return frozenset(operation.name for operation in trace)


def followed(trace: Trace, path: tuple[Hop, ...]) -> tuple[Hop, ...]:
    """The path, and on from its end by the largest term each, down to a pixel or as far as terms are known."""
    known, found = owners(trace), list(path)
    while found[-1].name != INPUT and len(found) < MOST:
        try:
            term = largest_term(trace, found[-1], known)
        except UsageError:
            break
        if term is None:
            break
        found.append(Hop(term.source, term.index[1:]))
    return tuple(found)


def largest_term(trace: Trace, hop: Hop, known: frozenset[str]) -> Term | None:
    """The largest of a number's terms, of either sign, that lies in an operation of the trace."""
    terms = explain(trace, hop.name, hop.at).largest(4)
    followable = [term for term in terms if term.source in known]
    return max(followable, key=lambda term: abs(term.coefficient * term.value), default=None)
