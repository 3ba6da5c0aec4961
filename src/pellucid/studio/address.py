"""The state of a page is its address: the values behind the `?`, read, and written with changes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from pellucid.errors import UsageError

__all__ = ["SHARED", "Address"]

SHARED = ("image", "target", "versus", "y", "x", "label")
"""What pages have in common: the image of the data, and the number that is explained; of a mask it is that of a label
at a pixel (y, x) of the photo."""


@dataclass(frozen=True, slots=True)
class Address:
    """The path of a page and its values."""

    path: str
    values: Mapping[str, str]

    def href(self, to: str | None = None, /, **changes: object) -> str:
        """The same page with other values, None takes one away; on another page only what pages share stays."""
        shared = {key: self.values[key] for key in SHARED if key in self.values}
        found = {**(self.values if to in (None, self.path) else shared), **changes}
        query = urlencode({key: value for key, value in found.items() if value is not None}, safe=",:@/")
        return (to or self.path) + (f"?{query}" if query else "")

    def text(self, name: str) -> str | None:
        """A value, None where there is none or it is empty."""
        return self.values.get(name) or None

    def number(self, name: str) -> int | None:
        """A whole number from 0 on."""
        given = self.text(name)
        if given is None:
            return None
        if not re.fullmatch(r"\d{1,9}", given):
            raise UsageError(f"{name}={given} in the address: give a whole number from 0 on.")
        return int(given)

    def aim(self) -> tuple[str | None, str | None]:
        """The target and the class that it is compared with, as `pellucid explain` takes them; a class of no letters is
        none at all, where None leaves it open."""
        versus = self.values.get("versus")
        y, x = self.number("y"), self.number("x")
        if y is None or x is None:
            return self.text("target"), versus
        label = self.text("label")
        return f"pixel:{y},{x}" + (f":{label}" if label else ""), versus

    def numbers(self, name: str) -> tuple[int, ...]:
        """Whole numbers by commas, one at least: `3,4`."""
        given = self.text(name) or ""
        if not re.fullmatch(r"\d{1,9}(,\d{1,9})*", given):
            raise UsageError(f"{name}={given} in the address: give whole numbers and commas, as 3,4.")
        return tuple(map(int, given.split(",")))
