"""Numbers for readers: four significant digits, a true minus, thin spaces, equal decimals in a column."""

import math
from collections.abc import Iterable
from typing import Any

from pellucid.report.markup import Markup, tag

__all__ = ["Percent", "count", "data", "decimals_for", "number", "setting", "share"]

THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
NO_VALUE = "\N{EN DASH}"
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def count(value: int) -> str:
    """An integer with thin spaces between thousands: 12 345."""
    grouped = f"{abs(value):,}".replace(",", THIN_SPACE)
    return MINUS + grouped if value < 0 else grouped


def number(value: float, decimals: int | None = None) -> str:
    """A float with four significant digits or the given decimals; scientific where those would show 0."""
    if not math.isfinite(value):
        return NO_VALUE if math.isnan(value) else ("∞" if value > 0 else f"{MINUS}∞")
    places = decimals_for([value]) if decimals is None else decimals
    if 0 < abs(value) < (1e-3 if decimals is None else 0.5 * 10.0**-places):
        return _scientific(value)
    grouped = f"{abs(value):,.{places}f}".replace(",", THIN_SPACE)
    return MINUS + grouped if value < 0 else grouped


def _scientific(value: float) -> str:
    mantissa, exponent = f"{value:.3e}".split("e")
    return f"{mantissa.replace('-', MINUS)} × 10{str(int(exponent)).translate(SUPERSCRIPT)}"


def decimals_for(values: Iterable[float]) -> int:
    """Decimals that show the largest of these values with four significant digits; 4 for fractions of 1."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if largest < 10:
        return 4 if largest <= 1 else 3
    return max(0, 3 - math.floor(math.log10(largest)))


class Percent(float):
    """A share that is shown in percent with one decimal: 12.5 %."""


def share(part: int, whole: int) -> Percent:
    """A part of a whole; not a number where there is no whole."""
    return Percent(part / whole if whole else math.nan)


def data(value: float, decimals: int | None = None) -> Markup:
    """A number as an element that carries its full value for machines, and for a pointer resting on it."""
    if isinstance(value, int):
        return tag("data", count(value), value=value)
    if not math.isfinite(value):
        spoken = "no value" if math.isnan(value) else None
        return tag("span", number(value), role="img" if spoken else None, aria_label=spoken)
    shown = f"{100 * value:.1f}{THIN_SPACE}%" if isinstance(value, Percent) else number(value, decimals)
    return tag("data", shown, value=repr(float(value)), title=repr(float(value)))


def setting(value: Any) -> str:
    """A setting as it was given or saved: every digit of a float, nothing rounded."""
    match value:
        case None:
            return NO_VALUE
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return repr(value).replace("-", MINUS)
        case list() | tuple():
            return ", ".join(setting(part) for part in value) or NO_VALUE
        case _:
            return str(value)
