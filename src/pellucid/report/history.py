"""From the rows of a training to curves: what belongs together shares a chart, long lines are thinned."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pellucid.panels import Curve

__all__ = ["HistoryChart", "history_charts", "history_columns"]

MOST_POINTS = 200
PLACES = ("step", "epoch")  # where a row stands, not what it found
CLOCKS = ("seconds", "time", "elapsed")
KINDS = {"lr": "Learning rate", "gradient_norm": "Norm of the gradient", "images_per_second": "Images a second"}
TITLES = {"loss": "Loss", "val": "Validation"} | KINDS

Row = Mapping[str, Any]
Line = tuple[str, tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class HistoryChart:
    """A curve over the training, and whether its values are better seen by their logarithm."""

    curve: Curve
    log: bool


def history_charts(rows: Sequence[Row]) -> list[HistoryChart]:
    """The charts that a training's rows fill: losses, validation figures, learning rate, gradient, speed."""
    place = _place(rows)
    kinds: dict[str, list[Line]] = {kind: [] for kind in TITLES}
    for name in history_columns(rows):
        kinds[_kind(name)].append((name, *_line(rows, name, place)))
    return [_chart(kind, members, place) for kind, members in kinds.items() if members]


def history_columns(rows: Iterable[Row]) -> list[str]:
    """Every figure in the rows, in the order of first appearance."""
    names = dict.fromkeys(name for row in rows for name, value in row.items() if _is_number(value))
    return [name for name in names if name not in PLACES and not name.endswith(CLOCKS)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _place(rows: Sequence[Row]) -> str:
    """What the charts run over: the first of `step` and `epoch` that every row has."""
    return next((name for name in PLACES if rows and all(name in row for row in rows)), "row")


def _line(rows: Sequence[Row], name: str, place: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    points = [
        (float(row.get(place, index)), float(row[name])) for index, row in enumerate(rows) if _is_number(row.get(name))
    ]
    xs, ys = zip(*points, strict=True)
    return xs, ys


def _kind(name: str) -> str:
    """What a column holds: what is not named here or begun with `val` is a term of the loss."""
    if name in KINDS:
        return name
    return "val" if name.startswith("val") and "loss" not in name else "loss"


def _chart(kind: str, lines: Sequence[Line], place: str) -> HistoryChart:
    every = max(math.ceil(len(xs) / MOST_POINTS) for _, xs, _ in lines)
    thinned = tuple(_thin(line) for line in lines)
    note = f"Each point is the mean of up to {every} rows." if every > 1 else ""
    values = [y for _, _, ys in thinned for y in ys]
    log = kind in ("loss", "gradient_norm") and _spans_decades(values)
    return HistoryChart(Curve(TITLES[kind], place, "log scale" if log else "", thinned, note), log)


def _thin(line: Line) -> Line:
    name, xs, ys = line
    every = math.ceil(len(xs) / MOST_POINTS)
    if every == 1:
        return line
    places, means = zip(*_means(xs, ys, every), strict=True)
    return name, places, means


def _means(xs: Sequence[float], ys: Sequence[float], every: int) -> Iterator[tuple[float, float]]:
    """The last place and the mean of each group of `every` points."""
    for start in range(0, len(xs), every):
        group = ys[start : start + every]
        yield xs[min(start + every, len(xs)) - 1], sum(group) / len(group)


def _spans_decades(values: Iterable[float]) -> bool:
    finite = [value for value in values if math.isfinite(value)]
    return bool(finite) and min(finite) > 0 and max(finite) >= 10 * min(finite)
