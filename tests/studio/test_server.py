"""The server: whom it answers, what it forbids, what it says when it cannot start; and the verb `studio`."""

import io
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.cli import main
from pellucid.studio.page import PAGES
from tests.studio.served import ask, running

STATIC = Path(__file__).parents[2] / "src" / "pellucid" / "studio" / "static"
OURS = [path for path in STATIC.rglob("*.js") if path.parent.name not in ("exports", "photo")]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_this_machine_is_answered(studio, name):
    port = studio.rpartition(":")[2]
    assert ask(studio, "/arithmetic", Host=f"{name}:{port}").status == 200


@pytest.mark.parametrize("host", ["evil.example:{port}", "127.0.0.1", "localhost:80", "127.0.0.1.evil:{port}", ""])
def test_a_foreign_host_is_refused(studio, host):
    port = studio.rpartition(":")[2]
    refused = ask(studio, "/arithmetic", Host=host.format(port=port))
    assert refused.status == 421
    assert f"127.0.0.1:{port}".encode() in refused.body
    assert refused.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/arithmetic", "/static/studio.css", "/static/arithmetic.js", "/photo", "/none"])
def test_every_answer_carries_the_policy(studio, path):
    headers = ask(studio, path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_modules_are_javascript_and_nothing_lies_outside(studio):
    assert ask(studio, "/static/arithmetic.js").headers["content-type"].startswith("text/javascript")
    assert ask(studio, "/static/%2e%2e/app.py").status == 404
    assert ask(studio, "/static/../app.py").status == 404


def test_the_first_page_is_arithmetic(studio):
    answer = ask(studio, "/")
    assert (answer.status, answer.headers["location"]) == (307, "/arithmetic")


def test_the_page_has_nothing_inline(studio):
    source = ask(studio, "/arithmetic").body.decode()
    for forbidden in ("<style", " style=", " onclick=", "<script>", "http://", "https://"):
        assert forbidden not in source
    assert all(f'href="{path}"' in source for path in PAGES)


def test_the_users_photo_is_shown_small(tmp_path):
    path = tmp_path / "wide.jpg"
    Image.fromarray(np.full((300, 900, 3), 120, np.uint8)).save(path)
    with running(path) as address:
        answer = ask(address, "/photo")
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.body)).size == (512, 171)


def test_a_grey_photo_stays_grey(tmp_path):
    path = tmp_path / "grey.png"
    Image.fromarray(np.arange(100, dtype=np.uint8).reshape(10, 10)).save(path)
    with running(path) as address:
        shown = Image.open(io.BytesIO(ask(address, "/photo").body))
    assert (shown.mode, shown.size) == ("L", (10, 10))


def test_without_a_photo_the_answer_says_what_to_do(monkeypatch):
    monkeypatch.setattr("pellucid.studio.app.sample_photo", lambda: None)
    with running() as address:
        answer = ask(address, "/photo")
    assert answer.status == 404
    assert b"--image" in answer.body


def test_modules_are_short_and_the_page_is_small(studio):
    lengths = {path.name: len(path.read_text().splitlines()) for path in OURS}
    assert not {name: lines for name, lines in lengths.items() if lines > 200}
    sources = [path.read_text() for path in OURS]
    assert all(source.startswith("// @ts-check") or "first paint" in source for source in sources)
    paths = ["/arithmetic", "/static/studio.css", "/static/arithmetic.css"]
    paths += [f"/static/{path.relative_to(STATIC)}" for path in OURS]
    assert sum(len(ask(studio, path, Accept_Encoding="gzip").body) for path in paths) <= 150_000


def test_the_studio_needs_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import pellucid.studio.server\n"
        "from pellucid.studio.app import build_app\n"
        "from pellucid.studio.page import arithmetic_page\n"
        "build_app(1); assert '64' in arithmetic_page()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_taken_port_is_one_line(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["studio", "--port", str(port)]) == 2
    assert (
        capsys.readouterr().err
        == f"pellucid: Port {port} is taken. Choose another: pellucid studio --port {port + 1}\n"
    )


def test_an_impossible_port_is_one_line(capsys):
    assert main(["studio", "--port", "70000"]) == 2
    assert "--port 70000 is not a port" in capsys.readouterr().err


def test_a_missing_photo_is_one_line(capsys, tmp_path):
    assert main(["studio", "--port", "0", "--image", str(tmp_path / "none.jpg")]) == 2
    assert "none.jpg: it cannot be opened" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_a_missing_package_is_one_line(monkeypatch, capsys, missing):
    for name in [name for name in sys.modules if name.split(".")[0] == missing or name == "pellucid.studio.app"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["studio", "--port", "0"]) == 2
    assert capsys.readouterr().err == f"pellucid: The studio needs {missing}. Install it: pip install 'pellucid[web]'\n"


def test_the_verb_serves_and_ends_quietly():
    command = [sys.executable, "-m", "pellucid", "studio", "--port", "0"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as started:
        address = started.stdout.readline().strip()
        assert b"= 5" in ask(address, "/arithmetic").body
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=20)
    assert started.returncode == 130
    assert said == "Stop with Ctrl-C.\n"
