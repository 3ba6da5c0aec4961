"""The verb `serve`: it starts, answers, and stops without losing a request that it took."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from pellucid.checkpoint import Manifest, save_model
from pellucid.cli import main
from pellucid.models.base import build_model
from pellucid.preprocess import Preprocess
from tests.serve.served import ask, png


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("served") / "small.safetensors"
    preprocess = Preprocess((32, 32), "stretch", 3, (0.5,) * 3, (0.25,) * 3)
    save_model(path, build_model("compact", 2, width=8), Manifest("classify", ("a", "b"), preprocess))
    return path


def started(model: Path, log: Path, *flags: str) -> tuple[subprocess.Popen, int]:
    """A service whose lines go into a file: a pipe that no one reads is full after 64 KiB."""
    words = [sys.executable, "-m", "pellucid", "serve", str(model), "--port", "0", *flags]
    with log.open("w") as lines:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=lines, text=True)
    address = process.stdout.readline().strip()
    port = int(address.rstrip("/").rpartition(":")[2])
    while True:
        try:
            assert ask(port, "/v2/health/ready").status == 200
            return process, port
        except ConnectionError:
            time.sleep(0.05)


def test_sigterm_under_load_loses_no_request_that_was_taken(model, tmp_path):
    """Clients ask on and on until they are refused; whatever was sent on an open connection was answered."""
    log = tmp_path / "log"
    process, port = started(model, log)
    answered, refused, lost = [], [], []

    def client() -> None:
        while True:
            try:
                found = ask(port, "/predict", png(9))
            except ConnectionRefusedError:
                refused.append(1)
                return
            except OSError as error:
                lost.append(error)
                return
            answered.append(found.status)

    clients = [threading.Thread(target=client) for _ in range(6)]
    for thread in clients:
        thread.start()
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGTERM)
    time.sleep(0.3)
    assert ask(port, "/v2/health/ready").status == 503
    for thread in clients:
        thread.join(30)
    process.communicate(timeout=30)
    assert process.returncode in (0, -signal.SIGTERM)
    assert set(answered) == {200}
    assert len(answered) > len(clients)
    rows = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert sum(row["route"] == "/predict" for row in rows) == len(answered)
    assert len(lost) <= len(clients)  # connections that waited to be taken when the socket was closed


def test_ctrl_c_stops_it(model, tmp_path):
    log = tmp_path / "log"
    process, port = started(model, log, "--quiet")
    assert ask(port, "/selfcheck").json["passed"]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert "Traceback" not in log.read_text()
    assert "{" not in log.read_text()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["none.safetensors"], "No file none.safetensors"),
        (["{model}", "--port", "99999"], "--port 99999 is not a port"),
        (["{model}", "--queue", "0"], "--queue is 0; it must be above 0"),
        (["{model}", "--token-file", "none.txt"], "--token-file none.txt"),
        (["{model}", "--token-file", "{short}"], "one word of 16 or more"),
        (["{model}", "--host", "203.0.113.7"], "cannot be answered on"),
    ],
)
def test_what_cannot_be_served_is_said(model, tmp_path, capsys, words, reason):
    short = tmp_path / "token"
    short.write_text("short\n")
    assert main(["serve", *(word.format(model=model, short=short) for word in words)]) == 2
    assert reason in capsys.readouterr().err
