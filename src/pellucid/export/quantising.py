"""A network in 8-bit integers: weights and activations, with scales that a few of the user's images give.

Our networks are piecewise linear: a ReLU only cuts a range, so that convolutions, sums and pools stay in integers from
end to end. Only the first layer and the last ones stay in float32: they see the pixels and give the results, and take
hardly any time. Where the metric on other images loses more than is aimed at, the layers that hurt most are put back,
too, one after the other, until it does not.
"""

import contextlib
import io
import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.errors import UsageError
from pellucid.export.judging import Sample, metric_over
from pellucid.export.onnx_graph import tidied
from pellucid.runtime.engines import OnnxRuntime
from pellucid.tasks.base import AbstractTask

__all__ = ["IMAGES", "MOST_LOSS", "Calibration", "layers_in_fp32", "quantised"]

IMAGES = 300
"""Images that give the scales, at most."""
MOST_LOSS = 0.005
"""What the metric may lose: half a point."""
AIM = MOST_LOSS / 2
"""What it may lose on the images that layers are chosen by: on others it may be more."""
LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True, slots=True)
class Calibration:
    """Network pixels that give the scales, and samples by which the loss is judged; without any it is not."""

    pixels: Sequence[UInt8[ndarray, "h w c"]]
    samples: Sequence[Sample]


def quantised(network: ir.Model, task: AbstractTask, calibration: Calibration) -> ir.Model:
    """The network with quantisation in it (QuantizeLinear, DequantizeLinear), as every runtime of int8 reads it."""
    nncf = _nncf()
    images = nncf.Dataset([{"pixels": pixels[None]} for pixels in calibration.pixels])
    ranges = nncf.quantization.range_estimator.RangeEstimatorParametersSet.HISTOGRAM
    settings = {
        "preset": nncf.QuantizationPreset.MIXED,
        "subset_size": len(calibration.pixels),
        "ignored_scope": nncf.IgnoredScope(names=_ends(network)),
    }
    advanced = nncf.AdvancedQuantizationParameters(
        activations_range_estimator_params=ranges,
        overflow_fix=nncf.OverflowFix.DISABLE,  # it takes a bit from the first layer's weights, and that is not in int8
    )
    proto = ir.to_proto(network)

    def judged(model: Any, samples: Iterable[Sample]) -> tuple[float, None]:
        return metric_over(task, OnnxRuntime(model.SerializeToString()), samples), None

    def loss(model: Any) -> float:
        return judged(proto, calibration.samples)[0] - judged(model, calibration.samples)[0]

    with _quiet(nncf):
        narrow = nncf.quantize(proto, images, advanced_parameters=advanced, **settings)
        if calibration.samples and loss(narrow) > AIM:
            samples = nncf.Dataset(list(calibration.samples))
            narrow = nncf.quantize_with_accuracy_control(
                proto,
                images,
                samples,
                judged,
                max_drop=AIM,
                advanced_quantization_parameters=advanced,
                **settings,
            )
    return tidied(ir.from_proto(narrow))


def layers_in_fp32(network: ir.Model) -> tuple[list[str], int]:
    """The layers whose weights are not quantised, and the number of all layers."""
    layers = [node for node in network.graph if node.op_type in LAYERS]
    return [str(node.name) for node in layers if not _dequantised(node)], len(layers)


def _ends(network: ir.Model) -> list[str]:
    """The first layer, and the last ones: those between which and a result there is no other."""
    found = [next(str(node.name) for node in network.graph if node.op_type in LAYERS)]
    values = list(network.graph.outputs)
    while values:
        node = values.pop().producer()
        if node is not None and node.op_type in LAYERS:
            found.append(str(node.name))
        elif node is not None:
            values += [value for value in node.inputs if value is not None]
    return list(dict.fromkeys(found))


def _dequantised(node: ir.Node) -> bool:
    value = node.inputs[1]
    producer = None if value is None else value.producer()
    return producer is not None and producer.op_type == "DequantizeLinear"


def _nncf() -> Any:
    """The package, which tells nobody that it was used."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import nncf
    except ImportError as error:
        raise UsageError("--int8 needs nncf: pip install 'pellucid[int8]'.") from error
    return nncf


@contextlib.contextmanager
def _quiet(nncf: Any) -> Iterator[None]:
    """Its bars and lines would stand where results are printed."""
    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):
        yield
