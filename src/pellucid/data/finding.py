"""What a check finds, as values, and how its lines count and list things."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "few", "many"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know. An `error` makes the answer of the check no; `kind` is a word that scripts can match."""

    level: Literal["error", "warning", "info"]
    kind: str
    text: str
    cure: str = ""
    files: tuple[str, ...] = ()


def many(things: Sequence[object], one: str, several: str | None = None) -> str:
    """`1 image`, `1,200 images`."""
    return f"{len(things):,} {one if len(things) == 1 else several or one + 's'}"


def few(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
