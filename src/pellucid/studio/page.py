"""The pages as HTML: the navigation bar they share, and what fills it."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from string import Template

from pellucid.report.markup import Markup, join, tag
from pellucid.studio.address import Address
from pellucid.studio.controls import controls
from pellucid.studio.first import FIRST

__all__ = ["PAGES", "STARTS", "Page", "arithmetic_page", "missing", "shell", "waiting"]

PAGES = {
    "/arithmetic": "Arithmetic",
    "/network": "Network",
    "/why": "Why",
    "/cost": "Cost",
    "/training": "Training",
    "/mistakes": "Mistakes",
}
STARTS = {
    "/network": "pellucid studio MODEL PHOTO",
    "/why": "pellucid studio MODEL PHOTO",
    "/cost": "pellucid studio MODEL",
    "/training": "pellucid studio RUN",
    "/mistakes": "pellucid studio MODEL DATA",
}
"""What a page needs that is not there."""

BRAND = Markup(
    '<p class="brand"><svg class="glyph" viewBox="0 0 28 20" width="28" height="20" aria-hidden="true">'
    '<rect class="s0" x="1" y="1" width="12" height="12" rx="2"/>'
    '<rect class="s1" x="8" y="7" width="12" height="12" rx="2"/>'
    '<rect class="s2" x="15" y="1" width="12" height="12" rx="2"/></svg><b>pellucid</b></p>'
)


@dataclass(frozen=True, slots=True)
class Page:
    """What stands below the navigation bar. `spoken` is what a screen reader hears when it has changed.

    A page with `later` is not complete: it is to be asked for again after so many milliseconds. One with `stream` is
    to be asked for again whenever that address says something.
    """

    title: str
    lead: object
    body: Markup
    spoken: str = ""
    later: int | None = None
    stream: str | None = None


def arithmetic_page() -> str:
    """The page Arithmetic with its first example worked out."""
    source = files("pellucid.studio").joinpath("arithmetic.html").read_text(encoding="utf-8")
    pages = _pages(Address("/arithmetic", {}))
    return Template(source).substitute(brand=BRAND, pages=pages, controls=controls(), **FIRST.fields())


def shell(page: Page, address: Address) -> str:
    """A page of the model as a whole document."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{page.title} – pellucid"),
        _link("icon", "/static/icon.svg"),
        _link("stylesheet", "/static/studio.css"),
        _link("stylesheet", "/static/pages.css"),
        tag("script", src="/static/first.js"),
        tag("script", src="/static/pages.js", type="module"),
        tag("noscript", Markup('<meta http-equiv="refresh" content="1">')) if page.later else "",
    )
    heading = tag("div", tag("h1", page.title), tag("p", page.lead, class_="lead"), class_="heading")
    told = {"data_later": page.later, "data_stream": page.stream, "data_spoken": page.spoken}
    body = tag(
        "body",
        tag("a", "Skip to the page", class_="skip", href="#main"),
        _masthead(address),
        tag("main", heading, page.body, id="main", tabindex=-1, **told),
        tag("p", id="spoken", class_="unseen", aria_live="polite"),
        tag("footer", tag("p", "Everything is computed on this machine; nothing leaves it.")),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _link(kind: str, address: str) -> Markup:
    return Markup(f'<link rel="{kind}" href="{address}">')


def _masthead(address: Address) -> Markup:
    tools = tag("div", tag("button", "Light or dark", type="button", id="theme"), class_="tools")
    nav = tag("nav", tag("ul", _pages(address)), aria_label="Pages")
    return tag("header", BRAND, nav, tools, class_="masthead")


def _pages(address: Address) -> Markup:
    """Links to all pages; between those of a model the image and the target stay."""
    return join(_entry(path, title, address) for path, title in PAGES.items())


def _entry(path: str, title: str, address: Address) -> Markup:
    current = "page" if path == address.path else None
    href = path if path == address.path else address.href(path)
    return tag("li", tag("a", title, href=href, aria_current=current, data_say=f"page.{path}"))


def missing(path: str, why: str = "") -> Page:
    """A page whose subject was not given, and how to give it."""
    lead = why or "There is nothing to show here yet."
    return Page(PAGES[path], lead, tag("p", "Start with ", tag("code", STARTS[path]), "."), lead)


def waiting(path: str, what: str, done: Iterable[object] = ()) -> Page:
    """A page whose content is being computed."""
    body = tag("div", tag("p", what, class_="waiting"), *done, aria_busy="true")
    return Page(PAGES[path], "One moment.", body, what, later=300)
