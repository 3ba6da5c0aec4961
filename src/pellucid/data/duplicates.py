"""Images that are the same, and images that look the same, among very many without comparing all pairs.

Every image becomes a thumbnail of block means. Where it lies along the directions in which the thumbnails of this
dataset vary most is cut into cells, several times with shifted borders; only images that share a cell are compared,
by correlation, so that another size, compression or brightness makes no difference.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Thumbnail", "equal_groups", "likeness_pairs", "thumbnail"]

THUMB = 16
GRIDS = 4
CELL = 0.12  # of unit vectors; a pair that correlates by 0.998 lies 0.06 apart, in all directions together
AXES = 12
FULLEST = 256

# Correlation of thumbnails. A photo that was compressed at quality 60 or scaled by 3/4 keeps 0.998 and more; of
# 8,568 CIFAR-10 images none comes nearer than 0.993 to another, of Fashion-MNIST's 3 in 1,000 pass.
ALIKE = 0.997
FLAT = 3.0  # standard deviation in grey levels below which there is nothing to compare
TINT_APART = 24.0  # grey levels between mean tints: the same shirt in another colour is another image

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Thumbnail:
    """An image for comparing: the mean grey of 16 x 16 blocks (0..255), and its mean colour (3 channels)."""

    grey: NDArray[np.float16]
    color: Floats


def thumbnail(pixels: NDArray[np.uint8]) -> Thumbnail:
    """The thumbnail of an image, uint8 H W C; a grey one has three equal channels."""
    height, width = pixels.shape[:2]
    rows, columns = np.arange(THUMB) * height // THUMB, np.arange(THUMB) * width // THUMB
    sums = np.add.reduceat(pixels, rows, axis=0, dtype=np.uint32)
    sums = np.add.reduceat(sums, columns, axis=1)
    areas = np.outer(_lengths(rows, height), _lengths(columns, width))[..., None]
    blocks = (sums / areas).astype(np.float32)
    color = np.broadcast_to(blocks.mean(axis=(0, 1)), 3)
    return Thumbnail(blocks.mean(axis=2).astype(np.float16), color)


def _lengths(starts: NDArray[np.int_], end: int) -> NDArray[np.int_]:
    """Pixels in each block; one where an image has fewer pixels than there are blocks."""
    return np.maximum(np.diff(starts, append=end), 1)


def equal_groups(keys: Sequence[bytes]) -> list[list[int]]:
    """Positions with the same key, for every key that stands more than once."""
    groups: dict[bytes, list[int]] = {}
    for at, key in enumerate(keys):
        groups.setdefault(key, []).append(at)
    return [group for group in groups.values() if len(group) > 1]


def likeness_pairs(thumbs: Sequence[Thumbnail]) -> list[tuple[int, int]]:
    """Pairs of positions (i < j) whose thumbnails look alike."""
    if len(thumbs) < 2:
        return []
    grey = np.stack([thumb.grey for thumb in thumbs]).astype(np.float32)
    colors = np.stack([thumb.color for thumb in thumbs])
    tints = colors * (128 / np.maximum(colors.mean(axis=1, keepdims=True), 16))  # of equal brightness
    vivid = np.flatnonzero(grey.std(axis=(1, 2)) >= FLAT)
    vectors = grey.reshape(len(grey), -1)
    vectors -= vectors.mean(axis=1, keepdims=True)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    places = _places(vectors)
    pairs: set[tuple[int, int]] = set()
    for grid in range(GRIDS):
        for bucket in _buckets(vivid, _cells(places, grid), 0):
            alike = np.triu(vectors[bucket] @ vectors[bucket].T >= ALIKE, 1)
            for left, right in bucket[np.argwhere(alike)].tolist():
                if np.abs(tints[left] - tints[right]).max() <= TINT_APART:
                    pairs.add((min(left, right), max(left, right)))
    return sorted(pairs)


def _places(vectors: Floats) -> Floats:
    """Where unit vectors lie along the directions in which they vary most, the strongest first, N 12."""
    centered = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centered.T @ centered)
    places: Floats = vectors @ directions[:, : -AXES - 1 : -1]
    return places


def _cells(places: Floats, grid: int) -> NDArray[np.int64]:
    """The cell of every place along every axis; each grid has its borders elsewhere, and on no two axes alike."""
    shifts = (np.arange(AXES) * 0.618 + grid / GRIDS) % 1
    return np.floor(places / CELL + shifts).astype(np.int64)


def _buckets(members: NDArray[np.int_], cells: NDArray[np.int64], axis: int) -> Iterator[NDArray[np.int_]]:
    """Groups of images that share a cell on the first axes; groups that are too full are divided by further axes."""
    if len(members) < 2:
        return
    if len(members) <= FULLEST or axis == AXES:
        yield from (members[start : start + FULLEST] for start in range(0, len(members), FULLEST))
        return
    order = members[np.argsort(cells[members, axis], kind="stable")]
    for group in np.split(order, np.flatnonzero(np.diff(cells[order, axis])) + 1):
        yield from _buckets(group, cells, axis + 1)
