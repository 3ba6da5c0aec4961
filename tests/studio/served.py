"""The studio on a free port, in a thread."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("starlette")
uvicorn = pytest.importorskip("uvicorn")

from pellucid.studio.app import build_app  # noqa: E402
from pellucid.studio.subject import Subject  # noqa: E402


@contextmanager
def running(image: Path | None = None, subject: Subject | None = None) -> Iterator[str]:
    """A studio with this photograph and subject, stopped at the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(build_app(port, image, subject), log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join(10)


@dataclass(frozen=True)
class Answer:
    """What came back: `headers` in lower case, `body` as it was sent."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(address: str, path: str, **headers: str) -> Answer:
    """One request, its path and headers sent as they are."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, named, answer.read())
    finally:
        connection.close()
