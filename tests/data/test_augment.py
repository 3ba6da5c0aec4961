"""Augmentation is what it says: exact where it can be, the same for the same generator, targets moved alike."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor
from torch.nn import functional

from pellucid.data.augment import (
    Augment,
    blend,
    draw_matrices,
    draw_partners,
    draw_size,
    erase,
    recolor,
    tiled,
    warp,
    warp_tiled,
)

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def noise(count: int = 4, channels: int = 3, side: int = 16, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (count, channels, side, side), generator=generator(seed)).float()


def shifted(image: np.ndarray, right: int, down: int, flip: bool) -> np.ndarray:
    """C H W with its edge mirrored, then moved by whole pixels; NumPy alone."""
    wide = np.pad(image, ((0, 0), (16, 16), (16, 16)), mode="symmetric")
    side = image.shape[1]
    rows = np.arange(side) + down + 16
    columns = np.arange(side) + right + 16
    if flip:
        columns = columns[::-1]
    return wide[:, rows][:, :, columns]


@settings(max_examples=40)
@given(side=st.sampled_from([8, 15, 28, 32, 33]), seed=st.integers(0, 999), hflip=st.sampled_from([0.0, 0.5, 1.0]))
def test_shift_and_flip_are_exact_copies(side, seed, hflip):
    images = noise(6, 2, side, seed)
    augment = Augment(shift=0.12, hflip=hflip)
    matrices = draw_matrices(6, side, augment, generator(seed))
    found = warp(images, matrices, (side, side)).numpy()
    for image, matrix, moved in zip(images.numpy(), matrices.numpy(), found, strict=True):
        offsets = matrix[:, 2] * side / 2
        whole = np.rint(offsets).astype(int)
        assert np.abs(offsets - whole).max() < 1e-4
        assert np.abs(whole).max() <= math.ceil(0.12 * side)
        expected = shifted(image, whole[0], whole[1], matrix[0, 0] < 0)
        assert np.abs(moved - expected).max() < 0.02  # of 255: what float32 leaves of a whole pixel
    if hflip in (0.0, 1.0):
        assert ((matrices[:, 0, 0] < 0) == bool(hflip)).all()


def test_no_augmentation_is_the_identity():
    matrices = draw_matrices(5, 32, Augment(), generator())
    assert torch.equal(matrices, torch.tensor([[1.0, 0, 0], [0, 1, 0]]).expand(5, 2, 3))


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), hflip=st.floats(0, 1), rotate=st.floats(0, 180), zoom=st.floats(0.3, 1))
def test_draws_stay_within_what_was_asked(seed, hflip, rotate, zoom):
    augment = Augment(hflip=hflip, rotate=rotate, zoom=zoom, shift=0.1)
    matrices = draw_matrices(64, 32, augment, generator(seed)).double()
    square = matrices[:, :, :2]
    drawn_zoom = square.det().abs().sqrt()
    assert drawn_zoom.min() > zoom - 1e-5
    assert drawn_zoom.max() < 1 + 1e-5
    rotation = square / drawn_zoom[:, None, None]
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(2).double().expand(64, 2, 2), atol=1e-5, rtol=0)
    angle = torch.atan2(-rotation[:, 0, 1], rotation[:, 1, 1]).abs() * 180 / math.pi
    assert angle.max() <= rotate + 1e-3
    reach = 2 * (0.1 + (1 - drawn_zoom) / 2)  # in -1..1 coordinates: a crop stays inside but for the shift
    pixel = 1 / 32 + 1e-5 if zoom == 1.0 and rotate == 0.0 else 1e-5
    assert (matrices[:, :, 2].abs() <= reach[:, None] + pixel).all()


def test_half_of_many_are_mirrored():
    matrices = draw_matrices(4000, 32, Augment(hflip=0.3), generator())
    assert float((matrices[:, 0, 0] < 0).float().mean()) == pytest.approx(0.3, abs=0.03)


def test_crops_of_a_wider_view_have_the_size_asked_for():
    found = warp(noise(3, 3, 40), draw_matrices(3, 32, Augment(zoom=0.6), generator()), (32, 32))
    assert found.shape == (3, 3, 32, 32)


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), x=st.integers(12, 19), y=st.integers(12, 19))
def test_matrices_move_points_as_they_move_pixels(seed, x, y):
    """A bright spot, smoothed; where the matrix's inverse puts its centre, the warped image has it."""
    side = 32
    rows, columns = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
    spot = torch.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 4)[None, None]
    matrix = draw_matrices(1, side, Augment(hflip=0.5, rotate=40, zoom=0.8, shift=0.05), generator(seed))
    moved = warp(spot, matrix, (side, side))[0, 0]
    centre = torch.tensor([x, y]) * 2 / side - 1
    there = torch.linalg.solve(matrix[0, :, :2], centre - matrix[0, :, 2])
    expected = (there + 1) * side / 2
    if (expected - side / 2).abs().max() > side / 2 - 7:
        return  # its mirror image at the border is in the picture, too
    found = torch.stack([(moved * columns).sum(), (moved * rows).sum()]) / moved.sum()
    torch.testing.assert_close(found, expected, atol=0.15, rtol=0)


