"""Exported networks through `pellucid.load` beside the bare engines, a folder of photos end to end, and a cold start.

python -m benchmarks.inference [MODEL:SIDE ...]

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


def table(name: str, side: int, folder: Path) -> None:
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
    }
    best = dict.fromkeys(ways, 0.0)
    for _ in range(ROUNDS):
        for way, arguments in ways.items():
            best[way] = max(best[way], rate(*arguments, shape))
    print(f"{name} at {side}, batches of {BATCH}, images/s: " + ", ".join(f"{k} {v:.1f}" for k, v in best.items()))


def photos(folder: Path, count: int = 48) -> Path:
    (folder / "photos").mkdir()
    generator = np.random.default_rng(0)
    for place in range(count):
        small = generator.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((1280, 960), Image.Resampling.BICUBIC)
        picture.save(folder / "photos" / f"{place:02}.jpg", quality=90)
    return folder / "photos"


def end_to_end(path: Path, folder: Path) -> None:
    """A folder of JPEGs to JSON, and one photo from a cold start."""
    pictures = photos(folder)
    for engine in ("onnxruntime", "openvino-bf16"):
        words = [sys.executable, "-m", "pellucid", "predict", str(path), "--engine", engine, "--json"]
        times = {
            count: min(seconds([*words, *map(str, sorted(pictures.iterdir())[:count])]) for _ in range(3))
            for count in (1, 48)
        }
        print(
            f"{path.stem}, {engine}: cold start to the first result {times[1]:.2f} s; "
            f"then {47 / (times[48] - times[1]):.1f} photos of 1280x960 a second, from files to JSON"
        )


def seconds(words: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    print(header())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for one in sys.argv[1:] or NETWORKS:
            network, _, side = one.partition(":")
            table(network, int(side), folder)
            if network.startswith("yolo"):
                end_to_end(folder / f"{network}.onnx", folder)


if __name__ == "__main__":
    main()
