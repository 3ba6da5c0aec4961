"""The pages as HTML: a file with places to fill, and what fills them."""

from importlib.resources import files
from string import Template

from pellucid.report.markup import Markup, join, tag
from pellucid.studio.controls import controls
from pellucid.studio.first import FIRST

__all__ = ["PAGES", "arithmetic_page"]

PAGES = {"/arithmetic": "Arithmetic"}

BRAND = Markup(
    '<p class="brand"><svg class="glyph" viewBox="0 0 28 20" width="28" height="20" aria-hidden="true">'
    '<rect class="s0" x="1" y="1" width="12" height="12" rx="2"/>'
    '<rect class="s1" x="8" y="7" width="12" height="12" rx="2"/>'
    '<rect class="s2" x="15" y="1" width="12" height="12" rx="2"/></svg><b>pellucid</b></p>'
)


def arithmetic_page() -> str:
    """The page Arithmetic with its first example worked out."""
    source = files("pellucid.studio").joinpath("arithmetic.html").read_text(encoding="utf-8")
    fields = {"brand": BRAND, "pages": _pages("/arithmetic"), "controls": controls(), **FIRST.fields()}
    return Template(source).substitute(fields)


def _pages(current: str) -> Markup:
    links = (
        tag("li", tag("a", title, href=path, aria_current="page" if path == current else None, data_say="page"))
        for path, title in PAGES.items()
    )
    return join(links)
