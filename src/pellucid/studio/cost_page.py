"""The page Cost: what every operation takes, as a table with bars, and how far each is from this machine's roofline."""

import math
from collections.abc import Mapping
from typing import Any

from pellucid.inspection.costs import Costs, cost_of
from pellucid.report.markup import Markup, join, tag
from pellucid.report.numerals import count, data, number
from pellucid.studio.address import Address
from pellucid.studio.drawing import badge, counted, facts, panel, share_bar
from pellucid.studio.memo import NotYetError
from pellucid.studio.page import Page
from pellucid.studio.roofline_chart import roofline_chart
from pellucid.studio.session import Session

__all__ = ["cost_page"]

MEASURES = {"macs": "MACs", "params": "parameters", "bytes": "bytes moved", "measured_ms": "milliseconds"}
AGAIN = 500
"""Milliseconds after which a measurement is asked for again."""

Row = Mapping[str, Any]


def cost_page(session: Session, address: Address) -> Page:
    """The page as the address says: bars `by` one of the measures; with `measure`, timed on this machine."""
    height, width = session.look(address).frame.network
    model, size = str(session.subject.model), f"{height}x{width}"
    later, waits = None, Markup("")
    found: Costs = session.memo.get(("cost", size), lambda: cost_of(model, size))
    if address.text("measure"):
        try:
            found = session.slow.get(("measured", size), lambda: cost_of(model, size, measure=True))
        except NotYetError:
            later, waits = AGAIN, tag("p", "This machine is being measured.", class_="waiting")
    named = str(session.predictor.model.architecture.get("name", "the network"))
    lead = f"{named} on one image of {height} × {width} network pixels."
    parts = (_totals(found, address, waits), *_roofline(found, address), _table(found, address))
    return Page("Cost", lead, tag("div", *parts, class_="panels"), lead, later)


def _totals(found: Costs, address: Address, waits: Markup) -> Markup:
    told = found.to_json()
    total = told["totals"]
    rows: list[tuple[str, object]] = [(word, count(total[key])) for key, word in MEASURES.items() if key in total]
    if found.measured is None:
        link = tag("a", "Measure on this machine", href=address.href(measure="1", by="measured_ms"), class_="button")
        return panel("In all", facts(rows), waits or tag("p", link), note=told["convention"])
    rows += [("a pass", f"{number(told['measured_ms'])} ms")]
    first, *far = found.measured.lines()
    listed = tag("ul", *(tag("li", line) for line in far), class_="findings")
    slow = tag("details", tag("summary", f"{counted(len(far), 'operation')} far from the roofline"), listed, id="far")
    return panel("In all", facts(rows), tag("p", first), slow if far else "", note=told["convention"])


def _roofline(found: Costs, address: Address) -> list[Markup]:
    if found.measured is None:
        return []
    note = tag("span", found.measured.machine.text(), " ", badge("MEASURED"))
    return [panel("Roofline", roofline_chart(found, address), note=note)]


def _table(found: Costs, address: Address) -> Markup:
    rows = found.to_json()["layers"]
    by = address.text("by") or "macs"
    by = by if by in rows[0] and by in MEASURES else "macs"
    most = max(row[by] or 0 for row in rows) or 1
    heads = [
        "operation",
        "kind",
        "output",
        *(MEASURES[key] for key in MEASURES if key in rows[0]),
        "FLOPs a byte",
        "share",
    ]
    head = tag(
        "tr", *(tag("th", word, scope="col", class_="number" if at > 2 else None) for at, word in enumerate(heads))
    )
    body = (_row(row, by, row[by] or 0, most, address) for row in rows)
    table = tag("table", tag("caption", "Operations", class_="unseen"), tag("thead", head), tag("tbody", *body))
    scroll = tag("div", table, class_="scroll", role="region", aria_label="Operations", tabindex=0)
    links = (_measure(key, word, by, address) for key, word in MEASURES.items() if key in rows[0])
    return panel(counted(len(rows), "operation"), tag("p", "Bars by ", *links, class_="choice"), scroll, wide=True)


def _measure(key: str, word: str, by: str, address: Address) -> Markup:
    current = "true" if key == by else None
    return join([tag("a", word, href=address.href(by=key), aria_current=current, id=f"by-{key}"), " "])


def _row(row: Row, by: str, value: float, most: float, address: Address) -> Markup:
    name = tag("a", row["name"], href=address.href("/network", op=row["name"]))
    cells = [tag("td", row["kind"]), tag("td", "×".join(map(str, row["output"])))]
    cells += [_number(row[key]) for key in MEASURES if key in row]
    cells += [_number(row["intensity"]), tag("td", share_bar(value, most), class_="bars")]
    return tag("tr", tag("th", name, scope="row"), *cells, title=row.get("why") or None)


def _number(value: float | None) -> Markup:
    known = "" if value is None or (isinstance(value, float) and not math.isfinite(value)) else data(value or 0)
    return tag("td", known, class_="number")
