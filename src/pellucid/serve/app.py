"""The routes of a service: a photo for a prediction, the Open Inference Protocol v2, health, figures, self-test."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pellucid import __version__
from pellucid.cores import usable_cores
from pellucid.errors import ImageError
from pellucid.image import read_header, read_image
from pellucid.predictions.predictor import AbstractPredictor
from pellucid.serve.batching import Batcher
from pellucid.serve.document import document
from pellucid.serve.limits import Limits, Refused, body_of, check_host, check_token, refusal
from pellucid.serve.measures import Measures
from pellucid.serve.protocol import INPUT, answered, outputs_of, read_infer, stacked

__all__ = ["Service", "build_app"]

Found = TypeVar("Found")
Check = Callable[[], tuple[bool, str]]
Log = Callable[[dict[str, object]], None]
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """What is served: a predictor under a name, its self-test, what is refused, and where a line a request goes.

    Where there are `hosts`, a request for another is refused: a foreign name that resolves here must not read us.
    """

    name: str
    predictor: AbstractPredictor
    selfcheck: Check
    limits: Limits = field(default_factory=Limits)
    token: str | None = None
    hosts: frozenset[str] = frozenset()
    log: Log = lambda row: None


class Endpoints:
    """The handlers, which share a batcher, threads that decode photos, and the figures of the service."""

    def __init__(self, service: Service) -> None:
        self._service, self._limits = service, service.limits
        self.measures = Measures()
        self.batcher = Batcher(service.predictor, service.limits, self.measures)
        self._readers = ThreadPoolExecutor(usable_cores(), "photos")
        self.draining = False

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """The batcher runs as long as the service does."""
        self.batcher.start()
        yield
        await self.batcher.stop()
        self._readers.shutdown()

    async def live(self, _: Request) -> Response:
        """The process answers."""
        return JSONResponse({"live": True})

    async def ready(self, _: Request) -> Response:
        """Whether requests should come here: no longer, once the service is about to stop."""
        return JSONResponse({"ready": not self.draining}, 503 if self.draining else 200)

    async def server(self, _: Request) -> Response:
        """Metadata of the server, of the protocol."""
        return JSONResponse({"name": "pellucid", "version": __version__, "extensions": ["binary_tensor_data"]})

    async def model(self, request: Request) -> Response:
        """Metadata of the model: inputs and outputs."""
        self._own(request)
        one = {"name": INPUT, "datatype": "UINT8", "shape": [-1, -1, -1, 3]}
        outputs = outputs_of(self._service.predictor.postprocess)
        about = {"name": self._service.name, "versions": ["1"], "platform": "pellucid"}
        return JSONResponse({**about, "inputs": [one], "outputs": outputs})

    async def model_ready(self, request: Request) -> Response:
        """As `ready`, for the one model there is."""
        self._own(request)
        return await self.ready(request)

    async def predict(self, request: Request) -> Response:
        """A prediction for the image file that is the body."""
        photo = await self._aside(self._photo, await self._body(request))
        (found,) = await self.batcher([photo])
        return JSONResponse({"model": self._service.name, "prediction": found.to_json()})

    async def infer(self, request: Request) -> Response:
        """Tensors for a tensor of photos."""
        self._own(request)
        json_length = request.headers.get("inference-header-content-length")
        infer = await self._aside(read_infer, await self._body(request), json_length, self._limits)
        found = await self.batcher(list(infer.images))
        content, ends = await self._aside(lambda: answered(self._service.name, infer, stacked(found)))
        if ends is None:
            return Response(content, media_type="application/json")
        headers = {"Inference-Header-Content-Length": str(ends)}
        return Response(content, media_type="application/octet-stream", headers=headers)

    async def check(self, _: Request) -> Response:
        """The self-test of the file, run now."""
        passed, said = await self._aside(self._service.selfcheck)
        return JSONResponse({"passed": passed, "text": said}, 200 if passed else 503)

    async def figures(self, _: Request) -> Response:
        """Prometheus."""
        return Response(self.measures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def described(self, _: Request) -> Response:
        """OpenAPI."""
        return JSONResponse(document(self._service.name, self._limits, locked=self._service.token is not None))

    async def _aside(self, work: Callable[..., Found], *given: Any) -> Found:
        """What takes long in a thread, so that other requests are answered meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, *given)

    async def _body(self, request: Request) -> bytes:
        try:
            async with asyncio.timeout(self._limits.receive):
                return await body_of(request, self._limits.body)
        except TimeoutError as error:
            raise Refused(408, f"The body took more than {self._limits.receive:g} seconds.") from error

    def _photo(self, body: bytes) -> UInt8[ndarray, "h w 3"]:
        try:
            height, width, _ = read_header(body)
            if height * width > self._limits.pixels:
                raise Refused(
                    413, f"The photo has {height * width:,} pixels; this service takes {self._limits.pixels:,}."
                )
            pixels = read_image(body).pixels
        except ImageError as error:
            raise Refused(422, f"The body is no image that can be read: {error}") from error
        return pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)

    def _own(self, request: Request) -> None:
        if request.path_params["model"] != self._service.name:
            raise Refused(404, f"There is no model {request.path_params['model']!r}, but {self._service.name!r}.")


