"""Run lengths against a slow reading of COCO's rule, and its compressed text against an encoder written after it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data.runs import read_runs, run_lengths, run_pixels


def packed(runs: list[int]) -> str:
    """COCO's text of run lengths: from the fourth on differences to the one before the last, five bits a sign."""
    text = ""
    for at, run in enumerate(runs):
        value = run - runs[at - 2] if at > 2 else run
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != (-1 if bits & 16 else 0)
            text += chr((bits | 32 if more else bits) + 48)
    return text


def slow_runs(pixels: np.ndarray) -> list[int]:
    """Down every column in turn: how many outside, how many inside, and so on."""
    runs, inside = [0], False
    for column in pixels.T.tolist():
        for pixel in column:
            if pixel != inside:
                runs.append(0)
                inside = pixel
            runs[-1] += 1
    return runs


@st.composite
def regions(draw) -> np.ndarray:
    size = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.random(size) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))


@given(pixels=regions())
def test_pixels_to_runs_and_back(pixels):
    runs = run_lengths(pixels)
    assert runs == slow_runs(pixels)
    assert np.array_equal(run_pixels(tuple(runs), pixels.shape), pixels)
    assert read_runs(packed(runs)) == read_runs(runs) == tuple(runs)


@given(runs=st.lists(st.integers(0, 2**31), max_size=12))
def test_any_lengths_are_unpacked(runs):
    assert read_runs(packed(runs)) == tuple(runs)


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("", ()),
        ("0", (0,)),
        ("?", (15,)),  # the largest number of one sign, 48 + 15: the fifth bit is its sign
        ("`0", (16,)),  # 16 with "more" is 48 + 48; then nothing more above it
        ("`1", (48,)),  # 16 + 1 * 32
        ("0311", (0, 3, 1, 4)),  # the fourth is counted from the second: 3 + 1
        ("051L", (0, 5, 1, 1)),  # L is 28, with the sign bit 28 - 32 = -4; 5 - 4
    ],
)
def test_by_hand(text, runs):
    assert read_runs(text) == runs


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([1, -1], "neither a list of numbers nor compressed text"),
        ([1, 2.0], "neither a list of numbers"),
        ([1, True], "neither a list of numbers"),
        ([[1]], "neither a list of numbers"),
        ({"a": 1}, "neither a list of numbers"),
        (None, "neither a list of numbers"),
        (7, "neither a list of numbers"),
        ("O", "it has a negative run length"),
        ("050A", "it has a negative run length"),
        ("0P", "damaged at their end"),
        ("0 1", "damaged near ' '"),
        ("0p", "damaged near 'p'"),
        ("0\ud800", r"damaged near '\\ud800'"),
        ("o" * 50, "damaged near 'o'"),
    ],
)
def test_what_is_no_list_of_lengths_says_why(counts, said):
    with pytest.raises(ValueError, match=said):
        read_runs(counts)


@given(text=st.text(max_size=12))
def test_any_text_is_read_or_refused(text):
    try:
        runs = read_runs(text)
    except ValueError:
        return
    assert all(run >= 0 for run in runs)
    assert read_runs(packed(list(runs))) == runs
