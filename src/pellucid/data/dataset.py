"""A dataset is an immutable index: images, labels, splits, and the ledger of everything offered."""

import dataclasses
import functools
import hashlib
import math
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from pellucid.catalog import catalogue, find, suggestion
from pellucid.data.fetch import SETS, fetch_set
from pellucid.data.ledger import Ledger
from pellucid.data.masks import AbstractMask
from pellucid.data.records import AbstractRecords, chosen, relabelled
from pellucid.data.remote import is_url, mirrored
from pellucid.errors import DataError, UsageError
from pellucid.files import canonical_json, sha256_file
from pellucid.image import Image, read_image
from pellucid.types import Record

__all__ = [
    "AbstractFormat",
    "Dataset",
    "claim_folder",
    "class_lines",
    "contents_of",
    "files_of",
    "open_dataset",
    "ordered_classes",
    "plain_label",
    "split_named",
    "split_stratified",
]

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
LABELS = {"classify": "a class an image", "detect": "boxes of objects", "segment": "the class of every pixel"}
MOST_CUT = {"val": 2_000, "test": 10_000}


@dataclass(frozen=True, slots=True)
class Dataset:
    """Records by split, with the class names that every label refers to.

    Paths of records are relative to `root`. `made` names the splits that were not in the data and were cut
    from the training images.
    """

    task: str
    classes: tuple[str, ...]
    splits: Mapping[str, Sequence[Record]]
    root: Path
    ledger: Ledger
    format: str
    made: tuple[str, ...] = ()

    def split(self, name: str) -> Sequence[Record]:
        """The records of a split; an error that lists the splits there are."""
        if not self.splits.get(name):
            there = ", ".join(f"{key} ({len(records)})" for key, records in self.splits.items())
            raise UsageError(f"{self.root} has no {name!r} split. It has: {there or 'no image at all'}.")
        return self.splits[name]

    def image(self, record: Record) -> Image:
        """The decoded image of one of the records."""
        return _format(self.format).image(self.root, record)

    def encoded(self, record: Record) -> bytes | None:
        """The bytes of one of the images as they were given; None where a file packs many without a head."""
        return _format(self.format).encoded(self.root, record)

    def verify(self) -> None:
        """Raise DataError where the data itself says that it is no longer what was written."""
        _format(self.format).verify(self.root)

    def digests(self) -> dict[Path, str]:
        """SHA-256 of the bytes of every file used, images and masks, by its path below `root`.

        What lies in larger files brings its own.
        """
        listed = [records for records in self.splits.values() if not isinstance(records, AbstractRecords)]
        paths = sorted({path for records in listed for record in records for path in files_of(record)})
        with ThreadPoolExecutor(4) as pool:
            found = pool.map(lambda path: sha256_file(self.root / path), paths)
            return dict(zip(paths, found, strict=True))

    def digest(self, digests: Mapping[Path, str] | None = None) -> str:
        """SHA-256 over the bytes of every file used, the labels, the class names and the splits."""
        digests = self.digests() if digests is None else digests
        total = hashlib.sha256(canonical_json([self.task, self.classes]).encode())
        for name in sorted(self.splits):
            records = self.splits[name]
            rows = [[records.digest()]] if isinstance(records, AbstractRecords) else _rows(records, digests)
            for row in rows:
                total.update(canonical_json([name, *row]).encode())
        return total.hexdigest()

    def renamed(self, classes: tuple[str, ...], relabel: Callable[[Any], Any]) -> "Dataset":
        """This dataset under other class names, every label put through `relabel`."""
        splits = {name: relabelled(records, relabel) for name, records in self.splits.items()}
        return dataclasses.replace(self, classes=classes, splits=splits)


def files_of(record: Record) -> tuple[Path, ...]:
    """The file of the image, and those of its mask where it has one; none of what lies in larger files."""
    masks = record.label.files if isinstance(record.label, AbstractMask) else ()
    return masks if record.span else (record.path, *masks)


def contents_of(record: Record, digests: Mapping[Path, str]) -> list[str]:
    """SHA-256 of the bytes of the image, and of those of the files of its mask."""
    own = [record.span.sha256.hex()] if record.span else []
    return own + [digests[path] for path in files_of(record)]


def _rows(records: Iterable[Record], digests: Mapping[Path, str]) -> Iterator[list[Any]]:
    """What the digest of a dataset knows of each image."""
    for record in records:
        yield [record.path.as_posix(), record.item, plain_label(record.label), *contents_of(record, digests)]