def build_app(service: Service) -> Starlette:
    """The application; `app.state.endpoints` are its handlers."""
    ends = Endpoints(service)
    opened, locked, worked = _ways(service, ends)
    model = "/v2/models/{model}"
    routes = [
        Route("/v2/health/live", opened(ends.live)),
        Route("/v2/health/ready", opened(ends.ready)),
        Route("/v2", locked(ends.server)),
        Route(model, locked(ends.model)),
        Route(f"{model}/ready", locked(ends.model_ready)),
        Route(f"{model}/infer", worked(ends.infer), methods=["POST"]),
        Route("/predict", worked(ends.predict), methods=["POST"]),
        Route("/selfcheck", locked(ends.check)),
        Route("/metrics", locked(ends.figures)),
        Route("/openapi.json", opened(ends.described)),
    ]
    app = Starlette(routes=routes, lifespan=ends.lifespan, exception_handlers={HTTPException: _unknown})
    app.state.endpoints = ends
    return app


Way = Callable[[Handler], Handler]


def _ways(service: Service, ends: Endpoints) -> tuple[Way, Way, Way]:
    """What stands before a handler: nothing; the token; the token, a place in the service and the time limit."""

    def opened(handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            began = time.monotonic()
            try:
                check_host(request, service.hosts)
                response = await handler(request)
            except Refused as refused:
                response = refusal(refused)
            _mark_last(response, draining=ends.draining)
            _noted(request, response.status_code, time.monotonic() - began)
            return response

        return answer

    def locked(handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            check_token(request, service.token)
            return await handler(request)

        return opened(checked)

    def worked(handler: Handler) -> Handler:
        async def limited(request: Request) -> Response:
            check_token(request, service.token)
            try:
                async with ends.batcher.admitted(), asyncio.timeout(service.limits.seconds):
                    return await handler(request)
            except TimeoutError as error:
                raise Refused(503, f"No answer within {service.limits.seconds:g} seconds.", retry=1) from error

        return opened(limited)

    def _noted(request: Request, status: int, seconds: float) -> None:
        route = request.scope["route"].path
        ends.measures.requests.labels(route, str(status)).inc()
        ends.measures.seconds.observe(seconds)
        service.log({"method": request.method, "route": route, "status": status, "seconds": round(seconds, 4)})

    return opened, locked, worked


def _mark_last(response: Response, *, draining: bool) -> None:
    """Where the service is about to stop, say in the answer that its connection ends with it.

    Requests that were under way when the signal came are among those; a client that is not told sends its next one into
    a connection that is being closed.
    """
    if draining:
        response.headers["Connection"] = "close"


async def _unknown(_: Request, error: Exception) -> Response:
    """404 and 405 in the form of every other refusal."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
