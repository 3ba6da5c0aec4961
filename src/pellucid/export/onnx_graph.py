"""The ONNX graph of a model in standard operators alone, the same bytes every time: photo, network, results.

Nodes and what they make are called `photo/…`, `network/…` and `result/…` after the part they belong to; between the
parts stand `pixels`, what `Preprocess.pixels` gives, and `decoded/…`, what the network's `decode` gives.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx_ir as ir
import torch
from onnx_ir.passes import common as passes

from pellucid import __version__
from pellucid.export.deployable import captured
from pellucid.export.photo_way import network_pixels, sides
from pellucid.export.result_way import RESULTS, Setting
from pellucid.export.terms import Nodes, Term
from pellucid.models.base import AbstractModel
from pellucid.predictions.detect import OVERLAP, THRESHOLD
from pellucid.preprocess import Preprocess

__all__ = ["OPSET", "network_graph", "tidied", "whole_graph"]

OPSET = 18
"""The oldest that has every operator needed, so that older runtimes, and those in browsers and phones, read it."""
IR_VERSION = 8
PRODUCER = "pellucid"
PHOTO = ("batch", "height", "width")
NETWORK = ("batch", "rows", "columns")
DECODED: Mapping[str, Mapping[str, tuple[str, tuple[str | int, ...]]]] = {
    "classify": {"logits": ("float32", ("batch", "classes")), "probs": ("float32", ("batch", "classes"))},
    "segment": {"labels": ("uint8", NETWORK), "scores": ("float32", NETWORK)},
    "detect": {
        "xyxy": ("float32", ("batch", "candidates", 4)),
        "scores": ("float32", ("batch", "candidates", "classes")),
    },
}
"""Type and shape of decoded outputs, in the order in which the exporter gives them."""
SHAPES: Mapping[str, Mapping[str, tuple[str | int, ...]]] = {
    "classify": {"probs": ("batch", "classes"), "logits": ("batch", "classes")},
    "segment": {"labels": PHOTO, "scores": PHOTO},
    "detect": {
        "xyxy": ("batch", "boxes", 4),
        "scores": ("batch", "boxes"),
        "labels": ("batch", "boxes"),
        "count": ("batch",),
    },
}
"""Shapes of results."""


def network_graph(model: AbstractModel, preprocess: Preprocess) -> ir.Model:
    """From `pixels`, uint8 N H W C in network pixels, to `decoded/…`; batch norms are folded into convolutions."""
    with _quiet():
        program = torch.onnx.export(captured(model, preprocess), dynamo=True, opset_version=OPSET, verbose=False)
    assert program is not None
    graph = tidied(program.model).graph
    rows, columns = preprocess.size if preprocess.one_size else ("rows", "columns")
    _declare(graph.inputs[0], "pixels", "uint8", ("batch", rows, columns, preprocess.channels))
    for (name, (kind, shape)), value in zip(DECODED[model.task].items(), graph.outputs, strict=True):
        _declare(value, f"decoded/{name}", kind, shape)
    return _finished(program.model)


def whole_graph(network: ir.Model, task: str, preprocess: Preprocess, learnt: Mapping[str, float]) -> ir.Model:
    """From `images`, uint8 N H W 3 of any size, to finished results; a network's graph is what it is added to.

    To detect, `threshold` is a second input: the least score of a box, which has the model's own value if left out.
    """
    graph = network.graph
    photo, result = Nodes("photo"), Nodes("result")
    images, threshold = _inputs(task, learnt)
    photos, shown = photo.term(images, "uint8"), graph.inputs[0]
    rows, columns = sides(photo, photos, preprocess)
    pixels = photo("Identity", network_pixels(photo, photos, rows, columns, preprocess)).value
    ir.convenience.replace_all_uses_with(shown, pixels)
    graph.inputs[:] = [images, threshold] if task == "detect" else [images]
    _declare(pixels, "pixels", "uint8", shown.shape or ())
    decoded = {str(value.name).removeprefix("decoded/"): result.term(value, _kind(value)) for value in graph.outputs}
    setting = Setting(rows, columns, result.term(threshold, "float32"), learnt.get("overlap", OVERLAP))
    graph.outputs[:] = _outputs(result, RESULTS[task](result, decoded, setting), task)
    graph.extend([*photo.made, *result.made])
    for constant in (*photo.constants.values(), *result.constants.values(), *graph.inputs[1:]):
        graph.register_initializer(constant)
    return _finished(network)


def _inputs(task: str, learnt: Mapping[str, float]) -> tuple[ir.Value, ir.Value]:
    images = ir.Value(name="images")
    _declare(images, "images", "uint8", (*PHOTO, 3))
    least = ir.tensor(np.array(learnt.get("threshold", THRESHOLD), np.float32), name="threshold")
    threshold = ir.Value(name="threshold", const_value=least)
    _declare(threshold, "threshold", "float32", ())
    return images, threshold


def _outputs(nodes: Nodes, results: Mapping[str, Term], task: str) -> list[ir.Value]:
    """Each by its name, behind a node of its own: a name belongs to one value."""
    outputs = []
    for name, term in results.items():
        value = nodes("Identity", term).value
        _declare(value, name, term.kind, SHAPES[task][name])
        outputs.append(value)
    return outputs


def tidied(model: ir.Model) -> ir.Model:
    """A network's graph with names that say where things are, and without a word of the tools that made it."""
    passes.ClearMetadataAndDocStringPass()(model)
    ends = {value.name for value in (*model.graph.inputs, *model.graph.outputs)}
    _rename(model.graph, ends)
    return _finished(model)


def _finished(model: ir.Model) -> ir.Model:
    """In order, without what nobody reads, and without a word of who made it and where."""
    model.graph.name = model.producer_name = PRODUCER
    model.producer_version, model.ir_version = __version__, IR_VERSION
    passes.RemoveUnusedNodesPass()(model)
    model.graph.sort()
    return model


def _rename(graph: ir.Graph, kept: set[str | None]) -> None:
    """Every value by its place; what is said of its type and shape is dropped, since runtimes find it themselves."""
    for place, value in enumerate(list(graph.initializers.values())):
        value.name = f"network/constant_{place}"
        value.metadata_props.clear()
        value.type = value.shape = None
    for place, node in enumerate(graph):
        node.name = f"network/{node.op_type}_{place}"
        for at, value in enumerate(node.outputs):
            if value.name not in kept:
                value.name = f"{node.name}:{at}" if at else node.name
                value.type = value.shape = None


def _declare(value: ir.Value, name: str, kind: str, shape: Sequence[str | int] | ir.Shape) -> None:
    value.name = name
    value.metadata_props.clear()  # words of the exporter
    value.type = ir.TensorType(ir.DataType.from_numpy(np.dtype(kind)))
    value.shape = ir.Shape(shape)


def _kind(value: ir.Value) -> str:
    assert value.dtype is not None
    return value.dtype.numpy().name


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own parts, and of packages that are not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
