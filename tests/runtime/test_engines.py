"""An exported file runs in every engine, without torch, and says what the model file says."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from pellucid.cli import main
from pellucid.errors import ModelError, UsageError
from pellucid.export.exporting import export_model
from pellucid.prediction import load, predict
from pellucid.runtime import measuring
from pellucid.runtime.engines import ENGINES
from pellucid.runtime.onnx_file import OnnxFile
from pellucid.runtime.onnx_part import network_part
from pellucid.runtime.predictor import ExportedPredictor
from pellucid.runtime.verifying import verify
from tests.drawn import make_box_table, make_image_folder, make_mask_folder
from tests.export.trained import CLASSES, model_file

NAMES = {"classify": "net", "segment": "fcn_compact", "detect": "yolo_n"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Of each task `task.safetensors`, `task.onnx` and the folder `task`; and a few photos."""
    root = tmp_path_factory.mktemp("engines")
    (root / "photos").mkdir()
    generator = np.random.default_rng(0)
    for place, size in enumerate([(40, 60), (40, 60), (90, 33), (64, 64), (40, 60)]):
        pixels = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "photos" / f"{place}.png")
    for task, name in NAMES.items():
        model_file(root, name).rename(root / f"{task}.safetensors")
        export_model(root / f"{task}.safetensors", root / f"{task}.onnx")
        export_model(root / f"{task}.safetensors", root / task)
    return root


@pytest.mark.parametrize("task", list(NAMES))
@pytest.mark.parametrize("form", [".onnx", ""])
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_predictions_are_those_of_the_model_file(folder, task, form, engine):
    photos = sorted((folder / "photos").glob("*.png"))
    file = folder / f"{task}{form}"
    if form == "" and engine == "onnxruntime":
        with pytest.raises(UsageError, match="runs in openvino, openvino-bf16, or fastest"):
            load(file, engine=engine)
        return
    least = {"threshold": 0.005} if task == "detect" else {}
    expected = [one.prediction for one in predict(folder / f"{task}.safetensors", photos, **least)]
    found = [one.prediction for one in predict(load(file, engine=engine), photos, **least)]
    assert len(found) == len(photos)
    for one, other in zip(expected, found, strict=True):
        if task == "classify":
            assert other.probs == pytest.approx(one.probs, abs=1e-5)
        elif task == "segment":
            assert (one.labels != other.labels).mean() < 0.002
            assert other.scores == pytest.approx(one.scores, abs=1e-2)
        else:
            assert len(one.found.scores) > 3
            assert abs(len(one.found.scores) - len(other.found.scores)) <= 1
            np.testing.assert_allclose(other.found.scores[:3], one.found.scores[:3], atol=1e-5)


def test_photos_and_engines_in_any_number(folder):
    predictor = load(folder / "classify.onnx")
    assert isinstance(predictor, ExportedPredictor)
    assert predictor([]) == []
    photos = [np.full((20, 30, channels), 90, np.uint8) for channels in (3, 1, 3, 1, 3, 3, 3)]
    assert len(predictor(photos)) == 7


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("task", list(NAMES))
def test_lanes_say_the_same_in_the_same_order(folder, task, engine, tmp_path):
    (tmp_path / "broken.png").write_text("nothing")
    photos = [*sorted((folder / "photos").glob("*.png")) * 5, tmp_path / "broken.png", folder / "photos" / "0.png"]
    file, tiles = folder / f"{task}.onnx", {"tiles": True} if task == "detect" else {}
    one_by_one = list(predict(load(file, engine=engine), photos, **tiles))
    side_by_side = list(predict(load(file, engine=engine, lanes=3), photos, **tiles))
    assert [found.image for found in side_by_side] == [str(path) for path in photos]
    assert [found.error for found in side_by_side] == [found.error for found in one_by_one]
    for one, other in zip(one_by_one, side_by_side, strict=True):
        if one.prediction is None:
            continue
        for name, array in one.prediction.arrays().items():
            assert other.prediction.arrays()[name] == pytest.approx(array, abs=1e-4)


def test_bf16_is_near(folder):
    photos = sorted((folder / "photos").glob("*.png"))
    expected = [one.prediction.probs for one in predict(folder / "classify.onnx", photos)]
    narrow = load(folder / "classify.onnx", engine="openvino-bf16")
    assert [one.prediction.probs for one in predict(narrow, photos)] == [
        pytest.approx(probs, abs=0.03) for probs in expected
    ]


