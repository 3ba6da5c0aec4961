"""Folders of results: pictures and videos with predictions drawn on them, masks, and boxes as a dataset."""

from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, Self

from pellucid.catalog import find
from pellucid.data.boxes import Box, Boxes, ScoredBoxes, box_area
from pellucid.data.dataset import Dataset, claim_folder
from pellucid.data.ledger import Ledger
from pellucid.errors import UsageError
from pellucid.image import write_image
from pellucid.prediction import Predicted
from pellucid.predictions.base import AbstractPostprocess
from pellucid.predictions.detect import FoundBoxes
from pellucid.types import Record
from pellucid.video import VideoWriter

__all__ = ["AbstractResults", "BoxDataset", "BoxFormat", "Drawings", "Masks", "free_path"]

BoxFormat = Literal["coco", "yolo", "voc"]
FORMATS = {"coco": "coco-boxes", "yolo": "yolo-boxes", "voc": "voc"}
DIGITS = 2  # of a pixel, behind the point: no network knows more


class AbstractResults(ABC):
    """Takes predictions one by one. It is a context: at its end, what is left to write is written."""

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def take(self, found: Predicted) -> None:
        """Write, or keep for the end, what is said of one image or frame."""

    @abstractmethod
    def pass_over(self, image: str) -> None:
        """Leave one image to another process: only its name is taken."""

    @abstractmethod
    def __exit__(self, kind: Any, error: Any, trace: Any) -> None: ...


class Drawings(AbstractResults):
    """A picture for every image, and a video for every video, with what was found drawn on it."""

    def __init__(self, folder: Path, postprocess: AbstractPostprocess) -> None:
        self._folder = folder
        self._postprocess = postprocess
        self._taken: set[Path] = set()
        self._open = ExitStack()
        self._writer: VideoWriter | None = None

    def take(self, found: Predicted) -> None:
        """One more picture, or frame of its video."""
        if found.frame is not None:
            self._add(found)
            return
        path = free_path(self._folder, found.image, self._taken)
        if found.prediction is not None:
            write_image(path, self._postprocess.draw(found.pixels, found.prediction))

    def pass_over(self, image: str) -> None:
        """Take the name that its picture has."""
        free_path(self._folder, image, self._taken)

    def _add(self, found: Predicted) -> None:
        if found.frame == 0 or self._writer is None:
            self._open.close()
            path = free_path(self._folder, found.image, self._taken, ".mp4")
            self._writer = self._open.enter_context(VideoWriter(path))
        drawn = self._postprocess.draw(found.pixels, found.prediction, steady=True)
        self._writer.add(drawn, found.seconds or 0.0)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._open.__exit__(kind, error, trace)


class Masks(AbstractResults):
    """The files that a task saves of a prediction: `photo.png`; of a video's frames `clip-000012.png`."""

    def __init__(self, folder: Path, postprocess: AbstractPostprocess) -> None:
        self._folder = folder
        self._postprocess = postprocess
        self._taken: set[Path] = set()

    def take(self, found: Predicted) -> None:
        """One more file."""
        name = found.image if found.frame is None else f"{Path(found.image).stem}-{found.frame:06d}"
        path = free_path(self._folder, name, self._taken)
        if found.prediction is not None:
            self._postprocess.save(found.prediction, path)

    def pass_over(self, image: str) -> None:
        """Take the name that its mask has."""
        free_path(self._folder, image, self._taken)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Nothing is left to do."""


class BoxDataset(AbstractResults):
    """The images with the boxes that were found, as a dataset: to be looked at, corrected and learnt from.

    Corners are written to a hundredth of a pixel, scores where the format has a place for them: COCO's `score`, a sixth
    number in YOLO's lines, nothing in VOC. A box that has no area then is left out.
    """

    def __init__(self, folder: Path, to: BoxFormat, postprocess: AbstractPostprocess) -> None:
        if to not in FORMATS:
            raise UsageError(f"--to {to!r}: boxes are written as {', '.join(FORMATS)}.")
        claim_folder(folder)
        self._folder = folder
        self._format = FORMATS[to]
        self._classes = postprocess.classes
        self._records: list[Record] = []

    def take(self, found: Predicted) -> None:
        """Keep one image's boxes."""
        if found.frame is not None:
            raise UsageError(f"--out writes image files with their boxes, and {found.image} is a video. Use --draw.")
        if found.prediction is not None and not isinstance(found.prediction, FoundBoxes):
            raise UsageError("--out writes boxes, and this model finds none. Use --json, --csv or --save.")
        if found.prediction is not None:
            self._records.append(Record(Path(found.image), _label(found.prediction)))

    def pass_over(self, image: str) -> None:
        """Refused: a dataset is written by one process, in one go."""
        raise UsageError(f"--to writes a dataset of all images, and {image} was left to another process.")

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None and self._records:
            splits = {"train": tuple(self._records)}
            dataset = Dataset("detect", self._classes, splits, Path(), Ledger(), self._format)
            find("FORMATS", self._format).write(dataset, self._folder)


def _label(prediction: FoundBoxes) -> ScoredBoxes:
    found = prediction.found
    rows = zip(found.xyxy.round(DIGITS).tolist(), found.labels.tolist(), found.scores.tolist(), strict=True)
    kept = [(Box((left, top, right, bottom), label), score) for (left, top, right, bottom), label, score in rows]
    kept = [(box, score) for box, score in kept if box_area(box.xyxy) > 0]
    return ScoredBoxes(Boxes.gathered([box for box, _ in kept]), tuple(score for _, score in kept))


def free_path(folder: Path, image: str, taken: set[Path], suffix: str = ".png") -> Path:
    """Where a result goes: the image's own name, with a number where two folders hold the same name."""
    stem, place = Path(image).stem, 2
    path = folder / f"{stem}{suffix}"
    while path in taken:
        path, place = folder / f"{stem}-{place}{suffix}", place + 1
    taken.add(path)
    return path
