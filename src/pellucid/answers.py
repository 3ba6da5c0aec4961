"""What is said of images, written down: as text, JSON lines or CSV, to a stream or into a file.

A file is written in parts, each of which is there whole or not at all. Several ranks write some of them each, and a run
that was killed goes on behind those that are there.
"""

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from pellucid import __version__
from pellucid.data.packed import PackedPhoto, PackedPhotos
from pellucid.errors import PellucidError, UsageError
from pellucid.files import atomic_path, canonical_json, sha256_file, sha256_text, write_atomic
from pellucid.prediction import Predicted
from pellucid.ranks import Ranks
from pellucid.results import AbstractResults

__all__ = ["AnswerFile", "Photos", "PredictionWriter", "key_of"]

PART = 256
"""Photos of a part. Batches end with it, so that its numbers do not depend on who does it."""
ENCODING = ("utf-8", "surrogateescape")  # of names of files, too, that are no text

Photos = Sequence[str] | PackedPhotos


class PredictionWriter:
    """Writes predictions as they come, also a line a frame: text, JSON or CSV with the task's `columns`."""

    def __init__(
        self, form: str, columns: Sequence[str], stream: TextIO, *, videos: bool = False, head: bool = True
    ) -> None:
        self._form = form
        self._stream = stream
        place = ["image", "frame", "seconds"] if videos else ["image"]
        self._table = csv.DictWriter(stream, [*place, *columns, "error"], lineterminator="\n")
        if form == "csv" and head:
            self._table.writeheader()

    def write(self, found: Predicted) -> None:
        """One image's prediction or error."""
        match self._form:
            case "json":
                self._stream.write(json.dumps(found.to_json(), ensure_ascii=False) + "\n")
            case "csv":
                row = found.prediction.to_row() if found.prediction else {}
                self._table.writerow({**found.place, **row, "error": found.error})
            case _:
                said = found.prediction.text() if found.prediction else found.error
                moment = "" if found.seconds is None else f"  {found.seconds:.2f} s"
                self._stream.write(f"{found.image}{moment}  {said}\n")
        self._stream.flush()


@dataclass(frozen=True, slots=True)
class AnswerFile:
    """A file of predictions of photos, JSON lines or CSV by the suffix of its name.

    `key` stands for all that they depend on: parts that were left by a run with another one are not taken.
    """

    path: Path
    columns: Sequence[str]
    key: str

    def __post_init__(self) -> None:
        """Refuse a name that does not say what it is to hold."""
        if self.path.suffix not in (".jsonl", ".csv"):
            raise UsageError(
                f"--out {self.path}: give a file .jsonl or .csv for the predictions, or a folder and, with --to coco, "
                "yolo or voc, how boxes are written."
            )

    @property
    def form(self) -> str:
        """As `PredictionWriter` says it."""
        return "json" if self.path.suffix == ".jsonl" else "csv"

    def parts(self, photos: Photos) -> range:
        """Their numbers."""
        return range(-(-len(photos) // PART))

    def fill(
        self,
        photos: Photos,
        ranks: Ranks,
        say: Callable[[Sequence[str | PackedPhoto]], Iterator[Predicted]],
        results: Sequence[AbstractResults],
    ) -> Iterator[Predicted]:
        """Write this rank's share of the parts that are not there, and yield what they say; `say` predicts photos."""
        own = self._share(ranks, self.parts(photos))
        for number in self.parts(photos)[: max(own, default=-1) + 1]:
            part = photos[number * PART : (number + 1) * PART] if number in own or results else []
            if number in own:
                yield from self._write(number, say(part), results)
                continue
            for photo in part:
                for kept in results:
                    kept.pass_over(str(photo))

    def _share(self, ranks: Ranks, parts: range) -> set[int]:
        """A run of those that the first rank does not see: where all look for themselves, they may see others."""
        # Names are listed and none is looked for: some network file systems remember what was not there.
        there = {path.name for path in self._folder.iterdir()} if self._folder.is_dir() else set()
        missing = np.array([number for number in parts if self._part(number).name not in there], np.int64)
        missing = ranks.gathered({"missing": missing})[0]["missing"]
        return {int(missing[place]) for place in ranks.own(range(len(missing)))}

    def _write(self, number: int, said: Iterator[Predicted], results: Sequence[AbstractResults]) -> Iterator[Predicted]:
        lines = io.StringIO(newline="")
        writer = PredictionWriter(self.form, self.columns, lines, head=False)
        for found in said:
            writer.write(found)
            for kept in results:
                kept.take(found)
            yield found
        write_atomic(self._part(number), lines.getvalue().encode(*ENCODING))

    def join(self, photos: Photos) -> int:
        """Put all parts into the file, in order, and remove them; how many of the photos could not be read."""
        failed = 0
        with atomic_path(self.path) as draft, draft.open("wb") as whole:
            whole.write(self._head().encode(*ENCODING))
            for number in self.parts(photos):
                lines = self._read(number)
                failed += self._failures(lines)
                whole.write(lines.encode(*ENCODING))
        for folder in self.path.parent.iterdir():
            if folder.name.startswith(f".{self.path.name}.") and folder.suffix == ".parts":
                shutil.rmtree(folder)
        return failed

    def _head(self) -> str:
        lines = io.StringIO(newline="")
        PredictionWriter(self.form, self.columns, lines)
        return lines.getvalue()

    @property
    def _folder(self) -> Path:
        return self.path.with_name(f".{self.path.name}.{self.key[:16]}.parts")

    def _part(self, number: int) -> Path:
        return self._folder / f"{number:06d}"

    def _read(self, number: int) -> str:
        try:
            return self._part(number).read_bytes().decode(*ENCODING)
        except FileNotFoundError as error:
            raise PellucidError(
                f"Part {number} of {self.path} is missing: not all ranks saw the same photos and the same folder. "
                "Run again once they do; the other parts are kept."
            ) from error

    def _failures(self, lines: str) -> int:
        """Errors among some lines; a line break inside of quotes is none."""
        if self.form == "csv":
            return sum(bool(row[-1]) for row in csv.reader(io.StringIO(lines, newline="")))
        return sum(json.loads(line)["error"] is not None for line in lines.split("\n") if line)


def key_of(model: Path, photos: Photos, flags: Sequence[Any]) -> str:
    """SHA-256 of what predictions depend on: the model's bytes, the photos, the flags, the version.

    Photos in files go by name, size and time of change; those in shards by the digests in the index.
    """
    files = sorted(path for path in model.rglob("*") if path.is_file()) if model.is_dir() else [model]
    if isinstance(photos, PackedPhotos):
        seen: list[Any] = [photos.dataset.digest()]
    else:
        seen = [[photo, *_state(Path(photo))] for photo in photos]
    return sha256_text(canonical_json([__version__, list(map(sha256_file, files)), seen, flags]))


def _state(path: Path) -> list[int]:
    """Size and time of change; nothing of what cannot be read, which is said when it is predicted."""
    try:
        found = path.stat()
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]
