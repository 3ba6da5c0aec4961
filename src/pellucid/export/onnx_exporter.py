"""`.onnx`: from photos of any size to finished results, in one file of standard operators."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.export.base import AbstractDraft, AbstractExporter
from pellucid.export.onnx_graph import OPSET, whole_graph
from pellucid.network import Predictor
from pellucid.runtime.agreement import Results, split
from pellucid.runtime.engines import session_of
from pellucid.runtime.onnx_file import OnnxFile, results_of, with_manifest
from pellucid.runtime.onnx_part import network_part

__all__ = ["EXPORTERS", "OnnxDraft", "OnnxExporter"]


@dataclass(frozen=True)
class OnnxDraft(AbstractDraft):
    """The bytes of a model, but for its manifest."""

    body: bytes = field(repr=False)

    @property
    def facts(self) -> Mapping[str, Any]:
        """Its opset, and who made it."""
        packages = ("onnx", "onnxscript", "onnxruntime")
        inside = "photos, uint8 N H W 3 of any size, to results in their own pixels"
        return {
            "form": "onnx",
            "inside": inside,
            "opset": OPSET,
            "versions": {name: version(name) for name in packages},
        }

    @property
    def network(self) -> bytes:
        """Cut out of the whole."""
        return network_part(self.body)

    @cached_property
    def session(self) -> Any:
        """It runs the model."""
        return session_of(self.body)

    def results(self, images: UInt8[ndarray, "n h w 3"], threshold: float | None = None) -> list[Results]:
        """What the model itself gives."""
        inputs = {} if threshold is None else {"threshold": threshold}
        return split(results_of(self.session, images, inputs))

    def write(self, path: Path, facts: Mapping[str, Any]) -> None:
        """The bytes, and the manifest behind them."""
        path.write_bytes(with_manifest(self.body, facts))

    def read(self, path: Path) -> OnnxFile:
        """The file."""
        return OnnxFile.read(path)


class OnnxExporter(AbstractExporter):
    """One file for every runtime that reads ONNX."""

    suffix = ".onnx"

    def build(self, predictor: Predictor, network: ir.Model) -> OnnxDraft:
        """Photo, network and results in one graph, checked against the standard."""
        preprocess, task = predictor.preprocess, predictor.task
        graph = whole_graph(network, task.name, preprocess, task.learnt)
        model = ir.to_proto(graph)
        onnx.checker.check_model(model)
        return OnnxDraft(model.SerializeToString(deterministic=True))


EXPORTERS = {"onnx": OnnxExporter}
