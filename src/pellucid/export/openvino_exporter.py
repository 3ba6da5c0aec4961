"""A folder for OpenVINO: the network in its own form; the ways before and behind it stay outside.

OpenVINO's resize ignores antialiasing, and it computes whole numbers of 64 bits in 32, so that the exact resize of our
ONNX graph would be wrong there. Whoever runs `model.xml` without pellucid must bring `pixels` into the form that the
manifest describes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx_ir as ir
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.export.base import AbstractDraft, AbstractExporter
from pellucid.export.onnx_graph import OPSET
from pellucid.network import Predictor
from pellucid.runtime.agreement import Results
from pellucid.runtime.engines import OpenVino, openvino
from pellucid.runtime.openvino_folder import MODEL, OpenVinoFolder, write_manifest
from pellucid.runtime.predictor import PartPredictor, results_by

__all__ = ["EXPORTERS", "OpenVinoDraft", "OpenVinoExporter"]

INSIDE = (
    "network pixels (as `preprocess` makes them of a photo: uint8 N H W C) to decoded outputs; the resize and the "
    "suppression of boxes are outside, since OpenVINO's resize is another"
)


@dataclass(frozen=True)
class OpenVinoDraft(AbstractDraft):
    """The network's ONNX bytes, which OpenVINO reads, and what belongs around it."""

    body: bytes = field(repr=False)
    around: Predictor = field(repr=False)

    @property
    def facts(self) -> Mapping[str, Any]:
        """Who made it."""
        packages = ("onnx", "onnxscript", "openvino")
        versions = {name: version(name) for name in packages}
        return {"form": "openvino", "inside": INSIDE, "opset": OPSET, "versions": versions}

    @property
    def network(self) -> bytes:
        """All that there is."""
        return self.body

    @cached_property
    def predictor(self) -> PartPredictor:
        """The network in OpenVINO, in fp32."""
        return PartPredictor(self.around.preprocess, self.around.postprocess, OpenVino(self.network))

    def results(self, images: UInt8[ndarray, "n h w 3"], threshold: float | None = None) -> list[Results]:
        """What the network and pellucid's own way before and behind it give."""
        return results_by(self.predictor, images, threshold)

    def write(self, path: Path, facts: Mapping[str, Any]) -> None:
        """A folder of three files."""
        path.mkdir(exist_ok=True)
        package = openvino()
        package.save_model(package.Core().read_model(self.network), path / MODEL, compress_to_fp16=False)
        write_manifest(path, facts)

    def read(self, path: Path) -> OpenVinoFolder:
        """The folder."""
        return OpenVinoFolder.read(path)


class OpenVinoExporter(AbstractExporter):
    """A folder of `model.xml`, `model.bin` and `manifest.json`."""

    suffix = ""

    def build(self, predictor: Predictor, network: ir.Model) -> OpenVinoDraft:
        """The network and its decoding."""
        return OpenVinoDraft(ir.to_proto(network).SerializeToString(deterministic=True), predictor)


EXPORTERS = {"openvino": OpenVinoExporter}
