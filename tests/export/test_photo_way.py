"""The way to network pixels in the file is that of `Preprocess`, bit for bit, for photos of any size."""

import functools

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pellucid.export.photo_way import network_pixels, sides
from pellucid.export.terms import Nodes
from pellucid.preprocess import Preprocess

SIDES = st.integers(1, 400)
WAYS = (
    Preprocess((64, 64), "stretch", 3, (0.5,) * 3, (0.25,) * 3),
    Preprocess((33, 70), "crop", 3, (0.5,) * 3, (0.25,) * 3, crop=0.875),
    Preprocess((96, 64), "letterbox", 3, (0.5,) * 3, (0.25,) * 3),
    Preprocess((64, 64), "letterbox", 1, (0.5,), (0.25,)),
    Preprocess((64, 64), "scale", 3, (0.5,) * 3, (0.25,) * 3, scale=0.37),
    Preprocess((64, 64), "scale", 3, (0.5,) * 3, (0.25,) * 3),
    Preprocess((1, 1), "stretch", 3, (0.5,) * 3, (0.25,) * 3),
    Preprocess((64, 1), "letterbox", 3, (0.5,) * 3, (0.25,) * 3),
)


@functools.cache
def session(preprocess: Preprocess) -> onnxruntime.InferenceSession:
    nodes = Nodes("photo")
    images = ir.Value(name="images", shape=ir.Shape(["n", "h", "w", 3]), type=ir.TensorType(ir.DataType.UINT8))
    photos = nodes.term(images, "uint8")
    pixels = nodes("Identity", network_pixels(nodes, photos, *sides(nodes, photos, preprocess), preprocess)).value
    pixels.name, pixels.type = "pixels", ir.TensorType(ir.DataType.UINT8)
    graph = ir.Graph(
        [images],
        [pixels],
        nodes=nodes.made,
        initializers=list(nodes.constants.values()),
        opset_imports={"": 18},
        name="x",
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    return onnxruntime.InferenceSession(ir.to_proto(ir.Model(graph, ir_version=8)).SerializeToString(), options)


def photo(height: int, width: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return np.where(values < 128, 0, 255).astype(np.uint8) if seed % 3 == 0 else values  # where rounding would show


@settings(max_examples=150)
@given(height=SIDES, width=SIDES, seed=st.integers(0, 99), way=st.sampled_from(WAYS))
@example(height=1, width=1, seed=0, way=WAYS[0])
@example(height=3, width=900, seed=0, way=WAYS[1])
@example(height=700, width=2, seed=0, way=WAYS[2])
@example(height=1600, width=1201, seed=1, way=WAYS[2])
@example(height=2, width=3000, seed=3, way=WAYS[1])
@example(height=5, width=2, seed=3, way=WAYS[4])
def test_pixels_are_equal_to_the_last_bit(height, width, seed, way):
    photos = np.stack([photo(height, width, seed), photo(height, width, seed + 1)])
    found = session(way).run(None, {"images": photos})[0]
    assert np.array_equal(found, np.stack([way.pixels(one) for one in photos]))


@pytest.mark.parametrize("value", [0, 1, 127, 254, 255])
def test_a_flat_photo_stays_flat(value):
    found = session(WAYS[0]).run(None, {"images": np.full((1, 37, 91, 3), value, np.uint8)})[0]
    assert (found == value).all()
