"""A model's folder for Triton and KServe: the file that a plain export writes, and a configuration that fits it."""

import http.client
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Kind

from pellucid.cli import main
from pellucid.export import exporting
from pellucid.runtime.verifying import verify
from tests.export.trained import CLASSES, model_file

TASKS = {"classify": "net", "segment": "fcn_compact", "detect": "yolo_n"}
TYPES = {"TYPE_UINT8": "UINT8", "TYPE_INT64": "INT64", "TYPE_FP32": "FLOAT"}
"""Of Triton, and the same in ONNX."""
TENSOR = {"name": Kind.TYPE_STRING, "data_type": "DataType", "dims": Kind.TYPE_INT64, "reshape": "Shape"}
MESSAGES = {
    "Shape": {"shape": Kind.TYPE_INT64},
    "Input": TENSOR | {"optional": Kind.TYPE_BOOL},
    "Output": TENSOR,
    "Batching": {"max_queue_delay_microseconds": Kind.TYPE_UINT64},
    "Model": {
        "name": Kind.TYPE_STRING,
        "backend": Kind.TYPE_STRING,
        "max_batch_size": Kind.TYPE_INT32,
        "dynamic_batching": "Batching",
        "input": "Input",
        "output": "Output",
    },
}
"""The part of Triton's model_config.proto that is written."""
LISTS = {"dims", "shape", "input", "output"}


@pytest.fixture(scope="module")
def parse():
    """Reads a configuration as Triton does; a name, a type or a letter that it does not know is an error."""
    file = descriptor_pb2.FileDescriptorProto(name="config.proto", package="t", syntax="proto3")
    kinds = file.enum_type.add(name="DataType")
    kinds.value.add(name="TYPE_INVALID", number=0)
    for number, name in enumerate(TYPES, start=1):
        kinds.value.add(name=name, number=number)
    for name, members in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(members.items(), start=1):
            label = Kind.LABEL_REPEATED if field in LISTS else Kind.LABEL_OPTIONAL
            made = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, int):
                made.type = kind
            else:
                made.type = Kind.TYPE_ENUM if kind == "DataType" else Kind.TYPE_MESSAGE
                made.type_name = f".t.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    model = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Model"))
    return lambda text: text_format.Parse(text, model())


def written(folder: Path, name: str) -> tuple[Path, Path]:
    """A model's folder in a repository, and the same model as one file."""
    model, place, alone = model_file(folder, name), folder / "models" / "cells", folder / "alone.onnx"
    assert main(["export", str(model), str(place), "--repository"]) == 0
    assert main(["export", str(model), str(alone)]) == 0
    return place, alone


@pytest.mark.parametrize("task", list(TASKS))
def test_the_configuration_fits_the_file(task, tmp_path, parse, capsys):
    """Triton's own rules: without the axis of the batch, a side that may vary is -1, and outputs must match exactly."""
    place, alone = written(tmp_path, TASKS[task])
    size = sum((place / name).stat().st_size for name in ("config.pbtxt", "1/model.onnx"))
    assert f"{place}: {size / 1e6:.1f} MB, opset 18" in capsys.readouterr().out
    assert {str(path.relative_to(place)) for path in place.rglob("*")} == {"config.pbtxt", "1", "1/model.onnx"}
    assert (place / "1" / "model.onnx").read_bytes() == alone.read_bytes()
    config = parse((place / "config.pbtxt").read_text())
    assert (config.name, config.backend) == ("cells", "onnxruntime")
    assert config.max_batch_size == 8
    assert config.HasField("dynamic_batching")
    graph = onnx.load(str(alone)).graph
    assert [(one.name, list(one.dims)) for one in config.input] == [("images", [-1, -1, 3])]
    assert not any(one.optional for one in config.input)  # refused by Triton where requests are put together
    assert [one.name for one in config.output] == [one.name for one in graph.output]
    for told, there in zip([*config.input, *config.output], [graph.input[0], *graph.output], strict=True):
        letters = list(TYPES.values())[told.data_type - 1]
        assert letters == onnx.TensorProto.DataType.Name(there.type.tensor_type.elem_type)
        shape = told.reshape.shape if told.HasField("reshape") else told.dims
        sides = [side.dim_value or -1 for side in there.type.tensor_type.shape.dim]
        assert [-1, *shape] == sides
        assert len(told.dims) >= 1


def test_requests_may_be_put_together(tmp_path):
    """What Triton does with a batch: photos of one size one behind the other, and the results cut apart again."""
    import onnxruntime

    place, _ = written(tmp_path, "yolo_n")
    session = onnxruntime.InferenceSession(place / "1" / "model.onnx")
    photos = np.random.default_rng(0).integers(0, 256, (3, 60, 80, 3), dtype=np.uint8)
    names = [output.name for output in session.get_outputs()]
    together = dict(zip(names, session.run(None, {"images": photos}), strict=True))
    for place_of, photo in enumerate(photos):
        alone = dict(zip(names, session.run(None, {"images": photo[None]}), strict=True))
        count = int(together["count"][place_of])
        assert count == int(alone["count"][0])
        np.testing.assert_allclose(together["xyxy"][place_of, :count], alone["xyxy"][0], atol=1e-3)
        assert (together["labels"][place_of, count:] == -1).all()


def test_the_file_inside_is_verified_and_served_under_the_models_name(tmp_path):
    place, _ = written(tmp_path, "net")
    assert verify(place / "1" / "model.onnx").ok
    words = [sys.executable, "-m", "pellucid", "serve", str(place / "1" / "model.onnx"), "--port", "0", "--quiet"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = int(process.stdout.readline().strip().rstrip("/").rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/v2/models/cells")
        assert json.loads(connection.getresponse().read())["inputs"][0]["name"] == "images"
        connection.close()
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.parametrize("name", ["cells.onnx", "two words", "-x", "ä"])
def test_a_name_that_no_server_takes_is_refused(name, tmp_path, capsys):
    model = model_file(tmp_path, "net")
    assert main(["export", str(model), "--repository", str(tmp_path / name)]) == 2
    assert f"{name}: with --repository, OUT is a folder" in capsys.readouterr().err
    assert not (tmp_path / name).exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path, capsys):
    place, _ = written(tmp_path, "net")
    before = (place / "config.pbtxt").read_text()
    (place / "config.pbtxt").write_text(before + "# mine\n")
    assert main(["export", str(tmp_path / "net.safetensors"), str(place), "--repository"]) == 2
    assert "is there already. Give a new or an empty folder" in capsys.readouterr().err
    assert (place / "config.pbtxt").read_text() == before + "# mine\n"


def test_nothing_is_left_where_the_file_is_not_the_network(tmp_path, monkeypatch, capsys):
    honest = exporting.RepositoryExporter.build

    def lying(exporter, predictor, network):
        """Another bias than the network has."""
        for value in network.graph.initializers.values():
            found = value.const_value.numpy()
            if found.shape == (len(CLASSES),) and found.dtype == np.float32:
                value.const_value = ir.tensor(found + np.arange(len(CLASSES), dtype=np.float32), name=value.name)
        return honest(exporter, predictor, network)

    monkeypatch.setattr(exporting.RepositoryExporter, "build", lying)
    assert main(["export", str(model_file(tmp_path, "net")), str(tmp_path / "models" / "cells"), "--repository"]) == 1
    assert "is not written, since it is not the network of" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()
