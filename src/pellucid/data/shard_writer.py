"""Tar shards as WebDataset reads them, written with an index of every sample: original bytes, one seek away."""

import hashlib
import io
import itertools
import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from PIL import Image as Pillow

from pellucid.data.boxes import Boxes
from pellucid.data.columns import write_columns
from pellucid.data.dataset import Dataset
from pellucid.data.ledger import Ledger
from pellucid.data.masks import AbstractMask
from pellucid.data.remote import INDEX, LEDGER
from pellucid.data.shard_index import VERSION, shard_name
from pellucid.files import atomic_folder, sha256_file, sha256_text
from pellucid.image import SUFFIXES, read_header
from pellucid.types import Record

__all__ = ["write_shards"]

HEAD_BYTES = 512  # of a file in a tar, before its own bytes
Columns = dict[str, ndarray]


@dataclass(frozen=True, slots=True)
class _Sample:
    """The files of a sample by suffix, the image first, and what the index says of it but where they lie."""

    files: dict[str, bytes]
    facts: dict[str, Any]


def write_shards(dataset: Dataset, folder: Path, most: int) -> None:
    """A folder of shards, each closed once it holds `most` bytes; there whole or not at all."""
    with atomic_folder(folder) as draft:
        parts: list[Columns] = []
        splits = []
        for split, records in dataset.splits.items():
            samples = (_sample(dataset, record) for record in records)
            shards = [_write_shard(draft, split, at, group, most) for at, group in enumerate(_groups(samples))]
            splits.append((split, len(shards)))
            parts += shards
        ledger = Ledger({}, dataset.ledger.refused, dataset.ledger.notes).lines()
        (draft / LEDGER).write_text(ledger, "utf-8")
        facts = {
            "version": VERSION,
            "task": dataset.task,
            "classes": dataset.classes,
            "splits": splits,
            "ledger": sha256_text(ledger),
        }
        write_columns(draft / INDEX, facts, _joined(parts))


def _groups(samples: Iterator[_Sample]) -> Iterator[Iterator[_Sample]]:
    """What is left of the samples, again and again until there is nothing: each shard takes what it can hold."""
    for first in samples:
        yield itertools.chain([first], samples)


def _write_shard(folder: Path, split: str, number: int, samples: Iterable[_Sample], most: int) -> Columns:
    """Put samples into a tar until it is full; gives their columns and its own."""
    path = folder / shard_name(split, number)
    rows = []
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for at, sample in enumerate(samples):
            rows.append(sample.facts | _added(tar, f"{path.stem}-{at:06d}", sample.files))
            if tar.offset >= most:
                break
    digest = np.frombuffer(bytes.fromhex(sha256_file(path)), np.uint8)
    own: dict[str, Any] = {"shard_samples": [len(rows)], "shard_bytes": [path.stat().st_size], "shard_sha256": [digest]}
    return {name: np.array(column) for name, column in own.items()} | _columns(rows)


def _added(tar: tarfile.TarFile, key: str, files: dict[str, bytes]) -> dict[str, Any]:
    """Where the files of a sample come to lie. Nothing in a tar depends on when and by whom it was made."""
    said: dict[str, Any] = {}
    for suffix, content in files.items():
        head = tarfile.TarInfo(f"{key}.{suffix}")
        head.size = len(content)
        kind = "mask" if suffix == "mask.png" else "label" if said else "image"
        if kind != "label":
            said |= {f"{kind}_start": tar.offset + HEAD_BYTES, f"{kind}_size": len(content)}
            said[f"{kind}_sha256"] = np.frombuffer(hashlib.sha256(content).digest(), np.uint8)
        tar.addfile(head, io.BytesIO(content))
    return said


def _sample(dataset: Dataset, record: Record) -> _Sample:
    raw, suffix = dataset.encoded(record), record.path.suffix.lower()
    if raw is None or record.item is not None:
        raw, suffix = raw or _png(dataset.image(record).pixels), ".png"
    size = read_header(raw)[:2]
    files = {suffix.removeprefix(".") if suffix in SUFFIXES else "image": raw}
    facts = {"name": str(record.path), "item": -1 if record.item is None else record.item, "photo_size": size}
    match record.label:
        case AbstractMask():
            mask = record.label.read(dataset.root, size)
            marks = np.bincount(mask.ravel(), minlength=256)[: len(dataset.classes)]
            return _Sample(files | {"mask.png": _png(mask)}, facts | {"mask_marks": marks})
        case int():
            return _Sample(files | {"cls": str(record.label).encode()}, facts | {"label": record.label})
    boxes = Boxes.gathered(list(record.label))
    said = {
        "boxes": boxes.xyxy,
        "labels": boxes.labels,
        "names": [dataset.classes[label] for label in boxes.labels],
        "ignored": boxes.ignored,
        "areas": boxes.areas,
    }
    return _Sample(files | {"json": json.dumps(said).encode()}, facts | {"boxes": boxes})


def _png(pixels: ndarray) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


TYPES = {
    "image_start": np.uint64,
    "image_size": np.uint32,
    "image_sha256": np.uint8,
    "mask_start": np.uint64,
    "mask_size": np.uint32,
    "mask_sha256": np.uint8,
    "mask_marks": np.int32,
    "photo_size": np.int32,
    "item": np.int64,
    "label": np.int32,
}


def _columns(rows: list[dict[str, Any]]) -> Columns:
    """The samples of a shard, column by column."""
    names = [row["name"].encode("utf-8", "surrogateescape") for row in rows]
    plain: Columns = {
        name: np.array([row[name] for row in rows], kind) for name, kind in TYPES.items() if name in rows[0]
    }
    text: Columns = {"names": np.frombuffer(b"".join(names), np.uint8), "name_end": _ends(map(len, names))}
    if "boxes" not in rows[0]:
        return plain | text
    boxes = [row["boxes"] for row in rows]
    boxed: Columns = {
        "box_xyxy": np.array([xyxy for one in boxes for xyxy in one.xyxy], np.float64).reshape(-1, 4),
        "box_label": np.array([label for one in boxes for label in one.labels], np.int32),
        "box_ignored": np.array([ignored for one in boxes for ignored in one.ignored], bool),
        "box_area": np.array([area for one in boxes for area in one.areas], np.float64),
        "box_end": _ends(map(len, boxes)),
    }
    return plain | text | boxed


def _ends(lengths: Iterable[int]) -> ndarray:
    return np.cumsum(np.fromiter(lengths, np.uint64), dtype=np.uint64)


def _joined(parts: list[Columns]) -> Columns:
    """The columns of all shards as one; ends count on from those before."""
    found = {}
    for name in parts[0]:
        columns = [part[name] for part in parts]
        if name in ("name_end", "box_end"):
            before = np.cumsum([0, *(int(column[-1]) for column in columns[:-1])])
            columns = [column + np.uint64(start) for column, start in zip(columns, before, strict=True)]
        found[name] = np.concatenate(columns)
    if (found["item"] < 0).all():
        del found["item"]
    return found
