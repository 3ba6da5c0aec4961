"""Kernels as values, the reader of typed kernels, and pictures through them: torch is the reference."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from pellucid.errors import LookupFailed, UsageError
from pellucid.ops.kernels import KERNELS, box, gaussian, make_kernel, motion_blur, read_kernel
from pellucid.ops.responses import filter_image, responses

MODES = ("zeros", "reflect", "replicate", "circular")
SHOWS = ("clip", "absolute", "signed", "stretch")


def torch_responses(pixels: np.ndarray, values: np.ndarray, mode: str) -> np.ndarray:
    """torch's conv2d in float64 of the padded picture: p₀ = t // 2 before, the rest after."""
    x = torch.from_numpy(pixels.astype(np.float64)).permute(2, 0, 1)[:, None]
    (kh, kw), channels = values.shape, pixels.shape[2]
    rows, columns = kh - 1, kw - 1
    pad = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    x = functional.pad(x, pad, mode="constant" if mode == "zeros" else mode)
    y = functional.conv2d(x, torch.from_numpy(values.copy())[None, None])
    assert y.shape[0] == channels
    return y[:, 0].permute(1, 2, 0).numpy()


def half_up(values: np.ndarray) -> np.ndarray:
    return np.floor(values + 0.5)


def shown_by_rule(found: np.ndarray, show: str) -> np.ndarray:
    """The docstring's rules, from responses in float64."""
    low, high, most = found.min(), found.max(), np.abs(found).max()
    match show:
        case "clip":
            return np.clip(half_up(found), 0, 255)
        case "absolute":
            return np.clip(half_up(np.abs(found)), 0, 255)
        case "signed":
            return np.floor(128.5 + 127 * found / (most or 1))
        case _:
            return np.floor(0.5 + 255 * (found - low) / ((high - low) or 1))


@st.composite
def cases(draw, *, whole: bool):
    """A picture, a kernel that may be even, long or larger than the picture, and a padding mode that it can have."""
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    channels = draw(st.sampled_from([1, 3]))
    kh, kw = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    modes = [mode for mode in MODES if fits(mode, height, kh) and fits(mode, width, kw)]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pixels = random.integers(0, 256, (height, width, channels)).astype(np.uint8)
    values = random.integers(-9, 10, (kh, kw)).astype(float) if whole else random.normal(size=(kh, kw))
    if draw(st.booleans()):  # a column times a row
        values = values[:, :1] * values[:1]
    values = values * draw(st.sampled_from([1, 50, 10**5])) / draw(st.sampled_from([1, 9, 10, 100]))
    return pixels, make_kernel(values), draw(st.sampled_from(modes))


def fits(mode: str, size: int, kernel_size: int) -> bool:
    after = kernel_size - 1 - (kernel_size - 1) // 2
    return after <= {"reflect": size - 1, "circular": size}.get(mode, after)


@given(cases(whole=True), st.sampled_from(SHOWS))
def test_fractions_are_exact(case, show):
    """Whole numbers over a divisor: the responses are n / d, and the bytes are the rule's, in exact integers."""
    pixels, kernel, mode = case
    divisor = next(d for d in range(1, 10_001) if np.array_equal(np.rint(kernel.values * d) / d, kernel.values))
    exact = torch_responses(pixels, np.rint(kernel.values * divisor), mode)
    assert np.array_equal(exact, np.rint(exact))
    assert np.array_equal(responses(pixels, kernel, padding_mode=mode), exact / divisor)
    found = filter_image(pixels, kernel, padding_mode=mode, show=show)
    wanted = shown_by_rule(exact / divisor if show in ("clip", "absolute") else exact, show)
    assert np.array_equal(found.pixels, wanted)
    assert (found.low, found.high) == (exact.min() / divisor, exact.max() / divisor)


@given(cases(whole=False), st.sampled_from(SHOWS))
def test_any_numbers_are_torch_to_rounding(case, show):
    pixels, kernel, mode = case
    wanted = torch_responses(pixels, kernel.values, mode)
    found = responses(pixels, kernel, padding_mode=mode)
    bound = kernel.values.size * 2.0**-50 * 255 * np.abs(kernel.values).sum() + 1e-300
    assert np.abs(found - wanted).max() <= bound
    shown = filter_image(pixels, kernel, padding_mode=mode, show=show).pixels
    assert np.array_equal(shown, shown_by_rule(found, show))


@given(cases(whole=True), st.sampled_from(SHOWS))
def test_clipped_values_are_counted(case, show):
    pixels, kernel, mode = case
    found = filter_image(pixels, kernel, padding_mode=mode, show=show)
    exact = responses(pixels, kernel, padding_mode=mode)
    shown = half_up(np.abs(exact) if show == "absolute" else exact)
    counted = ((shown < 0).sum(), (shown > 255).sum()) if show in ("clip", "absolute") else (0, 0)
    assert (found.darker, found.brighter) == counted


