"""Hand-made kernels by name, and a reader of kernels that are typed in.

A kernel is laid over a picture as it stands (cross-correlation, what torch calls convolution), so `sobel-x` answers
positively where the picture grows brighter to the right.
"""

import difflib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import LookupFailed, UsageError

__all__ = ["KERNELS", "Kernel", "box", "gaussian", "make_kernel", "motion_blur", "read_kernel"]

MOST_SIDE = 99
MOST_VALUE = 1e9  # 99 · 99 · 1e9 · 255 < 2**53: sums of whole numbers stay exact in float64
FORMS = 'Give rows, such as "[[0,1,0],[1,-4,1],[0,1,0]]" or "0 1 0 / 1 -4 1 / 0 1 0".'


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A kernel: its name, its values (float64, rows x columns, read-only), and what it does in one sentence."""

    name: str
    values: NDArray[np.float64]
    says: str

    @property
    def sums_to_zero(self) -> bool:
        """Whether it answers 0 on an even area, as edge finders do; to the rounding of its own values."""
        size = math.fsum(np.abs(self.values).ravel())
        return abs(math.fsum(self.values.ravel())) <= size * 1e-12


def make_kernel(values: Any, *, name: str = "matrix", says: str = "A kernel of your own.") -> Kernel:
    """A kernel of rows of numbers: any size up to 99 x 99, also even or not square."""
    _check_rows(values, name)
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return Kernel(name, array, says)


def box(size: int = 3) -> Kernel:
    """K[u, v] = 1 / size²: the mean of the window. Also called mean filter or box blur."""
    _check_size("box", size)
    says = f"The mean of {size} x {size} pixels: blurs, and leaves square traces."
    return make_kernel(np.full((size, size), 1 / size**2), name="box", says=says)


def gaussian(size: int = 5, sigma: float = 1.0) -> Kernel:
    """K[u, v] = g(u)·g(v) with g(u) = exp(-(u - (size - 1)/2)² / 2σ²), scaled so that g sums to 1.

    Sampled, not integrated. `size` of 6σ or more loses under 0.3 % of the bell.
    """
    _check_size("gaussian", size)
    if not (math.isfinite(sigma) and sigma > 0):
        raise UsageError(f"The sigma of a Gaussian is {sigma}; it must be a number above 0, such as 1.5.")
    middle = (size - 1) / 2
    bell = [math.exp(-0.5 * ((place - middle) / sigma) ** 2) for place in range(size)]
    bell = [value / math.fsum(bell) for value in bell]
    says = f"A mean that weighs near pixels more (sigma {sigma:g}): blurs softly, alike in every direction."
    return make_kernel(np.outer(bell, bell), name="gaussian", says=says)


def motion_blur(size: int = 9) -> Kernel:
    """K[0, v] = 1 / size: the mean along a row, as if the camera had moved sideways while the shutter was open."""
    _check_size("motion-blur", size)
    says = f"The mean of {size} pixels in a row: as if the camera had moved sideways."
    return make_kernel(np.full((1, size), 1 / size), name="motion-blur", says=says)


def _cut(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")


def _check_size(name: str, size: int) -> None:
    if not 1 <= size <= MOST_SIDE:
        raise UsageError(f"The size of {name} is {size}; it must lie between 1 and {MOST_SIDE}.")


def _check_rows(values: Any, name: str) -> None:
    """Refuse what is no table of numbers: empty, ragged, too deep, too large, or with something else in it."""
    rows = values.tolist() if isinstance(values, np.ndarray) else values
    if not isinstance(rows, list | tuple) or not rows:
        raise UsageError(f"The kernel {name} is empty or no list of rows. {FORMS}")
    if not all(isinstance(row, list | tuple) for row in rows):
        raise UsageError(f"The kernel {name} is not a list of rows: it holds {_cut(str(rows[0]))} itself. {FORMS}")
    lengths = [len(row) for row in rows]
    if len(set(lengths)) > 1:
        shown = ", ".join(map(str, lengths[:8]))
        raise UsageError(f"The rows of the kernel {name} have {shown} values. Make them equally long.")
    if not lengths[0]:
        raise UsageError(f"The kernel {name} has rows without values. {FORMS}")
    if max(len(rows), lengths[0]) > MOST_SIDE:
        raise UsageError(
            f"The kernel {name} has {len(rows)} x {lengths[0]} values; at most {MOST_SIDE} x {MOST_SIDE} are taken."
        )
    for entry in (entry for row in rows for entry in row):
        if isinstance(entry, bool) or not isinstance(entry, int | float):
            raise UsageError(f"The kernel {name} has {_cut(str(entry))} where a number is wanted. {FORMS}")
        if not abs(entry) <= MOST_VALUE:  # not, so that NaN is refused too
            shown = _cut(str(entry)).strip("'")
            raise UsageError(f"The kernel {name} has the value {shown}; numbers up to {MOST_VALUE:g} are taken.")


def _named(name: str, says: str, values: Sequence[Sequence[float]]) -> Kernel:
    return make_kernel(values, name=name, says=says)


KERNELS: dict[str, Kernel] = {
    kernel.name: kernel
    for kernel in (
        _named("identity", "Gives the picture back.", [[0, 0, 0], [0, 1, 0], [0, 0, 0]]),
        box(),
        gaussian(),
        motion_blur(),
        # The picture minus its Laplacian; Gonzalez & Woods, Digital Image Processing, chapter 3.
        _named("sharpen", "The picture plus its edges.", [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
        # ∂²f/∂x² + ∂²f/∂y² by second differences; `edge-8` adds those along both diagonals.
        _named("edge", "The Laplacian of 4 neighbours: edges of every direction.", [[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
        _named("edge-8", "The Laplacian of 8 neighbours: edges and corners.", [[1, 1, 1], [1, -8, 1], [1, 1, 1]]),
        # Sobel & Feldman 1968: a central difference across, smoothed by 1 2 1 along the edge.
        _named("sobel-x", "Brighter to the right: upright edges.", [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
        _named("sobel-y", "Brighter downwards: level edges.", [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]),
        # Prewitt 1970: the same, smoothed by 1 1 1.
        _named("prewitt-x", "Brighter to the right, every row alike.", [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]]),
        _named("prewitt-y", "Brighter downwards, every column alike.", [[-1, -1, -1], [0, 0, 0], [1, 1, 1]]),
        # Roberts 1963: one diagonal difference, the smallest edge finder and one of even size.
        _named("roberts", "The difference along one diagonal, in a window of 2 x 2.", [[1, 0], [0, -1]]),
        # A difference along the diagonal plus the pixel itself: light from the upper left.
        _named("emboss", "A relief, lit from the upper left.", [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]),
    )
}

# What takes numbers behind its name, as in gaussian:7:1.5 (size, sigma) or box:5.
BUILDERS: dict[str, tuple[Callable[..., Kernel], tuple[Callable[[str], Any], ...]]] = {
    "box": (box, (int,)),
    "gaussian": (gaussian, (int, float)),
    "motion-blur": (motion_blur, (int,)),
}


def read_kernel(text: str) -> Kernel:
    """A kernel from a name (`edge`, `gaussian:7:1.5`) or from rows of numbers, as JSON or plain.

    `"[[0,1,0],[1,-4,1],[0,1,0]]"` and `"0 1 0 / 1 -4 1 / 0 1 0"` are the same kernel.
    """
    text = text.strip()
    if not text:
        raise UsageError(f"The kernel is empty. {FORMS}")
    if text in KERNELS:
        return KERNELS[text]
    if text.startswith("["):
        return make_kernel(_from_json(text))
    if any(letter in text for letter in "/ ;,\t\n") or _is_number(text):
        return make_kernel(_from_words(text))
    return _from_name(text)


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"The kernel {_cut(text)} is not valid JSON: {error}. {FORMS}") from error


def _from_words(text: str) -> list[list[float]]:
    rows = [row.replace(",", " ").split() for row in text.replace(";", "/").replace("\n", "/").split("/")]
    for row in rows:
        for word in row:
            if not _is_number(word):
                raise UsageError(f"The kernel has {_cut(word)} where a number is wanted. {FORMS}")
    return [[float(word) for word in row] for row in rows]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _from_name(text: str) -> Kernel:
    name, *words = text.split(":")
    if name not in KERNELS:
        raise LookupFailed(f"No kernel named {_cut(name)}.{_nearest(name)} {FORMS}")
    if name not in BUILDERS:
        raise UsageError(
            f"The kernel {name} takes no numbers; {_cut(text)} has some. Write {name}, or {' or '.join(BUILDERS)}."
        )
    build, kinds = BUILDERS[name]
    if len(words) > len(kinds):
        raise UsageError(
            f"{_cut(text)} has {len(words)} numbers; {name} takes at most {len(kinds)}, as in gaussian:7:1.5."
        )
    try:
        return build(*(kind(word) for kind, word in zip(kinds, words, strict=False)))
    except ValueError as error:
        raise UsageError(f"{_cut(text)}: {error}. Write it as in box:5 or gaussian:7:1.5 (size, sigma).") from error


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, KERNELS, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" There is: {', '.join(KERNELS)}."
