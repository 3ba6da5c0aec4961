"""The self-test of an exported file: images that arithmetic makes anew anywhere, and what they must give.

Of an image, the value at row y, column x, channel c of number n of a batch is
`(y·y·(seed + 2) + x·x·(seed + 5) + x·y·(c + 1) + 64·c + 31·n) // 16 mod 256`: rings and stripes that grow finer
towards one corner, in whole numbers, so that no library's random numbers or rounding are needed.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.preprocess import Preprocess
from pellucid.runtime.agreement import Results

__all__ = ["CASES", "RULE", "described", "expected_of", "generated", "pixels_digest"]

RULE = "(y*y*(seed+2) + x*x*(seed+5) + x*y*(c+1) + 64*c + 31*n) // 16 % 256"
CASES: tuple[Mapping[str, int], ...] = (
    {"images": 1, "height": 48, "width": 64, "seed": 0},
    {"images": 3, "height": 61, "width": 33, "seed": 1},
    {"images": 2, "height": 17, "width": 120, "seed": 4},
)
"""Batches of one, three and two; upright, wide and very wide."""


def generated(case: Mapping[str, Any]) -> UInt8[ndarray, "n h w 3"]:
    """The images of a case."""
    n, y, x, c = np.ogrid[: case["images"], : case["height"], : case["width"], :3]
    seed = case["seed"]
    values = (y * y * (seed + 2) + x * x * (seed + 5) + x * y * (c + 1) + 64 * c + 31 * n) // 16 % 256
    return values.astype(np.uint8)


def packed(array: ndarray) -> dict[str, Any]:
    """An array as JSON holds it: little-endian bytes in base 64."""
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    data = base64.b64encode(plain.tobytes()).decode()
    return {"dtype": plain.dtype.str, "shape": list(plain.shape), "data": data}


def unpacked(value: Mapping[str, Any]) -> ndarray:
    """The array that was packed."""
    return np.frombuffer(base64.b64decode(value["data"]), value["dtype"]).reshape(value["shape"])


def described(
    case: Mapping[str, Any], preprocess: Preprocess, expected: Sequence[Results], inputs: Mapping[str, float]
) -> dict[str, Any]:
    """A case for the manifest: how its images are made, what they are in network pixels, and what they give."""
    rows = [{name: packed(array) for name, array in photo.items()} for photo in expected]
    return {**case, "inputs": dict(inputs), "pixels": pixels_digest(case, preprocess), "expected": rows}


def expected_of(case: Mapping[str, Any]) -> list[dict[str, ndarray]]:
    """What a described case must give, photo by photo."""
    return [{name: unpacked(value) for name, value in photo.items()} for photo in case["expected"]]


def pixels_digest(case: Mapping[str, Any], preprocess: Preprocess) -> str:
    """The SHA-256 of a case's images in network pixels."""
    digest = hashlib.sha256()
    for photo in generated(case):
        digest.update(preprocess.pixels(photo).tobytes())
    return digest.hexdigest()