@pytest.mark.parametrize("show", SHOWS)
@pytest.mark.parametrize("text", ["edge", "gaussian", "box:4", "1 2 3 / 4 -9 0", "0.123456789 -1 0.3"])
def test_tiles_and_threads_change_nothing(text, show, monkeypatch):
    random = np.random.default_rng(5)
    pixels = random.integers(0, 256, (61, 53, 3)).astype(np.uint8)
    whole = filter_image(pixels, read_kernel(text), show=show)
    monkeypatch.setattr("pellucid.ops.responses.TILE_COLUMNS", 9)
    monkeypatch.setattr("pellucid.ops.responses.TILE_VALUES", 200)
    cut = filter_image(pixels, read_kernel(text), show=show, threads=3)
    assert np.array_equal(whole.pixels, cut.pixels)
    assert (whole.low, whole.high, whole.darker, whole.brighter) == (cut.low, cut.high, cut.darker, cut.brighter)


def test_a_picture_is_not_written_to():
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    pixels.setflags(write=False)
    for show in SHOWS:
        filter_image(pixels, KERNELS["identity"], show=show)
    assert np.array_equal(filter_image(pixels, KERNELS["identity"]).pixels, pixels)
    assert np.array_equal(responses(pixels, KERNELS["identity"]), pixels)


@pytest.mark.parametrize("layout", [lambda x: x[:, ::-1], lambda x: x.swapaxes(0, 1), lambda x: x[::2, ::2, :1]])
def test_any_memory_layout(layout):
    pixels = layout(np.random.default_rng(1).integers(0, 256, (9, 8, 3)).astype(np.uint8))
    found = responses(pixels, KERNELS["sobel-x"])
    assert np.array_equal(found, torch_responses(np.ascontiguousarray(pixels), KERNELS["sobel-x"].values, "replicate"))


# What the kernels are


def test_what_the_kernels_answer():
    """On a ramp that grows by 1 to the right and by 10 downwards, inside."""
    y, x = np.mgrid[:9, :9]
    ramp = (x + 10 * y).astype(np.uint8)[..., None]
    inside = {name: responses(ramp, kernel)[4, 4, 0] for name, kernel in KERNELS.items()}
    assert inside["identity"] == inside["box"] == inside["motion-blur"] == inside["sharpen"] == 44
    assert inside["gaussian"] == pytest.approx(44, abs=1e-12)
    assert (inside["edge"], inside["edge-8"], inside["roberts"]) == (0, 0, -11)
    assert (inside["sobel-x"], inside["sobel-y"], inside["prewitt-x"], inside["prewitt-y"]) == (8, 80, 6, 60)
    assert inside["emboss"] == 44 + 2 * 2 * 11 + 2 * 10 + 2 * 1


def test_edges_are_zero_sum_and_the_rest_keeps_brightness():
    zero = {"edge", "edge-8", "sobel-x", "sobel-y", "prewitt-x", "prewitt-y", "roberts"}
    assert {name for name, kernel in KERNELS.items() if kernel.sums_to_zero} == zero
    assert all(math.isclose(kernel.values.sum(), 1) for name, kernel in KERNELS.items() if name not in zero)
    flat = np.full((5, 6, 3), 200, np.uint8)
    for name, kernel in KERNELS.items():
        found = filter_image(flat, kernel)
        assert (found.pixels == (0 if name in zero else 200)).all(), name
        assert found.show == ("absolute" if name in zero else "clip")


def test_kernels_are_values():
    for name, kernel in KERNELS.items():
        assert kernel.name == name
        assert kernel.says.endswith(".")
        assert kernel.values.dtype == np.float64
        with pytest.raises(ValueError, match="read-only"):
            kernel.values[0, 0] = 1


def test_a_gaussian_is_its_formula():
    values = gaussian(7, 1.5).values
    offsets = np.arange(7) - 3
    bell = np.exp(-(offsets**2) / (2 * 1.5**2))
    assert np.allclose(values, np.outer(bell, bell) / bell.sum() ** 2, rtol=1e-14, atol=0)
    assert np.array_equal(gaussian(1, 3.0).values, [[1.0]])
    assert np.allclose(gaussian(4, 1.0).values, gaussian(4, 1.0).values[::-1, ::-1])


def test_box_and_motion_blur():
    assert np.array_equal(box(4).values, np.full((4, 4), 1 / 16))
    assert motion_blur(5).values.shape == (1, 5)
    pixels = np.zeros((3, 3, 1), np.uint8)
    pixels[1, 1] = 255
    assert filter_image(pixels, box()).pixels.ravel().tolist() == [28] * 9  # 255 / 9 = 28.33


