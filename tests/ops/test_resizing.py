"""The resize of bytes in NumPy gives torch's bits: over odd sizes, up and down, slivers, one and three channels."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from pellucid.ops.resizing import resize

SIDE = st.one_of(st.integers(1, 6), st.integers(1, 90), st.integers(1, 700))


def noise(height, width, channels, seed):
    generator = np.random.default_rng(seed)
    photo = generator.integers(0, 256, (height, width, channels), dtype=np.uint8)
    return np.where(photo < 128, 0, 255).astype(np.uint8) if seed % 3 == 0 else photo  # where rounding would show


def by_torch(photo, size):
    """Each channel by itself: torch 2.13 fails at several of them and size (1, 1)."""
    planes = torch.from_numpy(photo.transpose(2, 0, 1).copy())[:, None]
    return interpolate(planes, size=size, mode="bilinear", antialias=True)[:, 0].permute(1, 2, 0).numpy()


@settings(max_examples=300)
@given(old=st.tuples(SIDE, SIDE), new=st.tuples(SIDE, SIDE), channels=st.sampled_from([1, 3]), seed=st.integers(0, 99))
@example(old=(1, 1), new=(1, 1), channels=3, seed=0)
@example(old=(1, 1), new=(7, 5), channels=3, seed=1)
@example(old=(640, 1), new=(1, 640), channels=1, seed=3)
@example(old=(3, 3000), new=(64, 32), channels=3, seed=2)
@example(old=(2999, 2), new=(7, 9), channels=3, seed=3)
@example(old=(960, 1280), new=(480, 640), channels=3, seed=0)
@example(old=(375, 500), new=(224, 299), channels=3, seed=3)
def test_the_bits_are_torchs(old, new, channels, seed):
    photo = noise(*old, channels, seed)
    assert np.array_equal(resize(photo, new), by_torch(photo, new))


def test_a_few_hundred_random_sizes():
    generator = np.random.default_rng(5)
    for seed in range(300):
        height, width, rows, columns = generator.integers(1, 400, 4).tolist()
        photo = noise(height, width, (1, 3)[seed % 2], seed)
        assert np.array_equal(resize(photo, (rows, columns)), by_torch(photo, (rows, columns))), photo.shape


@pytest.mark.parametrize("value", [0, 1, 127, 254, 255])
def test_a_flat_picture_stays_flat(value):
    for size in ((224, 17), (3, 400), (1, 1)):
        assert (resize(np.full((37, 91, 3), value, np.uint8), size) == value).all()


def test_the_same_size_is_the_photo():
    photo = noise(5, 7, 3, 1)
    assert np.array_equal(resize(photo, (5, 7)), photo)
