"""Pictures inside the page: small ones exactly as they are, large ones as reduced copies."""

import base64
import io

import numpy as np
from PIL import Image

from pellucid.panels import Picture
from pellucid.report.markup import Markup, tag

__all__ = ["data_uri", "draw_picture"]

SHOWN = 112  # pixels a picture's longer side takes up on the page at least
KEPT = 224  # longer sides are reduced to this: enough for a sharp picture on a fine screen
COMPARED = 384  # and those of views that are compared to this
EXACT_BYTES = 12_000  # a PNG up to this size is kept, without any loss


def draw_picture(picture: Picture) -> Markup:
    """A figure with the views of a picture, its caption and the name of its file."""
    about = f"{picture.caption} ({picture.name})"
    name = tag("bdi", picture.name, class_="file", title=picture.name)
    caption = tag("figcaption", tag("bdi", picture.caption), name)
    if len(picture.views) == 1:
        return tag("figure", _image(picture.views[0][1], about), caption)
    views = (
        tag("div", _image(pixels, f"{view}: {about}", COMPARED), tag("span", view)) for view, pixels in picture.views
    )
    return tag("figure", tag("div", *views, class_="views"), caption, class_="compared")


def _image(pixels: np.ndarray, alt: str, kept: int = KEPT) -> Markup:
    height, width = pixels.shape[:2]
    factor = _enlargement(max(height, width))
    return tag(
        "img",
        src=data_uri(pixels, kept),
        alt=alt,
        width=round(width * factor),
        height=round(height * factor),
        class_="pixels" if factor > 1 else None,
    )


def _enlargement(side: int) -> float:
    """Whole times for network pixels, so that each stays a square; a reduction for photos."""
    return max(1, round(SHOWN / side)) if side <= SHOWN else SHOWN / side


def data_uri(pixels: np.ndarray, kept: int = KEPT) -> str:
    """uint8 H W C as the text of an image: PNG where that is small, else a reduced JPEG."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((kept, kept))
    exact = _encode(image, "PNG", optimize=True)
    if len(exact) <= EXACT_BYTES:
        return _uri("png", exact)
    return _uri("jpeg", _encode(image.convert("RGB"), "JPEG", quality=85, optimize=True))


def _encode(image: Image.Image, kind: str, *, optimize: bool, quality: int = 75) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, optimize=optimize, quality=quality)
    return buffer.getvalue()


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
