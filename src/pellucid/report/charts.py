"""Curves as SVG with the page's colours and fonts; lines are told apart by colour, dash and mark."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pellucid.panels import Curve
from pellucid.report.markup import Markup, join, tag
from pellucid.report.numerals import count, number

__all__ = ["Axis", "axis_over", "draw_bar", "draw_interval", "draw_lines", "draw_swatch", "shared_rows"]

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 60, 26, 26, 38
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "12 4", "1 2", "6 2 1 2 1 2")
MARKED = 30  # a line of at most this many points shows each of them

Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """From values (`low` to `high`, by their logarithm if `log`) to pixels (`start` to `end`).

    `whole` keeps its ticks on integers.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    whole: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value."""
        low, high, here = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (here - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values inside the axis, about five of them."""
        ticks = _log_ticks(self.low, self.high) if self.log else []
        return ticks if len(ticks) > 1 else _linear_ticks(self.low, self.high, self.whole)


def _linear_ticks(low: float, high: float, whole: bool) -> list[float]:
    step = _round_step((high - low) / 5, whole)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _round_step(rough: float, whole: bool = False) -> float:
    """The least step of 1, 2, 2.5 or 5 times a power of ten that is not below `rough`; an integer if `whole`."""
    scale = 10.0 ** math.floor(math.log10(rough))
    steps = (scale * ten * factor for ten in (1, 10) for factor in (1, 2, 2.5, 5, 10))
    return next(step for step in steps if step >= rough * (1 - 1e-9) and not (whole and step % 1))


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    leading = (1,) if len(decades) > 4 else (1, 2, 5)
    ticks = [lead * 10.0**decade for decade in decades for lead in leading]
    return [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]


def axis_over(values: Iterable[float], start: float, end: float, *, log: bool = False, fit: bool = True) -> Axis:
    """An axis that holds all values; with `fit` it ends on round values."""
    values = list(values) or ([1.0, 10.0] if log else [0.0, 1.0])
    low, high = min(values), max(values)
    if log:
        return Axis(low / 1.15, high * 1.15, start, end, log=True)
    if low == high:
        room = abs(low) / 2 or 0.5
        low, high = low - room, high + room
    whole = not fit and all(value == int(value) for value in values)
    if fit:
        step = _round_step((high - low) / 5)
        low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return Axis(low, high, start, end, whole=whole)


def draw_lines(curve: Curve, *, log: bool = False, name: str) -> Markup:
    """The curve as one SVG. `name` makes its ids unique on the page."""
    lines = [(label, _finite(xs, ys, log)) for label, xs, ys in curve.series]
    points = [point for _, line in lines for point in line]
    across, up = _axes(curve, points, log)
    parts = [*_grid(across, up, curve), *_diagonal(curve, across, up)]
    parts += [_line(line, index, across, up) for index, (_, line) in enumerate(lines)]
    parts.append(tag("line", class_="cursor", y1=TOP, y2=HEIGHT - BOTTOM, x1=-9, x2=-9))
    return tag(
        "svg",
        tag("title", curve.title, id=f"{name}-title"),
        tag("desc", describe(curve, lines), id=f"{name}-desc"),
        *parts,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        data_x=" ".join(_pixel(across.at(x)) for x, _ in shared_rows(curve) or ()) or None,
    )


def _finite(xs: Sequence[float], ys: Sequence[float], log: bool) -> Points:
    pairs = zip(xs, ys, strict=True)
    return [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y) and (y > 0 or not log)]


def _axes(curve: Curve, points: Points, log: bool) -> tuple[Axis, Axis]:
    corners = [(0.0, 0.0), (1.0, 1.0)] if curve.diagonal else []
    xs, ys = zip(*points, *corners, strict=True) if points or corners else ((), ())
    return (
        axis_over(xs, LEFT, WIDTH - RIGHT, fit=curve.diagonal),
        axis_over(ys, HEIGHT - BOTTOM, TOP, log=log),
    )


def describe(curve: Curve, lines: Sequence[tuple[str, Points]]) -> str:
    """The curve in a sentence a line, for those who do not see it."""
    sentences = [f"{curve.y_label or curve.title} over {curve.x_label}."]
    for label, line in lines:
        if line:
            first, last = line[0], line[-1]
            sentences.append(f"{label}: from {number(first[1])} to {number(last[1])} in {count(len(line))} points.")
    return " ".join(sentences) if len(sentences) > 1 else "There is no point to draw."


