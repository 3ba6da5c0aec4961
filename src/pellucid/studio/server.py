"""The studio on a port of this machine, until it is interrupted."""

import socket
from collections.abc import Callable
from pathlib import Path

from pellucid.errors import UsageError
from pellucid.studio.subject import Subject

__all__ = ["serve"]

HOST = "127.0.0.1"


def serve(port: int, image: Path | None, subject: Subject, started: Callable[[str], None]) -> None:
    """Serve the studio of a subject; `started` is given its address once it answers."""
    try:
        import uvicorn

        from pellucid.studio.app import build_app
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("starlette", "uvicorn"):
            raise
        raise UsageError(f"The studio needs {package}. Install it: pip install 'pellucid[web]'") from error
    with _bound(port) as listener:
        number = listener.getsockname()[1]
        application = build_app(number, image, subject)
        server = uvicorn.Server(uvicorn.Config(application, log_level="warning", lifespan="off", server_header=False))
        started(f"http://{HOST}:{number}/")
        try:
            server.run(sockets=[listener])
        finally:
            application.state.stop()


def _bound(port: int) -> socket.socket:
    """A listening socket of this machine alone."""
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port} is not a port. Give a number from 1 to 65535, or 0 for any free one.")
    try:
        return socket.create_server((HOST, port), backlog=128)
    except PermissionError as error:
        raise UsageError(f"Port {port} needs more rights. Choose one above 1023, such as --port 8765.") from error
    except OSError as error:
        raise UsageError(f"Port {port} is taken. Choose another: pellucid studio --port {port + 1}") from error
