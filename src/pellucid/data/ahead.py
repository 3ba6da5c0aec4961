"""The batch of the next step is read while this one is computed: a GPU need not wait for a disk or a decoder."""

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from pellucid.data.loader import Loader
from pellucid.ranks import ALONE, Ranks
from pellucid.types import Batch

__all__ = ["ReadAhead"]


class ReadAhead:
    """Training batches of a loader, of several ranks the part of one of them; a context that ends the reading.

    A batch is a function of its step, so that reading ahead changes none. What goes wrong in a batch is raised when it
    is asked for, and never if it is not.
    """

    def __init__(self, loader: Loader, ranks: Ranks = ALONE) -> None:
        self.loader, self._ranks = loader, ranks
        self._pool = ThreadPoolExecutor(1)
        self._begun: tuple[int, Future[Batch]] | None = None

    def __enter__(self) -> "ReadAhead":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def at(self, step: int) -> Batch:
        """The batch of a step; from now on that of the next one is being read."""
        begun = self._begun if self._begun is not None and self._begun[0] == step else self._begin(step)
        batch = begun[1].result()
        self._begun = self._begin(step + 1)
        return batch

    def _begin(self, step: int) -> tuple[int, Future[Batch]]:
        return step, self._pool.submit(self.loader.at, step, self._ranks.rank, self._ranks.count)
