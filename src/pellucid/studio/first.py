"""The first state of the page Arithmetic as HTML that needs no script: a 3 x 3 convolution, one output written out.

The page's script draws the same cells again and changes nothing; a test compares the two.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.ops.arithmetic import conv2d
from pellucid.report.markup import Markup, join, tag

__all__ = ["FIRST", "Example"]

MINUS = "\N{MINUS SIGN}"
STEPS = 4  # colours on either side of zero
Grid = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A convolution with stride 1 of one channel, and the output cell `at` that is written out."""

    x: Grid
    weight: Grid
    padding: int
    at: tuple[int, int]

    @property
    def output(self) -> Grid:
        return conv2d(self.x[None, None], self.weight[None, None], padding=self.padding)[0, 0]

    def fields(self) -> dict[str, str]:
        """The pieces of the page by name."""
        return {
            "input": _card(self._input()),
            "filter": _card(self._filter()),
            "bias": self._bias(),
            "output": _card(self._output()),
            "input_shape": f"{_shape(1, *self.x.shape)} · padding {self.padding}, zeros",
            "filter_shape": _shape(1, 1, *self.weight.shape),
            "output_shape": _shape(1, *self.output.shape),
            "name": f"Y[0, {self.at[0]}, {self.at[1]}]",
            "terms": self._terms(),
            "total": _text(self.output[self.at]),
            "check": self._check(),
            "facts": self._facts(),
        }

    def _window(self) -> set[tuple[int, int]]:
        rows, cols = self.weight.shape
        return {(self.at[0] + u, self.at[1] + v) for u in range(rows) for v in range(cols)}

    def _input(self) -> Markup:
        padded = np.pad(self.x, self.padding)
        lit = dict.fromkeys(self._window(), "tap")
        inside = np.pad(np.ones_like(self.x, bool), self.padding)
        box = (*self.at, *self.weight.shape)
        return _grid(padded, "input 0", lit=lit, pad=~inside, offset=self.padding, box=box)

    def _filter(self) -> Markup:
        lit = dict.fromkeys(np.ndindex(*self.weight.shape), "tap")
        return _grid(self.weight, "filter 0, 0", lit=lit, box=(0, 0, *self.weight.shape))

    def _bias(self) -> Markup:
        return _grid(np.zeros((1, 1)), "bias", lit={(0, 0): "tap"}, box=(0, 0, 1, 1))

    def _output(self) -> Markup:
        note = ", sum of nine products"
        return _grid(self.output, "output 0", lit={self.at: "now"}, note=note, editable=False)

    def _terms(self) -> Markup:
        rows = (
            tag("span", *(_term(*pair, first=u + v == 0) for v, pair in enumerate(row)), class_="row")
            for u, row in enumerate(self._factors())
        )
        return Markup(" ".join(rows))

    def _factors(self) -> Iterator[list[tuple[float, float]]]:
        padded = np.pad(self.x, self.padding)
        (top, left), (rows, cols) = self.at, self.weight.shape
        window = padded[top : top + rows, left : left + cols]
        return (list(zip(*pair, strict=True)) for pair in zip(self.weight.tolist(), window.tolist(), strict=True))

    def _check(self) -> str:
        total = sum(a * b for row in self._factors() for a, b in row)
        delta = abs(total - self.output[self.at])
        return f"sum of the terms {_text(total)} · whole tensor at once {_text(self.output[self.at])} · Δ {delta:g}"

    def _facts(self) -> Markup:
        size, kernel, pad = self.x.shape[0], self.weight.shape[0], self.padding
        out = self.output.shape[0]
        formula = f"out = ⌊({size} + 2·{pad} − 1·({kernel} − 1) − 1) / 1⌋ + 1 = {out}"
        dense = self.x.size * self.output.size + self.output.size
        rows = (
            ("height and width", formula),
            ("Parameters", f"{self.weight.size + 1}; a dense layer would need {dense}"),
        )
        return join(part for name, text in rows for part in (tag("dt", name), tag("dd", text, class_="", title="")))


def _shape(*sides: int) -> str:
    return " × ".join(map(str, sides))


def _text(value: float) -> str:
    return f"{value:.0f}".replace("-", MINUS)


def _card(grid: Markup) -> Markup:
    return tag("div", tag("figure", tag("figcaption"), grid), class_="group")


def _grid(
    values: Grid,
    label: str,
    *,
    lit: Mapping[Any, str],
    box: tuple[int, int, int, int] | None = None,
    pad: NDArray[np.bool_] | None = None,
    offset: int = 0,
    note: str = "",
    editable: bool = True,
) -> Markup:
    padded = np.zeros(values.shape, bool) if pad is None else pad
    limit = float(np.abs(values).max()) or 1.0

    def cell(row: int, col: int) -> Markup:
        value, kind = float(values[row, col]), "pad" if padded[row, col] else ""
        said = f"{label} row {row + 1 - offset} column {col + 1 - offset}, {_text(value)}".replace("-", MINUS)
        return tag(
            "td",
            _text(value),
            tabindex=-1,
            title=_text(value),
            data_step=round(STEPS * value / limit),
            class_=kind,
            aria_label=said + (", padding" if kind else note),
            data_lit=lit.get((row, col)),
        )

    height, width = values.shape
    rows = (tag("tr", *(cell(row, col) for col in range(width))) for row in range(height))
    table = tag("table", tag("tbody", *rows), role="grid", aria_label=label, aria_readonly=str(not editable).lower())
    solid = box is not None and box[2] * box[3] == len(lit)
    return tag("number-grid", table, _frame(height, width, box), data_solid="" if solid else None)


def _frame(height: int, width: int, box: tuple[int, int, int, int] | None) -> Markup:
    """A drawing over the table, one unit a cell, that frames a box (row, column, height, width)."""
    rect = Markup("")
    if box is not None:
        rect = tag("rect", x=box[1], y=box[0], width=box[3], height=box[2])
    view = {"viewBox": f"0 0 {width} {height}", "preserveAspectRatio": "none"}
    return tag("svg", rect, class_="frame", aria_hidden="true", **view)


def _term(coefficient: float, value: float, *, first: bool) -> Markup:
    sign = MINUS if coefficient < 0 else "" if first else "+"
    a, b = _leaf(abs(coefficient)), _leaf(value)
    product = tag("small", _text(coefficient * value + 0.0))
    second = join(["(", b, ")"]) if value < 0 else b
    return tag("span", tag("i", sign), tag("span", tag("span", a, "·", second), product), class_="term")


def _leaf(value: float) -> Markup:
    return tag("b", _text(value), title=_text(value))


FIRST = Example(
    x=np.array([[-5, 3, 2, -5, 3], [4, 3, 2, 1, -3], [1, 0, 3, 3, 5], [-2, 0, 1, 4, 4], [5, 6, 7, 9, -1]], float),
    weight=np.array([[6, 1, 8], [-7, 9, 2], [-5, -9, 3]], float),
    padding=1,
    at=(2, 2),
)
