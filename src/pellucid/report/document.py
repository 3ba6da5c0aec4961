"""A self-contained page: its head, masthead, contents and sections, and a policy that forbids it to fetch anything."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from pellucid.report.markup import Markup, tag
from pellucid.report.numerals import setting

__all__ = ["Masthead", "document"]

# The glyph of the masthead: light through overlapping panes.
GLYPH = Markup(
    '<svg class="glyph" viewBox="0 0 28 20" width="28" height="20" aria-hidden="true">'
    '<rect class="s0" x="1" y="1" width="12" height="12" rx="2"/>'
    '<rect class="s1" x="8" y="7" width="12" height="12" rx="2"/>'
    '<rect class="s2" x="15" y="1" width="12" height="12" rx="2"/></svg>'
)


@dataclass(frozen=True, slots=True)
class Masthead:
    """What a page is, what it is about, what came out, and facts in short; those without a value are left out."""

    kind: str
    title: str
    outcome: str
    facts: tuple[tuple[str, Any], ...]
    label: str


def document(masthead: Masthead, sections: Sequence[tuple[str, str, Markup]], looks: str = "") -> Markup:
    """The page as HTML; a section is its id, title and body, and one without a body is left out.

    `looks` are styles behind those of the report.
    """
    sections = [part for part in sections if part[2]]
    style, script = Markup(_asset("report.css") + looks), _asset("report.js")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{masthead.title} – pellucid"),
        tag("style", style),
    )
    body = tag(
        "body",
        tag("a", "Skip to the result", class_="skip", href="#main"),
        _masthead(masthead),
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


def _masthead(masthead: Masthead) -> Markup:
    kind = tag("p", GLYPH, tag("b", "pellucid"), tag("span", masthead.kind), class_="brand")
    facts = ((name, value) for name, value in masthead.facts if value is not None)
    chips = (tag("li", tag("span", name), " ", tag("bdi", setting(value))) for name, value in facts)
    return tag(
        "header",
        kind,
        tag("h1", tag("bdi", masthead.title)),
        tag("p", masthead.outcome, class_="outcome"),
        tag("ul", *chips, class_="chips", aria_label=masthead.label),
        class_="masthead",
    )


def _contents(sections: Iterable[tuple[str, str]]) -> Markup:
    links = (tag("li", tag("a", title, href=f"#{name}")) for name, title in sections)
    return tag("nav", tag("ul", *links), aria_label="Contents", class_="contents")


def _section(name: str, title: str, body: Markup) -> Markup:
    return tag("section", tag("h2", title, id=name), body, aria_labelledby=name)
