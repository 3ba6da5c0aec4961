"""The forms of exported files: which class opens which, by its name."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from jaxtyping import UInt8
from numpy import ndarray

from pellucid.errors import UsageError
from pellucid.runtime.agreement import Results
from pellucid.runtime.manifest import ExportManifest

__all__ = ["AbstractExported", "open_exported"]


class AbstractExported(ABC):
    """An exported file, found whole."""

    path: Path
    manifest: ExportManifest

    @abstractmethod
    def results(self, images: UInt8[ndarray, "n h w 3"], threshold: float | None = None) -> list[Results]:
        """The results of photos of one size, each in its own pixels; of boxes those from `threshold` on, if given."""


def open_exported(path: str | Path) -> AbstractExported:
    """The exported file at a path; a ModelError says what is wrong with it."""
    forms = _forms()
    suffix = "" if Path(path).is_dir() else Path(path).suffix
    if suffix not in forms:
        raise UsageError(f"{path} is no exported file. Give one that `pellucid export` has written: .onnx.")
    return forms[suffix](path)


def _forms() -> Mapping[str, Callable[[str | Path], AbstractExported]]:
    from pellucid.runtime.onnx_file import OnnxFile

    return {".onnx": OnnxFile.read}
