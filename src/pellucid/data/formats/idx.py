"""IDX, the format of MNIST: grey images of one size in one file, their labels in another, plain or gzipped.

A file begins with a big-endian magic number (0, 0, 8 for bytes, number of dimensions) and the dimensions.
"""

import functools
import gzip
import hashlib
import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.data.dataset import AbstractFormat, Dataset, claim_folder, class_lines
from pellucid.data.ledger import Ledger, Refusal
from pellucid.errors import DataError, UsageError
from pellucid.files import write_atomic
from pellucid.image import Image
from pellucid.types import Record

__all__ = ["FORMATS", "IdxFormat"]

NAME = re.compile(r"(?P<split>train|t10k|test|val)-(?P<what>images|labels)[-.]idx(?P<rank>[13])-ubyte(\.gz)?")
SPLITS = {"train": "train", "t10k": "test", "test": "test", "val": "val"}
WRITTEN = {"train": "train", "val": "val", "test": "t10k"}

# SHA-256 of the labels of sets whose class names are not in their files.
FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
KNOWN_LABELS = {
    "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7": FASHION,
    "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9": FASHION,
}


class IdxFormat(AbstractFormat):
    """`train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, the same for `t10k` (test) and `val`."""

    name = "idx"
    task = "classify"

    def sniff(self, path: Path) -> bool:
        """A folder with a file named like those of MNIST."""
        return path.is_dir() and any(NAME.fullmatch(entry.name) for entry in path.iterdir())

    def read(self, path: Path) -> Dataset:
        """One record an image. Class names come from `classes.txt`, one a line; else they are the numbers."""
        pairs, refused = _pairs(path)
        used: dict[str, int] = {}
        labels: dict[str, NDArray[np.uint8]] = {}
        for split, (images_path, labels_path) in pairs.items():
            labels[split] = _checked_labels(images_path, labels_path)
            used[images_path.name] = used[labels_path.name] = len(labels[split])
        classes = _classes(path, labels)
        if (path / "classes.txt").is_file():
            used["classes.txt"] = len(classes)
        splits = {
            split: tuple(
                Record(Path(pairs[split][0].name), label, item) for item, label in enumerate(labels[split].tolist())
            )
            for split in labels
        }
        return Dataset(self.task, classes, splits, path, Ledger(used, refused), self.name)

    def image(self, root: Path, record: Record) -> Image:
        """One image of the file, uint8 H W 1."""
        pixels = _array(root / record.path)[record.item]
        return Image(np.array(pixels)[..., None], "L")

    def write(self, dataset: Dataset, folder: Path) -> None:
        """One pair of plain files a split, and `classes.txt`."""
        if len(dataset.classes) > 256:
            raise UsageError(f"IDX holds at most 256 classes, and there are {len(dataset.classes)}.")
        names = class_lines(dataset.classes)
        claim_folder(folder)
        for split, records in dataset.splits.items():
            images = _stacked(dataset, records)
            labels = np.array([record.label for record in records], np.uint8)
            write_atomic(folder / f"{WRITTEN[split]}-images-idx3-ubyte", _packed(images))
            write_atomic(folder / f"{WRITTEN[split]}-labels-idx1-ubyte", _packed(labels))
        write_atomic(folder / "classes.txt", names)


def _pairs(path: Path) -> tuple[dict[str, tuple[Path, Path]], tuple[Refusal, ...]]:
    """(images, labels) by split, and what else lies in the folder."""
    found: dict[tuple[str, str], Path] = {}
    refused = []
    for entry in sorted(path.iterdir()):  # the plain file comes before its .gz
        match = NAME.fullmatch(entry.name)
        key = (SPLITS[match["split"]], match["what"]) if match else None
        if key is None and entry.name != "classes.txt":
            refused.append(Refusal(entry.name, "it is none of the IDX files", "Nothing needs to be done."))
        elif key in found:
            reason = f"{found[key].name} is used in its place"
            refused.append(Refusal(entry.name, reason, "Nothing needs to be done."))
        elif key:
            found[key] = entry
    for split, what in found:
        other = "labels" if what == "images" else "images"
        if (split, other) not in found:
            raise DataError(f"{found[split, what]} has no file of {other} beside it. Put it there.")
    splits = dict.fromkeys(split for split, _ in found)
    return {split: (found[split, "images"], found[split, "labels"]) for split in splits}, tuple(refused)


