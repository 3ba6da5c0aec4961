"""The shapes against definitions that share nothing with theirs: angles, polygons, and interpolation by a table."""

import math
from functools import partial

import numpy as np
import pytest

from pellucid.scenes import figures
from pellucid.scenes.figures import Figure
from pellucid.scenes.shapes import SHAPES, digit
from pellucid.scenes.sources import digits

COS_30 = math.sqrt(3) / 2
POINTS = np.random.default_rng(0).uniform(-1.3, 1.3, (4000, 2))


def around(radii: list[float]) -> list[complex]:
    """Corners all the way round, clockwise from straight up, as x + iy with y down."""
    angles = np.arange(len(radii)) * 2 * math.pi / len(radii)
    return [radius * complex(math.sin(at), -math.cos(at)) for at, radius in zip(angles, radii, strict=True)]


POLYGONS = {
    "square": [complex(x, y) for x, y in ((-0.76, -0.76), (0.76, -0.76), (0.76, 0.76), (-0.76, 0.76))],
    "triangle": around([1.1] * 3),
    "star": around([1.08, 0.52] * 5),
    "cross": [
        turn * corner
        for turn in (1, 1j, -1, -1j)
        for corner in (complex(-0.34, -0.95), complex(0.34, -0.95), complex(0.34, -0.34))
    ],
}


def winds_around(corners: list[complex], point: complex) -> bool:
    """Whether a walk along the corners turns once around the point."""
    steps = zip(corners, [*corners[1:], corners[0]], strict=True)
    angles = [((b - point) / (a - point)) for a, b in steps]
    return abs(sum(math.atan2(angle.imag, angle.real) for angle in angles)) > 3


def inside(name: str, x: float, y: float) -> bool:
    if name == "disc":
        return math.hypot(x, y) <= 0.92
    if name == "ring":
        return 0.45 <= math.hypot(x, y) <= 0.95
    return winds_around(POLYGONS[name], complex(x, y))


@pytest.mark.parametrize("name", SHAPES)
def test_inside_is_where_the_distance_is_negative(name):
    found = SHAPES[name](*POINTS.T[:, None])[0] <= 0
    assert found.tolist() == [inside(name, x, y) for x, y in POINTS]
    assert 500 < found.sum() < 3000


@pytest.mark.parametrize("name", POLYGONS)
def test_near_the_outline_the_distance_is_that_to_the_nearest_edge(name):
    corners = POLYGONS[name]
    edges = list(zip(corners, [*corners[1:], corners[0]], strict=True))
    t = np.linspace(0.3, 0.7, 5)  # away from the corners
    for start, end in edges:
        normal = (end - start) / abs(end - start) * 1j
        for off in (-0.03, 0.03):
            points = start + t * (end - start) + off * normal
            found = SHAPES[name](points.real[None], points.imag[None])[0]
            assert np.allclose(np.abs(found), 0.03, atol=1e-9)


def test_a_digit_is_its_ink_interpolated():
    """Keys's cubic as a function of the distance, over all cells, instead of four taps."""
    ink, (x, y) = digits()[3], np.random.default_rng(1).uniform(-1.1, 1.1, (2, 1, 400))
    cells = np.arange(8)

    def weights(at):
        far = np.abs(at[0, :, None] * 3.9 + 3.5 - cells)
        near = 1.5 * far**3 - 2.5 * far**2 + 1
        wide = -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2
        return np.where(far <= 1, near, np.where(far < 2, wide, 0))

    expected = np.einsum("nr,nc,rc->n", weights(y), weights(x), ink)
    assert np.allclose(digit(ink, x, y)[0], (6 - expected) / 24, atol=1e-12)


def test_the_middle_of_a_cell_has_its_ink():
    ink = digits()[17]
    y, x = (np.indices((8, 8)) - 3.5) / 3.9
    assert np.allclose(digit(ink, x, y), (6 - ink) / 24, atol=1e-12)


@pytest.mark.parametrize("tilt", [-0.12, 0.0, 0.12])
def test_no_digit_is_cut_off(tilt, monkeypatch):
    """What a figure changes lies in its patch: a larger patch changes nothing more."""
    drawn = [Figure("digit", partial(digit, ink), (40.3, 40.6), 18.0, figures._turn(tilt)) for ink in digits()[::9]]
    drawn += [Figure(name, shape, (40.3, 40.6), 18.0, figures._turn(8 * tilt)) for name, shape in SHAPES.items()]
    usual = [painted(figure) for figure in drawn]
    monkeypatch.setattr(figures, "REACH", 2.0)
    assert all(np.array_equal(small, painted(figure)) for small, figure in zip(usual, drawn, strict=True))


def painted(figure: Figure) -> np.ndarray:
    """How much of every pixel of a picture it covers."""
    whole, patch = np.zeros((80, 80)), figure.patch((80, 80))
    whole[patch.part] = np.clip(0.5 - patch.distance, 0, 1)
    return whole


def test_a_figure_turns_about_its_centre():
    """Both ways to the same pixels: the figure turned, and its points turned back by sine and cosine."""
    cosine, sine = figures._turn(0.3)
    assert cosine * cosine + sine * sine == pytest.approx(1)
    assert sine / (1 + cosine) == pytest.approx(0.3)  # the tangent of half the angle
    figure = Figure("star", SHAPES["star"], (21.0, 18.5), 12.0, (cosine, sine))
    patch, mask = figure.patch((40, 40)), np.zeros((40, 40), bool)
    mask[patch.part] = patch.mask
    angle = 2 * math.atan(0.3)
    turned = [corner * complex(math.cos(angle), math.sin(angle)) * 12 for corner in POLYGONS["star"]]
    expected = [[winds_around(turned, complex(x - 18, y - 20.5)) for x in range(40)] for y in range(40)]
    assert mask.tolist() == expected


def test_half_of_what_is_painted_at_the_rim_is_the_mask():
    figure = Figure("disc", SHAPES["disc"], (20.2, 19.7), 15.0, (1.0, 0.0))
    patch = figure.patch((40, 40))
    coverage = np.clip(0.5 - patch.distance, 0, 1)
    fine = np.mgrid[:640, :640] / 16 + 1 / 32
    exact = (np.hypot(fine[0] - 20.2, fine[1] - 19.7) <= 0.92 * 15).reshape(40, 16, 40, 16).mean(axis=(1, 3))
    assert np.abs(coverage - exact[patch.part]).max() < 0.1  # anti-aliased: 16x16 samples a pixel say the same
    assert np.array_equal(patch.mask, coverage >= 0.5)
