"""A service on a port of this machine, with a predictor that is planted."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
import uvicorn
from PIL import Image

from pellucid.predictions.classify import ClassPostprocess
from pellucid.predictions.detect import BoxPostprocess
from pellucid.predictions.predictor import AbstractPredictor
from pellucid.preprocess import Preprocess
from pellucid.serve.app import Service, build_app
from pellucid.serve.limits import Limits
from pellucid.serve.server import DeadlineProtocol


class Brightness(AbstractPredictor):
    """Says how bright a photo is, as the prob of the second class; `seconds` is how long that takes."""

    preprocess = Preprocess((8, 8), "stretch", 3, (0.5,) * 3, (0.25,) * 3)
    postprocess = ClassPostprocess(("dark", "bright"))

    lanes = 1

    def __init__(self, seconds: float = 0.0, lanes: int = 1) -> None:
        self.seconds, self.batches, self.lanes = seconds, [], lanes

    def decoded(self, pixels):
        time.sleep(self.seconds)
        self.batches.append(len(pixels))
        bright = pixels.mean(axis=(1, 2, 3)) / 255
        probs = np.stack([1 - bright, bright], axis=1).astype(np.float32)
        return {"probs": probs, "logits": np.log(probs + 1e-6)}


class Dots(AbstractPredictor):
    """Finds as many boxes as a photo's first byte says."""

    preprocess = Preprocess((8, 8), "stretch", 3, (0.5,) * 3, (0.25,) * 3)
    postprocess = BoxPostprocess(("dot",))

    def decoded(self, pixels):
        xyxy = np.tile(np.arange(4, dtype=np.float32)[None, :, None] * 2 + [0, 0, 1, 1], (len(pixels), 1, 1))
        scores = (np.arange(4)[None] < pixels[:, :1, 0, 0]).astype(np.float32)[..., None] * 0.9
        return {"xyxy": xyxy.astype(np.float32), "scores": scores}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def serving(predictor: AbstractPredictor | None = None, **given: Any) -> Iterator[int]:
    """The port of a service that answers."""
    limits = Limits(**{name: given.pop(name) for name in list(given) if name in Limits.__dataclass_fields__})
    check = given.pop("selfcheck", lambda: (True, "well"))
    service = Service("bright", predictor or Brightness(), check, limits, **given)
    config = uvicorn.Config(
        build_app(service), port=0, http=DeadlineProtocol, ws="none", log_level="critical", server_header=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def ask(port: int, path: str, body: bytes | None = None, method: str | None = None, **headers: str) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method or ("GET" if body is None else "POST"), path, body, named)
        found = connection.getresponse()
        return Answer(found.status, {name.lower(): value for name, value in found.getheaders()}, found.read())
    finally:
        connection.close()


def png(value: int, size: tuple[int, int] = (16, 12)) -> bytes:
    """A photo of one grey."""
    stream = BytesIO()
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()
