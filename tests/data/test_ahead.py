"""Batches that are read ahead are those of their steps, and only what is asked for is raised."""

import threading
from dataclasses import dataclass, field, replace

import pytest

from pellucid.data.ahead import ReadAhead
from pellucid.data.loader import Loader
from pellucid.errors import DataError
from pellucid.ranks import ALONE
from pellucid.types import Batch
from tests.data.test_loader import Labels, loader

SOON = 10  # seconds


@dataclass(slots=True)
class Watched(Loader):
    """A loader that says which step is being read, and fails at one of them."""

    fails_at: int = -1
    read: list[int] = field(default_factory=list)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def at(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        self.read.append(step)
        self.begun.release()
        if step == self.fails_at:
            raise DataError(f"step {step} cannot be read")
        return Loader.at(self, step, rank, ranks)


def watched(fails_at: int = -1) -> Watched:
    return Watched(loader(20, 6).decoded, Labels(), 6, fails_at=fails_at)


def test_batches_are_those_of_their_steps():
    given = loader(20, 6)
    with ReadAhead(loader(20, 6)) as batches:
        for step in (3, 4, 5, 9, 10, 2):
            assert batches.at(step).positions == given.at(step).positions


def test_each_rank_reads_its_part():
    with ReadAhead(loader(20, 6), replace(ALONE, rank=1, count=3)) as batches:
        assert batches.at(4).positions == loader(20, 6).at(4, 1, 3).positions


def test_the_next_batch_is_read_before_it_is_asked_for():
    given = watched()
    with ReadAhead(given) as batches:
        batches.at(0)
        assert given.begun.acquire(timeout=SOON)
        assert given.begun.acquire(timeout=SOON)  # nobody asked for step 1
        batches.at(1)
    assert given.read[:2] == [0, 1]
    assert len(set(given.read)) == len(given.read)


def test_what_goes_wrong_is_raised_when_it_is_asked_for():
    with ReadAhead(watched(fails_at=2)) as batches:
        batches.at(0)
        batches.at(1)  # step 2 is being read, and fails
        for _ in range(2):
            with pytest.raises(DataError, match="step 2 cannot be read"):
                batches.at(2)


def test_nothing_is_read_afterwards():
    given = watched()
    with ReadAhead(given) as batches:
        batches.at(0)
    seen = list(given.read)
    with pytest.raises(RuntimeError):
        batches.at(7)
    assert given.read == seen
