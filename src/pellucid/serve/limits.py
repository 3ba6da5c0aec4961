"""What a service takes before it refuses, and how it says so."""

import hmac
from collections.abc import Container
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse

__all__ = ["Limits", "Refused", "body_of", "check_host", "check_token", "refusal"]


@dataclass(frozen=True, slots=True)
class Limits:
    """`body` in bytes, `photos` and their `pixels` of a request in all, `queue` requests at once, `seconds` for a whole
    request and `receive` for its body; `batch` photos go through the network together, for which the first waits `wait`
    seconds.
    """

    body: int = 16 << 20
    photos: int = 64
    pixels: int = 50_000_000
    queue: int = 64
    seconds: float = 30.0
    receive: float = 10.0
    batch: int = 8
    wait: float = 0.002


class Refused(Exception):  # noqa: N818  (not an error of ours: an answer)
    """A request that is answered with a status of 400 or more, and with the reason."""

    def __init__(self, status: int, reason: str, *, retry: int | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.retry = status, reason, retry


def refusal(refused: Refused) -> JSONResponse:
    """`{"error": …}`, with Retry-After where it helps to come again."""
    headers = {} if refused.retry is None else {"Retry-After": str(refused.retry)}
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": refused.reason}, refused.status, headers)


async def body_of(request: Request, most: int) -> bytes:
    """The whole body; of one that is larger nothing is kept."""
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told) > most:
        raise _too_large(int(told), most)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _too_large(size, most)
        parts.append(part)
    return b"".join(parts)


def _too_large(size: int, most: int) -> Refused:
    return Refused(413, f"The body has {size:,} bytes or more; this service takes {most:,}.")


def check_host(request: Request, hosts: Container[str]) -> None:
    """Refuse a request that is not for one of these names, where there are any."""
    host = request.headers.get("host", "").lower()
    if hosts and host not in hosts:
        raise Refused(421, "This service answers this machine only, under 127.0.0.1 or localhost.")


def check_token(request: Request, token: str | None) -> None:
    """Refuse a request without `Authorization: Bearer TOKEN`, where there is one to be known."""
    if token is None:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    known = hmac.compare_digest(given.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not known:
        raise Refused(401, "This service wants the header 'Authorization: Bearer TOKEN'.")
