"""The order of training is a pure function of (seed, step): every pass a permutation, every batch full."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.data.cache import Decoded
from pellucid.data.loader import Loader, random_seed
from pellucid.data.pixels import StoredPixels
from pellucid.preprocess import Preprocess
from pellucid.types import Frame, Record

PREPROCESS = Preprocess((2, 3), "stretch", 1, (0.5,), (0.25,))


@dataclass
class Labels:
    """Targets are the records' labels; the frames are those of these records."""

    def collate(self, records: list[Record], frames: list[Frame], masks: None) -> list[int]:
        assert [frame.photo for frame in frames] == [(record.label + 1, 7) for record in records]
        return [record.label for record in records]


def loader(count: int, batch: int, seed: int = 0) -> Loader:
    """Images whose every pixel is their label."""
    array = np.zeros((count, 2, 3, 1), np.uint8) + np.arange(count, dtype=np.uint8)[:, None, None, None]
    records = tuple(Record(Path(f"{place}.png"), place) for place in range(count))
    sizes = np.array([(place + 1, 7) for place in range(count)])
    decoded = Decoded(records, StoredPixels(array), PREPROCESS, sizes, np.zeros((count, 0), int), (), (), None)
    return Loader(decoded, Labels(), batch, seed)


def stream(given: Loader, steps: int) -> list[int]:
    return [position for step in range(steps) for position in given.at(step).positions]


@settings(max_examples=60)
@given(count=st.integers(1, 40), batch=st.integers(1, 50), seed=st.integers(0, 2**63 - 1))
def test_passes_are_permutations_and_batches_full(count, batch, seed):
    steps = -(-3 * count // batch)
    found = stream(loader(count, batch, seed), steps)
    assert len(found) == steps * batch
    for epoch in range(3):
        assert sorted(found[epoch * count : (epoch + 1) * count]) == list(range(count))


@settings(max_examples=30)
@given(seed=st.integers(0, 2**63 - 1), step=st.integers(0, 10**9), order=st.permutations(range(5)))
def test_a_step_does_not_depend_on_what_was_asked_before(seed, step, order):
    used = loader(7, 4, seed)
    wanted = {ahead: loader(7, 4, seed).at(step + ahead).positions for ahead in order}
    assert {ahead: used.at(step + ahead).positions for ahead in order} == wanted


def test_seeds_and_passes_differ():
    first, second = stream(loader(50, 50), 1), stream(loader(50, 50, seed=1), 1)
    assert first != second
    assert first != list(loader(50, 50).at(1).positions)


def test_the_order_is_this_one_for_ever():
    """A resume with a newer version must go on in the same order."""
    assert stream(loader(10, 5, seed=3), 4) == STORED


STORED = [1, 3, 7, 2, 9, 0, 4, 5, 8, 6, 6, 7, 9, 1, 3, 5, 8, 4, 2, 0]


def test_images_targets_and_positions_belong_together():
    batch = loader(20, 8).at(2)
    assert batch.images.shape == (8, 1, 2, 3)
    assert batch.images[:, 0, 0, 0].tolist() == batch.targets == list(batch.positions)
    assert (batch.images == batch.images[:, :1, :1, :1]).all()


@given(count=st.integers(1, 40), batch=st.integers(1, 50))
def test_in_order_gives_every_image_once(count, batch):
    batches = list(loader(count, batch).in_order())
    assert [position for found in batches for position in found.positions] == list(range(count))
    assert [len(found.positions) for found in batches[:-1]] == [batch] * (len(batches) - 1)
    assert len(loader(count, batch)) == count


def test_random_seeds_are_spread_and_fit_63_bits():
    seeds = {random_seed(seed, stream, step) for seed in range(10) for stream in range(1, 4) for step in range(100)}
    assert len(seeds) == 3000
    assert all(0 <= seed < 2**63 for seed in seeds)
    low = [seed & 0xFFFFFFFF for seed in seeds]  # all that torch's generator on the CPU takes of them
    assert len(set(low)) > 2995
    assert abs(np.mean([seed / 2**63 for seed in seeds]) - 0.5) < 0.03
