"""A model repository, as Triton and KServe read it: the same `.onnx`, and beside it what a server must know of it.

NAME/config.pbtxt    names, types and shapes, taken from the file itself, and how requests are put together
NAME/1/model.onnx    what `pellucid export MODEL NAME.onnx` writes, byte for byte
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir

from pellucid.errors import UsageError
from pellucid.export.base import AbstractExporter
from pellucid.export.onnx_exporter import OnnxDraft, OnnxExporter
from pellucid.network import Predictor
from pellucid.runtime.onnx_file import OnnxFile

__all__ = ["CONFIG", "MODEL", "RepositoryDraft", "RepositoryExporter"]

CONFIG = "config.pbtxt"
MODEL = "1/model.onnx"
"""Of version 1, by the name that servers expect."""
BATCH = 8
"""Photos of one size that go through the network together, as in `pellucid serve`."""
MICROSECONDS = 2000
"""How long the first of them waits for others."""


@dataclass(frozen=True)
class RepositoryDraft(OnnxDraft):
    """The bytes of a model, and the name that it is served under."""

    name: str

    def write(self, path: Path, facts: Mapping[str, Any]) -> None:
        """A model's folder of a repository."""
        (path / MODEL).parent.mkdir(parents=True)
        super().write(path / MODEL, facts)
        (path / CONFIG).write_text(configuration(self.name, self.body), encoding="utf-8")

    def read(self, path: Path) -> OnnxFile:
        """The file in it."""
        return super().read(path / MODEL)


class RepositoryExporter(AbstractExporter):
    """A folder whose name is the model's; the folder around it is the repository."""

    suffix = ""

    def __init__(self, path: Path) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", path.name) or path.suffix == OnnxExporter.suffix:
            raise UsageError(
                f"{path}: with --repository, OUT is a folder that is called as the model will be: letters, digits, "
                "_ . and - alone, no .onnx. Give one such as models/cells."
            )
        self._name = path.name

    def build(self, predictor: Predictor, network: ir.Model) -> RepositoryDraft:
        """As that of a single file."""
        return RepositoryDraft(OnnxExporter().build(predictor, network).body, self._name)


def configuration(name: str, body: bytes) -> str:
    """The configuration of an exported file, in the text format of protocol buffers.

    A detector's `threshold` is left to the file: servers take an input that may be left out only where they put no
    requests together. Requests that are put together have photos of one size; their boxes are filled up to the
    longest list, of which `count` tells.
    """
    graph = onnx.load_from_string(body).graph
    given = {one.name for one in graph.initializer}
    lines = [
        f'name: "{name}"',
        'backend: "onnxruntime"',
        f"max_batch_size: {BATCH}",
        f"dynamic_batching {{ max_queue_delay_microseconds: {MICROSECONDS} }}",
        *_tensors("input", [one for one in graph.input if one.name not in given]),
        *_tensors("output", graph.output),
    ]
    return "\n".join(lines) + "\n"


def _tensors(kind: str, values: Iterable[onnx.ValueInfoProto]) -> Iterator[str]:
    for value in values:
        tensor = value.type.tensor_type
        letters = onnx.TensorProto.DataType.Name(tensor.elem_type)
        name = {"FLOAT": "FP32"}.get(letters, letters)
        yield f'{kind} {{ name: "{value.name}" data_type: TYPE_{name} {_shape(tensor.shape.dim)} }}'


def _shape(dims: Iterable[onnx.TensorShapeProto.Dimension]) -> str:
    """That of one photo: the first side is the batch. No shape may be empty, so one number is asked for as a list."""
    sides = [str(one.dim_value if one.HasField("dim_value") else -1) for one in dims][1:]
    return f"dims: [ {', '.join(sides)} ]" if sides else "dims: [ 1 ] reshape { shape: [ ] }"
