"""A figure: a shape of some class, drawn at random, and the pixels that it changes."""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from numpy.random import Generator

from pellucid.scenes.shapes import SHAPES, Distance, digit
from pellucid.scenes.sources import digits

__all__ = ["KINDS", "Figure", "Patch", "draw_figure"]

KINDS = (*SHAPES, "digit")

SMALLEST, LARGEST = 0.14, 0.28  # radius, of the picture's shorter side
LEAST_RADIUS = 3.5  # pixels
INSIDE = 0.7  # radii, from a centre to the border at least
TILT = 0.12  # of digits: the tangent of half the angle
REACH = 1.15  # radii, and two pixels: nothing of a figure is farther from its centre
FALL = 0.07  # radii, of a shadow to the right and down


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """The part (rows, columns) of a picture that a figure changes.

    Of its pixels' centres: `x` and `y` in the figure's own plane and `fall` to the lower right, in radii; the distances
    to the figure and to its shadow, in pixels.
    """

    part: tuple[slice, slice]
    x: Float[ndarray, "h w"]
    y: Float[ndarray, "h w"]
    fall: Float[ndarray, "h w"]
    distance: Float[ndarray, "h w"]
    shadow: Float[ndarray, "h w"]

    @property
    def mask(self) -> Bool[ndarray, "h w"]:
        """The pixels whose centre lies in the figure: those of which it covers a half or more."""
        return self.distance <= 0


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """A shape at a centre (y, x) and of a radius in pixels, turned by an angle given as (cosine, sine)."""

    kind: str
    shape: Distance
    center: tuple[float, float]
    radius: float
    turn: tuple[float, float]

    def patch(self, size: tuple[int, int]) -> Patch:
        """Where the figure lies in a picture of this size; its shadow has its distances, moved by whole pixels."""
        shift = max(1, round(FALL * self.radius))
        (top, bottom), (left, right) = (self._reach(axis, size[axis], shift) for axis in (0, 1))
        down = self._radii(0, top - shift, bottom)[:, None]
        across = self._radii(1, left - shift, right)
        cosine, sine = self.turn
        x, y = cosine * across + sine * down, cosine * down - sine * across
        distance = self.radius * self.shape(x, y)
        own, cast = np.s_[shift:, shift:], np.s_[:-shift, :-shift]
        part = np.s_[top:bottom, left:right]
        return Patch(part, x[own], y[own], (across + down)[own], distance[own], distance[cast])

    def _reach(self, axis: int, side: int, shift: int) -> tuple[int, int]:
        """The first pixel along an axis that may change, and the one after the last."""
        reach = REACH * self.radius + 2
        return max(0, math.floor(self.center[axis] - reach)), min(side, math.ceil(self.center[axis] + reach) + shift)

    def _radii(self, axis: int, start: int, stop: int) -> Float[ndarray, " pixels"]:
        """How far the centres of these pixels are from the figure's along an axis."""
        return (np.arange(start, stop) + 0.5 - self.center[axis]) / self.radius


def draw_figure(rng: Generator, size: tuple[int, int]) -> Figure:
    """A figure of any kind, at any place where its centre is well inside a picture of this size."""
    kind = KINDS[rng.integers(len(KINDS))]
    radius = max(LEAST_RADIUS, min(size) * rng.uniform(SMALLEST, LARGEST))
    y, x = (rng.uniform(INSIDE * radius, side - INSIDE * radius) for side in size)
    if kind in SHAPES:
        return Figure(kind, SHAPES[kind], (y, x), radius, _turn(rng.uniform(-1, 1)))
    written = digits()[rng.integers(len(digits()))]
    return Figure(kind, partial(digit, written), (y, x), radius, _turn(rng.uniform(-TILT, TILT)))


def _turn(tilt: float) -> tuple[float, float]:
    """Cosine and sine of the angle whose half has this tangent, without a function that rounds as it likes."""
    square = tilt * tilt
    return (1 - square) / (1 + square), 2 * tilt / (1 + square)
