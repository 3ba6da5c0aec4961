"""HTML that cannot be broken by a name: every string is escaped unless it is `Markup` already."""

import html
import re
from collections.abc import Iterable

__all__ = ["Markup", "join", "tag", "text"]

# Control characters make a page invalid; the last two ranges turn the reading direction of all that follows.
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

EMPTY_ELEMENTS = frozenset({"br", "col", "hr", "img", "meta"})


class Markup(str):
    """A string that is HTML already."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Any value as escaped text; bytes of a file name that are not UTF-8 show as `\\udcff`."""
    if isinstance(value, Markup):
        return value
    printable = UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(value))
    encodable = printable.encode("utf-8", "backslashreplace").decode("utf-8")
    return Markup(html.escape(encodable))


def join(parts: Iterable[object]) -> Markup:
    """The parts one after another, each escaped unless it is Markup."""
    return Markup("".join(text(part) for part in parts))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """One element: `tag("p", "a < b", class_="note")` is `<p class="note">a &lt; b</p>`.

    An attribute that is None or False is left out, True stands bare; `aria_label` becomes `aria-label`.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in EMPTY_ELEMENTS:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    # The view box of an SVG is the one attribute with a capital letter that we use, and it needs no dash.
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{text(value)}"'
