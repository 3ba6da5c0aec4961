"""How figures look: colours that stand out from what they cover, soft patterns, light and shadow."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from numpy.random import Generator

__all__ = ["COLORS", "CONTRAST", "cast_shadow", "luma", "paint", "relief", "standing_out"]

CONTRAST = 64.0
"""Of 255: the least difference of luma between a figure's colour and the mean of what it covers."""

COLORS = {
    "disc": ((215, 35, 50), (255, 105, 97)),
    "ring": ((115, 60, 205), (185, 145, 255)),
    "square": ((30, 90, 225), (100, 165, 255)),
    "triangle": ((35, 135, 45), (130, 210, 80)),
    "star": ((190, 130, 0), (255, 205, 40)),
    "cross": ((0, 135, 130), (60, 215, 195)),
    "digit": ((28, 28, 32), (240, 240, 236)),
}
"""A dark and a light colour of each class. Hues tell classes apart, so that a small network learns them in a minute."""

JITTER = 12.0  # of a colour's channels
DEEPER = 15.0  # luma beyond what contrast asks for
LIGHTEST = 250.0
RELIEF = 14.0  # luma
SHADE = 0.4  # of the light, taken by a shadow

Pattern = Callable[[Float[ndarray, "h w"], Float[ndarray, "h w"]], Float[ndarray, "h w"]]


def luma(color: Float[ndarray, "3"]) -> float:
    """Brightness as television weighs it (ITU-R BT.601), 0 to 255."""
    return float(0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2])


def standing_out(kind: str, ground: float, rng: Generator) -> Float[ndarray, "3"]:
    """A shade of a class's dark or light colour, whichever is further from the ground's luma: CONTRAST away or more."""
    dark, light = (np.array(color, np.float64) for color in COLORS[kind])
    deeper = rng.uniform(0, DEEPER)
    jitter = rng.uniform(-JITTER, JITTER, 3)
    if ground < (luma(dark) + luma(light)) / 2:
        return _toned(light + jitter, min(LIGHTEST, max(luma(light), ground + CONTRAST) + deeper))
    return _toned(dark + jitter, max(0.0, min(luma(dark), ground - CONTRAST) - deeper))


def relief(rng: Generator, x: Float[ndarray, "h w"], y: Float[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    """Luma that a pattern of a figure's own plane adds: even, sloping, striped, checked or dotted."""
    pattern = PATTERNS[rng.integers(len(PATTERNS))]
    pitch, phase = rng.uniform(1.5, 3), rng.random()
    return RELIEF * pattern(pitch * x + phase, pitch * y + phase)


def cast_shadow(pixels: UInt8[ndarray, "h w 3"], distance: Float[ndarray, "h w"], blur: float) -> None:
    """Darken pixels by the soft shadow of a figure at these distances; both are in pixels."""
    light = 1 - SHADE * np.clip(0.5 - distance / blur, 0, 1)
    pixels[:] = np.rint(pixels * light[..., None])


def paint(
    pixels: UInt8[ndarray, "h w 3"],
    distance: Float[ndarray, "h w"],
    color: Float[ndarray, "3"],
    tone: Float[ndarray, "h w"],
) -> None:
    """Lay a colour, here lighter and there darker, over pixels; it covers `1/2 - distance` (in pixels) of each."""
    fill = np.clip(color + tone[..., None], 0, 255)
    coverage = np.clip(0.5 - distance, 0, 1)[..., None]
    pixels[:] = np.rint(pixels + (fill - pixels) * coverage)


def _toned(color: Float[ndarray, "3"], level: float) -> Float[ndarray, "3"]:
    """A colour mixed with black or white so that its luma is `level`."""
    color = np.clip(color, 1, 255)
    own = luma(color)
    return color * (level / own) if level < own else color + (255 - color) * ((level - own) / (255 - own))


def _wave(t: Float[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    """A soft square wave of period 1."""
    return np.clip(3 * (4 * np.abs(t - np.floor(t) - 0.5) - 1), -1, 1)


def _dots(x: Float[ndarray, "h w"], y: Float[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    right, down = x - np.floor(x) - 0.5, y - np.floor(y) - 0.5
    return np.clip(8 * (0.3 - np.sqrt(right * right + down * down)), -1, 1)


PATTERNS: tuple[Pattern, ...] = (
    lambda x, y: np.zeros_like(x),
    lambda x, y: np.clip(y / 2, -1, 1),
    lambda x, y: _wave(y),
    lambda x, y: _wave(x) * _wave(y),
    _dots,
)
