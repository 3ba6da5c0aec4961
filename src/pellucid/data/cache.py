"""Decoded images in network pixels, uint8, on disk and memory-mapped: a photo is decoded once, not every epoch.

A cache entry is named by what it holds (the bytes of the files and the way to network pixels), so a changed file is
another entry and nothing has to be invalidated. Of several processes that want the same entry one makes it, and the
others wait. Where the entry would be larger than the cap, images are decoded again each time they are needed: the same
pixels, only slower.
"""

import contextlib
import json
import math
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from pellucid.cores import usable_cores
from pellucid.data.dataset import Dataset, contents_of, plain_label
from pellucid.data.ledger import Note, Refusal
from pellucid.data.masks import AbstractMask
from pellucid.data.pixels import AHEAD, Develop, FreshPixels, Pixels, RaggedPixels, Shelf, StoredPixels, View
from pellucid.data.records import AbstractRecords, chosen
from pellucid.errors import ImageError, PellucidError
from pellucid.files import alone, cache_folder, canonical_json, sha256_text, write_atomic
from pellucid.preprocess import Preprocess
from pellucid.side_by_side import side_by_side
from pellucid.types import Frame, Record

__all__ = ["Decoded", "decode"]

SAMPLED = 32
"""Images by which the size of all is estimated."""
ABANDONED_SECONDS = 3600
"""A draft that nobody has written to for so long was left behind by a killed process."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The readable images of a split in network pixels.

    `sizes` are the photos' own (height, width), `marks` the pixels of each class in their masks; no column where the
    images have no masks.
    """

    records: Sequence[Record]
    pixels: Pixels
    preprocess: Preprocess
    sizes: Int[np.ndarray, "readable 2"]
    marks: Int[np.ndarray, "readable classes"]
    refused: tuple[Refusal, ...]
    notes: tuple[Note, ...]
    cached: Path | None

    def frames(self, positions: Sequence[int]) -> list[Frame]:
        """How the images at these positions lie in network pixels."""
        return [self.preprocess.frame(*map(int, self.sizes[position])) for position in positions]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of a split once every image has been decoded.

    `kept` are the places of the readable records, with `sizes` and `marks` in their order; `length` is the number of
    bytes of their images and of their masks.
    """

    kept: list[int] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    marks: list[tuple[int, ...]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    length: dict[str, int] = field(default_factory=lambda: {"images": 0, "masks": 0})


def decode(
    dataset: Dataset,
    split: str,
    preprocess: Preprocess,
    digests: Mapping[Path, str],
    *,
    judged: bool = True,
    cap: int | None = None,
) -> Decoded:
    """Every image of a split in network pixels, from the cache or decoded now.

    `digests` are the SHA-256 of the dataset's files; `judged` says for which of its two uses the split is (see
    `Develop`); `cap` is the largest size of all cached images in bytes (default: half of what is free). Images that
    cannot be read or whose masks do not fit are refused, not raised.
    """
    records, develop = dataset.split(split), Develop(dataset, preprocess, judged)
    home = cache_folder() / "pixels"
    room = _room(home) if cap is None else cap
    needed = _needed(records, develop)
    if needed > room:
        return _fresh(records, develop)
    entry = home / _key(records, develop, digests)
    if not _whole(entry):
        _make(entry, records, develop, room - needed)
    entry.touch()
    return _stored(entry, records, preprocess)


def _fresh(records: Sequence[Record], develop: Develop) -> Decoded:
    """Images that are decoded each time; what is to be known of all of them is found out first, or known already."""
    seen = records.seen() if isinstance(records, AbstractRecords) else None
    if seen is not None:
        sizes, marks = seen
        pixels = FreshPixels(develop, records)
        return Decoded(records, pixels, develop.preprocess, sizes, marks, (), (), None)
    facts = _Facts()
    for _ in _developed(records, develop, facts):
        pass
    kept = chosen(records, facts.kept)
    return _result(kept, FreshPixels(develop, kept), develop.preprocess, facts, None)


def _needed(records: Sequence[Record], develop: Develop) -> int:
    """Bytes that the records will take up: exactly where all become one size, else by some of them."""
    preprocess = develop.preprocess
    if preprocess.one_size:
        return len(records) * math.prod(preprocess.size) * preprocess.channels
    found = []
    for place in sorted({place * len(records) // SAMPLED for place in range(SAMPLED)}):
        with contextlib.suppress(ImageError):
            view = develop(records[place])
            found.append(view.image.size + (0 if view.mask is None else view.mask.size))
    return len(records) * sum(found) // max(1, len(found))


def _whole(entry: Path) -> _Facts | None:
    """The facts of an entry if all that it holds is still there: cleaners of temporary folders take single files."""
    try:
        saved = json.loads((entry / "facts.json").read_text())
        for name, length in saved["length"].items():
            if (entry / f"{name}.bin").stat().st_size != length:
                return None
    except (FileNotFoundError, NotADirectoryError):
        return None
    for name in ("sizes", "marks"):
        saved[name] = [tuple(row) for row in saved[name]]
    saved["refused"] = [Refusal(**row) for row in saved["refused"]]
    saved["notes"] = [Note(**row) for row in saved["notes"]]
    return _Facts(**saved)


def _key(records: Sequence[Record], develop: Develop, digests: Mapping[Path, str]) -> str:
    preprocess = develop.preprocess
    geometry = {**preprocess.to_json(), "mean": None, "std": None, "size": preprocess.size * preprocess.one_size}
    content: list[Any]
    if isinstance(records, AbstractRecords):
        content, masks = [records.digest()], [isinstance(records[0].label, AbstractMask)]
    else:
        content = [[str(record.path), record.item, *contents_of(record, digests)] for record in records]
        masks = [plain_label(record.label) for record in records if isinstance(record.label, AbstractMask)]
    judged = develop.judged if any(masks) else None
    return sha256_text(canonical_json([2, geometry, content, masks, judged, len(develop.dataset.classes)]))[:32]


def _room(home: Path) -> int:
    home.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(home).free // 2 + _size(home)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _evict(home: Path, room: int) -> None:
    """Remove abandoned drafts, then the entries that were not used for longest until what remains fits the room."""
    folders = [path for path in home.glob("*") if path.is_dir()]
    for draft in (path for path in folders if path.name.startswith(".")):
        touched = max(path.stat().st_mtime for path in (draft, *draft.iterdir()))
        if time.time() - touched > ABANDONED_SECONDS:
            shutil.rmtree(draft, ignore_errors=True)
    entries = [path for path in folders if not path.name.startswith(".")]
    kept = sum(map(_size, entries))
    for entry in sorted(entries, key=lambda path: path.stat().st_mtime):
        if kept <= room:
            return
        kept -= _size(entry)
        _remove(entry)


def _remove(entry: Path) -> None:
    """Take an entry away at once, then delete it: a kill in between leaves no half of it."""
    gone = _beside(entry, "old")
    with contextlib.suppress(OSError):  # another process was faster
        entry.replace(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _beside(entry: Path, word: str) -> Path:
    """A hidden name beside an entry that no other process or thread uses."""
    return entry.with_name(f".{entry.name}.{os.getpid()}.{threading.get_ident()}.{word}")


def _make(entry: Path, records: Sequence[Record], develop: Develop, room: int) -> None:
    """Build an entry, with `room` left for all others; of several processes that want it, the first one does."""
    try:
        with alone(entry.with_name(f".{entry.name}.lock")):
            if not _whole(entry):
                with contextlib.suppress(FileNotFoundError):  # another process is tidying up, too
                    _evict(entry.parent, room)
                _build(entry, records, develop)
    except OSError as error:
        raise PellucidError(
            f"Cannot keep decoded images in {entry.parent}: {error.strerror}. Free some space, choose another folder "
            "with PELLUCID_CACHE, or give --cache-gb 0 to decode them anew each time."
        ) from error


def _build(entry: Path, records: Sequence[Record], develop: Develop) -> None:
    draft = _beside(entry, "new")
    facts = _Facts()
    try:
        draft.mkdir(parents=True, exist_ok=True)
        with (draft / "images.bin").open("wb") as images, (draft / "masks.bin").open("wb") as masks:
            for view in _developed(records, develop, facts):
                facts.length["images"] += images.write(view.image.tobytes())
                facts.length["masks"] += masks.write(b"" if view.mask is None else view.mask.tobytes())
            for file in (images, masks):
                file.flush()
                os.fsync(file.fileno())
        write_atomic(draft / "facts.json", json.dumps(asdict(facts)))
        _place(draft, entry)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _place(draft: Path, entry: Path) -> None:
    """Give a finished draft its name, unless another process has put the same entry there meanwhile."""
    if entry.exists() and not _whole(entry):
        _remove(entry)
    try:
        draft.replace(entry)
    except OSError:
        if not _whole(entry):
            raise


def _developed(records: Sequence[Record], develop: Develop, facts: _Facts) -> Iterator[View]:
    """The views of the records that can be used, in order; what is learnt on the way goes into `facts`."""

    def one(record: Record) -> View | ImageError:
        try:
            return develop(record)
        except ImageError as error:
            return error

    with ThreadPoolExecutor(usable_cores()) as pool:
        for place, found in enumerate(side_by_side(pool, one, records, AHEAD)):
            name = records[place].name
            if isinstance(found, ImageError):
                facts.refused.append(Refusal(name, found.reason, found.cure))
                continue
            facts.kept.append(place)
            facts.sizes.append(found.size)
            facts.marks.append(found.marks)
            facts.notes.extend(Note(name, text) for text in found.notes)
            yield found


def _stored(entry: Path, records: Sequence[Record], preprocess: Preprocess) -> Decoded:
    facts = _whole(entry)
    if facts is None:
        raise PellucidError(f"{entry} was removed while it was being read. Start again.")
    kept = chosen(records, facts.kept)
    images = _mapped(entry / "images.bin")
    if preprocess.one_size:
        stored = StoredPixels(images.reshape(len(kept), *preprocess.size, preprocess.channels))
        return _result(kept, stored, preprocess, facts, entry)
    frames = [preprocess.frame(*size).network for size in facts.sizes]
    shapes = np.array([(*shape, preprocess.channels) for shape in frames], np.int64).reshape(-1, 3)
    masks = _mapped(entry / "masks.bin")
    return _result(kept, RaggedPixels(Shelf.of(images, shapes), _masks(masks, frames, facts)), preprocess, facts, entry)


def _masks(data: UInt8[np.ndarray, " bytes"], frames: list[tuple[int, int]], facts: _Facts) -> Shelf | None:
    """The masks, of the photos' sizes or of the network's, whichever fills the file."""
    for shapes in (frames, facts.sizes):
        if data.size and sum(map(math.prod, shapes)) == data.size:
            return Shelf.of(data, np.array(shapes, np.int64).reshape(-1, 2))
    return None


def _mapped(path: Path) -> UInt8[np.ndarray, " bytes"]:
    return np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)


def _result(
    records: Sequence[Record], pixels: Pixels, preprocess: Preprocess, facts: _Facts, cached: Path | None
) -> Decoded:
    return Decoded(
        records=records,
        pixels=pixels,
        preprocess=preprocess,
        sizes=np.array(facts.sizes, np.int64).reshape(-1, 2),
        marks=np.array(facts.marks, np.int64).reshape(len(records), len(facts.marks[0]) if records else 0),
        refused=tuple(facts.refused),
        notes=tuple(facts.notes),
        cached=cached,
    )
