"""What every form of every network of the catalogue keeps: it gives what the network gives."""

import functools
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from pellucid.catalog import catalogue
from pellucid.export.base import AbstractDraft
from pellucid.export.exporting import telling_threshold
from pellucid.export.judging import network_results
from pellucid.export.onnx_graph import network_graph
from pellucid.runtime.agreement import agreement
from pellucid.runtime.selftest import generated
from tests.export.trained import predictor

NAMES = sorted(catalogue("MODELS"))
EXPORTERS = sorted(catalogue("EXPORTERS"))
SIZES = ((64, 64), (37, 90), (120, 21))
RULES = {"net": "crop", "resnet20": "letterbox", "fcn_compact": "stretch", "yolo_n": "scale"}
"""Another way to network pixels than the usual one, for some."""


@functools.lru_cache(maxsize=1)
def network(name: str) -> bytes:
    one = predictor(name, RULES.get(name))
    return ir.to_proto(network_graph(one.model, one.preprocess)).SerializeToString()


@functools.lru_cache(maxsize=1)
def draft(name: str, exporter: str) -> AbstractDraft:
    graph = ir.from_proto(onnx.load_from_string(network(name)))
    return catalogue("EXPORTERS")[exporter]().build(predictor(name, RULES.get(name)), graph)


@pytest.mark.slow
@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", NAMES)
def test_it_gives_what_the_network_gives(name, exporter):
    one, made = predictor(name, RULES.get(name)), draft(name, exporter)
    for count in (1, 3):
        for seed, (height, width) in enumerate(SIZES):
            images = generated({"images": count, "height": height, "width": width, "seed": seed})
            least = telling_threshold(one, images) if one.task.name == "detect" else None
            expected, found = network_results(one, images, least), made.results(images, least)
            assert [figure.text() for figure in agreement(expected, found, least or 0.0) if not figure.ok] == []
            if least is not None:
                assert sum(len(photo["scores"]) for photo in found) > 2
    if exporter == "onnx":
        assert_standard(made.body)


def assert_standard(body: bytes) -> None:
    """Operators of the standard alone, and not a word of who made it and where."""
    model = onnx.load_from_string(body)
    onnx.checker.check_model(model, full_check=True)
    assert {(one.domain, one.version) for one in model.opset_import} == {("", 18)}
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    assert not model.functions
    assert not model.metadata_props
    everything = [
        model.graph,
        *model.graph.node,
        *model.graph.initializer,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
    ]
    assert not any(one.doc_string or one.metadata_props for one in everything)
    for secret in (b"site-packages", b"pkg.torch", b"pellucid/", b"stack_trace", str(Path.home()).encode()):
        assert secret not in body


def test_every_name_says_where_it_belongs():
    graph = onnx.load_from_string(draft("yolo_n", "onnx").body).graph
    parts = {node.name.partition("/")[0] for node in graph.node}
    assert parts == {"photo", "network", "result"}
    assert [one.name for one in graph.input] == ["images", "threshold"]
    assert [one.name for one in graph.output] == ["xyxy", "scores", "labels", "count"]
    between = {one.name for one in graph.value_info}
    assert {"pixels", "decoded/xyxy", "decoded/scores"} <= between


def test_images_of_a_batch_do_not_mix():
    made = draft("yolo_n", "onnx")
    images = generated({"images": 3, "height": 70, "width": 50, "seed": 2})
    together = made.results(images, 0.005)
    for place, one in enumerate(together):
        alone = made.results(images[place : place + 1], 0.005)[0]
        assert len(alone["scores"]) == len(one["scores"])
        np.testing.assert_allclose(alone["xyxy"], one["xyxy"], atol=1e-3)


def test_another_form_is_another_file():
    assert {one.suffix for one in catalogue("EXPORTERS").values()} >= {".onnx"}
