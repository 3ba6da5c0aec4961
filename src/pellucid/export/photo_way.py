"""The way from a photo to network pixels as ONNX nodes: the integers of `Preprocess.pixels`, for photos of any size.

A resize is two products with matrices of 16-bit weights, first along the rows and then along the columns, each
rounded to uint8, as in torch's antialiased bilinear. The matrices are computed in the graph, in float64, from the
sizes. A float32 product would lose bits (sums reach 2^30), so each matrix is split into its upper and its lower bytes:
two products of uint8 with sums in int32, which every processor does exactly.
"""

from dataclasses import dataclass

import numpy as np

from pellucid.export.terms import Nodes, Term
from pellucid.preprocess import LETTERBOX_GREY, Preprocess

__all__ = ["Side", "network_pixels", "sides"]

PLACES = 22
"""Binary places that weights have at most."""
BLOCK = 16
LIMIT = 2.0**15
"""What weights stay below."""


@dataclass(frozen=True, slots=True)
class Side:
    """One axis: `old` pixels of the photo become `inner`, of which number -`offset` comes to lie on place 0 of the
    network's `length`."""

    old: Term
    inner: Term
    offset: Term
    length: Term


def network_pixels(nodes: Nodes, photos: Term, rows: Side, columns: Side, preprocess: Preprocess) -> Term:
    """Network pixels, uint8 N H W C, of photos N H W 3."""
    if preprocess.channels == 1:
        photos = _luma(nodes, photos)
    if preprocess.rule == "scale" and preprocess.scale == 1:
        return photos
    # Each pass resizes the axis behind the batch; moving one axis to the end or the front is what runtimes do fast.
    narrow = _resized(nodes, photos.transposed(0, 2, 3, 1), columns)  # N W C H
    inner = _resized(nodes, narrow.transposed(0, 3, 1, 2), rows)  # N H W C
    if preprocess.rule == "letterbox":
        beyond = _beyond(nodes, rows).with_axes(1, 2) | _beyond(nodes, columns).with_axes(0, 2)
        inner = nodes("Where", beyond, np.array(LETTERBOX_GREY, np.uint8), inner, kind="uint8")
    return inner


