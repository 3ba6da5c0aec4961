"""A scene: figures laid over a backdrop one after the other, the class of every pixel and a box around every figure."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from numpy.random import Generator

from pellucid.errors import UsageError
from pellucid.scenes.figures import KINDS, Figure, Patch, draw_figure
from pellucid.scenes.paint import cast_shadow, luma, paint, relief, standing_out
from pellucid.scenes.sources import backdrop

__all__ = ["CLASSES", "MOST", "SMALLEST_SIDE", "Instance", "Scene", "scene"]

CLASSES = ("background", *KINDS)
SMALLEST_SIDE = 16

MOST = 8  # figures
TRIES = 3  # for each of them
LEAST_AREA = 12  # pixels
SEEN = 0.4  # of every figure's pixels
BLUR = 0.12  # radii, of a shadow's edge
SUN = 8.0  # luma a radius, falling from the upper left


@dataclass(frozen=True, slots=True)
class Instance:
    """A figure: its class index, the `xyxy` box of its visible pixels (half-open), and their number."""

    label: int
    box: tuple[int, int, int, int]
    area: int


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture and what is in it.

    `labels` are indices into CLASSES. `owners` say whose a pixel is: 0 is background, i is `instances[i - 1]`. Later
    instances lie in front of earlier ones.
    """

    pixels: UInt8[ndarray, "h w 3"]
    labels: UInt8[ndarray, "h w"]
    owners: UInt8[ndarray, "h w"]
    instances: tuple[Instance, ...]


def scene(seed: int, size: tuple[int, int], index: int = 0, *, most: int = MOST) -> Scene:
    """Scene `index` of a seed at a size (height, width): the same arguments give the same bytes.

    It has 1 to `most` figures, of each of which at least 40 % can be seen. A pixel is a figure's when its centre lies
    in the shape, which is where half of it or more is painted. Boxes, areas and shares are of what lies in the picture.
    """
    if min(size) < SMALLEST_SIDE:
        raise UsageError(f"A scene cannot be {size[0]}x{size[1]} pixels: both sides are {SMALLEST_SIDE} or more.")
    if min(seed, index) < 0:
        raise UsageError(f"There is no scene {index} of seed {seed}: both are 0 or more.")
    if not 1 <= most <= MOST:
        raise UsageError(f"A scene of at most {most} figures: it has room for 1 to {MOST}.")
    rng = np.random.default_rng([seed, index])
    pixels, owners = backdrop(rng, size), np.zeros(size, np.uint8)
    labels = [0]
    areas, visible = np.array([0]), np.array([owners.size])
    wanted = int(rng.integers(1, most + 1))
    for _ in range(TRIES * wanted):
        figure = draw_figure(rng, size)
        patch = figure.patch(size)
        beneath = owners[patch.part]
        lost = np.bincount(beneath[patch.mask], minlength=len(labels))
        area = lost.sum()
        if area >= LEAST_AREA and (visible - lost >= SEEN * areas).all():
            _lay(pixels[patch.part], figure, patch, rng)
            beneath[patch.mask] = len(labels)
            labels.append(CLASSES.index(figure.kind))
            areas, visible = np.append(areas, area), np.append(visible - lost, area)
        if len(labels) > wanted:
            break
    instances = tuple(_instance(label, owners == at) for at, label in enumerate(labels) if at)
    return Scene(pixels, np.array(labels, np.uint8)[owners], owners, instances)


def _lay(pixels: UInt8[ndarray, "h w 3"], figure: Figure, patch: Patch, rng: Generator) -> None:
    """Paint a figure and its shadow over a part of the picture."""
    ground = luma(pixels[patch.mask].mean(axis=0))
    color = standing_out(figure.kind, ground, rng)
    tone = relief(rng, patch.x, patch.y) - SUN * patch.fall
    cast_shadow(pixels, patch.shadow, blur=1 + BLUR * figure.radius)
    paint(pixels, patch.distance, color, tone)


def _instance(label: int, mask: ndarray) -> Instance:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return Instance(label, box, int(mask.sum()))
