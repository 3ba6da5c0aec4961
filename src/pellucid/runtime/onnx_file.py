"""An ONNX file from anywhere, looked through before it is run: one of ours, whole, and nothing in it but arithmetic."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.errors import ModelError, UsageError
from pellucid.runtime.agreement import Results, split
from pellucid.runtime.engines import session_of
from pellucid.runtime.forms import AbstractExported
from pellucid.runtime.manifest import KEY, ExportManifest, opened, sealed
from pellucid.runtime.onnx_part import network_part
from pellucid.runtime.wire import Field, fields, message, text

__all__ = ["OnnxFile", "results_of", "with_manifest"]

MOST_BYTES = 2**31 - 1
"""Protocol buffers hold no more."""
GRAPH, METADATA, FUNCTIONS, TRAINING = 7, 14, 25, 20
NODE, INITIALIZER, SPARSE = 1, 5, 15
OP_TYPE, ATTRIBUTE, DOMAIN = 4, 5, 7
SUBGRAPHS = {6, 11}
EXTERNAL_DATA, DATA_LOCATION = 13, 14
ARITHMETIC = """
    Abs Add And ArgMax AveragePool BatchNormalization Cast Ceil Clip Concat Constant ConstantOfShape Conv
    ConvInteger ConvTranspose CumSum DequantizeLinear Div Equal Exp Expand Flatten Floor Gather GatherElements
    GatherND Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual Identity LeakyRelu Less LessOrEqual Log
    MatMul MatMulInteger Max MaxPool Min Mod Mul Neg NonMaxSuppression Not Or Pad Pow QLinearConv QLinearMatMul
    QuantizeLinear Range Reciprocal ReduceMax ReduceMean ReduceMin ReduceSum Relu Reshape Resize Round
    ScatterElements ScatterND Shape Sigmoid Slice Softmax Split Sqrt Squeeze Sub TopK Transpose Unsqueeze Where
"""
OPERATORS = frozenset(ARITHMETIC.split())
"""What a file may consist of: none of these loops, calls, reads a file or allocates by itself."""


@dataclass(frozen=True)
class OnnxFile(AbstractExported):
    """A file that was found whole: its bytes and its manifest. It is run as it is, photos in, results out."""

    engines: ClassVar[tuple[str, ...]] = ("onnxruntime", "openvino", "openvino-bf16")
    path: Path
    data: bytes = field(repr=False)
    manifest: ExportManifest

    @classmethod
    def read(cls, path: str | Path) -> "OnnxFile":
        """The file, once every byte of it was found to be what was exported; a ModelError says what is not."""
        place = Path(path)
        if not place.is_file():
            raise UsageError(f"No file {path}. Give a file that `pellucid export` has written.")
        if place.stat().st_size > MOST_BYTES:
            raise ModelError(f"{path} is refused: it has {place.stat().st_size:,} bytes, more than an ONNX file can.")
        data = place.read_bytes()
        try:
            body, sealed_text = _divided(memoryview(data))
            manifest = opened(sealed_text, hashlib.sha256(body).hexdigest())
            _refuse_strangers(body)
        except ModelError as error:
            raise ModelError(f"{path} is refused: {error}. Use another copy, or export the model again.") from error
        return cls(place, data, manifest)

    @cached_property
    def session(self) -> Any:
        """It runs the whole file."""
        return session_of(self.data)

    @property
    def network(self) -> bytes:
        """The network by itself, for an engine."""
        return network_part(self.data)

    def results(self, images: UInt8[ndarray, "n h w 3"], threshold: float | None = None) -> list[Results]:
        """What the file itself gives."""
        inputs = {} if threshold is None else {"threshold": threshold}
        return split(results_of(self.session, images, inputs))


def with_manifest(body: bytes, facts: Mapping[str, Any]) -> bytes:
    """A model's bytes with its manifest as the last field."""
    entry = message(1, KEY.encode()) + message(2, sealed(facts, hashlib.sha256(body).hexdigest()).encode())
    return body + message(METADATA, entry)


def results_of(session: Any, images: ndarray, inputs: Mapping[str, float] | None = None) -> dict[str, ndarray]:
    """What a whole file gives for photos of one size, uint8 N H W 3, by name."""
    names = [output.name for output in session.get_outputs()]
    more = {name: np.array(value, np.float32) for name, value in (inputs or {}).items()}
    return dict(zip(names, session.run(None, {"images": images, **more}), strict=True))


def _divided(data: memoryview) -> tuple[memoryview, str]:
    """What comes before the manifest, and the manifest, which is the last field."""
    last = None
    for last in fields(data):
        if last.number == METADATA:
            break
    if last is None or last.number != METADATA:
        raise ModelError("it has no manifest of pellucid")
    entry = {part.number: text(part.content) for part in fields(_bytes(last))}
    if entry.get(1) != KEY:
        raise ModelError("it has no manifest of pellucid")
    if last.start + len(message(METADATA, _bytes(last))) != len(data):
        raise ModelError("something was added behind its manifest")
    return data[: last.start], entry.get(2, "")


def _refuse_strangers(body: memoryview) -> None:
    """Only operators that are arithmetic, and weights that are inside."""
    for part in fields(body):
        if part.number in (FUNCTIONS, TRAINING):
            raise ModelError("it holds functions of its own, which no exported file does")
        if part.number == GRAPH:
            for inner in fields(_bytes(part)):
                if inner.number == NODE:
                    _refuse_operator(_bytes(inner))
                if inner.number == INITIALIZER:
                    _refuse_external(_bytes(inner))
                if inner.number == SPARSE:
                    raise ModelError("it holds sparse weights, which no exported file does")


def _refuse_operator(node: memoryview) -> None:
    found = {part.number: part for part in fields(node) if part.number in (OP_TYPE, DOMAIN)}
    name = text(found[OP_TYPE].content) if OP_TYPE in found else ""
    domain = text(found[DOMAIN].content) if DOMAIN in found else ""
    if domain or name not in OPERATORS:
        raise ModelError(f"it holds the operator {domain + '.' if domain else ''}{name}, which no exported file does")
    for part in fields(node):
        if part.number == ATTRIBUTE and any(inner.number in SUBGRAPHS for inner in fields(_bytes(part))):
            raise ModelError(f"its operator {name} holds a graph of its own, which none of an exported file does")


def _refuse_external(tensor: memoryview) -> None:
    for part in fields(tensor):
        if part.number == EXTERNAL_DATA or (part.number == DATA_LOCATION and part.content):
            raise ModelError("it keeps weights in another file, which no exported file does")


def _bytes(part: Field) -> memoryview:
    if isinstance(part.content, int):
        raise ModelError(f"its field {part.number} is a number, where bytes belong")
    return part.content
