"""What a task shows of an evaluation, as plain values: the report draws them, and so will the studio."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Bars", "Curve", "Gallery", "Matrix", "Panel", "Picture", "Table"]


@dataclass(frozen=True, slots=True)
class Curve:
    """Lines over one axis; `series` is (name, x values, y values). `diagonal` draws y = x for comparison."""

    title: str
    x_label: str
    y_label: str
    series: tuple[tuple[str, tuple[float, ...], tuple[float, ...]], ...]
    note: str = ""
    diagonal: bool = False


@dataclass(frozen=True, slots=True)
class Bars:
    """One number a name, e.g. recall by class, each within 0..1 with an optional (low, high) interval."""

    title: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Counts by row (target) and column (prediction)."""

    title: str
    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    row_label: str = "target"
    column_label: str = "prediction"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under column heads; a float is shown with four significant digits, None as an empty cell."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float | None, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """One image with a caption and the name of its file, as one or several named views of it, uint8 H W C."""

    views: tuple[tuple[str, Any], ...]
    caption: str
    name: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """Pictures side by side, the most telling first."""

    title: str
    pictures: tuple[Picture, ...]
    note: str = ""


Panel = Curve | Bars | Matrix | Table | Gallery
