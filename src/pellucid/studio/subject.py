"""What the studio is about, from the words of the command line: a model, its run, a photo or a dataset."""

from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import UsageError
from pellucid.image import SUFFIXES
from pellucid.studio.photo import sample_photo

__all__ = ["Subject", "subject_of"]


@dataclass(frozen=True, slots=True)
class Subject:
    """The model file, the folder of its run, a photo, a dataset; what is None is not there.

    A run that has only begun has no model yet. Without a photo and a dataset, a model looks at the sample photograph.
    """

    model: Path | None = None
    run: Path | None = None
    photo: Path | None = None
    data: str | None = None


def subject_of(model: str | None, given: str | None) -> Subject:
    """The subject of `pellucid studio MODEL GIVEN`: a model file or the folder of a run; an image file, else data."""
    if model is None:
        return Subject()
    path = Path(model)
    folder, file = (path, path / "model.safetensors") if path.is_dir() else (path.parent, path)
    run = (folder / "events.jsonl").is_file()
    if not file.is_file() and not (path.is_dir() and run):
        raise UsageError(f"{model} is no model. Give a model.safetensors, or the folder of a run.")
    photo, data = _looked_at(given)
    return Subject(file if file.is_file() else None, folder if run else None, photo, data)


def _looked_at(given: str | None) -> tuple[Path | None, str | None]:
    if given is None:
        return sample_photo(), None
    path = Path(given)
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return path, None
    return None, given
