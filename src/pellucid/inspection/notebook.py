"""What is found, as HTML for notebooks: plain tables and pictures without a script, which every notebook shows."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from pellucid.inspection.heat import heat_picture, square_picture
from pellucid.report.markup import Markup, join, tag
from pellucid.report.pictures import data_uri
from pellucid.report.tables import MOST_ROWS, table

__all__ = ["notebook", "on_white", "rows_of", "trace_html"]

SHOWN = 320
"""Pixels of the longer side of a picture."""


def notebook(title: str, *parts: Markup) -> str:
    """A heading in bold, and what follows it."""
    return join([tag("p", tag("b", title)), *parts])


def rows_of(caption: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Markup:
    """A table of the first rows."""
    listed = list(rows)
    more = tag("p", f"and {len(listed) - MOST_ROWS} more") if len(listed) > MOST_ROWS else Markup("")
    return join([table(caption, columns, listed[:MOST_ROWS]), more])


def on_white(cells: Float[ndarray, "rows columns"], size: Sequence[int], *, smooth: bool = False) -> Markup:
    """A signed map on white, in the proportions of an image of that (height, width)."""
    paper = np.full((*size, 3), 255, np.uint8)
    picture = (heat_picture if smooth else square_picture)(paper, cells)
    return tag("img", src=data_uri(picture, SHOWN), alt="orange: for, blue: against", width=SHOWN)


def trace_html(trace: Any) -> str:
    """The operations of a trace, one a row."""
    rows = (
        (
            *(one.index, one.name, one.kind, ", ".join(map(str, one.parents))),
            *("x".join(map(str, one.output.shape)), one.params, one.macs),
        )
        for one in trace
    )
    columns = ("", "operation", "kind", "from", "output", "parameters", "MACs")
    return notebook(f"{len(trace)} operations", rows_of("operations", columns, rows))
