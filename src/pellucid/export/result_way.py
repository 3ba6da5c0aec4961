"""From decoded outputs to finished results in the photo's own pixels, as ONNX nodes: a function a task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pellucid.export.photo_way import Side
from pellucid.export.terms import Nodes, Term
from pellucid.predictions.detect import CANDIDATES, MOST

__all__ = ["RESULTS", "Results", "Setting"]

Results = Mapping[str, Term]

NONE = np.array(-1, np.float32)
"""The score of what is no box: below all others."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What results depend on beside decoded outputs: the photo's sides; of boxes the least score, and the IoU from
    which on they suppress each other."""

    rows: Side
    columns: Side
    threshold: Term
    overlap: float


def class_results(nodes: Nodes, decoded: Results, setting: Setting) -> Results:
    """`probs` and `logits`, float32 N classes."""
    return {"probs": decoded["probs"], "logits": decoded["logits"]}


def mask_results(nodes: Nodes, decoded: Results, setting: Setting) -> Results:
    """`labels`, uint8 N H W: the class of every pixel of the photo; `scores`, float32 N H W: its prob.

    Each pixel is the network's pixel that its centre falls on, as in `resize_nearest`.
    """
    found = dict(decoded)
    for axis, side in ((1, setting.rows), (2, setting.columns)):
        places = ((nodes.count(side.old) * 2 + 1) * found["labels"].side(axis)) // (side.old * 2)
        found = {name: value.taken(places, axis) for name, value in found.items()}
    return {name: found[name] for name in ("labels", "scores")}


def box_results(nodes: Nodes, decoded: Results, setting: Setting) -> Results:
    """`xyxy`, float32 N K 4, in the photo's own pixels, `scores`, float32 N K, and `labels`, int64 N K, surest first.

    K is the greatest `count` of the batch, int64 N; beyond its count a photo has scores of 0 and labels of -1.
    """
    scores, places = _greatest(nodes, decoded["scores"])
    classes = decoded["scores"].side(2)
    labels = places % classes
    xyxy = _rows(nodes, decoded["xyxy"], places // classes)
    sure = nodes("Where", scores >= setting.threshold, scores, NONE, kind="float32")
    kept = _kept(nodes, xyxy, sure, labels, setting.overlap)
    count = nodes("ReduceSum", kept, np.array([1]), keepdims=0)
    order, there = _first(nodes, kept, nodes("ReduceMax", count, keepdims=1))
    return {
        "xyxy": _masked(nodes, there.with_axes(2), _in_photo(nodes, _rows(nodes, xyxy, order), setting), 0.0),
        "scores": _masked(nodes, there, nodes("GatherElements", scores, order, axis=1), 0.0),
        "labels": _masked(nodes, there, nodes("GatherElements", labels, order, axis=1), -1),
        "count": count,
    }


def _greatest(nodes: Nodes, scores: Term) -> tuple[Term, Term]:
    """The greatest scores of each image, of equal ones the first, and their places among its candidates' classes."""
    flat = nodes("Reshape", scores, np.array([0, -1]))
    most = nodes("Min", flat.side(1), CANDIDATES).with_axes(0)
    values, places = nodes.several("TopK", flat, most, kinds=("float32", "int64"), axis=1)
    return values, places


def _rows(nodes: Nodes, table: Term, places: Term) -> Term:
    """Of each image's rows (N rows 4) those at its places (N K)."""
    return nodes("GatherND", table, places.with_axes(2), batch_dims=1)


def _kept(nodes: Nodes, xyxy: Term, scores: Term, labels: Term, overlap: float) -> Term:
    """1 for boxes that are kept, int64 N K: within each class by suppression, over all the first MOST.

    Boxes of a score below 0 are none. The standard operator takes the scores of each class apart, N classes K.
    """
    numbers = nodes("Range", nodes.constant(0, "int64"), nodes("ReduceMax", labels, keepdims=0) + 1, np.array(1))
    own = nodes("Equal", labels.with_axes(1), numbers.with_axes(0, 2), kind="bool")
    apart = nodes("Where", own, scores.with_axes(1), NONE, kind="float32")
    limits = np.array(MOST), np.array(overlap, np.float32), NONE / 2
    chosen = nodes("NonMaxSuppression", xyxy, apart, *limits, kind="int64")
    images_and_boxes = chosen.taken(np.array([0, 2]), axis=1)
    none = nodes("Expand", nodes.constant(0, "int64"), nodes("Shape", scores, kind="int64"))
    ones = nodes("Expand", nodes.constant(1, "int64"), chosen.side(0).with_axes(0))
    kept = nodes("ScatterND", none, images_and_boxes, ones)
    rank = nodes("CumSum", kept, np.array(1))
    return kept * (rank < MOST + 1).to("int64")


def _first(nodes: Nodes, kept: Term, most: Term) -> tuple[Term, Term]:
    """The places of kept boxes in their order, N `most`, and whether there is one."""
    length = kept.side(1)
    urgency = kept * (length - nodes.count(length))
    values, places = nodes.several("TopK", urgency, most, kinds=("int64", "int64"), axis=1)
    return places, nodes("Greater", values, 0, kind="bool")


def _in_photo(nodes: Nodes, xyxy: Term, setting: Setting) -> Term:
    """`photo = (network - offset) / scale`, cut at the photo's edges."""
    rows, columns = setting.rows, setting.columns

    def both(column: Term, row: Term) -> Term:
        """One number a coordinate: x y x y."""
        numbers = [part.to("float64").with_axes(0) for part in (column, row)]
        return nodes("Concat", *numbers, *numbers, axis=0)

    old, inner = both(columns.old, rows.old), both(columns.inner, rows.inner)
    placed = (xyxy.to("float64") - both(columns.offset, rows.offset)) / (inner / old)
    return placed.between(0.0, old).to("float32")


def _masked(nodes: Nodes, there: Term, value: Term, otherwise: float) -> Term:
    return nodes("Where", there, value, nodes.constant(otherwise, value.kind), kind=value.kind)


RESULTS: Mapping[str, Callable[[Nodes, Results, Setting], Results]] = {
    "classify": class_results,
    "segment": mask_results,
    "detect": box_results,
}
