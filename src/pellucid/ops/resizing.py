"""Resizing of images in bytes: torch's antialiased bilinear, whose arithmetic is integer, to the same bits in NumPy.

What `torch.nn.functional.interpolate(…, mode="bilinear", antialias=True)` does to uint8 (ATen, UpSampleKernel.cpp):
first along rows, then along columns, with uint8 in between. A new pixel is a weighted sum of the old ones around it,
`(Σ w·pixel + 2^(p-1)) >> p`, where `w` are whole numbers, the triangle's weights times 2^p, and p is the greatest for
which all of them fit 16 bits.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

__all__ = ["resize"]

BLOCK = 8
"""New pixels that are computed in one matrix product: of more, the matrix is mostly zeros, of fewer, calls take longer
than arithmetic."""
BAND = 128
"""Rows that are worked on at once, so that they stay in the processor's cache."""
MOST_PLACES = 22
WEIGHT_LIMIT = 1 << 15
FLOAT32_PLACES = 16
"""With as many, `Σ w·pixel` stays below 2^24, up to which float32 holds every whole number."""


def resize(photo: UInt8[ndarray, "h w c"], size: tuple[int, int]) -> UInt8[ndarray, "rows columns c"]:
    """The photo in (rows, columns)."""
    height, width, channels = photo.shape
    rows, columns = size
    if columns != width:
        wide = _resized_rows(photo.reshape(height, -1), width, columns, channels)
        photo = wide.reshape(height, columns, channels)
    if rows != height:
        photo = _resized_columns(photo.reshape(height, -1), rows).reshape(rows, columns, channels)
    return photo


def _resized_rows(
    pixels: UInt8[ndarray, "h wide"], width: int, columns: int, channels: int
) -> UInt8[ndarray, "h columns"]:
    """Along each row, where the channels of a pixel lie side by side: each takes part in its own sums."""
    resized = np.empty((len(pixels), columns * channels), np.uint8)
    blocks = [
        (_times(new, channels), _times(old, channels), _interleaved(weights, channels))
        for new, old, weights in _blocks(width, columns)
    ]
    dtype = blocks[0][2].dtype
    for start in range(0, len(pixels), BAND):
        band = pixels[start : start + BAND].astype(dtype)
        sums = np.empty((len(band), resized.shape[1]), dtype)
        for new, old, matrix in blocks:
            np.matmul(band[:, old], matrix, out=sums[:, new])
        resized[start : start + BAND] = _rounded(sums)
    return resized


def _times(places: slice, channels: int) -> slice:
    return slice(places.start * channels, places.stop * channels)


def _interleaved(weights: Float[ndarray, "rows taps"], channels: int) -> Float[ndarray, "n m"]:
    """From values of pixels to sums, both with their channels side by side: zero between two channels."""
    rows, taps = weights.shape
    matrix = np.zeros((taps, channels, rows, channels), weights.dtype)
    for channel in range(channels):
        matrix[:, channel, :, channel] = weights.T
    return matrix.reshape(taps * channels, rows * channels)


def _resized_columns(pixels: UInt8[ndarray, "h w"], rows: int) -> UInt8[ndarray, "rows w"]:
    resized = np.empty((rows, pixels.shape[1]), np.uint8)
    for new, old, weights in _blocks(len(pixels), rows):
        resized[new] = _rounded(weights @ pixels[old].astype(weights.dtype))
    return resized


def _rounded(sums: Float[ndarray, "n m"]) -> Float[ndarray, "n m"]:
    """Half up, once they are cut to whole numbers. None is above 255.5: weights err by a half of 2^-p each."""
    return np.add(sums, 0.5, out=sums)


def _blocks(old: int, new: int) -> Iterator[tuple[slice, slice, Float[ndarray, "rows taps"]]]:
    """Some new pixels, the old ones that they see, and the weights of all, divided by 2^p: sums of products of them
    are exact in their dtype in any order, and by any fused arithmetic."""
    firsts, weights, places = _weights(old, new)
    dtype = np.float32 if places <= FLOAT32_PLACES else np.float64
    weights = (weights * 2.0**-places).astype(dtype)
    taps = weights.shape[1]
    for start in range(0, new, BLOCK):
        block = slice(start, min(start + BLOCK, new))
        columns = firsts[block, None] - firsts[start] + np.arange(taps)
        matrix = np.zeros((len(columns), columns[-1, -1] + 1), dtype)
        np.put_along_axis(matrix, columns, weights[block], axis=1)
        seen = slice(int(firsts[start]), min(int(firsts[start]) + matrix.shape[1], old))
        yield block, seen, matrix[:, : seen.stop - seen.start]


def _weights(old: int, new: int) -> tuple[ndarray, Float[ndarray, "new taps"], int]:
    """Of each new pixel the first old one it sees and the weights from there on, whole numbers; and p."""
    scale = old / new
    support = max(scale, 1.0)
    middles = scale * (np.arange(new) + 0.5)
    firsts = np.maximum((middles - support + 0.5).astype(np.int64), 0)
    lasts = np.minimum((middles + support + 0.5).astype(np.int64), old)
    seen = firsts[:, None] + np.arange((lasts - firsts).max())
    shares = np.maximum(1 - np.abs((seen - middles[:, None] + 0.5) * (1 / support)), 0)
    shares *= seen < lasts[:, None]
    shares /= shares.sum(axis=1, keepdims=True)
    places, most = 0, shares.max()
    while places < MOST_PLACES and int(0.5 + most * 2 ** (places + 1)) < WEIGHT_LIMIT:
        places += 1
    return firsts, np.floor(shares * 2**places + 0.5), places
