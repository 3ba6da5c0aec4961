"""The index of a set that lies in tar shards: where every sample is, what it is called, and its label, in columns.

Ten million samples are a gigabyte of columns; records are read from them when they are asked for.
"""

import bisect
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8
from numpy import ndarray

from pellucid.data.boxes import Boxes
from pellucid.data.columns import Columns, read_columns
from pellucid.data.dataset import plain_label
from pellucid.data.masks import AbstractMask, other_size
from pellucid.data.records import AbstractRecords
from pellucid.data.spans import read_span
from pellucid.errors import DataError
from pellucid.files import canonical_json
from pellucid.image import read_values
from pellucid.types import Record, Span

__all__ = ["VERSION", "IndexedRecords", "ShardIndex", "SpanMask", "shard_name"]

VERSION = 1
CHUNK = 4096  # records that are read at a time where all are wanted


def shard_name(split: str, number: int) -> str:
    """`train-000000.tar` and so on."""
    return f"{split}-{number:06d}.tar"


@dataclass(frozen=True, slots=True)
class SpanMask(AbstractMask):
    """A grey PNG of class indices inside a shard."""

    span: Span

    @property
    def files(self) -> tuple[Path, ...]:
        """None of its own: the digest is part of the span."""
        return ()

    def read(self, root: Path, size: tuple[int, int]) -> UInt8[ndarray, "h w"]:
        """Its pixels."""
        mask = read_values(read_span(root, self.span))
        if mask.shape != size:
            raise other_size(f"in its mask in {self.span.file}", mask.shape[:2], size)
        return mask


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """The columns of all samples, split by split and in each shard after shard.

    `ends` says of every shard which sample is the first that it does not hold any more. `splits` are the numbers of
    shards by split, in their order.
    """

    task: str
    classes: tuple[str, ...]
    splits: Sequence[tuple[str, int]]
    shards: Sequence[str]
    ends: Sequence[int]
    columns: Columns

    @classmethod
    def open(cls, path: Path) -> "ShardIndex":
        """The index in a file, every byte of which is checked."""
        columns = read_columns(path)
        facts = columns.facts
        if facts["version"] != VERSION:
            raise DataError(f"{path} is of version {facts['version']}, and {VERSION} is read here. Convert again.")
        splits = tuple((split, count) for split, count in facts["splits"])
        shards = [shard_name(split, at) for split, count in splits for at in range(count)]
        ends = np.cumsum(columns.mapped("shard_samples"), dtype=np.int64).tolist()
        return cls(facts["task"], tuple(facts["classes"]), splits, shards, ends, columns)

    def sizes(self) -> list[int]:
        """Bytes of each shard."""
        found: list[int] = self.columns.mapped("shard_bytes").tolist()
        return found

    def records(self) -> dict[str, "IndexedRecords"]:
        """Those of every split."""
        found, start, shards = {}, 0, 0
        for split, count in self.splits:
            shards += count
            found[split] = IndexedRecords(self, np.arange(start, self.ends[shards - 1]))
            start = self.ends[shards - 1]
        return found

    def between(self, first: int, last: int) -> list[Record]:
        """The records of neighbouring samples."""
        names = self._parts("names", "name_end", first, last)
        paths = [Path(name.tobytes().decode("utf-8", "surrogateescape")) for name in names]
        packed = "item" in self.columns.places
        items = self.columns.rows("item", first, last).tolist() if packed else [-1] * (last - first)
        rows = zip(paths, self._labels(first, last), items, self._spans("image", first, last), strict=True)
        return [Record(path, label, None if item < 0 else item, span) for path, label, item, span in rows]

    def _spans(self, kind: str, first: int, last: int) -> list[Span]:
        starts, sizes = (self.columns.rows(f"{kind}_{what}", first, last).tolist() for what in ("start", "size"))
        sums = self.columns.rows(f"{kind}_sha256", first, last)
        files = [self.shards[bisect.bisect_right(self.ends, row)] for row in range(first, last)]
        places = zip(files, starts, sizes, sums, strict=True)
        return [Span(file, start, size, digest.tobytes()) for file, start, size, digest in places]

    def _labels(self, first: int, last: int) -> list[Any]:
        match self.task:
            case "segment":
                return [SpanMask(span) for span in self._spans("mask", first, last)]
            case "detect":
                names = ("xyxy", "label", "ignored", "area")
                parts = [self._parts(f"box_{name}", "box_end", first, last) for name in names]
                return [_boxes(*rows) for rows in zip(*parts, strict=True)]
        labels: list[Any] = self.columns.rows("label", first, last).tolist()
        return labels

    def _parts(self, name: str, ends: str, first: int, last: int) -> list[ndarray]:
        """The rows of a column that belong to each of some samples; `ends` says where those of each end."""
        before = self.columns.rows(ends, first - 1, first).tolist() if first else [0]
        bounds = before + self.columns.rows(ends, first, last).tolist()
        rows = self.columns.rows(name, bounds[0], bounds[-1])
        return [rows[start - bounds[0] : end - bounds[0]] for start, end in itertools.pairwise(bounds)]


