"""What every form of exported file has: a builder for a network, and what it built, which runs before it is written."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import onnx_ir as ir
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.network import Predictor
from pellucid.runtime.agreement import Results
from pellucid.runtime.forms import AbstractExported

__all__ = ["AbstractDraft", "AbstractExporter"]


class AbstractDraft(ABC):
    """An exported network in memory."""

    @property
    @abstractmethod
    def facts(self) -> Mapping[str, Any]:
        """What is to be known of this form: `form`, `inside` (what it does), `opset` where it has one, `versions`."""

    @property
    @abstractmethod
    def network(self) -> bytes:
        """The network alone as ONNX, from `pixels` to `decoded/…`, for other engines."""

    @abstractmethod
    def results(self, images: UInt8[ndarray, "n h w 3"], threshold: float | None = None) -> list[Results]:
        """The results of photos of one size, each in its own pixels; of boxes those from `threshold` on, if given."""

    @abstractmethod
    def write(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Write it with its manifest to a path that nobody else looks at."""

    @abstractmethod
    def read(self, path: Path) -> AbstractExported:
        """What was written, read as its users read it."""


class AbstractExporter(ABC):
    """Builds one form; `suffix` is that of its files, empty where it is a folder."""

    suffix: ClassVar[str]

    @abstractmethod
    def build(self, predictor: Predictor, network: ir.Model) -> AbstractDraft:
        """The form of a network, whose graph (see `network_graph`) is used up."""