def test_predicting_needs_no_torch(folder):
    code = (
        "import sys; from pellucid.cli import main\n"
        f"code = main(['predict', {str(folder / 'detect.onnx')!r}, {str(folder / 'photos')!r}])\n"
        "sys.exit(code or 'torch' in sys.modules or 'onnx' in sys.modules or 'openvino' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_openvino_tells_nobody(folder):
    """Importing it sends an event, unless the module that does is kept out."""
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise SystemExit('a socket')\n"
        "socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse\n"
        "from pellucid.runtime.verifying import verify\n"
        f"assert verify({str(folder / 'classify')!r}).ok\n"
        "assert 'openvino' in sys.modules and sys.modules['openvino_telemetry'] is None\n"
        "import threading; assert threading.active_count() == 1"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("form", [".onnx", ""])
@pytest.mark.parametrize("task", list(NAMES))
def test_evaluate_takes_it_as_it_takes_the_model(folder, task, form, tmp_path, capsys):
    make = {"classify": make_image_folder, "segment": make_mask_folder, "detect": make_box_table}[task]
    data = (
        make(tmp_path / "data", CLASSES, splits={"test": 3})
        if task == "classify"
        else make(tmp_path / "data", {"test": 3})
    )
    if task == "detect":
        (data / "boxes.csv").write_text((data / "boxes.csv").read_text().replace(",square,", ",disc,"))
    rows = []
    for file in (folder / f"{task}.safetensors", folder / f"{task}{form}"):
        assert main(["evaluate", str(file), str(data), "--json"]) == 0
        rows.append(json.loads(capsys.readouterr().out))
    assert rows[1]["metrics"] == pytest.approx(rows[0]["metrics"], abs=1e-3)
    assert rows[1]["count"] == rows[0]["count"]


def test_the_part_is_the_network_alone(folder):
    model = onnx.load_from_string(network_part((folder / "detect.onnx").read_bytes()))
    onnx.checker.check_model(model, full_check=True)
    assert [one.name for one in model.graph.input] == ["pixels"]
    assert {one.name for one in model.graph.output} == {"decoded/xyxy", "decoded/scores"}
    assert {"MatMulInteger", "NonMaxSuppression"}.isdisjoint({node.op_type for node in model.graph.node})


@pytest.mark.parametrize(
    ("name", "said"),
    [("model.xml", "its network or weights are not"), ("model.bin", "its network or weights are not")],
)
def test_a_changed_folder_is_refused(folder, tmp_path, name, said):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in (folder / "classify").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert verify(copy).ok
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    assert said in verify(copy).reason
    (copy / name).unlink()
    with pytest.raises(UsageError, match=f"has no {name}"):
        verify(copy)


def test_a_changed_manifest_of_a_folder_is_refused(folder, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in (folder / "classify").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    facts = json.loads((copy / "manifest.json").read_text())
    facts["classes"].reverse()
    (copy / "manifest.json").write_text(json.dumps(facts))
    assert "its class list is not the one" in verify(copy).reason
    (copy / "manifest.json").write_text("[]")
    assert "is refused: " in verify(copy).reason


def test_the_fastest_engine_is_measured_once_and_remembered(folder, monkeypatch):
    exported = OnnxFile.read(folder / "classify.onnx")
    assert measuring.remembered(exported) is None
    rates = {"onnxruntime": 10.0, "openvino": 20.0}
    measured: list[str] = []

    def rate_apart(network, engine, preprocess):
        measured.append(engine)
        return rates[engine]

    monkeypatch.setattr(measuring, "rate_apart", rate_apart)
    assert measuring.fastest(exported) == "openvino"
    assert measured == ["onnxruntime", "openvino"]  # bf16 was not found to be good enough
    assert measuring.fastest(exported) == "openvino"
    assert len(measured) == 2
    assert type(load(folder / "classify.onnx").engine) is ENGINES["openvino"]
    assert type(load(folder / "classify.onnx", engine="onnxruntime").engine) is ENGINES["onnxruntime"]
    monkeypatch.setattr(measuring, "usable_cores", lambda: 99)  # another machine
    assert measuring.remembered(exported) is None


def test_a_rate_is_that_of_a_process_of_its_own(folder):
    exported = OnnxFile.read(folder / "classify.onnx")
    assert measuring.rate_apart(exported.network, "onnxruntime", exported.manifest.preprocess) > 1
    with pytest.raises(ModelError, match="does not run in openvino"):
        measuring.rate_apart(b"no network", "openvino", exported.manifest.preprocess)


def test_what_has_no_meaning_is_refused(folder):
    with pytest.raises(UsageError, match="is run by torch"):
        load(folder / "classify.safetensors", engine="openvino")
    with pytest.raises(UsageError, match="not on 'cuda'"):
        load(folder / "classify.onnx", device="cuda")
    with pytest.raises(UsageError, match="not in 'tensorrt'"):
        load(folder / "classify.onnx", engine="tensorrt")
    with pytest.raises(UsageError, match="is there already"):
        export_model(folder / "classify.safetensors", folder / "detect")
