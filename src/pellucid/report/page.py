"""The page: sections in the order in which a reader asks, and a policy that forbids it to fetch anything."""

import base64
import hashlib
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from pellucid.files import write_atomic
from pellucid.report.charts import draw_interval
from pellucid.report.drawing import draw_curve, draw_panel
from pellucid.report.history import history_charts
from pellucid.report.markup import Markup, join, tag
from pellucid.report.numerals import count, data, number, setting
from pellucid.report.origin import data_section, ledger_section
from pellucid.report.summary import Figure, RunSummary
from pellucid.report.tables import facts, scroll

__all__ = ["page", "write_report"]

# The glyph of the masthead: light through overlapping panes.
GLYPH = Markup(
    '<svg class="glyph" viewBox="0 0 28 20" width="28" height="20" aria-hidden="true">'
    '<rect class="s0" x="1" y="1" width="12" height="12" rx="2"/>'
    '<rect class="s1" x="8" y="7" width="12" height="12" rx="2"/>'
    '<rect class="s2" x="15" y="1" width="12" height="12" rx="2"/></svg>'
)


def write_report(path: Path, run: RunSummary) -> None:
    """Write the report of a run: one file, the same bytes for the same values."""
    write_atomic(path, page(run))


def page(run: RunSummary) -> Markup:
    """The report of a run as HTML."""
    sections = [(name, title, body) for name, title, body in _sections(run) if body]
    style, script = _asset("report.css"), _asset("report.js")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{run.title} – pellucid"),
        tag("style", style),
    )
    body = tag(
        "body",
        tag("a", "Skip to the result", class_="skip", href="#main"),
        _masthead(run),
        _contents((name, title) for name, title, _ in sections),
        tag("main", *(_section(*parts) for parts in sections), id="main", tabindex=-1),
        tag(
            "footer",
            "Made by pellucid on this machine. This page is one file; it loads nothing and sends nothing.",
        ),
        tag("script", script),
    )
    return Markup(f"<!doctype html>\n{tag('html', head, body, lang='en')}\n")


def _asset(name: str) -> Markup:
    return Markup(files("pellucid.report").joinpath(name).read_text(encoding="utf-8").strip())


def _policy(style: str, script: str) -> str:
    """Nothing is loaded but pictures inside the file; no style or script runs but the two we wrote."""
    sources = {"default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}
    sources |= {"style-src": _hash(style), "script-src": _hash(script)}
    return "; ".join(f"{name} {source}" for name, source in sources.items())


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _masthead(run: RunSummary) -> Markup:
    kind = tag("p", GLYPH, tag("b", "pellucid"), tag("span", "report of a training"), class_="brand")
    what = [("task", run.task), ("model", run.model), ("seed", run.settings.get("seed"))]
    chips = (tag("li", tag("span", name), " ", tag("bdi", setting(value))) for name, value in what if value is not None)
    return tag(
        "header",
        kind,
        tag("h1", tag("bdi", run.title)),
        tag("p", run.outcome, class_="outcome"),
        tag("ul", *chips, class_="chips", aria_label="What was trained"),
        class_="masthead",
    )


def _contents(sections: Iterable[tuple[str, str]]) -> Markup:
    links = (tag("li", tag("a", title, href=f"#{name}")) for name, title in sections)
    return tag("nav", tag("ul", *links), aria_label="Contents", class_="contents")


def _section(name: str, title: str, body: Markup) -> Markup:
    return tag("section", tag("h2", title, id=name), body, aria_labelledby=name)


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
