"""Arguments of the operations as hypothesis draws them: every one of Conv2d's, none of them left out."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")
TORCH_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
seeds = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Drawn:
    """A convolution's tensors, and its arguments by torch's names."""

    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None
    arguments: dict

    @property
    def seed(self) -> int:
        return self.x.size


def before_and_after(padding, kernel, dilation):
    """(before, after) of each axis, written down here once more from torch's documentation."""
    if padding == "valid":
        return ((0, 0), (0, 0))
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple((t // 2, t - t // 2) for t in totals)
    rows, columns = padding if isinstance(padding, tuple) else (padding, padding)
    return ((rows, rows), (columns, columns))


@st.composite
def convolutions(draw) -> Drawn:
    """Any convolution that is defined: kernels 1 to 4, stride, dilation and groups 1 to 3, four padding modes."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride, dilation, groups = draw(pairs), draw(pairs), draw(st.integers(1, 3))
    paddings = [st.integers(0, 3), st.tuples(st.integers(0, 3), st.integers(0, 3)), st.just("valid")]
    padding = draw(st.one_of(*paddings, st.just("same")))
    if padding == "same":
        stride = (1, 1)
    mode = draw(st.sampled_from(PADDING_MODES))
    pads = before_and_after(padding, kernel, dilation)
    sizes = [
        draw(st.integers(_smallest(k, d, pad, mode), _smallest(k, d, pad, mode) + 6))
        for k, d, pad in zip(kernel, dilation, pads, strict=True)
    ]
    rng = np.random.default_rng(draw(seeds))
    in_group, out_group = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    x = rng.standard_normal((draw(st.integers(1, 2)), groups * in_group, *sizes))
    weight = rng.standard_normal((groups * out_group, in_group, *kernel))
    bias = rng.standard_normal(len(weight)) if draw(st.booleans()) else None
    arguments = {
        "stride": draw(st.sampled_from([stride, stride[0]])) if stride[0] == stride[1] else stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "padding_mode": mode,
    }
    return Drawn(x, weight, bias, arguments)


def _smallest(kernel: int, dilation: int, pad: tuple[int, int], mode: str) -> int:
    """The smallest input that the window fits over, and whose border the padding can repeat."""
    fits = max(1, dilation * (kernel - 1) + 1 - sum(pad))
    return max(fits, {"reflect": max(pad) + 1, "circular": max(pad)}.get(mode, 1))


@st.composite
def transposed_convolutions(draw) -> Drawn:
    """Any transposed convolution that torch defines."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride, dilation, groups = draw(pairs), draw(pairs), draw(st.integers(1, 3))
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    size = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    most = [(i - 1) * s + d * (k - 1) + e for i, s, d, k, e in zip(size, stride, dilation, kernel, extra, strict=True)]
    padding = tuple(draw(st.integers(0, min(3, reach // 2))) for reach in most)
    rng = np.random.default_rng(draw(seeds))
    in_group, out_group = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    x = rng.standard_normal((draw(st.integers(1, 2)), groups * in_group, *size))
    weight = rng.standard_normal((groups * in_group, out_group, *kernel))
    bias = rng.standard_normal(groups * out_group) if draw(st.booleans()) else None
    arguments = {
        "stride": stride,
        "padding": padding,
        "output_padding": extra,
        "dilation": dilation,
        "groups": groups,
    }
    return Drawn(x, weight, bias, arguments)


@st.composite
def images(draw, least: int = 1, most: int = 9) -> np.ndarray:
    """N C H W; every second one of whole numbers, so that values tie."""
    shape = (
        draw(st.integers(1, 2)),
        draw(st.integers(1, 3)),
        draw(st.integers(least, most)),
        draw(st.integers(least, most)),
    )
    rng = np.random.default_rng(draw(seeds))
    return rng.standard_normal(shape) if draw(st.booleans()) else rng.integers(-2, 3, shape).astype(np.float64)


@st.composite
def pools(draw, *, dilated: bool) -> tuple[np.ndarray, dict]:
    """An image and the arguments of a pooling that is defined on it."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    dilation = draw(pairs) if dilated else (1, 1)
    least = max(1, *(d * (k - 1) + 1 - 2 * p for d, k, p in zip(dilation, kernel, padding, strict=True)))
    x = draw(images(least, least + 6))
    arguments = {
        "kernel_size": kernel,
        "stride": draw(st.one_of(st.none(), pairs)),
        "padding": padding,
        "ceil_mode": draw(st.booleans()),
    }
    return x, arguments | ({"dilation": dilation} if dilated else {"count_include_pad": draw(st.booleans())})