def test_the_generator_decides_everything():
    augment = Augment(hflip=0.5, shift=0.1, zoom=0.7, rotate=15, mixup=0.3, cutmix=1.0)

    def everything(seed: int) -> list[Tensor]:
        draws, images = generator(seed), noise()
        moved = warp(images, draw_matrices(4, 16, augment, draws), (16, 16))
        return [*blend(erase(recolor(moved, 0.4, draws), 0.3, draws), augment, draws)]

    torch.manual_seed(1)
    first = everything(7)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again, other = everything(7), everything(8)
    assert torch.equal(torch.get_rng_state(), state)  # the global generator is left alone
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_are_the_same_wherever_the_images_are(device, dtype):
    augment, images = Augment(cutmix=1.0), noise(8)
    expected, draws = blend(images, augment, generator(3)), generator(3)
    found = blend(images.to(device, dtype), augment, draws)
    assert torch.equal(found[0].cpu().float(), expected[0])
    assert torch.equal(found[1], expected[1])
    assert torch.equal(found[2], expected[2])
    coloured = recolor(images.to(device, dtype), 0.5, generator(3)).cpu().float()
    torch.testing.assert_close(coloured, recolor(images, 0.5, generator(3)), atol=1e-3, rtol=0)
    erased = erase(images.to(device, dtype), 0.5, generator(3)).cpu().float()
    assert torch.equal(erased, erase(images, 0.5, generator(3)))


@given(seed=st.integers(0, 999), alpha=st.floats(0.05, 20))
def test_mixup_blends_by_its_share(seed, alpha):
    images = noise(6, seed=seed)
    found, order, share = blend(images, Augment(mixup=alpha), generator(seed))
    assert sorted(order.tolist()) == list(range(6))
    assert ((share >= 0) & (share <= 1)).all()
    for place in range(6):
        expected = images[place] * share[place] + images[order[place]] * (1 - share[place])
        torch.testing.assert_close(found[place], expected, atol=1e-3, rtol=0)


@given(seed=st.integers(0, 999), alpha=st.floats(0.05, 20), side=st.sampled_from([5, 16, 33]))
def test_cutmix_pastes_a_rectangle_and_counts_it(seed, alpha, side):
    own = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 2, side, side).contiguous()
    found, order, share = blend(own, Augment(cutmix=alpha), generator(seed))
    for place in range(6):
        foreign = found[place, 0] == order[place]
        assert torch.equal(found[place, 0], found[place, 1])
        assert (foreign | (found[place, 0] == place)).all()
        if order[place] == place:
            continue
        assert float(share[place]) == pytest.approx(1 - float(foreign.float().mean()), abs=1e-6)
        rows, columns = foreign.any(1).nonzero().flatten(), foreign.any(0).nonzero().flatten()
        if len(rows):
            assert int(foreign.sum()) == (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)