# The reader


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("[[0,1,0],[1,-4,1],[0,1,0]]", [[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
        ("0 1 0 / 1 -4 1 / 0 1 0", [[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
        ("0,1,0;1,-4,1;0,1,0", [[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
        ("1 2\n3 4", [[1, 2], [3, 4]]),
        ("1 -1", [[1, -1]]),
        ("1 / -1", [[1], [-1]]),
        (" 2.5e-1 ", [[0.25]]),
        ("[[1]]", [[1]]),
    ],
)
def test_matrices_are_read(text, values):
    assert np.array_equal(read_kernel(text).values, values)


def test_names_are_read():
    for name in KERNELS:
        assert read_kernel(name) is KERNELS[name]
    assert np.array_equal(read_kernel("gaussian:7:1.5").values, gaussian(7, 1.5).values)
    assert read_kernel("box:5").values.shape == (5, 5)
    assert read_kernel("motion-blur:21").values.shape == (1, 21)


MISTAKES = {
    "edeg": "No kernel named 'edeg'. Did you mean 'edge'?",
    "xyzzy": "No kernel named 'xyzzy'. There is: identity, box",
    "": "The kernel is empty",
    "[[1,2],[3]]": "rows of the kernel matrix have 2, 1 values. Make them equally long",
    "1 2 / 3": "have 2, 1 values",
    "1 2 //": "have 2, 0, 0 values",
    "/": "rows without values",
    "[]": "is empty or no list of rows",
    "[[]]": "rows without values",
    "[1,2]": "not a list of rows: it holds '1'",
    "[[[1]]]": "has '[1]' where a number is wanted",
    "[[1,2": "is not valid JSON",
    "[" * 9999: "is not valid JSON",
    "[[true]]": "has 'True' where a number is wanted",
    '[["1"]]': "has '1' where a number is wanted",
    "[[null]]": "has 'None' where a number is wanted",
    "1 x 2": "has 'x' where a number is wanted",
    "[[NaN]]": "has the value nan",
    "1 inf / 2 3": "has the value inf",
    "[[1e400]]": "has the value inf",
    "[[1e10]]": "has the value 10000000000.0; numbers up to 1e+09 are taken",
    " ".join(["1"] * 100): "has 1 x 100 values; at most 99 x 99 are taken",
    "box:0": "The size of box is 0; it must lie between 1 and 99",
    "box:x": "Write it as in box:5",
    "box:3:3": "has 2 numbers; box takes at most 1",
    "gaussian:5:0": "The sigma of a Gaussian is 0.0",
    "gaussian:5:nan": "The sigma of a Gaussian is nan",
    "edge:3": "The kernel edge takes no numbers",
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.items(), ids=lambda text: text[:20])
def test_mistakes_are_said(text, message):
    with pytest.raises(UsageError) as refused:
        read_kernel(text)
    assert message in str(refused.value)
    assert len(str(refused.value)) < 400


def test_an_unknown_name_is_a_failed_lookup():
    with pytest.raises(LookupFailed):
        read_kernel("sobel")


@pytest.mark.parametrize("values", [np.ones((2, 2), complex), [["a"]], "12", 3, None, [[1, [2]]]])
def test_what_is_no_matrix(values):
    with pytest.raises(UsageError):
        make_kernel(values)


def test_a_kernel_of_huge_integers_is_refused():
    with pytest.raises(UsageError, match="numbers up to 1e\\+09"):
        make_kernel([[10**400]])


# What is said


def test_the_text_says_what_became_of_the_responses():
    pixels = np.zeros((2, 50, 1), np.uint8)
    pixels[0, 25] = 255
    assert filter_image(pixels, read_kernel("0 1 0 / 1 -4 1 / 0 1 0")).text() == (
        "edges replicated; responses from −765 to 255; |response| shown, 1.0 % clipped at 255"
    )
    assert filter_image(pixels, KERNELS["edge"], show="clip", padding_mode="zeros").text() == (
        "zeros around the edges; responses from −1020 to 255; response shown, 1.0 % clipped at 0"
    )
    assert filter_image(pixels, KERNELS["roberts"], show="signed", padding_mode="circular").text() == (
        "edges wrapped around; responses from −255 to 255; zero shown as 128, −255 as 1, 255 as 255"
    )
    assert filter_image(pixels, KERNELS["box"], show="stretch").text() == (
        "edges replicated; responses from 0 to 56.67; 0 shown as 0, 56.67 as 255"
    )
    assert filter_image(pixels[:, :9], KERNELS["edge"], show="signed").text().endswith("; zero shown as 128")
    assert filter_image(pixels, KERNELS["identity"]).text().endswith("response shown, nothing clipped")
    large = np.zeros((100, 100, 1), np.uint8)
    large[50, 50] = 255
    assert "under 0.1 % clipped at 255" in filter_image(large, KERNELS["edge"]).text()


def test_a_flat_answer_is_grey_or_black():
    flat = np.full((3, 3, 1), 9, np.uint8)
    assert (filter_image(flat, KERNELS["edge"], show="signed").pixels == 128).all()
    assert (filter_image(flat, KERNELS["edge"], show="stretch").pixels == 0).all()


def test_unusable_pictures_and_settings():
    good = np.zeros((3, 3, 1), np.uint8)
    for wrong in (good[..., 0], good[:0]):
        with pytest.raises(UsageError, match="uint8 pixels H W C"):
            filter_image(wrong, KERNELS["edge"])
    with pytest.raises(UsageError, match="padding_mode='reflect'"):
        filter_image(good[:1], KERNELS["edge"], padding_mode="reflect")
