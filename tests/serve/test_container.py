"""The Dockerfile: what it installs, whom it runs as, and that its command needs no place to write but /tmp."""

import importlib.metadata
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pellucid.export.exporting import export_model
from tests.export.trained import model_file
from tests.serve.served import ask, png

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deploy" / "Dockerfile").read_text()


def instructions() -> list[tuple[str, str]]:
    """(word, rest) of every instruction, its lines joined."""
    lines = [line for line in TEXT.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def of(word: str) -> str:
    """The last one of a kind, which is the one that counts."""
    return [rest for found, rest in instructions() if found == word][-1]


def installed() -> set[str]:
    """The packages that are asked for by name."""
    (run,) = [rest for word, rest in instructions() if word == "RUN"]
    words = run.partition("--constraint")[2].partition("&&")[0].split()[1:]
    return {word for word in words if not word.startswith("-")}


@pytest.fixture(scope="module")
def net(tmp_path_factory) -> Path:
    """A file that everybody may read."""
    folder = tmp_path_factory.mktemp("net")
    export_model(model_file(folder, "net"), folder / "net.onnx")
    return folder / "net.onnx"


def test_it_runs_as_nobody_in_particular_and_is_told_to_stop():
    user, _, group = of("USER").partition(":")
    assert int(user) >= 1000
    assert int(group) >= 1000  # a number: Kubernetes' runAsNonRoot does not look names up
    for word in ("ENTRYPOINT", "CMD"):
        assert isinstance(json.loads(of(word)), list)
    check = json.loads(of("HEALTHCHECK").partition("CMD")[2])
    assert f":{of('EXPOSE')}/v2/health/ready" in check[-1]


def test_everything_it_takes_from_here_is_here_and_reaches_it():
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            for name in rest.split()[:-1]:
                assert (ROOT / name).exists()
                assert f"!{name}" in ignored


def test_it_installs_what_a_service_of_an_exported_file_imports_and_no_torch(net):
    code = (
        "import sys, threading, signal, os\n"
        "from pellucid.cli import main\n"
        "from pellucid.runtime.verifying import verify\n"
        f"verify({str(net)!r})\n"
        "threading.Timer(2.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        "try: main(['serve', sys.argv[1], '--port', '0', '--engine', 'onnxruntime'])\n"
        "finally: print(*{name.partition('.')[0] for name in sys.modules})"
    )
    found = subprocess.run([sys.executable, "-c", code, str(net)], capture_output=True, text=True)
    imported = set(found.stdout.split())
    assert {"pellucid", "onnxruntime", "uvicorn"} <= imported
    assert "torch" not in imported
    names = importlib.metadata.packages_distributions()
    needed = {name.lower() for module in imported for name in names.get(module, [])}
    assert needed - {"pellucid", "setuptools"} <= closure(installed())


def closure(names: set[str]) -> set[str]:
    """These packages, and those that they bring."""
    found, waiting = set(), {name.lower() for name in names}
    while waiting:
        name = waiting.pop()
        found |= {name, name.replace("-", "_")}
        wanted = [one for one in importlib.metadata.requires(name) or [] if "extra ==" not in one]
        there = {re.split(r"[^\w.-]", one)[0].lower() for one in wanted}
        waiting |= {one for one in there - found if importlib.util.find_spec(one.replace("-", "_"))}
    return found


def test_what_it_installs_has_its_version_fixed():
    fixed = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert installed() <= fixed


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv, of util-linux")
def test_its_command_needs_no_place_to_write(net, tmp_path):
    """Without a right to write in its folder or its home, as in a container with a root that can only be read."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    kept = ["PYTHONPATH", "LANG"]
    given = dict(word.split("=", 1) for word in shlex.split(of("ENV")) if not word.startswith("PATH="))
    given |= {
        "HOME": str(closed),
        "TMPDIR": str(closed),
        **{name: os.environ[name] for name in kept if name in os.environ},
    }
    program, *words = json.loads(of("ENTRYPOINT"))
    assert program == "pellucid"
    words = [sys.executable, "-m", program, *words[:-1], "0", str(net)]
    bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
    refused = subprocess.run([*bare, "touch", str(closed / "x")], capture_output=True)
    assert refused.returncode != 0  # or nothing were tested
    process = subprocess.Popen(
        [*bare, *words], cwd=closed, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://0.0.0.0:"), process.stderr.read()
        port = int(address.rstrip("/").rpartition(":")[2])
        assert ask(port, "/predict", png(9)).status == 200
        assert ask(port, "/selfcheck").json["passed"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    assert list(closed.iterdir()) == []
