"""What a unit sees, drawn on the photo: its box, its effective square, and the share of every pixel."""

import base64
import io
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageDraw

from pellucid.drawing import legend
from pellucid.errors import UsageError
from pellucid.files import write_atomic
from pellucid.image import write_image
from pellucid.inspection.effective import MASS
from pellucid.inspection.heat import ABOVE, BELOW, heat_picture
from pellucid.inspection.picture import drawing, squares
from pellucid.inspection.seeing import Looked

__all__ = ["field_picture", "write_field"]

CELLS = 24
"""Squares along the longer side whose shares are drawn: those of neighbouring pixels differ too much to be seen."""


def write_field(path: str | Path, looked: Looked) -> None:
    """A .png with a legend, or an .svg with a title."""
    path = Path(path)
    picture = field_picture(looked)
    entries = [(looked.text().splitlines()[0], BELOW.astype(np.uint8))]
    if looked.effective is not None:
        told = f"{MASS:.0%} of the gradient: a square of {looked.effective.side()} pixels"
        entries.append((told, ABOVE.astype(np.uint8)))
    match path.suffix.lower():
        case ".png":
            write_image(path, legend(picture, entries))
        case ".svg":
            whole = legend(picture, entries)
            height, width = whole.shape[:2]
            image = f'<image width="{width}" height="{height}" href="{_uri(whole)}"/>'
            write_atomic(path, drawing((width, height), looked.text(), [image]))
        case _:
            raise UsageError(f"--out {path}: a field is drawn as .png or .svg. Give a name with one of these.")


def field_picture(looked: Looked) -> UInt8[ndarray, "h w 3"]:
    """The network's view without colour under the shares of its pixels, and two outlines."""
    if looked.pixels is None or looked.effective is None:
        raise UsageError("A field is drawn on a photo. Give --image, or --data, and a model with weights.")
    step = max(1, round(max(looked.pixels.shape[:2]) / CELLS))
    shares = squares(looked.effective.share[None], step)
    picture = Image.fromarray(heat_picture(looked.pixels, shares))
    factor = picture.width / looked.pixels.shape[1]
    row, column = looked.effective.centre
    half = looked.effective.side() / 2
    brush = ImageDraw.Draw(picture)
    outlines = [((column + 0.5 - half, row + 0.5 - half, column + 0.5 + half, row + 0.5 + half), ABOVE)]
    outlines += [] if looked.box is None else [(looked.box, BELOW)]
    for (left, top, right, bottom), ink in outlines:
        corners = [factor * left, factor * top, factor * right - 1, factor * bottom - 1]
        limits = (picture.width - 1, picture.height - 1) * 2
        places = [min(max(0, one), limit) for one, limit in zip(corners, limits, strict=True)]
        brush.rectangle(places, outline=tuple(ink.tolist()), width=3)
    return np.asarray(picture)


def _uri(picture: UInt8[ndarray, "h w 3"]) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
