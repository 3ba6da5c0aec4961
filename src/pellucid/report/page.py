"""The page: sections in the order in which a reader asks."""

from pathlib import Path

from pellucid.files import write_atomic
from pellucid.report.charts import draw_interval
from pellucid.report.document import Masthead, document
from pellucid.report.drawing import draw_curve, draw_panel
from pellucid.report.history import history_charts
from pellucid.report.markup import Markup, join, tag
from pellucid.report.numerals import count, data, number, setting
from pellucid.report.origin import data_section, ledger_section
from pellucid.report.summary import Figure, RunSummary
from pellucid.report.tables import facts, scroll

__all__ = ["page", "write_report"]


def write_report(path: Path, run: RunSummary) -> None:
    """Write the report of a run: one file, the same bytes for the same values."""
    write_atomic(path, page(run))


def page(run: RunSummary) -> Markup:
    """The report of a run as HTML."""
    facts = (("task", run.task), ("model", run.model), ("seed", run.settings.get("seed")))
    masthead = Masthead("report of a training", run.title, run.outcome, facts, "What was trained")
    return document(masthead, _sections(run))


def _sections(run: RunSummary) -> list[tuple[str, str, Markup]]:
    return [
        ("result", "Result", _result(run)),
        ("closer", "A closer look", _panels(run)),
        ("training", "Training", _training(run)),
        ("data", "Data", data_section(run.data)),
        ("ledger", "Ledger", ledger_section(run.ledger)),
        ("settings", "Settings", _settings(run)),
        ("origin", "Origin", _origin(run)),
    ]


def _result(run: RunSummary) -> Markup:
    cautions = tag("ul", *(tag("li", note) for note in run.notes), class_="cautions", aria_label="Cautions")
    figures = tag("dl", *(_headline(figure) for figure in run.figures), class_="figures")
    nothing = tag("p", "No figure was measured.", class_="empty")
    return join([cautions if run.notes else "", figures if run.figures else nothing])


def _headline(figure: Figure) -> Markup:
    name, value, interval = figure
    parts = [tag("dt", tag("bdi", name)), tag("dd", data(value), class_="value")]
    if interval is not None:
        low, high = (number(bound) for bound in interval)
        drawn = draw_interval(value, interval) if 0 <= min(interval) <= max(interval) <= 1 else ""
        parts.append(tag("dd", drawn, tag("span", f"95 % interval {low} to {high}")))
    return tag("div", *parts)


def _panels(run: RunSummary) -> Markup:
    if not run.panels:
        return Markup("")
    return tag("div", *(draw_panel(panel, f"p{index}") for index, panel in enumerate(run.panels, 1)), class_="panels")


def _training(run: RunSummary) -> Markup:
    if not run.history:
        return tag("p", "No step was recorded.", class_="empty")
    drawn = (
        draw_curve(chart.curve, f"h{index}", log=chart.log)
        for index, chart in enumerate(history_charts(run.history), 1)
    )
    return tag("div", *drawn, class_="panels")


def _settings(run: RunSummary) -> Markup:
    """Every setting; what was derived comes with its reason."""
    chosen = tag(
        "span",
        f"{count(len(run.derived))} of {count(len(run.settings))} were derived, with the reason beside.",
    )
    heads = tag(
        "thead",
        tag("tr", *(tag("th", name, scope="col") for name in ("setting", "value", "derived because"))),
    )
    rows = (_setting_row(name, run.settings[name], run.derived.get(name)) for name in run.settings)
    caption = tag("caption", "Settings", class_="unseen")
    return join(
        [
            tag("p", chosen, class_="note"),
            scroll("Settings", tag("table", caption, heads, tag("tbody", *rows), class_="settings")),
        ]
    )


def _setting_row(name: str, value: object, reason: str | None) -> Markup:
    cells = (tag("td", tag("bdi", setting(value))), tag("td", reason or ""))
    return tag("tr", tag("th", tag("code", name), scope="row"), *cells, class_="derived" if reason else None)


def _origin(run: RunSummary) -> Markup:
    tables = {"Machine": run.machine, "Versions": run.versions, "Digests": run.digests}
    parts = (
        tag(
            "div",
            tag("h3", title),
            facts(title, values),
            class_="panel wide" if title == "Digests" else "panel",
        )
        for title, values in tables.items()
        if values
    )
    return tag("div", *parts, class_="panels")
