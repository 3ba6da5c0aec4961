"""The forms of exported files: which class opens which, by its name."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from jaxtyping import UInt8
from numpy import ndarray

from pellucid.errors import UsageError
from pellucid.runtime.agreement import Results
from pellucid.runtime.manifest import ExportManifest

__all__ = ["AbstractExported", "is_exported", "open_exported"]


SUFFIXES = (".onnx",)


class AbstractExported(ABC):
    """An exported file, found whole."""

    path: Path
    manifest: ExportManifest
    engines: ClassVar[tuple[str, ...]]

    @property
    @abstractmethod
    def network(self) -> bytes | Path:
        """The network by itself, as `ENGINES` take it; `engines` are those that do, the fastest to start first."""

    @abstractmethod
    def results(self, images: UInt8[ndarray, "n h w 3"], threshold: float | None = None) -> list[Results]:
        """The results of photos of one size, each in its own pixels; of boxes those from `threshold` on, if given."""


def open_exported(path: str | Path) -> AbstractExported:
    """The exported file at a path; a ModelError says what is wrong with it."""
    forms = _forms()
    if not Path(path).exists():
        raise UsageError(f"No file {path}. Give what `pellucid export` has written.")
    suffix = _suffix(path)
    if suffix not in forms:
        raise UsageError(f"{path} is no exported file. Give what `pellucid export` has written: .onnx, or a folder.")
    return forms[suffix](path)


def is_exported(path: str | Path) -> bool:
    """Whether a path has the name of an exported file, as against that of a model file."""
    suffix = _suffix(path)
    return (Path(path) / "manifest.json").is_file() if suffix == "" else suffix in SUFFIXES


def _suffix(path: str | Path) -> str:
    return "" if Path(path).is_dir() else Path(path).suffix or "none"


def _forms() -> Mapping[str, Callable[[str | Path], AbstractExported]]:
    from pellucid.runtime.onnx_file import OnnxFile
    from pellucid.runtime.openvino_folder import OpenVinoFolder

    return {".onnx": OnnxFile.read, "": OpenVinoFolder.read}
