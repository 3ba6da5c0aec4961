"""The images that a model is shown in the studio: one photo, or a split of a dataset."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor

from pellucid.data.dataset import Dataset, open_dataset
from pellucid.errors import UsageError
from pellucid.evaluation import cut_of, match_classes
from pellucid.image import read_image
from pellucid.network import Predictor
from pellucid.studio.subject import Subject
from pellucid.tasks.base import AbstractTask
from pellucid.types import Frame

__all__ = ["AbstractPhotos", "OnePhoto", "Split", "photos_of"]


class AbstractPhotos(ABC):
    """Images by number."""

    __slots__ = ()

    @abstractmethod
    def __len__(self) -> int:
        """How many there are."""

    @abstractmethod
    def name(self, at: int) -> str:
        """How the image is called."""

    @abstractmethod
    def pixels(self, at: int) -> UInt8[ndarray, "h w c"]:
        """The photo's own pixels."""

    @abstractmethod
    def label(self, at: int) -> Any:
        """What is said of it; None where nothing is."""

    def objects(self, at: int, frame: Frame, task: AbstractTask) -> Mapping[str, Tensor] | None:
        """The objects of a photo as a detector's loss takes them; None where nobody says."""
        return None


@dataclass(frozen=True, slots=True)
class OnePhoto(AbstractPhotos):
    """A file of the user."""

    path: Path

    def __len__(self) -> int:
        return 1

    def name(self, at: int) -> str:
        """That of the file."""
        return self.path.name

    def pixels(self, at: int) -> UInt8[ndarray, "h w c"]:
        """Those of the file."""
        return read_image(self.path).pixels

    def label(self, at: int) -> Any:
        """None."""


@dataclass(frozen=True, slots=True, eq=False)
class Split(AbstractPhotos):
    """A split of a dataset, whose labels are numbers of the model's classes."""

    dataset: Dataset
    split: str

    def __len__(self) -> int:
        return len(self.dataset.split(self.split))

    def name(self, at: int) -> str:
        """As ledgers call it."""
        return self.dataset.split(self.split)[at].name

    def pixels(self, at: int) -> UInt8[ndarray, "h w c"]:
        """Those of the record."""
        return self.dataset.image(self.dataset.split(self.split)[at]).pixels

    def label(self, at: int) -> Any:
        """That of the record."""
        return self.dataset.split(self.split)[at].label

    def objects(self, at: int, frame: Frame, task: AbstractTask) -> Mapping[str, Tensor] | None:
        """Those of the record."""
        found: Mapping[str, Tensor] = task.collate([self.dataset.split(self.split)[at]], [frame], None).tensors
        return found


def photos_of(subject: Subject, predictor: Predictor) -> AbstractPhotos:
    """The photo of the subject, or a split of its data, cut as the model's training cut it."""
    if subject.data is not None:
        dataset = open_dataset(subject.data, **cut_of(predictor))
        if dataset.task != predictor.manifest.task:
            raise UsageError(f"The model is for {predictor.manifest.task!r}; {dataset.root} is for {dataset.task!r}.")
        return Split(match_classes(dataset, predictor.task), _shown(dataset, cut_of(predictor)))
    if subject.photo is None:
        raise UsageError("There is no photograph to look at. Name one: pellucid studio MODEL PHOTO")
    read_image(subject.photo)
    return OnePhoto(subject.photo)


def _shown(dataset: Dataset, cut: Mapping[str, object]) -> str:
    """The validation split; of weights from elsewhere rather the test split, if only that is the data's own: what we
    would cut they may have learnt from."""
    order = ("val", "test", "train")
    if not cut and "val" in dataset.made and "test" not in dataset.made:
        order = ("test", "val", "train")
    return next(name for name in order if dataset.splits.get(name))
