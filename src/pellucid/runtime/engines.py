"""What runs the network of an exported file: network pixels in, decoded outputs out, at its own arithmetic."""

import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Lock, local
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.cores import usable_cores
from pellucid.errors import UsageError
from pellucid.runtime.onnx_part import DECODED, PIXELS

__all__ = ["ENGINES", "TOGETHER", "AbstractEngine", "OnnxRuntime", "OpenVino", "has_bf16", "openvino", "session_of"]

TOGETHER = 4
"""Photos in the network at once."""
OPENVINO_TYPES = {"fp32": "f32", "bf16": "bf16"}


class AbstractEngine(ABC):
    """Made of a network's bytes, or of the path of a folder of OpenVINO's.

    `lanes` threads may call it at once. With one, a call keeps all cores busy, and answers soonest; with several, each
    has its share of them and waits for no other, so that many photos are done sooner.
    """

    lanes: int

    @abstractmethod
    def decoded(self, pixels: UInt8[ndarray, "n h w c"]) -> dict[str, ndarray]:
        """Decoded outputs for network pixels."""


class OnnxRuntime(AbstractEngine):
    """The reference: it is everywhere, and starts fastest."""

    def __init__(self, network: bytes, lanes: int = 1) -> None:
        self.lanes = lanes
        self._session = session_of(network, max(1, usable_cores() // lanes))
        self._names = [output.name.removeprefix(DECODED) for output in self._session.get_outputs()]

    def decoded(self, pixels: UInt8[ndarray, "n h w c"]) -> dict[str, ndarray]:
        """Decoded outputs, in float32."""
        return dict(zip(self._names, self._session.run(None, {PIXELS: pixels}), strict=True))


class OpenVino(AbstractEngine):
    """Fastest on processors of Intel and AMD, above all in bf16 where they have it.

    It is fastest with shapes that it knows beforehand. So where all photos have one size in the network, batches are
    taken apart into fours and ones, for which the network is compiled when they first come.
    """

    def __init__(self, network: bytes | Path, lanes: int = 1, *, precision: str = "fp32") -> None:
        self.lanes = lanes
        self._core = openvino().Core()
        self._settings = {
            "INFERENCE_PRECISION_HINT": OPENVINO_TYPES[precision],
            "INFERENCE_NUM_THREADS": usable_cores(),
            "NUM_STREAMS": lanes,
        }
        self._model = self._core.read_model(network)
        self._names = [output.get_any_name().removeprefix(DECODED) for output in self._model.outputs]
        self._one_size = all(side.is_static for side in list(self._model.inputs[0].partial_shape)[1:])
        self._compiled: dict[int, Any] = {}
        self._compiling = Lock()
        self._of_thread = local()

    def decoded(self, pixels: UInt8[ndarray, "n h w c"]) -> dict[str, ndarray]:
        """Decoded outputs; those of the next call are in memory of their own."""
        parts = [self._run(part) for part in self._parts(pixels)]
        return {name: np.concatenate([part[at] for part in parts]) for at, name in enumerate(self._names)}

    def _parts(self, pixels: UInt8[ndarray, "n h w c"]) -> Iterator[UInt8[ndarray, "part h w c"]]:
        if not self._one_size:
            yield pixels
            return
        whole = len(pixels) // TOGETHER * TOGETHER
        yield from (pixels[start : start + TOGETHER] for start in range(0, whole, TOGETHER))
        yield from (pixels[start : start + 1] for start in range(whole, len(pixels)))

    def _run(self, pixels: UInt8[ndarray, "n h w c"]) -> list[ndarray]:
        requests: dict[int, Any] = vars(self._of_thread).setdefault("requests", {})
        count = len(pixels) if self._one_size else 0
        if count not in requests:
            requests[count] = self._network(count, pixels.shape).create_infer_request()
        return list(requests[count].infer({PIXELS: pixels}).values())

    def _network(self, count: int, shape: tuple[int, ...]) -> Any:
        with self._compiling:
            if count not in self._compiled:
                model = self._model.clone()
                if self._one_size:
                    model.reshape(shape)
                self._compiled[count] = self._core.compile_model(model, "CPU", self._settings)
            return self._compiled[count]


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


ENGINES: Mapping[str, Callable[..., AbstractEngine]] = MappingProxyType(
    {
        "onnxruntime": OnnxRuntime,
        "openvino": OpenVino,
        "openvino-bf16": lambda network, lanes=1: OpenVino(network, lanes, precision="bf16"),
    }
)
"""By the name that a user chooses one with; all but the last compute in float32."""