def _grid(across: Axis, up: Axis, curve: Curve) -> list[Markup]:
    floor = HEIGHT - BOTTOM
    parts = []
    for tick, label in zip(up.ticks(), tick_labels(up.ticks()), strict=True):
        y = _pixel(up.at(tick))
        parts.append(tag("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y))
        parts.append(tag("text", label, x=LEFT - 7, y=y, dy="0.35em", text_anchor="end"))
    for tick, label in zip(across.ticks(), tick_labels(across.ticks()), strict=True):
        x = _pixel(across.at(tick))
        parts.append(tag("line", class_="tick", x1=x, x2=x, y1=floor, y2=floor + 4))
        parts.append(tag("text", label, x=x, y=floor + 17, text_anchor="middle"))
    parts.append(tag("line", class_="base", x1=LEFT, x2=WIDTH - RIGHT, y1=floor, y2=floor))
    parts.append(tag("text", curve.y_label, class_="axis", x=LEFT, y=TOP - 13))
    parts.append(tag("text", curve.x_label, class_="axis", x=WIDTH - RIGHT, y=HEIGHT - 3, text_anchor="end"))
    return parts


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """The ticks with as many decimals as their step needs, the same for all unless they span decades."""
    if all(tick == int(tick) for tick in ticks):
        return [count(int(tick)) for tick in ticks]
    if max(ticks) > 50 * min(abs(tick) for tick in ticks if tick):
        return [f"{tick:g}".replace("-", "\N{MINUS SIGN}") for tick in ticks]
    places = max(len(f"{tick:g}".partition(".")[2]) for tick in ticks)
    return [number(tick, places) for tick in ticks]


def _diagonal(curve: Curve, across: Axis, up: Axis) -> list[Markup]:
    if not curve.diagonal:
        return []
    low, high = max(across.low, up.low), min(across.high, up.high)
    ends = {"x1": across.at(low), "y1": up.at(low), "x2": across.at(high), "y2": up.at(high)}
    return [tag("line", class_="diagonal", **{key: _pixel(value) for key, value in ends.items()})]


def _line(line: Points, index: int, across: Axis, up: Axis) -> Markup:
    places = [(across.at(x), up.at(y)) for x, y in line]
    path = " ".join(f"{_pixel(x)},{_pixel(y)}" for x, y in places)
    dash = DASHES[index % len(DASHES)] or None
    drawn = tag("polyline", points=path, stroke_dasharray=dash) if len(places) > 1 else Markup("")
    marks = (_mark(x, y, index) for x, y in (places if len(places) <= MARKED else ()))
    return tag("g", drawn, join(marks), class_=f"series s{index % len(DASHES)}")


def _mark(x: float, y: float, index: int) -> Markup:
    """Circle, square, diamond, triangle: shapes that stay apart without colour."""
    match index % 4:
        case 0:
            return tag("circle", cx=_pixel(x), cy=_pixel(y), r=2.6)
        case 1:
            return tag("rect", x=_pixel(x - 2.5), y=_pixel(y - 2.5), width=5, height=5)
        case 2:
            return tag("path", d=f"M{_pixel(x)} {_pixel(y - 3.6)}l3.6 3.6l-3.6 3.6l-3.6 -3.6z")
        case _:
            return tag("path", d=f"M{_pixel(x)} {_pixel(y - 3.4)}l3.4 6h-6.8z")


def draw_swatch(index: int) -> Markup:
    """A short piece of line `index` for the legend."""
    line = tag("line", x1=0, x2=26, y1=6, y2=6, stroke_dasharray=DASHES[index % len(DASHES)] or None)
    group = tag("g", line, _mark(13, 6, index), class_=f"series s{index % len(DASHES)}")
    return tag("svg", group, viewBox="0 0 26 12", width=26, height=12, aria_hidden="true")


def draw_bar(value: float, interval: tuple[float, float] | None = None) -> Markup:
    """A share of 1 as a bar over its track, the interval as a line with a foot at either end."""
    parts = [tag("rect", class_="track", x=0, y=3, width=100, height=8)]
    if math.isfinite(value):
        parts.append(tag("rect", class_="fill", x=0, y=3, width=_pixel(100 * _within(value)), height=8))
    return _strip([*parts, *_whisker(interval)])


def draw_interval(value: float, interval: tuple[float, float]) -> Markup:
    """An interval on the way from 0 to 1, with the value as a stroke across it."""
    low, high, here = (100 * _within(v) for v in (*interval, value))
    return _strip(
        [
            tag("rect", class_="track", x=0, y=5, width=100, height=4),
            tag("rect", class_="span", x=_pixel(low), y=5, width=_pixel(max(high - low, 0.5)), height=4),
            tag("line", class_="stroke", x1=_pixel(here), x2=_pixel(here), y1=1, y2=13),
        ]
    )


def _strip(parts: Sequence[Markup]) -> Markup:
    return tag("svg", *parts, class_="strip", viewBox="0 0 100 14", preserveAspectRatio="none", aria_hidden="true")


def _whisker(interval: tuple[float, float] | None) -> list[Markup]:
    if interval is None or not all(map(math.isfinite, interval)):
        return []
    low, high = (_pixel(100 * _within(v)) for v in interval)
    path = f"M{low} 7H{high}M{low} 4V10M{high} 4V10"
    return [tag("path", class_="whisker", d=path)]


def _within(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _pixel(value: float) -> str:
    """A coordinate to a tenth of a pixel, short; adding 0 takes the sign from -0."""
    return f"{round(value, 1) + 0:g}"


def shared_rows(curve: Curve) -> list[tuple[float, list[float | None]]] | None:
    """The curve as rows (x, one y a line), or None where a line passes an x twice."""
    lines = [dict(zip(xs, ys, strict=True)) for _, xs, ys in curve.series]
    if any(len(line) < len(xs) for line, (_, xs, _) in zip(lines, curve.series, strict=True)):
        return None
    return [(x, [line.get(x) for line in lines]) for x in sorted({x for line in lines for x in line})]