def _luma(nodes: Nodes, photos: Term) -> Term:
    """ITU-R 601 in 16-bit integers."""
    total = nodes("ReduceSum", photos.to("int32") * np.array([19595, 38470, 7471], np.int32), np.array([3]), keepdims=1)
    return ((total + 32768) // 65536).to("uint8")


def sides(nodes: Nodes, photos: Term, preprocess: Preprocess) -> tuple[Side, Side]:
    """Height and width as `Preprocess.frame` has them; the arithmetic is in float64 there, too."""
    old = photos.side(1), photos.side(2)
    inner = _inner(nodes, old, preprocess)
    if not preprocess.one_size:
        none = nodes.constant(0, "int64")
        return Side(old[0], inner[0], none, inner[0]), Side(old[1], inner[1], none, inner[1])
    lengths = [nodes.constant(length, "int64") for length in preprocess.size]
    offsets = [((length - new).to("float64") / 2).rounded("Round") for length, new in zip(lengths, inner, strict=True)]
    return Side(old[0], inner[0], offsets[0], lengths[0]), Side(old[1], inner[1], offsets[1], lengths[1])


def _inner(nodes: Nodes, old: tuple[Term, Term], preprocess: Preprocess) -> tuple[Term, Term]:
    """`Preprocess._inner`."""
    rows, columns = preprocess.size
    height, width = old[0].to("float64"), old[1].to("float64")
    match preprocess.rule:
        case "stretch":
            return nodes.constant(rows, "int64"), nodes.constant(columns, "int64")
        case "crop":
            short = round(rows / preprocess.crop), round(columns / preprocess.crop)
            scale = nodes("Max", short[0] / height, short[1] / width)
            floored = [(side * scale + 1e-6).rounded("Floor") for side in (height, width)]
            return nodes("Max", floored[0], rows), nodes("Max", floored[1], columns)
        case "letterbox":
            scale = nodes("Min", rows / height, columns / width)
        case "scale":
            scale = nodes.constant(preprocess.scale, "float64")
    return nodes("Max", (height * scale).rounded("Round"), 1), nodes("Max", (width * scale).rounded("Round"), 1)


def _resized(nodes: Nodes, table: Term, side: Side) -> Term:
    """A table N old A B, uint8, whose second axis is resized: N length A B.

    A new pixel reads few neighbours, so a matrix for the whole side would be mostly zeros. BLOCK new pixels at a time
    are made from the stretch of old ones that they read.
    """
    stretches, weights, places = _blocks(nodes, side)
    read = nodes("Reshape", table, np.array([0, 0, -1])).taken(stretches, axis=1)  # N blocks stretch A·B
    sums = [nodes("MatMulInteger", part.to("uint8"), read, kind="int32") for part in (weights // 256, weights % 256)]
    unit = nodes("Pow", nodes.constant(2.0, "float64"), places).to("int32")
    total = sums[0] * 256 + (sums[1] + unit // 2)
    small = nodes("Min", total // unit, 255).to("uint8")
    shape = nodes("Shape", table, kind="int64", start=2)
    rows = nodes("Reshape", small, nodes("Concat", np.array([0, -1]), shape, axis=0))
    return rows.taken(nodes.count(side.length), axis=1)


def _blocks(nodes: Nodes, side: Side) -> tuple[Term, Term, Term]:
    """The old pixels of each block (blocks stretch), its weights (blocks BLOCK stretch), and their binary places."""
    columns, shares = _taps(nodes, side)
    whole, places = _whole(nodes, shares)
    blocks = (side.length + (BLOCK - 1)) // BLOCK
    rows = (nodes.count(blocks * BLOCK) - side.offset).between(0, side.inner - 1)
    shape = nodes("Concat", blocks.with_axes(0), np.array([BLOCK, -1]), axis=0)
    columns, whole = (nodes("Reshape", table.taken(rows, 0), shape) for table in (columns, whole))
    start = nodes("ReduceMin", columns, np.array([1, 2]), keepdims=1)
    within = columns - start
    stretch = nodes("ReduceMax", within, keepdims=0) + 1
    empty = nodes("Concat", blocks.with_axes(0), np.array([BLOCK]), stretch.with_axes(0), axis=0)
    weights = nodes("Expand", nodes.constant(0, "int32"), empty)
    weights = nodes("ScatterElements", weights, within, whole, axis=2, reduction="add")
    stretches = nodes("Min", start.without_axes(2) + nodes.count(stretch), side.old - 1)
    return stretches, weights, places


def _whole(nodes: Nodes, shares: Term) -> tuple[Term, Term]:
    """Shares as whole numbers, int32, and how many binary places these have: as many as keep all below LIMIT."""
    largest = nodes("ReduceMax", shares, keepdims=0)
    powers = 2.0 ** np.arange(1, PLACES + 1)
    fitting = nodes("Floor", largest * powers + 0.5) < LIMIT
    places = nodes("ReduceSum", fitting.to("float64"), keepdims=0)
    unit = nodes("Pow", nodes.constant(2.0, "float64"), places)
    return nodes("Floor", shares * unit + 0.5).to("int32"), places


def _taps(nodes: Nodes, side: Side) -> tuple[Term, Term]:
    """Which old pixels a new one reads, and their shares, which sum to 1: both `inner` rows of as many as needed.

    A triangle around the new pixel's centre, as wide as the scale where the photo is made smaller. Columns beyond
    the photo's edge are moved back to it, with share 0.
    """
    scale = side.old.to("float64") / side.inner.to("float64")
    support = nodes("Max", scale, 1.0)
    centre = ((nodes.count(side.inner).to("float64") + 0.5) * scale).with_axes(1)
    first = nodes("Max", (centre - support + 0.5).rounded("Floor"), 0)
    end = nodes("Min", (centre + support + 0.5).rounded("Floor"), side.old)
    columns = first + nodes.count(support.rounded("Ceil") * 2 + 1).with_axes(0)
    slope = 1.0 / support
    height = 1.0 - nodes("Abs", (columns.to("float64") - centre + 0.5) * slope)
    heights = nodes("Where", columns < end, nodes("Max", height, 0.0), np.array(0.0), kind="float64")
    running = nodes("CumSum", heights, np.array(1))  # one after the other: a sum of pairs may differ in its last bit
    total = running.taken(np.array([-1]), axis=1)
    return nodes("Min", columns, side.old - 1), heights / total


def _beyond(nodes: Nodes, side: Side) -> Term:
    """Where a side of the network shows nothing of the photo."""
    places = nodes.count(side.length) - side.offset
    return (places < 0) | (places >= side.inner)
