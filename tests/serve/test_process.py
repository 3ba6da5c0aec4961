"""The verb `serve`: it starts, answers, and stops without losing a request that it took."""

import http.client
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


def asked_on_and_on(port: int, answered: list[int], lost: list[Exception]) -> None:
    """A client that keeps its connection as long as the service does, until it is refused one."""
    while True:
        connection, kept = http.client.HTTPConnection("127.0.0.1", port, timeout=20), 0
        try:
            while not kept or connection.sock is not None:  # http.client closes it after an answer that says so
                connection.request("POST", "/predict", png(9))
                found = connection.getresponse()
                found.read()
                answered.append(found.status)
                kept += 1
        except ConnectionRefusedError:
            return
        except (OSError, http.client.HTTPException) as error:
            if kept:
                lost.append(error)
            # else: it waited to be taken when the socket was closed
        finally:
            connection.close()


def test_sigterm_under_load_loses_no_request_that_was_taken(model, tmp_path):
    """Clients ask on and on until they are refused: whatever was sent on an open connection was answered, and no
    connection is closed that its last answer did not say to be the last."""
    log = tmp_path / "log"
    process, port = started(model, log)
    answered, lost = [], []
    clients = [threading.Thread(target=asked_on_and_on, args=(port, answered, lost)) for _ in range(24)]
    for thread in clients:
        thread.start()
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGTERM)
    time.sleep(0.3)
    ready = ask(port, "/v2/health/ready")
    assert (ready.status, ready.headers["connection"]) == (503, "close")
    for thread in clients:
        thread.join(30)
    process.communicate(timeout=30)
    assert process.returncode in (0, -signal.SIGTERM)
    assert lost == []
    assert set(answered) == {200}
    assert len(answered) > len(clients)
    rows = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert sum(row["route"] == "/predict" for row in rows) == len(answered)


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
        (["{model}", "--engine", "openvino"], "is run by torch: an engine, as 'openvino', is for exported files"),
    ],
)
def test_what_cannot_be_served_is_said(model, tmp_path, capsys, words, reason):
    short = tmp_path / "token"
    short.write_text("short\n")
    assert main(["serve", *(word.format(model=model, short=short) for word in words)]) == 2
    assert reason in capsys.readouterr().err
