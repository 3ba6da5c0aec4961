"""Images through a network: whole, or in tiles where a memory would not hold what happens inside."""

import torch
from jaxtyping import UInt8
from torch import Tensor

from pellucid.machine import arithmetic
from pellucid.models.base import AbstractModel
from pellucid.preprocess import Preprocess
from pellucid.tasks.base import AbstractTask
from pellucid.types import Tile

__all__ = ["decoded", "tiles"]

WHOLE = 1 << 20
"""Network pixels up to which an image goes through at once."""
OWN = 512
MARGIN = 128
"""Sides of what a tile answers for, and of what it sees around that; multiples of 32, so that the cells of every
network lie where they would lie in the whole image."""


@torch.inference_mode()
def decoded(
    model: AbstractModel,
    task: AbstractTask,
    preprocess: Preprocess,
    pixels: UInt8[Tensor, "n c h w"],
    precision: str | None = None,
) -> dict[str, Tensor]:
    """Decoded outputs for network pixels, on the device that the model is on.

    An image of more than a megapixel goes through in tiles, if the network takes any size. They overlap by a quarter of
    their side: what lies further away than that from a pixel has next to no part in its outputs.
    """
    device = next(model.parameters()).device

    def at_once(part: UInt8[Tensor, "n c h2 w2"]) -> dict[str, Tensor]:
        images = preprocess.normalise(part.to(device)).contiguous(memory_format=torch.channels_last)
        with arithmetic(device, precision):
            outputs = model(images)
        return model.decode(outputs)

    height, width = pixels.shape[2:]
    if preprocess.one_size or height * width <= WHOLE:
        return at_once(pixels)
    layout = tiles(height, width)
    seen = (tile.seen for tile in layout)
    parts = (at_once(pixels[:, :, top:bottom, left:right]) for top, left, bottom, right in seen)
    return task.assemble(parts, layout, (height, width))


def tiles(height: int, width: int) -> list[Tile]:
    """Tiles of an image, row by row."""
    found = []
    for top in range(0, height, OWN):
        for left in range(0, width, OWN):
            own = (top, left, min(height, top + OWN), min(width, left + OWN))
            before = (max(0, top - MARGIN), max(0, left - MARGIN))
            after = (min(height, own[2] + MARGIN), min(width, own[3] + MARGIN))
            found.append(Tile(seen=(*before, *after), own=own))
    return found