def _boxes(xyxy: ndarray, labels: ndarray, ignored: ndarray, areas: ndarray) -> Boxes:
    rows = tuple(map(tuple, xyxy.tolist()))
    return Boxes(rows, tuple(labels.tolist()), tuple(ignored.tolist()), tuple(areas.tolist()))


@dataclass(frozen=True, slots=True, eq=False)
class IndexedRecords(AbstractRecords):
    """The samples at some rows of an index."""

    source: ShardIndex
    rows: Int[ndarray, " n"]
    relabel: Callable[[Any], Any] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, place: int) -> Record:
        """The record at a place."""
        row = int(self.rows[place])
        return self._named(self.source.between(row, row + 1)[0])

    def __iter__(self) -> Iterator[Record]:
        for start in range(0, len(self), CHUNK):
            rows = self.rows[start : start + CHUNK]
            ends = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
            for first, last in itertools.pairwise(ends):
                yield from map(self._named, self.source.between(int(rows[first]), int(rows[last - 1]) + 1))

    def _named(self, record: Record) -> Record:
        return record if self.relabel is None else replace(record, label=self.relabel(record.label))

    def chosen(self, places: Int[ndarray, " n"]) -> "IndexedRecords":
        """Those at some places, in their order."""
        return replace(self, rows=self.rows[places])

    def relabelled(self, relabel: Callable[[Any], Any]) -> "IndexedRecords":
        """These with every label put through `relabel`."""
        if self.relabel is None:
            return replace(self, relabel=relabel)
        earlier = self.relabel
        return replace(self, relabel=lambda label: relabel(earlier(label)))

    def digest(self) -> str:
        """SHA-256 of the index, of the rows, and of the first label: a mask shows how all of them are renumbered."""
        first = plain_label(self[0].label) if len(self) else None
        total = hashlib.sha256(canonical_json([self.source.columns.digest, first]).encode())
        total.update(np.ascontiguousarray(self.rows).data)
        return total.hexdigest()

    def seen(self) -> tuple[Int[ndarray, "n 2"], Int[ndarray, "n classes"]] | None:
        """Sizes and marks as they were when the shards were written; not of masks that were renumbered since."""
        sizes = _at(self.source.columns.mapped("photo_size"), self.rows)
        if self.source.task != "segment":
            return sizes, np.zeros((len(self), 0), np.int32)
        return None if self.relabel else (sizes, _at(self.source.columns.mapped("mask_marks"), self.rows))

    def classes(self) -> Int[ndarray, " n"]:
        """The column of labels, each different one of which is renumbered once."""
        found = self.source.columns.mapped("label")[self.rows]
        if self.relabel is None:
            return found
        known, places = np.unique(found, return_inverse=True)
        return np.array([self.relabel(label) for label in known.tolist()], np.int64)[places]


def _at(column: Int[ndarray, "samples k"], rows: Int[ndarray, " n"]) -> Int[ndarray, "n k"]:
    """Some rows of a column, without a copy where they are neighbours."""
    if len(rows) and (np.diff(rows) == 1).all():
        return column[int(rows[0]) : int(rows[-1]) + 1]
    return column[rows]