class AbstractFormat(ABC):
    """How one kind of annotated folder is recognised, read and written. One file in `data/formats` each.

    `task` is that of the labels; empty where the data says which.
    """

    name: str
    task: str

    @abstractmethod
    def sniff(self, path: Path) -> bool:
        """Whether `path` looks like this format; reads names and first bytes only."""

    @abstractmethod
    def read(self, path: Path) -> Dataset:
        """The dataset at `path`: every file there is in the ledger, used or refused. No image is decoded."""

    def image(self, root: Path, record: Record) -> Image:
        """The decoded image of a record; formats that pack many images in one file have their own."""
        return read_image(root / record.path)

    def encoded(self, root: Path, record: Record) -> bytes | None:
        """The bytes of the image's file; None where a file packs many images."""
        return (root / record.path).read_bytes() if record.item is None else None

    def verify(self, root: Path) -> None:
        """Raise DataError where the data is no longer what was written, for formats that keep digests."""
        return

    def write(self, dataset: Dataset, folder: Path) -> None:
        """Write the dataset in this format into a new or empty folder."""
        raise UsageError(f"Writing the format {self.name!r} is not offered.")


def open_dataset(
    path: str | Path,
    format: str | None = None,
    *,
    seed: int = 0,
    val: float = 0.1,
    test: float = 0.1,
) -> Dataset:
    """The dataset at a path, or a named set (`fashion-mnist`), with train, val and test splits.

    Missing splits are cut from the training images: class by class, decided by `seed` and the names of the
    images, so that adding an image moves no other.
    """
    place = _place(path)
    name = format or _sniffed(place)
    dataset = dataclasses.replace(_format(name).read(place), format=name)
    if not any(dataset.splits.values()):
        first = "".join(f"\n  {refusal}" for refusal in dataset.ledger.refused[:3])
        raise DataError(f"{place} has no image that can be used.{first}")
    return split_stratified(dataset, seed=seed, val=val, test=test)


def split_stratified(dataset: Dataset, *, seed: int, val: float, test: float) -> Dataset:
    """The dataset with the splits it lacks cut from its training images; `val` and `test` are shares of them.

    Every image draws a number from `seed` and its own name: those below `val` become val, those above 1 - `test`
    test. Only where chance gives a class less than half of its share, or more than one and a half, the numbers
    next to the bound decide. A class of three images or more keeps one at least in each split; smaller ones stay in
    train. A share of 0 makes none.
    """
    train = dataset.splits.get("train", ())
    wanted = {name: share for name, share in (("val", val), ("test", test)) if share > 0}
    shares = {
        name: min(share, MOST_CUT[name] / max(len(train), 1))
        for name, share in wanted.items()
        if not dataset.splits.get(name)
    }
    splits = {name: records for name, records in dataset.splits.items() if records}
    if shares:
        splits |= _cut_from(train, shares, seed)
    order = dict.fromkeys(("train", "val", "test", *splits))
    splits = {name: splits[name] for name in order if splits.get(name)}
    return dataclasses.replace(dataset, splits=splits, made=tuple(name for name in shares if name in splits))


def _cut_from(train: Sequence[Record], shares: Mapping[str, float], seed: int) -> dict[str, Sequence[Record]]:
    """What is left of the training images, and the splits that are cut from them."""
    drawn = [_drawn(seed, record) for record in train]
    fate = ["train"] * len(train)
    for members in _by_class(train):
        _cut(sorted(members, key=lambda at: drawn[at]), drawn, shares, fate)
    for name in shares:
        _trim(name, train, drawn, fate)
    return {name: chosen(train, [at for at, to in enumerate(fate) if to == name]) for name in ("train", *shares)}


def _cut(order: list[int], drawn: Sequence[float], shares: Mapping[str, float], fate: list[str]) -> None:
    """Give the images of one class, in the order of their numbers, to val (the first) and test (the last)."""
    if len(order) < 3:
        return
    room = len(order) - 1
    counts: dict[str, int] = {}
    for name, share in shares.items():
        hits = sum(drawn[at] < share if name == "val" else drawn[at] >= 1 - share for at in order)
        least, most = max(1, int(share * len(order) * 0.5)), math.ceil(share * len(order) * 1.5)
        waiting = len(shares) - len(counts) - 1
        counts[name] = min(max(hits, least), most, room - waiting)
        room -= counts[name]
    val, test = counts.get("val", 0), counts.get("test", 0)
    for at in order[:val]:
        fate[at] = "val"
    for at in order[len(order) - test :]:
        fate[at] = "test"


def _trim(name: str, train: Sequence[Record], drawn: Sequence[float], fate: list[str]) -> None:
    """Give images back to train where more were drawn than the split may hold; a class keeps its last."""
    members = [at for at, chosen in enumerate(fate) if chosen == name]
    left = Counter(train[at].label if isinstance(train[at].label, int) else None for at in members)
    excess = len(members) - MOST_CUT[name]
    for at in sorted(members, key=lambda at: drawn[at], reverse=name == "val"):
        label = train[at].label if isinstance(train[at].label, int) else None
        if excess > 0 and left[label] > 1:
            fate[at] = "train"
            left[label] -= 1
            excess -= 1


def _by_class(records: Sequence[Record]) -> list[list[int]]:
    """Positions by class; in one group where labels are not class indices."""
    groups: dict[int | None, list[int]] = {}
    for at, record in enumerate(records):
        groups.setdefault(record.label if isinstance(record.label, int) else None, []).append(at)
    return list(groups.values())


