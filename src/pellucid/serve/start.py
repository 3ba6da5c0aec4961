"""From a model file and flags to a running service."""

import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pellucid.cores import network_lanes
from pellucid.errors import UsageError

__all__ = ["start"]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def start(
    file: str,
    engine: str | None,
    address: tuple[str, int],
    token_file: str | None,
    limits: Mapping[str, Any],
    *,
    log: bool,
    started: Callable[[str], None],
) -> None:
    """Serve a model file at (host, port) until a signal; `started` is given the address once the socket is there."""
    try:
        from pellucid.serve.app import Service
        from pellucid.serve.limits import Limits
        from pellucid.serve.server import log_line, run
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("starlette", "uvicorn", "prometheus_client", "h11"):
            raise
        raise UsageError(f"A service needs {package}. Install it: pip install 'pellucid[web]'") from error
    from pellucid.prediction import load

    _check(limits)
    token = None if token_file is None else _token(Path(token_file))
    predictor = load(file, engine=engine, lanes=network_lanes())

    def selfcheck() -> tuple[bool, str]:
        return _intact(file)

    with _bound(*address) as listener:
        host, port = address[0], listener.getsockname()[1]
        hosts = frozenset(f"{one}:{port}" for one in LOOPBACK) if host in LOOPBACK else frozenset[str]()
        told = log_line if log else _silent
        started(f"http://{host}:{port}/")
        run(Service(_name(Path(file)), predictor, selfcheck, Limits(**limits), token, hosts, told), listener)


def _name(path: Path) -> str:
    """The file's own; of one that is called `model`, that of its folder, which in a repository holds versions."""
    if path.stem != "model":
        return path.stem
    folder = path.parent
    if (folder.parent / "config.pbtxt").is_file():
        folder = folder.parent
    return folder.name or path.stem


def _check(limits: Mapping[str, Any]) -> None:
    for name, value in limits.items():
        if value <= 0:
            raise UsageError(f"--{'timeout' if name == 'seconds' else name} is {value}; it must be above 0.")


def _intact(file: str) -> tuple[bool, str]:
    """Of an exported file its digests and its self-test; of a model file, whether every tensor has its digest."""
    from pellucid.runtime.forms import is_exported

    if is_exported(file):
        from pellucid.runtime.verifying import verify

        verified = verify(file)
        return verified.ok, verified.text()
    from pellucid.checkpoint import load_tensors
    from pellucid.errors import ModelError

    try:
        tensors, _ = load_tensors(file)
    except ModelError as error:
        return False, str(error)
    return True, f"{len(tensors)} tensors have their digests."


def _silent(row: dict[str, object]) -> None:
    pass


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file {path}: {error}. Give a file with one line, the token.") from error
    if len(token) < 16 or not token.isascii() or len(token.split()) != 1:
        raise UsageError(f"--token-file {path}: a token is one word of 16 or more ASCII characters.")
    return token


def _bound(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port} is not a port. Give a number from 1 to 65535, or 0 for any free one.")
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise UsageError(f"{host}:{port} cannot be answered on: {error.strerror}. Choose another.") from error
