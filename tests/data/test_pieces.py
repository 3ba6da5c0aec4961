"""Images of sizes of their own with masks: kept, cut into pieces for training, judged whole."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.data import pixels
from pellucid.data.cache import decode
from pellucid.data.dataset import Dataset
from pellucid.data.ledger import Ledger
from pellucid.data.loader import Loader, _stretch
from pellucid.data.masks import IGNORE, FileMask
from pellucid.data.pixels import Develop, View
from pellucid.image import write_image
from pellucid.preprocess import Preprocess, resize, resize_nearest
from pellucid.tasks.segment import Segment
from pellucid.types import Record

SIZES = [(20, 30), (20, 30), (33, 17), (8, 40), (20, 30)]
CLASSES = ("background", "a", "b")


def preprocess(scale: float = 1.0, size: int = 16) -> Preprocess:
    return Preprocess((size, size), "scale", 3, (0.5,) * 3, (0.25,) * 3, scale=scale)


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """Pictures whose red is their mask's class times 100, so that image and mask can be compared after anything."""
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    records = []
    for place, (height, width) in enumerate(SIZES):
        mask = np.kron(rng.integers(0, 3, (-(-height // 4), -(-width // 4))), np.ones((4, 4)))[:height, :width]
        pixels = np.stack([mask * 100, np.full(mask.shape, place), np.zeros(mask.shape)], axis=2).astype(np.uint8)
        write_image(tmp_path / f"{place}.png", pixels)
        write_image(tmp_path / f"{place}-mask.png", mask.astype(np.uint8))
        label = FileMask(Path(f"{place}-mask.png"), (0, 1, 2, 255), (0, 1, 2, IGNORE))
        records.append(Record(Path(f"{place}.png"), label))
    return Dataset("segment", CLASSES, {"train": tuple(records)}, tmp_path, Ledger(), "masks")


def opened(dataset, scale=1.0, *, judged=False, cap=None, size=16):
    return decode(dataset, "train", preprocess(scale, size), dataset.digests(), judged=judged, cap=cap)


@pytest.mark.parametrize("cap", [None, 0])
@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("judged", [False, True])
def test_images_and_masks_are_what_the_files_hold(dataset, cap, scale, judged):
    found = opened(dataset, scale, judged=judged, cap=cap)
    assert (found.cached is None) == (cap == 0)
    for place, record in enumerate(found.records):
        photo = dataset.image(record).pixels
        mask = record.label.read(dataset.root, photo.shape[:2])
        image, kept = found.pixels.one(place)
        small = tuple(round(side * scale) for side in photo.shape[:2])
        assert np.array_equal(image, resize(photo, small))
        assert np.array_equal(kept, mask if judged else resize_nearest(mask, small))
        assert found.marks[place].tolist() == np.bincount(mask.ravel(), minlength=3).tolist()
        assert found.sizes[place].tolist() == list(photo.shape[:2])


def test_a_mask_that_does_not_fit_refuses_its_image_and_names_the_value(dataset):
    write_image(dataset.root / "1-mask.png", np.full((20, 30), 7, np.uint8))
    write_image(dataset.root / "3-mask.png", np.zeros((8, 39), np.uint8))
    found = opened(dataset)
    assert [record.name for record in found.records] == ["0.png", "2.png", "4.png"]
    first, second = found.refused
    assert first.file == "1.png"
    assert "1-mask.png" in first.reason
    assert "7" in first.reason
    assert "39x8" in second.reason
    assert "40x8" in second.reason
    assert found.pixels.one(2)[0][0, 0, 1] == 4


def test_the_size_of_pieces_is_not_part_of_the_entrys_name_but_masks_are(dataset):
    first = opened(dataset).cached
    assert opened(dataset, size=8).cached == first
    assert opened(dataset, 0.5).cached != first
    assert opened(dataset, judged=True).cached != first
    write_image(dataset.root / "0-mask.png", np.zeros((20, 30), np.uint8))
    assert opened(dataset).cached != first


def test_few_large_photos_are_in_memory_at_once(dataset, monkeypatch):
    fresh = opened(dataset, cap=0).pixels
    begun: list[Record] = []
    develop = Develop.__call__

    def counted(self: Develop, record: Record) -> View:
        begun.append(record)
        return develop(self, record)

    monkeypatch.setattr(pixels, "AHEAD", 1)
    monkeypatch.setattr(Develop, "__call__", counted)
    views = fresh.each(range(len(SIZES)))
    next(views)
    assert len(begun) <= 2
    assert 1 + len(list(views)) == len(begun) == len(SIZES)


def loader(dataset, batch=4, seed=0, zoom=0.5, size=16) -> Loader:
    return Loader(opened(dataset, size=size), Segment(CLASSES), batch, seed, zoom)


def test_pieces_of_image_and_mask_are_the_same_place(dataset):
    """Away from edges between classes, where a resized image blends, red says what the mask says."""
    for step in range(20):
        batch = loader(dataset, zoom=0.7).at(step)
        assert batch.images.shape == (4, 3, 16, 16)
        assert batch.targets.shape == (4, 16, 16)
        red = batch.images[:, 0].float() / 100
        agree = red.round() == batch.targets
        pure = (red - red.round()).abs() < 0.02
        assert agree[pure].float().mean() > 0.95
        assert pure.float().mean() > 0.3
        assert (batch.images[:, 1] == np.array(batch.positions)[:, None, None]).all()


def test_without_zoom_a_piece_is_cut_from_the_image_as_it_is(dataset):
    batch = loader(dataset, zoom=1.0, size=8).at(3)
    whole = opened(dataset)
    for image, position in zip(batch.images, batch.positions, strict=True):
        photo = whole.pixels.one(position)[0]
        piece = image.permute(1, 2, 0).numpy()
        places = [
            (top, left)
            for top in range(photo.shape[0] - 7)
            for left in range(photo.shape[1] - 7)
            if np.array_equal(photo[top : top + 8, left : left + 8], piece)
        ]
        assert places


def test_a_batch_is_a_function_of_seed_and_step(dataset):
    first, again = loader(dataset).at(5), loader(dataset).at(5)
    assert (first.images == again.images).all()
    assert (first.targets == again.targets).all()
    assert not (loader(dataset, seed=1).at(5).images == first.images).all()


@given(length=st.integers(1, 50), wanted=st.integers(1, 120), seed=st.integers(0, 1000))
def test_places_are_neighbours_mirrored_at_the_ends(length, wanted, seed):
    places = _stretch(length, wanted, np.random.default_rng(seed))
    assert len(places) == wanted
    assert 0 <= places.min() <= places.max() < length
    assert np.abs(np.diff(places)).max(initial=0) <= 1
    if wanted <= length:
        assert np.array_equal(places, np.arange(wanted) + places[0])
    else:
        assert set(places.tolist()) == set(range(length))


def test_judged_batches_hold_neighbours_of_one_size_and_every_image_once(dataset):
    batches = list(Loader(opened(dataset, judged=True), Segment(CLASSES)).in_order())
    assert [batch.positions for batch in batches] == [(0, 1), (2,), (3,), (4,)]
    for batch in batches:
        assert batch.images.shape[2:] == SIZES[batch.positions[0]]
        assert batch.targets.shape[1:] == SIZES[batch.positions[0]]


@settings(max_examples=30)
@given(old=st.tuples(st.integers(1, 20), st.integers(1, 20)), new=st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_nearest_takes_the_pixel_under_the_centre(old, new):
    mask = np.arange(old[0] * old[1], dtype=np.int64).reshape(old).astype(np.uint8)
    found = resize_nearest(mask, new)
    for row in range(new[0]):
        for column in range(new[1]):
            source = int((row + 0.5) * old[0] / new[0]), int((column + 0.5) * old[1] / new[1])
            assert found[row, column] == mask[source]
