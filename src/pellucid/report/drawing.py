"""Panels to HTML, by their type alone: a figure with a heading, a note, and its numbers as text."""

from collections.abc import Sequence

from pellucid.panels import Bars, Curve, Gallery, Matrix, Panel, Table
from pellucid.report.charts import draw_bar, draw_lines, draw_swatch, shared_rows
from pellucid.report.markup import Markup, join, tag
from pellucid.report.matrix import draw_matrix
from pellucid.report.numerals import count, data, number
from pellucid.report.pictures import draw_picture
from pellucid.report.tables import MOST_ROWS, cell, folded, scroll

__all__ = ["draw_curve", "draw_panel", "figure"]

WIDE_COLUMNS = 6  # a table of more columns takes the whole row
FEW_PICTURES = 6  # and so does a gallery of more pictures


def draw_panel(panel: Panel, name: str) -> Markup:
    """One panel as a figure; `name` is unique on the page."""
    match panel:
        case Curve():
            return draw_curve(panel, name)
        case Bars():
            return figure(name, panel.title, panel.note, _bars(panel))
        case Matrix():
            return figure(name, panel.title, panel.note, draw_matrix(panel), width="fitted")
        case Table():
            width = "wide" if len(panel.columns) > WIDE_COLUMNS else ""
            content = folded(panel.title, panel.columns, panel.rows) if panel.rows else _nothing()
            return figure(name, panel.title, panel.note, content, width=width)
        case Gallery():
            width = "wide" if len(panel.pictures) > FEW_PICTURES else ""
            return figure(name, panel.title, panel.note, _gallery(panel), width=width)


def figure(name: str, title: str, note: str, *content: Markup, width: str = "") -> Markup:
    """A figure named by its heading; `wide` takes the whole row, `fitted` what its content needs."""
    heading = tag("h3", tag("bdi", title), id=name)
    caption = tag("figcaption", heading, tag("p", note, class_="note") if note else "")
    return tag("figure", caption, *content, class_=f"panel {width}".rstrip(), aria_labelledby=name)


def draw_curve(curve: Curve, name: str, *, log: bool = False) -> Markup:
    """Lines with their legend and, folded, their numbers."""
    labels = [label for label, _, _ in curve.series]
    if not any(xs for _, xs, _ in curve.series):
        return figure(name, curve.title, curve.note, tag("p", "There is no point to draw.", class_="empty"))
    key = (tag("li", draw_swatch(index), tag("bdi", label)) for index, label in enumerate(labels))
    diagonal = tag("li", "dotted: equal", class_="muted") if curve.diagonal else Markup("")
    chart = tag("div", draw_lines(curve, log=log, name=name), tag("p", class_="readout", hidden=True), class_="chart")
    legend = tag("ul", *key, diagonal, class_="legend", aria_label="Lines")
    numbers = tag("details", tag("summary", "Numbers"), _curve_table(curve))
    return figure(name, curve.title, curve.note, legend, chart, numbers)


def _curve_table(curve: Curve) -> Markup:
    """One row an x where the lines share them, else one row a point."""
    shared = shared_rows(curve)
    if shared is None:
        rows = [(label, x, y) for label, xs, ys in curve.series for x, y in zip(xs, ys, strict=True)]
        return _plain_table(curve.title, ("line", curve.x_label, curve.y_label), rows)
    labels = [label for label, _, _ in curve.series]
    return _plain_table(curve.title, (curve.x_label, *labels), [(x, *ys) for x, ys in shared])


def _plain_table(caption: str, columns: Sequence[str], rows: Sequence[tuple[str | float | None, ...]]) -> Markup:
    """A table that is never folded: the fold around it opens all of it."""
    heads = (tag("th", name, scope="col", class_="number") for name in columns)
    body = (tag("tr", cell(_whole(row[0]), None, "th"), *map(cell, row[1:])) for row in rows)
    parts = (
        tag("caption", caption, class_="unseen"),
        tag("thead", tag("tr", *heads)),
        tag("tbody", join(body)),
    )
    return scroll(caption, tag("table", *parts, class_="compact"))


def _whole(value: str | float | None) -> str | int | float | None:
    """A step or epoch as the integer it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _bars(bars: Bars) -> Markup:
    """A row a name: bar, value and interval. Of very many, the lowest are shown."""
    order = list(range(len(bars.names)))
    if len(order) <= MOST_ROWS:
        return _bar_rows(bars, order)
    lowest = sorted(order, key=lambda index: (bars.values[index], index))[:MOST_ROWS]
    said = tag("p", f"The {MOST_ROWS} lowest of {count(len(order))}.", class_="note")
    rows = [(bars.names[index], bars.values[index]) for index in order]
    whole = tag(
        "details",
        tag("summary", f"All {count(len(order))}"),
        _plain_table(bars.title, ("name", "value"), rows),
    )
    return join([said, _bar_rows(bars, lowest), whole])


def _bar_rows(bars: Bars, order: Sequence[int]) -> Markup:
    with_interval = len(bars.intervals) == len(bars.names)
    heads = ["name", "value", *(["95 % interval"] if with_interval else [])]
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in heads)), class_="unseen")
    body = (_bar_row(bars, index, with_interval) for index in order)
    caption = tag("caption", bars.title, class_="unseen")
    return scroll(bars.title, tag("table", caption, head, tag("tbody", join(body)), class_="bars"))


def _bar_row(bars: Bars, index: int, with_interval: bool) -> Markup:
    interval = bars.intervals[index] if with_interval else None
    name = tag("th", tag("bdi", bars.names[index]), scope="row", title=bars.names[index])
    value = tag("td", draw_bar(bars.values[index], interval), data(bars.values[index], 4), class_="bar")
    if interval is None:
        return tag("tr", name, value)
    low, high = (number(bound, 4) for bound in interval)
    return tag("tr", name, value, tag("td", f"{low} to {high}", class_="interval"))


def _gallery(gallery: Gallery) -> Markup:
    if not gallery.pictures:
        return _nothing()
    return tag("ul", *(tag("li", draw_picture(picture)) for picture in gallery.pictures), class_="gallery")


def _nothing() -> Markup:
    return tag("p", "There is nothing to show here.", class_="empty")
