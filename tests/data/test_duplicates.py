import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from pellucid.data.dataset import open_dataset
from pellucid.data.duplicates import ALIKE, FLAT, FULLEST, Thumbnail, equal_groups, likeness_pairs, thumbnail
from tests.drawn import draw_images


@given(height=st.integers(1, 40), width=st.integers(1, 40), channels=st.sampled_from([1, 3]), level=st.integers(0, 255))
def test_a_thumbnail_of_one_colour_has_that_colour(height, width, channels, level):
    thumb = thumbnail(np.full((height, width, channels), level, np.uint8))
    assert thumb.grey.shape == (16, 16)
    assert np.abs(thumb.grey - level).max() <= 0.13  # float16
    assert thumb.color.tolist() == pytest.approx([level] * 3)


def test_a_thumbnail_holds_the_means_of_blocks():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    expected = pixels.reshape(16, 2, 16, 3, 3).mean(axis=(1, 3, 4))
    assert np.abs(thumbnail(pixels).grey - expected).max() < 0.13
    assert thumbnail(pixels).color == pytest.approx(pixels.mean(axis=(0, 1)), abs=1e-3)


def test_equal_keys_are_grouped():
    assert equal_groups([b"a", b"b", b"a", b"c", b"b", b"a"]) == [[0, 2, 5], [1, 4]]


def changed(pixels: np.ndarray, how: str) -> np.ndarray:
    picture = Pillow.fromarray(pixels)
    if how == "compressed":
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=60)
        picture = Pillow.open(buffer)
    elif how == "smaller":
        picture = picture.resize((picture.width * 2 // 3, picture.height * 2 // 3), Pillow.Resampling.BILINEAR)
    elif how == "darker":
        picture = picture.point(lambda value: value * 0.8)
    return np.asarray(picture)


def pairs_by_force(thumbs: list[Thumbnail]) -> set[tuple[int, int]]:
    vectors = np.stack([thumb.grey.astype(np.float64).ravel() for thumb in thumbs])
    vivid = vectors.std(axis=1) >= FLAT
    alike = np.triu(np.corrcoef(vectors) >= ALIKE, 1) & vivid & vivid[:, None]
    return {(int(left), int(right)) for left, right in np.argwhere(alike)}


@pytest.mark.parametrize("how", ["compressed", "smaller", "darker"])
def test_nearly_all_pairs_are_found_that_comparing_everything_finds(how):
    images = draw_images([at % 5 for at in range(1500)], size=48)
    thumbs = [thumbnail(image) for image in images]
    thumbs += [thumbnail(changed(image, how)) for image in images[:200]]
    found, wanted = set(likeness_pairs(thumbs)), pairs_by_force(thumbs)
    assert len(found & wanted) >= 0.98 * len(wanted) > 0
    assert len(found - wanted) <= 0.02 * len(wanted)  # of those at the limit, by rounding


@pytest.mark.parametrize("how", ["compressed", "smaller", "darker"])
def test_changed_copies_of_photos_are_found_and_nothing_else(shared, how):
    dataset = open_dataset(shared / "hymenoptera", val=0, test=0)
    images = [dataset.image(record).pixels for record in dataset.splits["train"]]
    thumbs = [thumbnail(image) for image in images] + [thumbnail(changed(image, how)) for image in images]
    pairs = likeness_pairs(thumbs)
    assert set(pairs) <= {(at, at + len(images)) for at in range(len(images))}
    assert len(pairs) >= 0.98 * len(images)


def test_another_colour_is_another_image():
    grey = np.random.default_rng(0).integers(60, 200, (64, 64, 1), dtype=np.uint8)
    red, blue = (np.clip(grey + np.array(tint), 0, 255).astype(np.uint8) for tint in ([50, 0, -50], [-50, 0, 50]))
    assert likeness_pairs([thumbnail(red), thumbnail(blue)]) == []
    assert likeness_pairs([thumbnail(red), thumbnail(red)]) == [(0, 1)]


def test_flat_images_are_not_alike_and_few_images_are_no_trouble():
    flat = [thumbnail(np.full((20, 20, 1), level, np.uint8)) for level in range(50)]
    assert likeness_pairs(flat) == []
    assert likeness_pairs(flat[:1]) == []
    assert likeness_pairs([]) == []


def test_thousands_of_copies_do_not_cost_all_pairs():
    thumb = thumbnail(draw_images([0])[0])
    pairs = likeness_pairs([thumb] * (2 * FULLEST))
    assert len(pairs) == 2 * FULLEST * (FULLEST - 1) // 2


def test_real_images_that_differ_are_told_apart(shared):
    dataset = open_dataset(shared / "cifar10-bin", val=0)
    records = [record for records in dataset.splits.values() for record in records]
    assert likeness_pairs([thumbnail(dataset.image(record).pixels) for record in records]) == []
