"""What takes a while is made once, in a thread of its own, while the page that asked for it says so."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

__all__ = ["PATIENCE", "Memo", "NotYetError"]

PATIENCE = 0.2
"""Seconds that a page waits for what it shows before it is sent without it: first paint is to come in 0.3."""


class NotYetError(Exception):
    """What was asked for is still being made."""


class Memo:
    """Values by key, made one at a time; the latest are kept. A maker must not ask the memo that runs it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[Hashable, Future[Any]] = OrderedDict()
        self._pool = ThreadPoolExecutor(1)
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """The value, or what its making raised; `NotYetError` where it takes longer than `patience` seconds."""
        future = self.begin(key, make)
        if not wait([future], patience).done:
            raise NotYetError
        return future.result()

    def begin(self, key: Hashable, make: Callable[[], Any]) -> Future[Any]:
        """The same, without waiting for it."""
        with self._lock:
            if key not in self._found:
                self._found[key] = self._pool.submit(make)
            self._found.move_to_end(key)
            while len(self._found) > self._most:
                self._found.popitem(last=False)
            return self._found[key]

    def stop(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
