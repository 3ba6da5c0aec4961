"""`pellucid serve` under load: answers a second beside `pellucid predict`, the slowest of them, memory, and its end.

python -m benchmarks.service [MODEL:SIDE] [ENGINE]     64 connections for 60 seconds; SIGTERM under the same load
python -m benchmarks.service memory                    10,000 requests to a small network

Weights are random: speeds only. wrk asks where it is installed, since it takes next to no processor time; else a client
of our own in a process of its own. `predict` runs before and after the service, on the same photos.
"""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.machine import header
from pellucid.checkpoint import Manifest, save_model
from pellucid.export.exporting import export_model
from pellucid.models.base import build_model
from pellucid.preprocess import Preprocess

CONNECTIONS, SECONDS = 64, 60
PHOTOS = 48
SIZE = (640, 480)
REQUESTS = (1_000, 5_000, 10_000)

WRK = """
local bodies, at = {}, 0
function init(paths)
  for place, path in ipairs(paths) do
    local file = io.open(path, "rb")
    bodies[place] = wrk.format("POST", "/predict", {["Content-Type"] = "image/jpeg"}, file:read("*all"))
    file:close()
  end
end
function request()
  at = at % #bodies + 1
  return bodies[at]
end
function done(summary, latency)
  local errors = summary.errors
  io.stderr:write(string.format('{"answers":%d,"wrong":%d,"seconds":%f,"p50":%f,"p99":%f}', summary.requests,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout, summary.duration / 1e6,
    latency:percentile(50) / 1e6, latency:percentile(99) / 1e6))
end
"""


def exported(name: str, side: int, folder: Path) -> Path:
    torch.manual_seed(0)
    model = build_model(name, 20).eval()
    rule = {"classify": "stretch", "segment": "scale", "detect": "letterbox"}[model.task]
    preprocess = Preprocess((side, side), rule, 3, (0.5,) * 3, (0.25,) * 3)
    classes = tuple(f"class {at}" for at in range(20))
    save_model(folder / f"{name}.safetensors", model, Manifest(model.task, classes, preprocess))
    export_model(folder / f"{name}.safetensors", folder / f"{name}.onnx")
    return folder / f"{name}.onnx"


def drawn_photos(folder: Path) -> list[Path]:
    generator = np.random.default_rng(0)
    paths = [folder / f"{place:02}.jpg" for place in range(PHOTOS)]
    for path in paths:
        small = generator.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(small).resize(SIZE, Image.Resampling.BICUBIC).save(path, quality=90)
    return paths


