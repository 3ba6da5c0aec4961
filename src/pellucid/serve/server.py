"""The process of a service: its socket, deadlines for headers, the way it stops, and a line a request."""

import asyncio
import json
import signal
import socket
import sys
import time
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from pellucid.serve.app import Service, build_app

__all__ = ["run"]

HEADER_SECONDS = 10.0
DRAIN_SECONDS = 1.0
"""From the signal to stop until no more connections are taken: who asks whether this service is ready learns that it is
not, and every answer says that it is the last of its connection."""
CONNECTIONS = 1024


class DeadlineProtocol(H11Protocol):
    """Closes a connection on which a request was begun, but whose headers do not come to an end."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """The first request has as long as any other."""
        super().connection_made(transport)
        self._begin()

    def data_received(self, data: bytes) -> None:
        """A request is under way, or its headers have not come to an end."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._end()
        elif self._deadline is None:
            self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any longer."""
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _end(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Server(uvicorn.Server):
    """Stops in two steps, so that no request that was taken is lost: unready first, then closed."""

    def __init__(self, config: uvicorn.Config, service_app: Any) -> None:
        super().__init__(config)
        self._endpoints = service_app.state.endpoints
        self._drain: asyncio.TimerHandle | None = None

    def handle_exit(self, sig: int, frame: Any) -> None:
        """The first SIGTERM or Ctrl-C begins to stop, a second one stops."""
        if self._endpoints.draining or sig == signal.SIGINT:
            super().handle_exit(sig, frame)
            return
        self._endpoints.draining = True
        loop = asyncio.get_running_loop()
        self._drain = loop.call_later(DRAIN_SECONDS, super().handle_exit, sig, frame)


def log_line(row: dict[str, object]) -> None:
    """One JSON object a request on standard error."""
    sys.stderr.write(json.dumps({"time": round(time.time(), 3), **row}) + "\n")


def run(service: Service, listener: socket.socket) -> None:
    """Answer on the socket until a signal says to stop."""
    app = build_app(service)
    config = uvicorn.Config(
        app,
        http=DeadlineProtocol,
        ws="none",
        log_level="warning",
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=int(service.limits.seconds) + 1,
    )
    Server(config, app).run(sockets=[listener])
