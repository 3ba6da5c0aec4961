"""What a dataset says of a photo, as a detector's loss takes it."""

from dataclasses import replace
from pathlib import Path

from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor

from pellucid.catalog import suggestion
from pellucid.data.dataset import Dataset, open_dataset
from pellucid.errors import UsageError
from pellucid.network import Predictor
from pellucid.types import Record

__all__ = ["targets_of"]


def targets_of(
    predictor: Predictor, truth: str | Path, image: Path, photo: UInt8[ndarray, "h w c"]
) -> dict[str, Tensor]:
    """The objects of the photo in network pixels, under the model's own numbers of classes."""
    if predictor.manifest.task != "detect":
        raise UsageError("--truth says what boxes should be learnt, and this model finds none. Leave it out.")
    dataset = open_dataset(truth)
    if dataset.task != "detect":
        raise UsageError(f"--truth {truth}: a dataset to {dataset.task}, and boxes are wanted.")
    record = _record(dataset, image, truth)
    record = replace(record, label=record.label.renumbered(_numbers(dataset, predictor.manifest.classes)))
    frame = predictor.preprocess.frame(*photo.shape[:2])
    return predictor.task.collate([record], [frame], None).tensors


def _record(dataset: Dataset, image: Path, truth: str | Path) -> Record:
    """That of the file, or else the only one of its name."""
    records = [record for split in dataset.splits.values() for record in split]
    own = [record for record in records if record.path.resolve() == image.resolve()]
    found = own or [record for record in records if record.path.name == image.name]
    if len(found) != 1:
        raise UsageError(
            f"--truth {truth}: {len(found) or 'no'} images are called {image.name!r}. Give the image by the path that "
            f"the dataset has.{suggestion(image.name, [record.path.name for record in records])}"
        )
    return found[0]


def _numbers(dataset: Dataset, classes: tuple[str, ...]) -> list[int]:
    unknown = [name for name in dataset.classes if name not in classes]
    if unknown:
        raise UsageError(f"--truth: the model knows no class {unknown[0]!r}.{suggestion(unknown[0], classes)}")
    return [classes.index(name) for name in dataset.classes]
