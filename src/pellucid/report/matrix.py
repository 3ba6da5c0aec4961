"""A matrix of counts as a table with cells shaded by their share of the row; of very many classes, a part."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pellucid.panels import Matrix
from pellucid.report.markup import Markup, join, tag
from pellucid.report.numerals import count, share
from pellucid.report.tables import MOST_ROWS, scroll, table

__all__ = ["Part", "draw_matrix", "most_confused", "shade"]

SHADES = 9
SHOWN_OF_MANY = 20
PAIRS = 10


@dataclass(frozen=True, slots=True)
class Part:
    """The classes that are shown, by index, and the leading pairs (row, column) off the diagonal."""

    shown: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]


def most_confused(counts: Sequence[Sequence[int]]) -> Part:
    """The ten largest counts off the diagonal, and the classes (at most twenty) that they name."""
    pairs = [
        (-value, row, column)
        for row, values in enumerate(counts)
        for column, value in enumerate(values)
        if value and row != column
    ]
    leading = tuple((row, column) for _, row, column in sorted(pairs)[:PAIRS])
    named = dict.fromkeys(index for pair in leading for index in pair)
    shown = (list(named) or list(range(len(counts))))[:SHOWN_OF_MANY]
    return Part(tuple(sorted(shown)), leading)


def shade(value: int, total: int) -> int:
    """0 for nothing, then 1 to 9 by the root of the share, so that one mistake in a hundred can be seen."""
    return 0 if value <= 0 else max(1, min(SHADES, math.ceil(SHADES * math.sqrt(value / total))))


def draw_matrix(matrix: Matrix) -> Markup:
    """The whole table up to forty classes; beyond, the largest confusions and the part that they name."""
    if len(matrix.names) <= MOST_ROWS:
        return join([_grid(matrix, range(len(matrix.names))), _scale(matrix)])
    part = most_confused(matrix.counts)
    total = count(len(matrix.names))
    said = f"Of {total} classes, the {len(part.shown)} that the largest confusions name; “others” sums the rest."
    grid = _grid(matrix, part.shown)
    return join([tag("p", said, class_="note"), grid, _scale(matrix), _pairs(matrix, part.pairs)])


def _pairs(matrix: Matrix, pairs: Sequence[tuple[int, int]]) -> Markup:
    if not pairs:
        return tag("p", "Nothing off the diagonal.", class_="empty")
    rows = [
        (
            matrix.names[row],
            matrix.names[column],
            matrix.counts[row][column],
            share(matrix.counts[row][column], sum(matrix.counts[row])),
        )
        for row, column in pairs
    ]
    columns = (matrix.row_label, matrix.column_label, "count", "of the row")
    return table(f"{matrix.title}: the largest counts off the diagonal", columns, rows)


def _grid(matrix: Matrix, shown: Sequence[int]) -> Markup:
    partly = len(shown) < len(matrix.names)
    names = [matrix.names[index] for index in shown]
    heads = (tag("th", tag("bdi", name), scope="col") for name in names)
    extra = ["others"] if partly else []
    sums = (tag("th", tag("bdi", name), scope="col", class_="sum") for name in [*extra, "all"])
    corner = tag("th", f"{matrix.column_label} →", tag("br"), f"{matrix.row_label} ↓", scope="col")
    head = tag("thead", tag("tr", corner, *heads, *sums))
    body = tag("tbody", *(_row(matrix, index, shown, partly) for index in shown))
    upright = max((len(name) for name in names), default=0) > 3
    classes = "matrix upright" if upright else "matrix"
    caption = tag("caption", f"{matrix.title}, {matrix.row_label} by {matrix.column_label}", class_="unseen")
    return scroll(matrix.title, tag("table", caption, head, body, class_=classes))


def _row(matrix: Matrix, row: int, shown: Sequence[int], partly: bool) -> Markup:
    counts = matrix.counts[row]
    total = sum(counts)
    cells = (_cell(counts[column], total, column == row) for column in shown)
    others = [total - sum(counts[column] for column in shown)] if partly else []
    sums = (tag("td", count(value), class_="sum") for value in [*others, total])
    return tag("tr", tag("th", tag("bdi", matrix.names[row]), scope="row"), *cells, *sums)


def _cell(value: int, total: int, diagonal: bool) -> Markup:
    classes = f"q{shade(value, total)}" + (" same" if diagonal else "")
    return tag("td", count(value), class_=classes)


def _scale(matrix: Matrix) -> Markup:
    """What the shades mean: the share of the row at which each begins to be the next."""
    steps = (tag("li", f"{100 * (step / SHADES) ** 2:.0f} %", class_=f"q{step}") for step in range(1, SHADES + 1))
    said = f"Shade: share of the row ({matrix.row_label}), up to"
    return tag("div", tag("span", said), tag("ol", *steps), class_="scale")
