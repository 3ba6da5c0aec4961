"""Exported networks through `pellucid.load` beside the bare engines, a folder of photos end to end, and a cold start.

python -m benchmarks.inference [MODEL:SIDE ...] [FOLDER]

FOLDER holds photographs (COCO's, say: ../shared/data/coco128); a drawn one of 1280x960 is measured in any case.
Weights are random: speeds only. Every measurement is a process of its own, since engines get in each other's way; they
take turns, and the best of all rounds counts, since other work on the machine only makes a time longer.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch
from PIL import Image

from benchmarks.machine import header
from pellucid.checkpoint import Manifest, save_model
from pellucid.export.exporting import export_model
from pellucid.export.onnx_graph import network_graph
from pellucid.export.quantising import Calibration, quantised
from pellucid.models.base import build_model
from pellucid.network import load_predictor
from pellucid.preprocess import Preprocess
from pellucid.runtime.onnx_file import OnnxFile

NETWORKS = ("resnet18:224", "resnet50:224", "fcn_resnet50:320", "yolo_n:640")
ROUNDS = 3
BATCH = 4

TIMED = """
import sys, time
import numpy as np
shape = tuple(map(int, sys.argv[3:]))
pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
{made}
run(); run()
shortest, end = 1e9, time.perf_counter() + 1.5
while time.perf_counter() < end:
    start = time.perf_counter(); run(); shortest = min(shortest, time.perf_counter() - start)
print(shape[0] / shortest)
"""
ONNXRUNTIME = """
import onnxruntime, os
options = onnxruntime.SessionOptions(); options.intra_op_num_threads = len(os.sched_getaffinity(0))
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
run = lambda: session.run(None, {"pixels": pixels})
"""
OPENVINO = """
sys.modules["openvino_telemetry"] = None
import openvino, os
core = openvino.Core(); model = core.read_model(sys.argv[1]); model.reshape(shape)
settings = {"INFERENCE_PRECISION_HINT": sys.argv[2], "INFERENCE_NUM_THREADS": len(os.sched_getaffinity(0))}
request = core.compile_model(model, "CPU", settings).create_infer_request()
run = lambda: request.infer({"pixels": pixels})
"""
OURS = """
from pellucid.prediction import load
predictor = load(sys.argv[1], engine=sys.argv[2])
run = lambda: predictor.decoded(pixels)
"""


def rate(made: str, path: Path, setting: str, shape: tuple[int, ...]) -> float:
    words = [sys.executable, "-c", TIMED.replace("{made}", made), str(path), setting, *map(str, shape)]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def exported(name: str, side: int, folder: Path) -> tuple[Path, Path, Path]:
    """The exported file, its network, and the network in int8."""
    torch.manual_seed(0)
    model = build_model(name, 20).eval()
    rule = {"classify": "stretch", "segment": "scale", "detect": "letterbox"}[model.task]
    preprocess = Preprocess((side, side), rule, 3, (0.5,) * 3, (0.25,) * 3)
    classes = tuple(f"class {at}" for at in range(20))
    save_model(folder / f"{name}.safetensors", model, Manifest(model.task, classes, preprocess))
    path, network, small = (folder / f"{name}{suffix}.onnx" for suffix in ("", "-network", "-int8"))
    export_model(folder / f"{name}.safetensors", path)
    network.write_bytes(OnnxFile.read(path).network)
    predictor = load_predictor(folder / f"{name}.safetensors", "cpu")
    noise = list(np.random.default_rng(0).integers(0, 256, (8, side, side, 3), dtype=np.uint8))
    narrow = quantised(network_graph(model, preprocess), predictor.task, Calibration(noise, ()))
    small.write_bytes(ir.to_proto(narrow).SerializeToString())
    return path, network, small


def table(name: str, side: int, folder: Path) -> dict[str, float]:
    """Images a second by way."""
    path, network, small = exported(name, side, folder)
    shape = (BATCH, side, side, 3)
    ways = {
        "onnxruntime": (ONNXRUNTIME, network, "fp32"),
        "ours in onnxruntime": (OURS, path, "onnxruntime"),
        "OpenVINO fp32": (OPENVINO, network, "f32"),
        "ours in openvino": (OURS, path, "openvino"),
        "OpenVINO bf16": (OPENVINO, network, "bf16"),
        "ours in openvino-bf16": (OURS, path, "openvino-bf16"),
        "onnxruntime int8": (ONNXRUNTIME, small, "int8"),
        "OpenVINO int8": (OPENVINO, small, "f32"),
        "OpenVINO int8 and bf16": (OPENVINO, small, "bf16"),
    }
    best = dict.fromkeys(ways, 0.0)
    for _ in range(ROUNDS):
        for way, arguments in ways.items():
            best[way] = max(best[way], rate(*arguments, shape))
    print(f"{name} at {side}, batches of {BATCH}, images/s: " + ", ".join(f"{k} {v:.1f}" for k, v in best.items()))
    return best


def photos(folder: Path, count: int = 48) -> Path:
    (folder / "photos").mkdir()
    generator = np.random.default_rng(0)
    for place in range(count):
        small = generator.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((1280, 960), Image.Resampling.BICUBIC)
        picture.save(folder / "photos" / f"{place:02}.jpg", quality=90)
    return folder / "photos"


def end_to_end(path: Path, pictures: Path, bare: dict[str, float]) -> None:
    """A folder of JPEGs to JSON, and one photo from a cold start."""
    files = sorted(map(str, pictures.rglob("*.jpg")))
    for engine, alone in (("onnxruntime", "onnxruntime"), ("openvino-bf16", "OpenVINO bf16")):
        words = [sys.executable, "-m", "pellucid", "predict", str(path), "--engine", engine, "--json"]
        first, whole = (min(seconds([*words, *files[:count]]) for _ in range(ROUNDS)) for count in (1, len(files)))
        pace = (len(files) - 1) / (whole - first)
        print(
            f"{path.stem}, {engine}: cold start to the first result {first:.2f} s; then {pace:.1f} of {len(files)} "
            f"{pictures.name} a second, from files to JSON, {pace / bare[alone]:.2f} of the bare engine"
        )


def seconds(words: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    print(header())
    given = [Path(word) for word in sys.argv[1:] if Path(word).is_dir()]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn = photos(folder)
        for one in [word for word in sys.argv[1:] if Path(word) not in given] or NETWORKS:
            network, _, side = one.partition(":")
            best = table(network, int(side), folder)
            for pictures in (*given, drawn) if network.startswith("yolo") else ():
                end_to_end(folder / f"{network}.onnx", pictures, best)


if __name__ == "__main__":
    main()
