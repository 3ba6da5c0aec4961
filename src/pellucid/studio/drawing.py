"""Pieces that the pages of a model share: numbers, bars, badges, links, the network's view with marks on it."""

import io
from collections.abc import Iterable, Sequence

from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from pellucid.inspection import page as explanations
from pellucid.report.markup import Markup, join, tag
from pellucid.report.numerals import count, data

__all__ = [
    "badge",
    "bar",
    "counted",
    "facts",
    "figure",
    "framed",
    "panel",
    "pixels_png",
    "share_bar",
    "signed_rows",
    "view",
]

READ = explanations.READ | {
    "INEXACT": "The sum differs from the network's own number by more than rounding explains.",
    "MEASURED": "Timed on this machine.",
}


def badge(word: str) -> Markup:
    """EXACT and its like, with what it means for who points at it."""
    return tag("span", word, class_="badge", title=READ[word])


def panel(title: str, *content: object, note: object = "", wide: bool = False, name: str | None = None) -> Markup:
    """A section with a heading."""
    heading = tag("h2", title)
    said = tag("p", note, class_="note") if note else Markup("")
    return tag("section", heading, said, *content, class_="panel wide" if wide else "panel", id=name)


def counted(many: int, noun: str) -> str:
    """`1 term`, `27 terms`."""
    return f"{count(many)} {noun}" + ("" if many == 1 else "s")


def facts(rows: Iterable[tuple[str, object]]) -> Markup:
    """Names and values."""
    parts = (tag("div", tag("dt", name), tag("dd", value)) for name, value in rows)
    return tag("dl", *parts, class_="facts")


def bar(value: float, most: float) -> Markup:
    """A bar from the middle, to the right for what is above zero, to the left for what is below."""
    share = 50 * min(1.0, abs(value) / most) if most else 0.0
    left, kind = (50.0, "above") if value >= 0 else (50.0 - share, "below")
    rect = tag("rect", x=f"{left:.2f}", y=2, width=f"{share:.2f}", height=10, class_=kind)
    middle = tag("line", x1=50, x2=50, y1=0, y2=14)
    return tag("svg", rect, middle, class_="bar", viewBox="0 0 100 14", preserveAspectRatio="none", aria_hidden="true")


def share_bar(value: float, most: float) -> Markup:
    """A bar from the left, as long as the value is of the most."""
    rect = tag("rect", x=0, y=2, width=f"{100 * min(1.0, value / most) if most else 0:.2f}", height=10, class_="share")
    return tag("svg", rect, class_="bar", viewBox="0 0 100 14", preserveAspectRatio="none", aria_hidden="true")


def signed_rows(caption: str, heads: Sequence[str], rows: Sequence[tuple[object, float, object]]) -> Markup:
    """A table of (name, signed number with its bar, more)."""
    most = max((abs(value) for _, value, _ in rows), default=0.0)
    body = (
        tag(
            "tr",
            tag("th", name, scope="row"),
            tag("td", data(float(value)), class_="number"),
            tag("td", bar(value, most)),
            tag("td", more),
        )
        for name, value, more in rows
    )
    first, second, last = heads
    head = (tag("th", first, scope="col"), tag("th", second, scope="col", class_="number"))
    tail = (tag("td"), tag("th", last, scope="col"))
    table = tag("table", tag("caption", caption, class_="unseen"), tag("thead", tag("tr", *head, *tail)), *body)
    return tag("div", table, class_="scroll", role="region", aria_label=caption, tabindex=0)


def figure(content: Markup, caption: object, **attributes: object) -> Markup:
    """A picture with its words."""
    return tag("figure", content, tag("figcaption", caption), **attributes)


def view(address: str, size: tuple[int, int], label: str, marks: Iterable[Markup] = (), **attributes: object) -> Markup:
    """A picture of that (height, width) with marks drawn on it in its own pixels."""
    height, width = size
    image = tag("image", href=address, width=width, height=height, class_="pixels")
    drawn = join([image, *marks])
    return tag("svg", drawn, viewBox=f"0 0 {width} {height}", class_="view", role="img", aria_label=label, **attributes)


def framed(xyxy: tuple[int, int, int, int]) -> Markup:
    """A frame around a box, its lines as wide on a small picture as on a large one."""
    left, top, right, bottom = xyxy
    rects = (
        tag("rect", x=left, y=top, width=right - left, height=bottom - top, class_=kind) for kind in ("under", "frame")
    )
    return join(rects)


def pixels_png(pixels: UInt8[ndarray, "h w c"], longest: int | None = None) -> bytes:
    """Pixels as they are, or reduced to so many on the longer side."""
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if longest is not None:
        picture.thumbnail((longest, longest))
    written = io.BytesIO()
    picture.save(written, "PNG", compress_level=1)
    return written.getvalue()
