"""Decoded images in network pixels, uint8, on disk and memory-mapped: a photo is decoded once, not every epoch.

A cache entry is named by what it holds (the bytes of the files and the way to network pixels), so a changed file is
another entry and nothing has to be invalidated. Where the entry would be larger than the cap, images are decoded
again each time they are needed: the same pixels, only slower.
"""

import contextlib
import json
import math
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Int, UInt8

from pellucid.cores import usable_cores
from pellucid.data.dataset import Dataset
from pellucid.data.ledger import Note, Refusal
from pellucid.errors import DataError, ImageError, PellucidError
from pellucid.files import cache_folder, canonical_json, sha256_text, write_atomic
from pellucid.preprocess import Preprocess
from pellucid.types import Frame, Record

Result = TypeVar("Result")

__all__ = ["Decoded", "Pixels", "StoredPixels", "decode"]

GREY_NOTE = "colour, reduced to grey: this network sees one channel"

ABANDONED_SECONDS = 24 * 3600
"""A draft that nobody has written to for so long was left behind by a killed process."""


@runtime_checkable
class Pixels(Protocol):
    """Where the network pixels of a split come from."""

    def take(self, positions: Sequence[int]) -> UInt8[np.ndarray, "n h w c"]:
        """Images at these positions of the split."""


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """Images in a memory-mapped file; `rows` are the rows of those that could be read."""

    array: UInt8[np.ndarray, "images h w c"]
    rows: Int[np.ndarray, " readable"]

    def take(self, positions: Sequence[int]) -> UInt8[np.ndarray, "n h w c"]:
        """Images at these positions of the split."""
        return self.array[self.rows[np.asarray(positions)]]


@dataclass(frozen=True, slots=True)
class FreshPixels:
    """Images decoded anew each time."""

    dataset: Dataset
    records: tuple[Record, ...]
    preprocess: Preprocess
    pool: ThreadPoolExecutor

    def take(self, positions: Sequence[int]) -> UInt8[np.ndarray, "n h w c"]:
        """Images at these positions of the split."""
        records = [self.records[position] for position in positions]
        return np.stack(list(self.pool.map(self._one, records)))

    def _one(self, record: Record) -> UInt8[np.ndarray, "h w c"]:
        try:
            return self.preprocess.pixels(self.dataset.image(record).pixels)
        except ImageError as error:
            raise DataError(f"{record.name} could be read before and no longer can: {error}") from error


