"""Tables: captions and scopes for every reader, numbers aligned, long ones folded after the first rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from pellucid.report.markup import Markup, join, tag
from pellucid.report.numerals import count, data, decimals_for, setting

__all__ = ["MOST_ROWS", "cell", "facts", "folded", "scroll", "table"]

MOST_ROWS = 40  # a table shows this many rows; the others open on demand

Cell = str | int | float | None


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Markup:
    """Rows under column heads; the first cell of a row names it."""
    numeric = [_is_numeric(row[index] for row in rows) for index in range(len(columns))]
    places = [decimals_for(_floats(row[index] for row in rows)) for index in range(len(columns))]
    heads = (
        tag("th", name, scope="col", class_="number" if right else None)
        for name, right in zip(columns, numeric, strict=True)
    )
    body = (_row(row, places) for row in rows)
    return scroll(
        caption,
        tag(
            "table",
            tag("caption", caption, class_="unseen"),
            tag("thead", tag("tr", *heads)),
            tag("tbody", join(body)),
        ),
    )


def _row(row: Sequence[Cell], places: Sequence[int]) -> Markup:
    first, *others = row
    cells = (cell(value, decimals) for value, decimals in zip(others, places[1:], strict=True))
    return tag("tr", cell(first, places[0], "th"), *cells)


def cell(value: Cell, decimals: int | None = None, element: str = "td") -> Markup:
    """One cell: a number to the right with its full value, a name isolated from its neighbours' direction."""
    scope = "row" if element == "th" else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return tag(element, data(value, decimals), class_="number", scope=scope)
    content = value if isinstance(value, Markup) else tag("bdi", "" if value is None else value)
    return tag(element, content, scope=scope)


def _is_numeric(values: Any) -> bool:
    return all(isinstance(value, int | float | None) for value in values)


def _floats(values: Any) -> list[float]:
    return [value for value in values if isinstance(value, float)]


def folded(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Markup:
    """A table of the first rows; a long one has the whole behind a fold."""
    if len(rows) <= MOST_ROWS:
        return table(caption, columns, rows)
    whole = tag("details", tag("summary", f"All {count(len(rows))} rows"), table(caption, columns, rows))
    return join([table(f"{caption}: the first {MOST_ROWS}", columns, rows[:MOST_ROWS]), whole])


def facts(caption: str, values: Mapping[str, Any]) -> Markup:
    """Names and values side by side."""
    rows = (
        tag("tr", tag("th", tag("bdi", name), scope="row"), tag("td", tag("bdi", setting(value))))
        for name, value in values.items()
    )
    body = tag("tbody", join(rows))
    return scroll(caption, tag("table", tag("caption", caption, class_="unseen"), body, class_="facts"))


def scroll(label: str, content: Markup) -> Markup:
    """A region that scrolls sideways by itself on narrow screens, reachable by keyboard."""
    return tag("div", content, class_="scroll", role="region", aria_label=label, tabindex=0)
