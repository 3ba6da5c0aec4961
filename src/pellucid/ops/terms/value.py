"""What an output is made of: a bias and products, as plain values that can be listed, summed and checked."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from pellucid.errors import UsageError

__all__ = ["Explain", "Part", "Term", "Terms", "checked_index"]

UNIT = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
OF_A_COEFFICIENT = 4
SHOWN = 12
MINUS = "\N{MINUS SIGN}"


class Term(NamedTuple):
    """One product: `coefficient · value`, the value standing at `source[index]`."""

    source: str
    index: tuple[int, ...]  # type: ignore[assignment]  # hides tuple.index, for which a term has no use
    coefficient: float
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The terms of one source, as arrays."""

    source: str
    index: Int[np.ndarray, "terms axes"]
    coefficient: Float[np.ndarray, " terms"]
    value: Float[np.ndarray, " terms"]


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """An output as `bias + Σ coefficient · value`, exactly."""

    parts: tuple[Part, ...]
    bias: float = 0.0

    @classmethod
    def single(
        cls, source: str, index: Sequence[int], coefficient: float, value: float, *, bias: float = 0.0
    ) -> "Terms":
        """One term."""
        one = Part(source, np.array([index]), np.array([float(coefficient)]), np.array([float(value)]))
        return cls((one,), float(bias))

    def __len__(self) -> int:
        return sum(len(part.value) for part in self.parts)

    def __iter__(self) -> Iterator[Term]:
        for part in self.parts:
            rows = zip(part.index.tolist(), part.coefficient.tolist(), part.value.tolist(), strict=True)
            for index, coefficient, value in rows:
                yield Term(part.source, tuple(index), coefficient, value)

    @property
    def products(self) -> Float[np.ndarray, " terms"]:
        """coefficient · value of every term."""
        return np.concatenate([np.zeros(0), *(part.coefficient * part.value for part in self.parts)])

    @property
    def total(self) -> float:
        """The sum, rounded once."""
        return math.fsum((self.bias, *self.products.tolist()))

    def bound(self, dtype: str = "float64") -> float:
        """How far a value that was summed in this precision may lie from `total`: n·u·Σ|coefficient·value|.

        n counts the terms, the bias, and the roundings that a coefficient may carry by itself (a mean's 1/9, a batch
        norm's γ/√(σ² + ε)); u is half the distance from 1 to the next number.
        """
        if dtype not in UNIT:
            raise UsageError(f"dtype={dtype!r}: there is {', '.join(UNIT)}.")
        roundings = len(self) + 1 + OF_A_COEFFICIENT
        return roundings * UNIT[dtype] * (abs(self.bias) + float(np.abs(self.products).sum()))

    def check(self, value: float, dtype: str = "float64") -> str:
        """One line: the sum, the value that was computed elsewhere, and whether they agree within the bound."""
        difference, bound = abs(self.total - value), self.bound(dtype)
        verdict = "✓" if difference <= bound else "✗"
        return f"Σ {_number(self.total)} · value {_number(value)} · Δ {difference:.1e} of at most {bound:.1e} {verdict}"

    def __str__(self) -> str:
        """`18 = 6·3`, with the bias first where there is one; of very many terms the first are shown."""
        first = itertools.islice(self, SHOWN)
        shown = [f"{_number(term.coefficient)}·{_number(term.value)}" for term in first]
        words = ([_number(self.bias)] if self.bias else []) + shown
        more = [f"({len(self) - SHOWN} more)"] if len(self) > SHOWN else []
        return f"{_number(self.total)} = {' + '.join([*words, *more]) or '0'}"


def _number(value: float) -> str:
    text = f"{abs(value):.6g}"
    return f"{MINUS}{text}" if value < 0 else text


Explain = Callable[[Sequence[int]], Terms]


def checked_index(index: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    """The index, which must name one value of an array of that shape."""
    found = tuple(int(place) for place in index)
    if len(found) != len(shape) or not all(0 <= place < size for place, size in zip(found, shape, strict=True)):
        raise UsageError(f"index={found} is outside of the shape {tuple(shape)}. Give one whole number for each axis.")
    return found
