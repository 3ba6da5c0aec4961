"""Photos of many requests through one predictor, together where that costs no one much time."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from jaxtyping import UInt8
from numpy import ndarray

from pellucid.predictions.base import AbstractPrediction
from pellucid.predictions.predictor import AbstractPredictor
from pellucid.serve.limits import Limits, Refused
from pellucid.serve.measures import Measures

__all__ = ["Batcher"]

Photo = UInt8[ndarray, "h w c"]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    photo: Photo
    answer: "asyncio.Future[AbstractPrediction]"


class Batcher:
    """Each lane of the predictor has one batch at a time; meanwhile those that come wait for the next.

    A batch is sent when it is full, when it has its share of the requests under way, or when its first photo has waited
    for `limits.wait`. Between `start` and `stop` it runs in the event loop of its caller.
    """

    def __init__(self, predictor: AbstractPredictor, limits: Limits, measures: Measures) -> None:
        self._predictor, self._limits, self._measures = predictor, limits, measures
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._workers = ThreadPoolExecutor(predictor.lanes, "network")
        self._lanes: list[asyncio.Task[None]] = []
        self._inside = 0
        self._pace = 0.1  # seconds a request, as a first guess

    def start(self) -> None:
        """Begin to take photos from the queue."""
        loop = asyncio.get_running_loop()
        self._lanes = [loop.create_task(self._run()) for _ in range(self._predictor.lanes)]

    async def stop(self) -> None:
        """Stop; what still waits is cancelled."""
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        self._workers.shutdown()

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """A place in the service for one request; refused where all are taken."""
        if self._inside >= self._limits.queue:
            retry = max(1, math.ceil(self._inside * self._pace))
            raise Refused(429, f"{self._inside} requests are under way; come again.", retry=retry)
        self._inside += 1
        self._measures.inside.set(self._inside)
        began = time.monotonic()
        try:
            yield
            self._pace += 0.1 * ((time.monotonic() - began) / self._inside - self._pace)
        finally:
            self._inside -= 1
            self._measures.inside.set(self._inside)

    async def __call__(self, photos: Sequence[Photo]) -> list[AbstractPrediction]:
        """One prediction a photo."""
        loop = asyncio.get_running_loop()
        waiting = [_Waiting(photo, loop.create_future()) for photo in photos]
        for one in waiting:
            self._queue.put_nowait(one)
        try:
            return [await one.answer for one in waiting]
        finally:
            for one in waiting:
                one.answer.cancel()

    async def _run(self) -> None:
        while True:
            batch = [one for one in await self._gathered() if not one.answer.cancelled()]
            if batch:
                await self._answer(batch)

    async def _gathered(self) -> list[_Waiting]:
        batch = [await self._queue.get()]
        until = asyncio.get_running_loop().time() + self._limits.wait
        while len(batch) < min(self._limits.batch, self._share(len(batch))):
            try:
                async with asyncio.timeout_at(until):
                    batch.append(await self._queue.get())
            except TimeoutError:
                break
        return batch

    def _share(self, taken: int) -> int:
        """How many photos a batch should have, of which so many are taken, if every lane is to have as many."""
        return math.ceil(max(self._inside, taken + self._queue.qsize()) / self._predictor.lanes)

    async def _answer(self, batch: Sequence[_Waiting]) -> None:
        began = time.monotonic()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Any] = loop.run_in_executor(self._workers, self._predictor, [one.photo for one in batch])
        await asyncio.wait([found])
        self._measures.network.observe(time.monotonic() - began)
        self._measures.batch.observe(len(batch))
        wrong = found.exception()
        for place, one in enumerate(batch):
            if one.answer.done():
                continue
            if wrong is None:
                one.answer.set_result(found.result()[place])
            else:
                one.answer.set_exception(wrong)