def test_shares_are_beta_distributed():
    for alpha in (0.2, 1.0, 5.0):
        share = blend(torch.zeros(20_000, 1, 1, 1), Augment(mixup=alpha), generator())[2]
        assert float(share.mean()) == pytest.approx(0.5, abs=0.01)
        assert float(share.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


def test_a_coin_decides_where_both_are_on():
    kinds = set()
    for seed in range(12):
        found = blend(noise(4), Augment(mixup=1.0, cutmix=1.0), generator(seed))[0]
        kinds.add(bool((found == found.round()).all()))  # pasted pixels are whole numbers, blended ones are not
    assert kinds == {True, False}


@given(seed=st.integers(0, 999), share=st.floats(0.1, 1))
def test_erase_takes_one_square_away(seed, share):
    images = torch.ones(5, 2, 20, 20)
    gone = erase(images, share, generator(seed)) == 0
    assert (images == 1).all()
    for hole in gone:
        assert torch.equal(hole[0], hole[1])
        rows, columns = hole[0].any(1).nonzero().flatten(), hole[0].any(0).nonzero().flatten()
        assert 1 <= len(rows) <= share * 20 + 1
        assert 1 <= len(columns) <= share * 20 + 1
        assert int(hole[0].sum()) == len(rows) * len(columns)


def test_recolor_of_no_strength_changes_nothing():
    images = noise(8)
    torch.testing.assert_close(recolor(images, 0.0, generator()), images, atol=1e-3, rtol=0)


@given(seed=st.integers(0, 999), strength=st.floats(0, 1))
def test_recolor_is_its_formula(seed, strength):
    images = noise(3, seed=seed)
    drawn = (torch.rand(9, generator=generator(seed)) * 2 * strength + 1 - strength).view(3, 3)
    found = recolor(images, strength, generator(seed))
    assert float(found.min()) >= 0
    assert float(found.max()) <= 255
    for place, (brightness, contrast, saturation) in enumerate(drawn.T):
        image = images[place] * brightness
        image = image.mean() + (image - image.mean()) * contrast
        grey = image.mean(0, keepdim=True)
        expected = (grey + (image - grey) * saturation).clamp(0, 255)
        torch.testing.assert_close(found[place], expected, atol=0.01, rtol=0)


def test_grey_pictures_have_no_saturation():
    images = noise(4, 1)
    draws = torch.rand(12, generator=generator(2)).view(3, 4) + 0.5
    for place, found in enumerate(recolor(images, 0.5, generator(2))):
        image = images[place] * draws[0, place]
        expected = (image.mean() + (image - image.mean()) * draws[1, place]).clamp(0, 255)
        torch.testing.assert_close(found, expected, atol=0.01, rtol=0)


@given(count=st.integers(1, 9), seed=st.integers(0, 10**6))
def test_each_image_is_in_its_own_mosaic(count, seed):
    order = draw_partners(count, generator(seed))
    assert order.shape == (count, 4)
    assert 0 <= order.min() <= order.max() < count
    assert (order == torch.arange(count)[:, None]).any(dim=1).all()


def test_four_images_lie_in_reading_order():
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 2, 2)
    canvas = tiled(images, torch.tensor([[3, 1, 0, 2]] * 4))
    assert canvas[0, 0].tolist() == [[3, 3, 1, 1]] * 2 + [[0, 0, 2, 2]] * 2


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@given(seed=st.integers(0, 10**6), rotate=st.sampled_from([0.0, 30.0]))
def test_four_images_are_warped_as_if_they_were_tiled(layout, seed, rotate):
    """Away from the seams and the border, where bilinear weights reach into a neighbour."""
    draws, images = generator(seed), noise(5, 3, 24, seed).contiguous(memory_format=layout)
    order = draw_partners(5, draws)
    augment = Augment(hflip=0.5, shift=0.3, zoom=0.5, rotate=rotate, wide=True, view=0.5)
    matrices = draw_matrices(5, 32, augment, draws)
    found = warp_tiled(images, order, matrices, (32, 20), grey=114.0)
    expected = warp(tiled(images, order), matrices, (32, 20), grey=114.0)
    pixels = functional.affine_grid(matrices, [5, 3, 32, 20], align_corners=False) * 24  # of 48, from the middle
    clear = torch.stack([(pixels - seam).abs() > 1 for seam in (-24, 0, 24)]).all(dim=0).all(dim=-1)
    assert clear.float().mean() > 0.5
    torch.testing.assert_close(found.movedim(1, -1)[clear], expected.movedim(1, -1)[clear], atol=0.05, rtol=0)
    assert (found.amin(dim=(1, 2, 3)) >= -0.01).all()
    assert (found.amax(dim=(1, 2, 3)) <= 255.01).all()


def test_a_wide_zoom_goes_both_ways_by_the_same_factor():
    zooms = draw_matrices(2000, 64, Augment(zoom=0.5, wide=True), generator())[:, 1, 1]
    assert 0.5 <= zooms.min() < 0.52
    assert 1.92 < zooms.max() <= 2.0
    assert float(zooms.log().mean()) == pytest.approx(0, abs=0.03)
    halves = draw_matrices(2000, 64, Augment(zoom=0.5, wide=True, view=0.5), generator())[:, 1, 1]
    assert torch.allclose(halves, zooms / 2)


@given(st.integers(0, 10**6))
def test_sizes_of_a_view_are_whole_cells_within_the_share(seed):
    rows, columns = draw_size((320, 320), Augment(multi_scale=0.3), generator(seed))
    assert rows == columns
    assert rows % 32 == 0
    assert 224 <= rows <= 416
    assert draw_size((100, 60), Augment(), generator(seed)) == (100, 60)


def test_grey_lies_beyond_the_border_where_that_is_asked_for():
    matrices = torch.tensor([[[2.0, 0, 0], [0, 2, 0]]])
    found = warp(torch.full((1, 1, 8, 8), 200.0), matrices, (8, 8), grey=114.0)[0, 0]
    assert (found[0] == 114).all()
    assert (found[3:5, 3:5] == 200).all()