def _checked_labels(images_path: Path, labels_path: Path) -> NDArray[np.uint8]:
    images, labels = _array(images_path), _array(labels_path)
    if images.ndim != 3 or labels.ndim != 1:
        raise DataError(
            f"{images_path} has {images.ndim} dimensions and {labels_path.name} {labels.ndim}; "
            "images have 3 (number, height, width) and labels 1. Only grey images are read."
        )
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} holds {len(images)} images and {labels_path.name} {len(labels)} labels. "
            "Replace the one that is wrong."
        )
    return labels


def _classes(path: Path, labels: dict[str, NDArray[np.uint8]]) -> tuple[str, ...]:
    highest = max((int(values.max()) for values in labels.values() if len(values)), default=-1)
    names = _class_names(path, labels) or tuple(str(number) for number in range(highest + 1))
    if highest >= len(names):
        raise DataError(
            f"{path / 'classes.txt'} names {len(names)} classes, and there is a label {highest}. Add names."
        )
    return names


def _class_names(path: Path, labels: dict[str, NDArray[np.uint8]]) -> tuple[str, ...] | None:
    if (path / "classes.txt").is_file():
        lines = (path / "classes.txt").read_text("utf-8-sig").splitlines()
        return tuple(line.strip() for line in lines if line.strip())
    for values in labels.values():
        known = KNOWN_LABELS.get(hashlib.sha256(values.tobytes()).hexdigest())
        if known:
            return known
    return None


def _array(path: Path) -> NDArray[np.uint8]:
    """The file's bytes in their dimensions; a plain file is mapped, a gzipped one held in memory."""
    status = path.stat()
    return _read(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=8)
def _read(path: Path, _changed: int, size: int) -> NDArray[np.uint8]:
    content = _unpacked(path) if path.suffix == ".gz" else np.memmap(path, np.uint8, "r") if size else b""
    raw: Any = np.frombuffer(content, np.uint8) if isinstance(content, bytes) else content
    if len(raw) < 4 or bytes(raw[:3]) != b"\0\0\x08" or not 1 <= raw[3] <= 4 or len(raw) < 4 + 4 * int(raw[3]):
        raise DataError(
            f"{path} begins with {bytes(raw[:4]).hex() or 'nothing'}; an IDX file of bytes begins with "
            "000008 and its number of dimensions. Replace it with an intact copy."
        )
    rank = int(raw[3])
    shape = struct.unpack(f">{rank}I", bytes(raw[4 : 4 + 4 * rank]))
    expected = 4 + 4 * rank + int(np.prod(shape, dtype=object))
    if len(raw) != expected:
        dimensions = " x ".join(map(str, shape))
        raise DataError(
            f"{path} holds {len(raw)} bytes; its header says {dimensions}, which makes {expected}. "
            "Replace it with an intact copy."
        )
    values: NDArray[np.uint8] = raw[4 + 4 * rank :].reshape(shape)
    return values


def _unpacked(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}. Replace it with an intact copy.") from error


def _stacked(dataset: Dataset, records: Sequence[Record]) -> NDArray[np.uint8]:
    """All images of a split, N H W, which must be grey and of one size."""
    images = [dataset.image(record).pixels for record in records]
    for record, image in zip(records, images, strict=True):
        if image.shape != (*images[0].shape[:2], 1):
            raise UsageError(
                f"IDX holds grey images of one size; {record.name} has shape {image.shape} and "
                f"{records[0].name} {images[0].shape}. Write another format."
            )
    return np.stack(images)[..., 0]


def _packed(values: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


FORMATS = {"idx": IdxFormat()}