@dataclass(frozen=True, slots=True)
class Decoded:
    """The readable images of a split in network pixels; `sizes` are the photos' own (height, width)."""

    records: tuple[Record, ...]
    pixels: Pixels
    preprocess: Preprocess
    sizes: Int[np.ndarray, "readable 2"]
    refused: tuple[Refusal, ...]
    notes: tuple[Note, ...]
    cached: Path | None

    def frames(self, positions: Sequence[int]) -> list[Frame]:
        """How the images at these positions lie in network pixels."""
        return [self.preprocess.frame(*map(int, self.sizes[position])) for position in positions]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of a split once every image has been decoded: sizes (0, 0 where refused), refusals, notes."""

    sizes: list[tuple[int, int]]
    refused: list[Refusal]
    notes: list[Note]


def decode(
    dataset: Dataset,
    split: str,
    preprocess: Preprocess,
    digests: Mapping[Path, str],
    *,
    cap: int | None = None,
) -> Decoded:
    """Every image of a split in network pixels, from the cache or decoded now.

    `digests` are the SHA-256 of the dataset's files; `cap` is the largest size of all cached images in bytes (default:
    half of what is free). Images that cannot be read are refused, not raised.
    """
    records = dataset.split(split)
    shape = (len(records), *preprocess.size, preprocess.channels)
    home = cache_folder() / "pixels"
    room = _room(home) if cap is None else cap
    if math.prod(shape) > room:
        facts = _Facts([], [], [])
        for _ in _decoded(dataset, records, preprocess, facts):
            pass
        return _fresh(dataset, records, preprocess, facts)
    entry = home / _key(records, preprocess, digests)
    if not _is_whole(entry, shape):
        with contextlib.suppress(FileNotFoundError):  # another process is tidying up, too
            _evict(home, room - math.prod(shape))
        _build(entry, dataset, records, preprocess)
    entry.touch()
    return _stored(entry, records, preprocess)


def _is_whole(entry: Path, shape: tuple[int, ...]) -> bool:
    """Whether everything an entry holds is still there: cleaners of temporary folders take single files."""
    pixels = entry / "pixels.bin"
    return (entry / "facts.json").is_file() and pixels.is_file() and pixels.stat().st_size == math.prod(shape)


def _key(records: Sequence[Record], preprocess: Preprocess, digests: Mapping[Path, str]) -> str:
    geometry = {**preprocess.to_json(), "mean": None, "std": None}
    content = [[digests[record.path], record.item, str(record.path)] for record in records]
    return sha256_text(canonical_json([1, geometry, content]))[:32]


def _room(home: Path) -> int:
    home.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(home).free // 2 + _size(home)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _evict(home: Path, room: int) -> None:
    """Remove abandoned drafts, then the entries that were not used for longest until what remains fits the room."""
    folders = [path for path in home.glob("*") if path.is_dir()]
    for draft in (path for path in folders if path.name.startswith(".")):
        if time.time() - draft.stat().st_mtime > ABANDONED_SECONDS:
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


def _build(entry: Path, dataset: Dataset, records: Sequence[Record], preprocess: Preprocess) -> None:
    draft = _beside(entry, "new")
    facts = _Facts([], [], [])
    try:
        draft.mkdir(parents=True, exist_ok=True)
        with (draft / "pixels.bin").open("wb") as file:
            for pixels in _decoded(dataset, records, preprocess, facts):
                file.write(pixels.tobytes())
            file.flush()
            os.fsync(file.fileno())
        write_atomic(draft / "facts.json", json.dumps(asdict(facts)))
        _place(draft, entry, (len(records), *preprocess.size, preprocess.channels))
    except OSError as error:
        raise PellucidError(
            f"Cannot keep decoded images in {entry.parent}: {error.strerror}. Free some space, choose another folder "
            "with PELLUCID_CACHE, or give --cache-gb 0 to decode them anew each time."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _place(draft: Path, entry: Path, shape: tuple[int, ...]) -> None:
    """Give a finished draft its name, unless another process has put the same entry there meanwhile."""
    if entry.exists() and not _is_whole(entry, shape):
        _remove(entry)
    try:
        draft.replace(entry)
    except OSError:
        if not _is_whole(entry, shape):
            raise


def _decoded(
    dataset: Dataset, records: Sequence[Record], preprocess: Preprocess, facts: _Facts
) -> Iterator[UInt8[np.ndarray, "h w c"]]:
    """Images in order, zeros for those that cannot be read; what is learnt on the way goes into `facts`."""

    def one(
        record: Record,
    ) -> tuple[UInt8[np.ndarray, "h w c"], tuple[int, int], tuple[str, ...]] | ImageError:
        try:
            image = dataset.image(record)
            grey = (GREY_NOTE,) if image.pixels.shape[2] > preprocess.channels else ()
            return preprocess.pixels(image.pixels), image.pixels.shape[:2], image.notes + grey
        except ImageError as error:
            return error

    with ThreadPoolExecutor(usable_cores()) as pool:
        for record, result in zip(records, _in_windows(pool, one, records), strict=True):
            if isinstance(result, ImageError):
                facts.sizes.append((0, 0))
                facts.refused.append(Refusal(record.name, result.reason, result.cure))
                yield np.zeros((*preprocess.size, preprocess.channels), np.uint8)
            else:
                pixels, size, notes = result
                facts.sizes.append((int(size[0]), int(size[1])))
                facts.notes.extend(Note(record.name, text) for text in notes)
                yield pixels


def _in_windows(
    pool: ThreadPoolExecutor, function: Callable[[Record], Result], records: Sequence[Record], window: int = 64
) -> Iterator[Result]:
    """`pool.map` that never holds more than a window of decoded photos in memory."""
    waiting = iter(records)
    while batch := list(islice(waiting, window)):
        yield from pool.map(function, batch)


def _stored(entry: Path, records: Sequence[Record], preprocess: Preprocess) -> Decoded:
    saved = json.loads((entry / "facts.json").read_text())
    facts = _Facts(
        [(rows, columns) for rows, columns in saved["sizes"]],
        [Refusal(**row) for row in saved["refused"]],
        [Note(**row) for row in saved["notes"]],
    )
    shape = (len(records), *preprocess.size, preprocess.channels)
    array = np.memmap(entry / "pixels.bin", np.uint8, "r", shape=shape) if records else np.zeros(shape, np.uint8)
    readable = _readable(facts)
    return _result(records, StoredPixels(array, readable), preprocess, facts, entry)


def _fresh(dataset: Dataset, records: Sequence[Record], preprocess: Preprocess, facts: _Facts) -> Decoded:
    kept = tuple(records[row] for row in _readable(facts))
    pixels = FreshPixels(dataset, kept, preprocess, ThreadPoolExecutor(4))
    return _result(records, pixels, preprocess, facts, None)


def _readable(facts: _Facts) -> Int[np.ndarray, " readable"]:
    return np.flatnonzero(np.array([size[0] > 0 for size in facts.sizes], bool))


def _result(
    records: Sequence[Record], pixels: Pixels, preprocess: Preprocess, facts: _Facts, cached: Path | None
) -> Decoded:
    rows = _readable(facts)
    return Decoded(
        records=tuple(records[row] for row in rows),
        pixels=pixels,
        preprocess=preprocess,
        sizes=np.array(facts.sizes, np.int64).reshape(-1, 2)[rows],
        refused=tuple(facts.refused),
        notes=tuple(facts.notes),
        cached=cached,
    )
