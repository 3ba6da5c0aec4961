"""Columns of numbers in one file that is read without loading it: safetensors, row by row.

Its header says of every column where it lies and what its SHA-256 is, so the digest of the header stands for all of it.
"""

import hashlib
import json
import math
import mmap
import os
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy import ndarray

from pellucid.errors import DataError
from pellucid.files import atomic_path, canonical_json

__all__ = ["PREFIX_BYTES", "Columns", "file_bytes", "header_bytes", "read_columns", "write_columns"]

PREFIX_BYTES = 8  # the length of the header, little-endian
MOST_HEADER = 100_000_000
KEY = "pellucid"
TYPES = {"BOOL": "?", "U8": "u1", "I32": "<i4", "U32": "<u4", "I64": "<i8", "U64": "<u8", "F64": "<f8"}
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Columns:
    """What a file says: plain values, where each array lies in it, and the digest of both.

    `descriptor` is the open file, which stays what it was when another one takes its name.
    """

    facts: Mapping[str, Any]
    places: Mapping[str, "Place"]
    digest: str
    descriptor: int

    def rows(self, name: str, first: int, last: int) -> ndarray:
        """Rows of an array, read now: pages of a mapped file would count as this process's memory."""
        place = self.places[name]
        raw = os.pread(self.descriptor, (last - first) * place.row_bytes, place.start + first * place.row_bytes)
        return np.frombuffer(raw, place.type).reshape(last - first, *place.shape[1:])

    def mapped(self, name: str) -> ndarray:
        """A whole array, read as it is looked at."""
        place = self.places[name]
        whole = mmap.mmap(self.descriptor, 0, access=mmap.ACCESS_READ)
        return np.frombuffer(whole, place.type, math.prod(place.shape), place.start).reshape(place.shape)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an array lies in its file."""

    start: int
    type: str
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return np.dtype(self.type).itemsize * math.prod(self.shape[1:])


def write_columns(path: Path, facts: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> None:
    """Write plain values and arrays, whole or not at all."""
    from safetensors.numpy import save_file

    tight = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    sums = {name: hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest() for name, array in tight.items()}
    said = canonical_json({"facts": facts, "sha256": sums})
    with atomic_path(path) as draft:
        save_file(tight, draft, {KEY: said})


def read_columns(path: Path) -> Columns:
    """The columns of a file, every byte of which is checked; DataError where it is not as it was written."""
    try:
        with path.open("rb") as handle:
            prefix = handle.read(PREFIX_BYTES)
            raw = handle.read(header_bytes(prefix))
            places, said = _parsed(raw)
            found = path.stat().st_size
            if found != (wanted := file_bytes(prefix + raw)):
                raise DataError(f"{path} is cut short or altered: {found} bytes, expected {wanted}. {CURE}")
            for name in sorted(places, key=lambda name: places[name]["data_offsets"]):
                _check(path, handle, name, places[name], said["sha256"][name])
            columns = Columns(
                said["facts"],
                _located(places, PREFIX_BYTES + len(raw)),
                hashlib.sha256(raw).hexdigest(),
                os.dup(handle.fileno()),
            )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} cannot be read: its header is damaged ({error}). {CURE}") from error
    weakref.finalize(columns, os.close, columns.descriptor)
    return columns


def _located(places: Mapping[str, Any], start: int) -> dict[str, Place]:
    """Where columns lie that the header describes, behind which they begin."""
    return {
        name: Place(start + place["data_offsets"][0], TYPES[place["dtype"]], tuple(place["shape"]))
        for name, place in places.items()
    }


CURE = "Copy it anew."


def header_bytes(prefix: bytes) -> int:
    """How long the header is, by the first bytes of a file."""
    length = int.from_bytes(prefix, "little")
    if not 0 < length <= MOST_HEADER:
        raise ValueError(f"it would have {length} bytes")
    return length


def file_bytes(head: bytes) -> int:
    """How long the whole file is, by its first bytes and its header."""
    places, _ = _parsed(head[PREFIX_BYTES:])
    return len(head) + max((place["data_offsets"][1] for place in places.values()), default=0)


def _parsed(raw: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """(where each column lies, what is said of them)"""
    header = dict(json.loads(raw))
    said = json.loads(header.pop("__metadata__")[KEY])
    return header, said


def _check(path: Path, handle: BinaryIO, name: str, place: Mapping[str, Any], expected: str) -> None:
    """Read a column, which the handle stands before, and compare its SHA-256."""
    start, end = place["data_offsets"]
    if end - start != np.dtype(TYPES[place["dtype"]]).itemsize * math.prod(place["shape"]):
        raise ValueError(f"{name} has {end - start} bytes")
    total, left = hashlib.sha256(), end - start
    while left and (chunk := handle.read(min(left, CHUNK_BYTES))):
        total.update(chunk)
        left -= len(chunk)
    if total.hexdigest() != expected:
        raise DataError(
            f"{path} is altered: its column {name!r} has the SHA-256 {total.hexdigest()}, expected {expected}. {CURE}"
        )
