"""Colours stand out, and what is painted is what was promised."""

import numpy as np
import pytest

from pellucid.scenes.composing import _lay
from pellucid.scenes.figures import KINDS, draw_figure
from pellucid.scenes.paint import COLORS, CONTRAST, PATTERNS, cast_shadow, luma, paint, standing_out
from pellucid.scenes.sources import backdrop, photos

WEIGHTS = np.array([0.299, 0.587, 0.114])


@pytest.mark.parametrize("kind", COLORS)
def test_a_colour_is_far_from_what_it_covers(kind):
    rng = np.random.default_rng(0)
    for ground in np.linspace(0, 255, 256):
        for _ in range(8):
            color = standing_out(kind, float(ground), rng)
            assert abs(luma(color) - ground) >= CONTRAST - 1e-9
            assert ((color >= 0) & (color <= 255)).all()


def test_every_kind_has_its_colours():
    assert set(COLORS) == set(KINDS)
    assert luma(np.array([255.0, 255, 255])) == pytest.approx(255)


@pytest.mark.parametrize("ground", [10, 60, 120, 180, 245])
def test_figures_stand_out_where_they_are_painted(ground):
    """Pattern and light take part of the colour's contrast, never half of it."""
    rng = np.random.default_rng(ground)
    for _ in range(60):
        pixels = np.full((64, 64, 3), ground, np.uint8)
        figure = draw_figure(rng, (64, 64))
        patch = figure.patch((64, 64))
        _lay(pixels[patch.part], figure, patch, rng)
        painted = pixels[patch.part][patch.distance <= -0.5] @ WEIGHTS
        assert abs(painted.mean() - ground) > CONTRAST / 2


def test_patterns_stay_within_one():
    x, y = np.random.default_rng(0).uniform(-9, 9, (2, 50, 50))
    for pattern in PATTERNS:
        assert np.abs(pattern(x, y)).max() <= 1
    assert len({pattern(x, y).tobytes() for pattern in PATTERNS}) == len(PATTERNS)


def test_paint_covers_a_half_of_a_pixel_on_the_outline():
    pixels = np.full((1, 5, 3), 100, np.uint8)
    distance = np.array([[-1, -0.25, 0, 0.25, 0.5]])
    paint(pixels, distance, np.array([200.0, 100, 0]), np.zeros((1, 5)))
    assert pixels[0, :, 0].tolist() == [200, 175, 150, 125, 100]
    assert pixels[0, :, 1].tolist() == [100] * 5
    assert pixels[0, :, 2].tolist() == [0, 25, 50, 75, 100]


def test_a_shadow_takes_two_fifths_of_the_light_at_most():
    pixels = np.full((1, 3, 3), 200, np.uint8)
    cast_shadow(pixels, np.array([[-5.0, 0, 5]]), blur=2)
    assert pixels[0, :, 0].tolist() == [120, 160, 200]


@pytest.mark.parametrize("size", [(16, 16), (64, 48), (16, 400), (700, 16), (500, 900)])
def test_backdrops_are_dim_or_bright_windows_of_photographs(size):
    rng = np.random.default_rng(0)
    found = [backdrop(rng, size) for _ in range(8)]
    means = [pixels.mean() for pixels in found]
    assert {pixels.shape for pixels in found} == {(*size, 3)}
    assert all(50 < mean < 110 or 150 < mean < 200 for mean in means)
    assert min(means) < 110 < 150 < max(means)
    assert len({pixels.tobytes() for pixels in found}) == 8


def test_the_photographs_are_two():
    assert [photo.size for photo in photos()] == [(640, 427)] * 2
