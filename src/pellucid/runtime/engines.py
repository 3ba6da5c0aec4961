"""What runs the network of an exported file: network pixels in, decoded outputs out, at its own arithmetic."""

import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jaxtyping import UInt8
from numpy import ndarray

from pellucid.cores import usable_cores
from pellucid.errors import UsageError
from pellucid.runtime.onnx_part import DECODED, PIXELS

__all__ = ["ENGINES", "AbstractEngine", "OnnxRuntime", "OpenVino", "has_bf16", "openvino", "session_of"]

OPENVINO_TYPES = {"fp32": "f32", "bf16": "bf16"}


class AbstractEngine(ABC):
    """Made of a network's bytes, or of the path of a folder of OpenVINO's."""

    @abstractmethod
    def decoded(self, pixels: UInt8[ndarray, "n h w c"]) -> dict[str, ndarray]:
        """Decoded outputs for network pixels."""


class OnnxRuntime(AbstractEngine):
    """The reference: it is everywhere, and starts fastest."""

    def __init__(self, network: Any, threads: int | None = None) -> None:
        self._session = session_of(network, threads) if isinstance(network, bytes) else network  # or a session
        self._names = [output.name.removeprefix(DECODED) for output in self._session.get_outputs()]

    def decoded(self, pixels: UInt8[ndarray, "n h w c"]) -> dict[str, ndarray]:
        """Decoded outputs, in float32."""
        return dict(zip(self._names, self._session.run(None, {PIXELS: pixels}), strict=True))


class OpenVino(AbstractEngine):
    """Fastest on processors of Intel and AMD, above all in bf16 where they have it."""

    def __init__(self, network: bytes | Path, threads: int | None = None, *, precision: str = "fp32") -> None:
        core = openvino().Core()
        settings = {
            "INFERENCE_PRECISION_HINT": OPENVINO_TYPES[precision],
            "INFERENCE_NUM_THREADS": threads or usable_cores(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        model = core.read_model(network)
        self._outputs = [output.get_any_name().removeprefix(DECODED) for output in model.outputs]
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()

    def decoded(self, pixels: UInt8[ndarray, "n h w c"]) -> dict[str, ndarray]:
        """Decoded outputs; those of the next call are in memory of their own."""
        found = self._request.infer({PIXELS: pixels})
        return {name: value.copy() for name, value in zip(self._outputs, found.values(), strict=True)}


def has_bf16() -> bool:
    """Whether OpenVINO is there, and the processor computes in bf16."""
    if importlib.util.find_spec("openvino") is None:
        return False
    return "BF16" in openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def session_of(data: bytes, threads: int | None = None) -> Any:
    """A session of onnxruntime; `threads` are as many as there are cores, if not given."""
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError("Running an ONNX file needs onnxruntime: pip install 'pellucid[deploy]'.") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns of inputs that have a default, as `threshold` does
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def openvino() -> Any:
    """The package. It would tell its makers that it was imported, and more; where this module is missing, it cannot."""
    if "openvino" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise UsageError("This needs openvino: pip install 'pellucid[openvino]'.") from error


ENGINES: Mapping[str, Callable[[Any], AbstractEngine]] = MappingProxyType(
    {
        "onnxruntime": OnnxRuntime,
        "openvino": OpenVino,
        "openvino-bf16": lambda network: OpenVino(network, precision="bf16"),
    }
)
"""By the name that a user chooses one with; all but the last compute in float32."""
