"""Signed maps as pictures of few bytes: one PNG, tile under tile, on the diverging scale of a theme."""

import io
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image

from pellucid.report.markup import Markup, tag

__all__ = [
    "INKS",
    "SCALES",
    "clear_png",
    "clear_tile",
    "colors_of",
    "on_one_scale",
    "sprite_png",
    "stacked",
    "thumbnail",
    "tile",
]

SCALES = {
    "light": "2a69b4 5f8cc6 90afd7 c2d2e7 f5f5f5 e3cbbc cfa284 b9794b 9f5104",
    "dark": "91c1fe 6593ce 4b688c 323f50 1b1b1b 4d3a2d 845c40 c07f52 ffa565",
}
"""Nine colours from -1 to +1 of equal lightness at equal size, those of the page Arithmetic."""
INKS = ((95, 140, 198), (185, 121, 75))
"""Blue and orange that stand out on a light ground and on a dark one: those at -0.75 and +0.75 of the light scale."""
HALF = 100
"""Steps on either side of zero."""


def colors_of(theme: str) -> UInt8[ndarray, "201 3"]:
    """The colour of every step from -1 to +1, linear between the nine."""
    stops = np.array([[int(stop[at : at + 2], 16) for at in (0, 2, 4)] for stop in SCALES[theme].split()])
    places = np.linspace(0, len(stops) - 1, 2 * HALF + 1)
    channels = (np.interp(places, np.arange(len(stops)), stops[:, channel]) for channel in range(3))
    return np.rint(np.stack(list(channels), axis=1)).astype(np.uint8)


def stacked(planes: Sequence[Float[ndarray, "h w"]], limits: Sequence[float]) -> UInt8[ndarray, "nh w"]:
    """Planes of one size as steps, each from minus to plus its limit."""
    steps = (
        np.rint(HALF * np.clip(plane / (limit or 1.0), -1, 1)) for plane, limit in zip(planes, limits, strict=True)
    )
    return (np.concatenate(list(steps)) + HALF).astype(np.uint8)


def on_one_scale(planes: Float[ndarray, "n h w"]) -> UInt8[ndarray, "nh w"]:
    """Planes as steps from minus to plus the largest size of all."""
    return stacked(list(planes), [float(abs(planes).max())] * len(planes))


def sprite_png(steps: UInt8[ndarray, "h w"], theme: str) -> bytes:
    """The steps as a PNG with the colours of the theme as its palette."""
    picture = Image.frombytes("P", steps.shape[::-1], steps.tobytes())
    picture.putpalette(colors_of(theme).tobytes())
    written = io.BytesIO()
    picture.save(written, "PNG", compress_level=1)
    return written.getvalue()


def clear_png(steps: UInt8[ndarray, "h w"]) -> bytes:
    """The steps as a PNG for either theme: two inks, and the nearer to zero, the more of the ground shines through."""
    picture = Image.frombytes("P", steps.shape[::-1], steps.tobytes())
    picture.putpalette(bytes(INKS[0]) * HALF + bytes(INKS[1]) * (HALF + 1))
    written = io.BytesIO()
    opacity = np.rint(255 * np.abs(np.arange(-HALF, HALF + 1)) / HALF).astype(np.uint8)
    picture.save(written, "PNG", compress_level=1, transparency=opacity.tobytes())
    return written.getvalue()


def thumbnail(plane: Float[ndarray, "h w"], side: int) -> Float[ndarray, "side side"]:
    """The plane as a square of so many numbers, each that of the nearest place."""
    rows, columns = ((2 * np.arange(side) + 1) * size // (2 * side) for size in plane.shape)
    return plane[np.ix_(rows, columns)]


def tile(address: str, at: int, count: int, size: tuple[int, int], label: str, marks: Iterable[Markup] = ()) -> Markup:
    """Tile `at` of a sprite of `count` tiles of that (height, width); `address` is that of the sprite without theme.

    An SVG cuts it out, and scales it without smoothing; the style sheet shows the picture of the theme. Marks are drawn
    on it, a number of the map being the unit.
    """
    height, width = size
    pictures = (
        tag(
            "image",
            href=f"{address}{'&' if '?' in address else '?'}theme={theme}",
            y=-at * height,
            width=width,
            height=height * count,
            class_=f"on-{theme}",
            preserveAspectRatio="none",
        )
        for theme in SCALES
    )
    named = {"role": "img", "aria_label": label} if label else {"aria_hidden": "true"}
    return tag("svg", *pictures, *marks, viewBox=f"0 0 {width} {height}", class_="tile", **named)


def clear_tile(address: str, at: int, count: int, side: int) -> Markup:
    """The same of a square tile of a sprite that `clear_png` made; it says nothing that does not stand beside it."""
    picture = tag("image", href=address, y=-at * side, width=side, height=side * count, preserveAspectRatio="none")
    return tag("svg", picture, viewBox=f"0 0 {side} {side}", class_="tile", aria_hidden="true")
