"""How large the objects of a dataset are where the network sees them, to be compared with what its units see."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from pellucid.data.boxes import Boxes
from pellucid.data.cache import Decoded
from pellucid.data.masks import IGNORE
from pellucid.errors import UsageError

__all__ = ["object_sides"]


def object_sides(images: Decoded, classes: tuple[str, ...]) -> tuple[Float[ndarray, " objects"], str]:
    """The longer side of every object in network pixels, and what an object is here.

    Of boxes, those that are learnt. Of masks, the extent of each class in each image, but for the first class where
    that is the background.
    """
    if isinstance(images.records[0].label, Boxes):
        return np.array([side for at in range(len(images.records)) for side in _boxes(images, at)]), "boxes"
    if images.marks.shape[1]:
        ground = classes[0].casefold() == "background"
        sides = [side for at in range(len(images.records)) for side in _regions(images, at, ground=ground)]
        return np.array(sides), "classes in an image"
    raise UsageError("Fields are compared with the sizes of objects, which images with one label each do not say.")


def _boxes(images: Decoded, at: int) -> list[float]:
    down, across = images.frames([at])[0].scale
    boxes = [box for box in images.records[at].label if not box.ignored]
    return [max((box.xyxy[3] - box.xyxy[1]) * down, (box.xyxy[2] - box.xyxy[0]) * across) for box in boxes]


def _regions(images: Decoded, at: int, *, ground: bool) -> list[float]:
    mask = images.pixels.one(at)[1]
    assert mask is not None
    frame = images.frames([at])[0]
    factors = [inner / side for inner, side in zip(frame.network, mask.shape, strict=True)]
    found = []
    for label in np.unique(mask).tolist():
        if label != IGNORE and not (ground and label == 0):
            sides = (np.flatnonzero((mask == label).any(axis=axis)) for axis in (1, 0))
            found.append(max(float((one[-1] - one[0] + 1) * f) for one, f in zip(sides, factors, strict=True)))
    return found
