"""Candidate boxes drawn on their photo, each saying what became of it when pointed at."""

from html import escape

from jaxtyping import UInt8
from numpy import ndarray

from pellucid.inspection.candidates import Candidate, Candidates
from pellucid.inspection.picture import drawing
from pellucid.report.pictures import data_uri

__all__ = ["boxes_svg"]

KEPT, OTHER, OBJECT = "#9f5104", "#2a69b4", "#0a7a55"
STYLE = {
    "kept": (KEPT, 3.0, ""),
    "suppressed": (OTHER, 1.2, "5 3"),
    "low": (OTHER, 0.8, "1 3"),
    "cut": (OTHER, 0.8, "1 3"),
}
WIDTH = 720
"""Of the drawing, whatever the photo's."""
PHOTO = 400
"""Pixels of the longer side of the photo in it."""
DRAWN = 300
"""Candidates that are drawn, the surest of them."""


def boxes_svg(found: Candidates, photo: UInt8[ndarray, "h w c"]) -> str:
    """Kept boxes in orange, those they suppressed dashed in blue, objects that are there in green with their points."""
    height, width = photo.shape[:2]
    scale = WIDTH / width
    image = f'<image width="{WIDTH}" height="{height * scale:.1f}" opacity="0.75" href="{data_uri(photo, PHOTO)}"/>'
    marks = [image]
    marks += [
        _rect(one.xyxy, scale, (OBJECT, 2.0, ""), f"object {at}: {one.label}") for at, one in enumerate(found.objects)
    ]
    order = sorted(range(min(DRAWN, len(found.rows))), key=lambda at: (found.rows[at].fate == "kept", -at))
    marks += [_rect(found.rows[at].xyxy, scale, STYLE[found.rows[at].fate], found.told(at)) for at in order]
    marks += [_tab(at, row, scale) for at, row in enumerate(found.rows) if row.fate == "kept"]
    return drawing((WIDTH, round(height * scale)), f"{len(found.rows)} candidate boxes", marks)


def _rect(xyxy: tuple[float, ...], scale: float, style: tuple[str, float, str], said: str) -> str:
    left, top, right, bottom = (value * scale for value in xyxy)
    color, line, dashes = style
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}" fill="#fff" '
        f'fill-opacity="0" stroke="{color}" stroke-width="{line}"{dashed}><title>{escape(said)}</title></rect>'
    )


def _tab(at: int, row: Candidate, scale: float) -> str:
    """The number of the row in the table beside."""
    left, top = row.xyxy[0] * scale, row.xyxy[1] * scale
    text = f"#{at}"
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{9 * len(text) + 8}" height="18" fill="{KEPT}"/>'
        f'<text x="{left + 4:.1f}" y="{top + 14:.1f}" fill="#fff">{text}</text>'
    )