def _drawn(seed: int, record: Record) -> float:
    """A number in 0..1 that depends on nothing but the seed and the record's name."""
    digest = hashlib.sha256(f"{seed}\0{record.name}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def split_named(name: str) -> str | None:
    """`val` for `valid` or `Validation`, and so on; None where the name is no split's."""
    return SPLIT_NAMES.get(name.strip().lower())


def ordered_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Class names in the order of their indices: alphabetical, or by value where all of them are numbers."""
    unique = {unicodedata.normalize("NFC", name) for name in names}
    numeric = all(name.isascii() and name.isdigit() for name in unique)
    return tuple(sorted(unique, key=(lambda name: (int(name), name)) if numeric else None))


def class_lines(classes: Iterable[str]) -> str:
    """Class names one a line, as packed formats keep them; a name with a line break is refused."""
    for name in classes:
        if name.splitlines() != [name] or name != name.strip():
            raise UsageError(f"The class {name!r} cannot be written as a line of its own. Rename it first.")
    return "".join(f"{name}\n" for name in classes)


def claim_folder(folder: Path) -> None:
    """Make sure that `folder` exists and is empty before a dataset is written to it."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not an empty folder. Choose another name.")
    folder.mkdir(parents=True, exist_ok=True)


@functools.lru_cache(maxsize=64)
def _format(name: str) -> AbstractFormat:
    thing = find("FORMATS", name)
    made: AbstractFormat = thing() if isinstance(thing, type) else thing
    return made


def _place(path: str | Path) -> Path:
    """Where the data lies; a named set is fetched unless a file or folder of that name is here, and so is an index."""
    if is_url(str(path)):
        return mirrored(str(path))
    place = Path(path).expanduser()
    if place.exists():
        return place
    if str(path) in SETS:
        return fetch_set(str(path))
    beside = [entry.name for entry in place.parent.iterdir()] if place.parent.is_dir() else []
    close = suggestion(place.name, [*beside, *SETS])
    known = close if close.startswith(" Did") else f" Give a folder, a file, or one of: {', '.join(SETS)}."
    raise UsageError(f"There is no {str(path)!r}.{known}")


def _sniffed(place: Path) -> str:
    formats = catalogue("FORMATS")
    fitting = [name for name in formats if _format(name).sniff(place)]
    match fitting:
        case [name]:
            return name
        case []:
            known = ", ".join(sorted(formats))
            raise DataError(
                f"{place} is in none of the formats that are read ({known}). Found: {_found(place)}. "
                "Put the images of each class in a folder of its own, or write a table with columns path,label."
            )
        case _:
            raise _ambiguous(place, fitting)


def _ambiguous(place: Path, names: Sequence[str]) -> UsageError:
    """Several formats fit: what each of them would read, where they are for different tasks, and how to choose."""
    kinds = {name: _format(name).task for name in names}
    torn = len(set(kinds.values())) > 1
    said = [f"{name}, that is {LABELS.get(kinds[name], kinds[name])}," if torn else name for name in names]
    choices = " or ".join(f"--format {name}" for name in names) if torn else f"--format {names[0]}"
    table = "" if torn else "Give the path of the table itself, move what is not meant elsewhere, or say"
    return UsageError(
        f"{place} could be read as {' or as '.join(said).removesuffix(',')}. {table or 'Say'} which with {choices} "
        f"(in Python: format={names[0]!r})."
    )


def _found(place: Path) -> str:
    """What lies at a path, in a few words: `2 folders, 14 .xml, 3 .txt`."""
    if not place.is_dir():
        return f"one file with suffix {place.suffix or '(none)'}"
    entries = [entry for entry in place.iterdir() if not entry.name.startswith(".")]
    kinds = Counter("folders" if entry.is_dir() else entry.suffix or "without suffix" for entry in entries)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(6)) or "nothing"


def plain_label(label: Any, depth: int = 8) -> Any:
    """Any label as plain values that give the same JSON in every process; objects in a circle end at `depth`."""
    if depth == 0:
        return type(label).__name__
    match label:
        case None | bool() | int() | str():
            return label
        case float() | bytes() | Path() | Enum():
            return repr(label)
        case Mapping():
            return {repr(plain_label(key, depth - 1)): plain_label(value, depth - 1) for key, value in label.items()}
        case list() | tuple():
            return [plain_label(value, depth - 1) for value in label]
        case set() | frozenset():
            return sorted(repr(plain_label(value, depth - 1)) for value in label)
    if dataclasses.is_dataclass(label) and not isinstance(label, type):
        values = [getattr(label, field.name) for field in dataclasses.fields(label)]
        return [type(label).__name__, plain_label(values, depth - 1)]
    if hasattr(label, "tolist"):
        return plain_label(label.tolist(), depth - 1)
    return [
        type(label).__name__,
        plain_label(getattr(label, "__dict__", None), depth - 1),
    ]  # a repr may hold an address
