"""In int8 a network is smaller and its metric nearly what it was; layers that hurt stay in float32."""

import json

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch

from pellucid.checkpoint import load_model, save_model
from pellucid.cli import main
from pellucid.errors import UsageError
from pellucid.export import quantising
from pellucid.export.exporting import export_model
from pellucid.export.onnx_graph import network_graph
from pellucid.export.quantising import Calibration, layers_in_fp32, quantised
from pellucid.runtime.engines import ENGINES, has_bf16
from pellucid.runtime.onnx_file import OnnxFile
from pellucid.runtime.verifying import verify
from tests.drawn import make_image_folder
from tests.export.trained import CLASSES, model_file, predictor


def photos(folder):
    return make_image_folder(folder / "photos", CLASSES, size=32, splits={"train": 4, "val": 3})


@pytest.mark.parametrize("out", ["net.onnx", "net"])
def test_a_quantised_file_is_small_and_says_what_it_lost(tmp_path, out, capsys):
    model, data, path = model_file(tmp_path, "resnet20"), photos(tmp_path), tmp_path / out
    assert main(["export", str(model), str(path), "--data", str(data), "--int8", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["bytes"] < 0.7 * model.stat().st_size  # of so small a network, what describes it is a third
    assert [figure["name"] for figure in said["figures"]] == ["metric"]
    found = said["compared"]["int8"]
    assert found["layers"] > 15
    assert len(found["fp32_layers"]) < 3
    assert all(rates["int8"] > 0 for rates in found["images_per_second"].values())
    assert ("bf16" in said["compared"]) == has_bf16()
    assert verify(path).ok


def test_the_quantised_network_is_near_the_other(tmp_path):
    one = predictor("net")
    graph = network_graph(one.model, one.preprocess)
    wide = ENGINES["onnxruntime"](ir.to_proto(graph).SerializeToString())
    generator = np.random.default_rng(0)
    pixels = [generator.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(12)]
    samples = [(image, torch.tensor([int(wide.decoded(image[None])["probs"].argmax())])) for image in pixels]
    narrow = quantised(graph, one.task, Calibration(pixels, samples))
    model = ir.to_proto(narrow)
    onnx.checker.check_model(model, full_check=True)
    assert {node.name.partition("/")[0] for node in model.graph.node} == {"network"}
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    expected, found = (
        wide.decoded(np.stack(pixels)),
        ENGINES["onnxruntime"](model.SerializeToString()).decoded(np.stack(pixels)),
    )
    np.testing.assert_allclose(found["probs"], expected["probs"], atol=0.03)
    assert not np.array_equal(found["probs"], expected["probs"])
    layers = [str(node.name) for node in narrow.graph if node.op_type in ("Conv", "Gemm")]
    assert layers_in_fp32(narrow) == ([layers[0], layers[-1]], 5)


def test_layers_that_hurt_stay_in_float32(tmp_path, monkeypatch):
    """One channel's weights are made a thousand times as large as the others', which 8 bits for all cannot hold."""
    path = model_file(tmp_path, "net")
    model, manifest = load_model(path)
    state = model.state_dict()
    name = next(key for key, value in state.items() if value.ndim == 2)
    state[name][:, ::2] *= 200
    model.load_state_dict(state)
    save_model(path, model, manifest)
    asked: list[float] = []
    honest = quantising.metric_over

    def judged(task, engine, samples):
        asked.append(honest(task, engine, samples))
        return asked[-1] if len(asked) != 2 else asked[0] - 1  # the quantised network loses everything, it seems

    monkeypatch.setattr(quantising, "metric_over", judged)
    export_model(path, tmp_path / "net.onnx", data=photos(tmp_path), int8=True)
    assert len(asked) > 2  # accuracy was controlled
    assert "int8" in OnnxFile.read(tmp_path / "net.onnx").manifest.facts["compared"]


def test_scales_need_images(tmp_path):
    with pytest.raises(UsageError, match="--int8 needs --data"):
        export_model(model_file(tmp_path, "net"), tmp_path / "net.onnx", int8=True)
