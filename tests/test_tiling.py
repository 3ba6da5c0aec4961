"""Tiles cover an image once, and what comes out of them is what comes out of the whole."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid import tiling
from pellucid.models.base import build_model
from pellucid.preprocess import Preprocess
from pellucid.tasks.segment import Segment
from pellucid.tiling import MARGIN, OWN, decoded, tiles

TASK = Segment(("background", "a", "b"))
PREPROCESS = Preprocess((64, 64), "scale", 3, (0.5,) * 3, (0.25,) * 3)


@given(height=st.integers(1, 3000), width=st.integers(1, 3000))
def test_own_parts_cover_the_image_once(height, width):
    counted = np.zeros((height // 7 + 1, width // 7 + 1), int)
    pixels = 0
    for tile in tiles(height, width):
        top, left, bottom, right = tile.own
        rows, columns = (np.arange(0, side, 7) for side in (height, width))
        inside = ((rows >= top) & (rows < bottom))[:, None] & ((columns >= left) & (columns < right))
        counted[: len(rows), : len(columns)] += inside
        pixels += (bottom - top) * (right - left)
    assert pixels == height * width
    assert counted[: len(rows), : len(columns)].min() == counted.max() == 1


@given(height=st.integers(1, 3000), width=st.integers(1, 3000))
def test_a_tile_sees_a_margin_around_its_own_within_the_image(height, width):
    for tile in tiles(height, width):
        for axis, side in enumerate((height, width)):
            assert tile.seen[axis] == max(0, tile.own[axis] - MARGIN)
            assert tile.seen[axis + 2] == min(side, tile.own[axis + 2] + MARGIN)
            assert tile.seen[axis] % 32 == tile.own[axis] % 32 == 0
            assert tile.own[axis + 2] - tile.own[axis] <= OWN


@settings(max_examples=5)
@given(height=st.integers(100, 330), width=st.integers(100, 330), seed=st.integers(0, 100))
def test_tiles_give_what_the_whole_image_gives(height, width, seed):
    """With a margin wider than the receptive field's radius nothing of it is lost."""
    torch.manual_seed(0)
    model = build_model("fcn_compact", 3, width=4).eval()
    pixels = torch.randint(0, 256, (1, 3, height, width), generator=torch.Generator().manual_seed(seed)).byte()
    whole = decoded(model, TASK, PREPROCESS, pixels)
    bounds = tiling.WHOLE, tiling.OWN, tiling.MARGIN
    try:
        tiling.WHOLE, tiling.OWN, tiling.MARGIN = 1, 96, 128
        in_tiles = decoded(model, TASK, PREPROCESS, pixels)
    finally:
        tiling.WHOLE, tiling.OWN, tiling.MARGIN = bounds
    assert torch.equal(in_tiles["labels"], whole["labels"])
    torch.testing.assert_close(in_tiles["scores"], whole["scores"], rtol=1e-4, atol=1e-5)
