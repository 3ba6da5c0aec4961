"""What scenes are made of, as scikit-learn brings it along: two photographs and 1,797 handwritten digits (UCI)."""

import functools
from types import ModuleType

import numpy as np
from jaxtyping import Int, UInt8
from numpy import ndarray
from numpy.random import Generator
from PIL import Image

from pellucid.errors import UsageError

__all__ = ["backdrop", "digits", "photos"]

LEAST_SHARE = 0.35  # of the largest window of the scene's proportions
DIM, BRIGHT = (55.0, 105.0), (155.0, 195.0)  # mean levels: colours stand out on either
FLAT, FULL = 0.45, 0.8  # shares of a photograph's own contrast


@functools.cache
def photos() -> tuple[Image.Image, ...]:
    """A palace by a lake and a dahlia, 640x427 RGB."""
    return tuple(Image.fromarray(pixels) for pixels in _datasets().load_sample_images().images)


@functools.cache
def digits() -> Int[ndarray, "n 8 8"]:
    """Ink from 0 to 16."""
    return _datasets().load_digits().images.astype(np.int64)


def backdrop(rng: Generator, size: tuple[int, int]) -> UInt8[ndarray, "h w 3"]:
    """A window of a photograph at a size (height, width), perhaps mirrored, dim or bright, and of less contrast."""
    photo = photos()[rng.integers(len(photos()))]
    window = _window(rng, photo, size)
    pixels = np.asarray(photo.resize(size[::-1], Image.Resampling.BICUBIC, window))
    pixels = pixels[:, :: rng.choice([-1, 1])]
    level = rng.uniform(*(DIM if rng.random() < 0.5 else BRIGHT))
    levels = level + rng.uniform(FLAT, FULL) * (np.arange(256) - pixels.mean())
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)[pixels]


def _window(rng: Generator, photo: Image.Image, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """xyxy in the photograph, in whole pixels, of the proportions of `size`."""
    height, width = size
    scale = min(photo.height / height, photo.width / width) * rng.uniform(LEAST_SHARE, 1)
    rows, columns = max(1, int(scale * height)), max(1, int(scale * width))
    top, left = int(rng.integers(photo.height - rows + 1)), int(rng.integers(photo.width - columns + 1))
    return left, top, left + columns, top + rows


def _datasets() -> ModuleType:
    try:
        import sklearn.datasets
    except ImportError as error:
        raise UsageError(
            "The photographs and digits of scenes come with scikit-learn: pip install 'pellucid[demo]'."
        ) from error
    return sklearn.datasets