@contextmanager
def served(path: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The process of a service, and its port."""
    words = [sys.executable, "-m", "pellucid", "serve", str(path), "--port", "0", "--queue", str(2 * CONNECTIONS)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([*words, *flags], stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        port = int(process.stdout.readline().strip().rstrip("/").rpartition(":")[2])
        try:
            yield process, port
        finally:
            process.terminate()
            process.wait()


def loaded(port: int, photos: list[Path], seconds: float) -> dict[str, float]:
    """What a client in a process of its own saw: answers, those that are none or no 200, seconds, their percentiles."""
    if shutil.which("wrk") is None:
        words = [sys.executable, "-m", "benchmarks.service", "ask", str(port), str(seconds), *map(str, photos)]
        return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(WRK)
        script.flush()
        address = f"http://127.0.0.1:{port}"
        words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "--timeout", "30s", "-s", script.name, address]
        found = subprocess.run([*words, "--", *map(str, photos)], check=True, capture_output=True, text=True)
    return json.loads(found.stderr)


async def asked(port: int, photos: list[bytes], until: float, found: dict[str, Any]) -> None:
    """One connection after the other, until the time is up or nobody answers; a request on each until it is closed."""
    at = 0
    while time.monotonic() < until:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return
        try:
            going = True
            while going and time.monotonic() < until:
                began, at = time.monotonic(), at + 1
                status, going = await answer_to(photos[at % len(photos)], port, reader, writer)
                found["seconds"].append(time.monotonic() - began)
                found["wrong"] += status != 200
        except (OSError, asyncio.IncompleteReadError):
            found["lost"] += 1
        finally:
            writer.close()


async def answer_to(
    photo: bytes, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[int, bool]:
    """The status of an answer, and whether its connection stays open."""
    writer.write(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: %d\r\n\r\n" % (port, len(photo)))
    writer.write(photo)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    await reader.readexactly(int(head.partition(b"content-length:")[2].split()[0]))
    return int(head.split()[1]), b"connection: close" not in head


async def ask(port: int, seconds: float, photos: list[Path]) -> dict[str, Any]:
    """The same as wrk's, by a client of our own."""
    found: dict[str, Any] = {"seconds": [], "wrong": 0, "lost": 0}
    bodies, until = [photo.read_bytes() for photo in photos], time.monotonic() + seconds
    began = time.monotonic()
    await asyncio.gather(*(asked(port, bodies[at:] + bodies[:at], until, found) for at in range(CONNECTIONS)))
    p50, p99 = np.percentile(found["seconds"], (50, 99))
    wrong = found["wrong"] + found["lost"]
    answers = len(found["seconds"])
    return {"answers": answers, "wrong": wrong, "seconds": time.monotonic() - began, "p50": p50, "p99": p99}


def predict_rate(path: Path, engine: str, photos: list[Path]) -> float:
    """Photos a second of `pellucid predict` from files to JSON, without its start."""
    words = [sys.executable, "-m", "pellucid", "predict", str(path), "--engine", engine, "--json"]
    times = []
    for files in (photos[:1], photos * 5):
        began = time.perf_counter()
        subprocess.run([*words, *map(str, files)], check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return (5 * len(photos) - 1) / (times[1] - times[0])


def resident(process: subprocess.Popen[str]) -> float:
    """The memory of a process, in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


def requests(port: int) -> int:
    """How many photos the service has answered."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as found:
        counted = found.read().decode().partition('pellucid_requests_total{route="/predict",status="200"} ')[2]
    return int(float(counted.split()[0])) if counted else 0


def throughput(path: Path, engine: str, photos: list[Path]) -> None:
    before = predict_rate(path, engine, photos)
    with served(path, "--engine", engine, "--quiet") as (process, port):
        loaded(port, photos, 2)
        at_first = resident(process)
        found = loaded(port, photos, SECONDS)
        memory = resident(process)
        libraries = Path(f"/proc/{process.pid}/maps").read_text()
    predicted = max(before, predict_rate(path, engine, photos))
    rate = found["answers"] / found["seconds"]
    print(
        f"{path.stem}, {engine}: {CONNECTIONS} connections, {found['seconds']:.0f} s: {found['answers']:.0f} answers, "
        f"{found['wrong']:.0f} wrong; {rate:.1f} a second, predict {predicted:.1f}: {rate / predicted:.2f}; "
        f"p50 {found['p50']:.2f} s, p99 {found['p99']:.2f} s; {at_first:.0f} MB at first, {memory:.0f} MB at last; "
        f"torch is {'there' if 'libtorch' in libraries else 'not there'}"
    )


def stopped(path: Path, engine: str, photos: list[Path]) -> None:
    """SIGTERM under load: what the clients saw, and what the service says it answered."""
    found: dict[str, Any] = {"seconds": [], "wrong": 0, "lost": 0}
    bodies = [photo.read_bytes() for photo in photos]

    async def load(process: subprocess.Popen[str], port: int) -> None:
        clients = [asyncio.create_task(asked(port, bodies, time.monotonic() + 60, found)) for _ in range(CONNECTIONS)]
        await asyncio.sleep(5)
        process.send_signal(signal.SIGTERM)
        await asyncio.gather(*clients)

    with served(path, "--engine", engine, "--quiet") as (process, port):
        asyncio.run(load(process, port))
        ended = process.wait(60)
    print(
        f"{path.stem}, {engine}, SIGTERM after 5 s: {len(found['seconds'])} answers, {found['wrong']} of them no 200, "
        f"{found['lost']} requests without an answer; the process ended with {ended}"
    )


def memory(path: Path, photos: list[Path]) -> None:
    with served(path, "--quiet") as (process, port):
        words = [sys.executable, "-m", "benchmarks.service", "ask", str(port), "600", *map(str, photos)]
        client = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        found = []
        for count in REQUESTS:
            while requests(port) < count:
                time.sleep(0.1)
            found.append(f"{resident(process):.1f} MB after {count:,}")
        client.kill()
        client.wait()
    print(f"{path.stem}: {', '.join(found)} requests")


def main(words: list[str]) -> None:
    if words[:1] == ["ask"]:
        print(json.dumps(asyncio.run(ask(int(words[1]), float(words[2]), list(map(Path, words[3:]))))))
        return
    print(header(), " wrk asks" if shutil.which("wrk") and words != ["memory"] else " a client of our own asks")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = drawn_photos(folder)
        if words == ["memory"]:
            memory(exported("net", 32, folder), photos)
            return
        network, _, side = (words[0] if words else "yolo_n:640").partition(":")
        engine = words[1] if len(words) > 1 else "onnxruntime"
        path = exported(network, int(side), folder)
        throughput(path, engine, photos)
        stopped(path, engine, photos)


if __name__ == "__main__":
    main(sys.argv[1:])
