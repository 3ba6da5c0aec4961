"""A file is written when it is the network, and not otherwise; twice the same, and with nothing of its maker in it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid.checkpoint import load_model, save_model
from pellucid.cli import main
from pellucid.errors import ModelError, UsageError
from pellucid.export import exporting
from pellucid.export.exporting import export_model
from pellucid.runtime.onnx_file import OnnxFile
from tests.drawn import make_box_table, make_image_folder, make_mask_folder
from tests.export.trained import CLASSES, model_file

TASKS = {"classify": "net", "segment": "fcn_compact", "detect": "yolo_n"}


def dataset(folder, task):
    splits = {"train": 2, "val": 3}
    if task == "segment":
        return make_mask_folder(folder / "parts", splits)
    if task == "detect":
        root = make_box_table(folder / "marked", splits)
        table = root / "boxes.csv"
        table.write_text(table.read_text().replace(",square,", ",disc,"))
        return root
    root = make_image_folder(folder / "photos", CLASSES, size=32, splits=splits)
    Image.fromarray(np.full((30, 41), 90, np.uint8)).save(root / "val" / "bar" / "grey.png")
    return root


@pytest.mark.parametrize("task", list(TASKS))
def test_network_and_file_are_compared_on_the_users_images(task, tmp_path, capsys):
    model, data, out = model_file(tmp_path, TASKS[task]), dataset(tmp_path, task), tmp_path / "out.onnx"
    assert main(["export", str(model), str(out), "--data", str(data), "--licence", "CC0-1.0", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    images = {"classify": 10, "segment": 3, "detect": 3}[task]
    assert (said["images"], said["bytes"], said["licence"]) == (images, out.stat().st_size, "CC0-1.0")
    assert {"metric", *{"classify": ["probs"], "segment": ["pixels"], "detect": ["boxes"]}[task]} <= {
        figure["name"] for figure in said["figures"]
    }
    assert all(figure["ok"] for figure in said["figures"])
    facts = OnnxFile.read(out).manifest.facts
    assert facts["compared"]["on"] == "validation images"
    assert facts["opset"] == 18
    assert {"onnx", "onnxruntime", "onnxscript", "pellucid", "torch"} <= set(facts["versions"])
    assert str(tmp_path) not in json.dumps(dict(facts))
    assert str(tmp_path).encode() not in out.read_bytes()


def test_without_data_it_says_on_what_it_was_compared(tmp_path, capsys):
    assert main(["export", str(model_file(tmp_path, "net")), str(tmp_path / "net.onnx")]) == 0
    assert "generated images alone: give --data" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["net", "yolo_n", "fcn8s"])
def test_two_exports_are_equal_in_two_processes(name, tmp_path):
    model = model_file(tmp_path, name)
    found = set()
    for seed in ("1", "2"):
        out = tmp_path / f"{seed}.onnx"
        code = f"import sys; from pellucid.cli import main; sys.exit(main(['export', {str(model)!r}, {str(out)!r}]))"
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONHASHSEED": seed})
        found.add(out.read_bytes())
    assert len(found) == 1


def test_a_file_that_is_not_the_network_is_not_written(tmp_path, monkeypatch, capsys):
    """The exporter is made to lie: it is given a network whose weights are a little different."""
    model, out = model_file(tmp_path, "net"), tmp_path / "net.onnx"
    out.write_bytes(b"what was there before")
    honest = exporting.network_graph

    def lying(network, preprocess):
        other, _ = load_model(model)
        with torch.no_grad():
            next(other.parameters()).mul_(1.3)
        return honest(other, preprocess)

    monkeypatch.setattr(exporting, "network_graph", lying)
    assert main(["export", str(model), str(out)]) == 1
    assert "is not written, since it is not the network of" in capsys.readouterr().err
    assert out.read_bytes() == b"what was there before"
    assert [path.name for path in tmp_path.iterdir() if "tmp" in path.name] == []


def test_usage(tmp_path):
    model = model_file(tmp_path, "net")
    with pytest.raises(UsageError, match=r"net\.bin: networks are exported as .*\.onnx"):
        export_model(model, tmp_path / "net.bin")
    with pytest.raises(UsageError, match="labelled for 'detect'"):
        export_model(model, tmp_path / "net.onnx", data=dataset(tmp_path, "detect"))


def test_a_users_own_network_keeps_its_folder_to_itself(tmp_path):
    source = tmp_path / "secret" / "mynet.py"
    source.parent.mkdir()
    source.write_text("from pellucid.models.net import Net\n\n\nclass MyNet(Net):\n    pass\n")
    from pellucid.models.base import build_model
    from tests.export.trained import predictor

    network = build_model(f"{source}:MyNet", len(CLASSES))
    save_model(tmp_path / "own.safetensors", network, predictor("net").manifest)
    export_model(tmp_path / "own.safetensors", tmp_path / "own.onnx")
    assert OnnxFile.read(tmp_path / "own.onnx").manifest.facts["architecture"]["name"] == "mynet.py:MyNet"


def test_a_damaged_model_is_refused(tmp_path):
    model = model_file(tmp_path, "net")
    data = bytearray(model.read_bytes())
    data[-5] ^= 1
    model.write_bytes(data)
    with pytest.raises(ModelError, match="is damaged"):
        export_model(model, tmp_path / "net.onnx")
