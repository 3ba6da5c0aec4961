"""A picture through a kernel: the same kernel over every channel, at the same size, in exact arithmetic.

The response at (y, x) is `r = Σ K[u, v] · X[y - p + u, x - q + v]` with p = ⌊(k_h - 1)/2⌋ rows before and the rest
after, as torch's padding='same'. A kernel whose values are fractions of one divisor d ≤ 10 000 (whole numbers, tenths,
1/9) is computed in integers, n = Σ (d·K)·X and r = n / d: there is no rounding at all. Any other kernel is computed in
float64, row by row through its taps. A kernel that is a column times a row is applied as the column, then the row.

Responses are turned into bytes by one of four rules, ⌊· + ½⌋ being the rounding:

- `clip`: ⌊r + ½⌋, cut to 0..255.
- `absolute`: ⌊|r| + ½⌋, cut at 255.
- `signed`: ⌊128.5 + 127·r/m⌋ with m = max |r|: zero is mid grey, and nothing is cut.
- `stretch`: ⌊½ + 255·(r - min r)/(max r - min r)⌋: nothing is cut.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import UsageError
from pellucid.ops.kernels import Kernel
from pellucid.ops.windows import PaddingMode, Window, axis_sources, check_mode, padding_pairs

__all__ = ["Filtered", "Show", "filter_image", "responses"]

Show = Literal["clip", "absolute", "signed", "stretch"]

MOST_DIVISOR = 10_000
EXACT_FLOAT = 2**53
TILE_VALUES = 1 << 19  # in int16 a megabyte: what stays in the second cache
TILE_COLUMNS = 1 << 14
SAME_PRODUCT = 2.0**-50  # two roundings of a product and one of a quotient

EDGES = {
    "zeros": "zeros around the edges",
    "reflect": "edges reflected",
    "replicate": "edges replicated",
    "circular": "edges wrapped around",
}


@dataclass(frozen=True, slots=True, eq=False)
class Filtered:
    """A filtered picture (uint8 H W C), and what became of the responses.

    `low` and `high` are the least and greatest response; `darker` and `brighter` count the values cut at 0 and 255.
    """

    pixels: NDArray[np.uint8]
    low: float
    high: float
    darker: int
    brighter: int
    padding_mode: PaddingMode
    show: Show

    def text(self) -> str:
        """`edges replicated; responses from −812 to 655; |response| shown, 1.2 % clipped at 255`."""
        return f"{EDGES[self.padding_mode]}; responses from {_said(self.low)} to {_said(self.high)}; {self._shown()}"

    def _shown(self) -> str:
        match self.show:
            case "signed":
                limit = max(abs(self.low), abs(self.high))
                ends = f", {_said(-limit)} as 1, {_said(limit)} as 255" if limit else ""
                return f"zero shown as 128{ends}"
            case "stretch":
                return f"{_said(self.low)} shown as 0, {_said(self.high)} as 255"
            case "absolute":
                return f"|response| shown, {self._clipped()}"
            case "clip":
                return f"response shown, {self._clipped()}"

    def _clipped(self) -> str:
        ends = [(self.darker, 0), (self.brighter, 255)]
        parts = [f"{_share(count / self.pixels.size)} clipped at {end}" for count, end in ends if count]
        return " and ".join(parts) or "nothing clipped"


def filter_image(
    pixels: NDArray[np.uint8],
    kernel: Kernel,
    *,
    padding_mode: PaddingMode = "replicate",
    show: Show | None = None,
    threads: int = 1,
) -> Filtered:
    """The picture's responses as bytes; by default |r| for a kernel that sums to zero, else r cut to 0..255.

    Needs the memory of the result and a few megabytes a thread, whatever the picture's size.
    """
    sweep = _Sweep(pixels, kernel, padding_mode)
    chosen = _chosen_show(show, kernel)
    found = np.empty_like(pixels)
    limits = None if chosen in ("clip", "absolute") else _limits(sweep.over_tiles(sweep.extremes, threads))

    def bytes_of(tile: "Tile") -> tuple[float, float, int, int]:
        numerators = sweep.numerators(tile)
        low, high = numerators.min(), numerators.max()
        shown, darker, brighter = _SHOWN[chosen](numerators, sweep.divisor, limits)
        found[tile] = shown.reshape(found[tile].shape)
        return float(low), float(high), darker, brighter

    told = list(sweep.over_tiles(bytes_of, threads))
    low, high = _limits(row[:2] for row in told)
    darker, brighter = (sum(row[place] for row in told) for place in (2, 3))
    return Filtered(found, low / sweep.divisor, high / sweep.divisor, darker, brighter, padding_mode, chosen)


def responses(
    pixels: NDArray[np.uint8], kernel: Kernel, *, padding_mode: PaddingMode = "replicate"
) -> NDArray[np.float64]:
    """The responses themselves, float64 H W C: exact, or rounded once where the kernel has a divisor."""
    sweep = _Sweep(pixels, kernel, padding_mode)
    found = np.empty(pixels.shape)

    def store(tile: "Tile") -> None:
        found[tile] = (sweep.numerators(tile) / sweep.divisor).reshape(found[tile].shape)

    list(sweep.over_tiles(store, 1))
    return found


def _chosen_show(show: Show | None, kernel: Kernel) -> Show:
    if show is None:
        return "absolute" if kernel.sums_to_zero else "clip"
    if show not in get_args(Show):
        raise UsageError(f"show={show!r}: there is {', '.join(get_args(Show))}.")
    return show


def _limits(pairs: Iterable[tuple[float, float]]) -> tuple[float, float]:
    lows, highs = zip(*pairs, strict=True)
    return min(lows), max(highs)


# From responses to bytes. Each takes numerators n (which it may write to), the divisor d and the limits of all n.

Numerators = NDArray[Any]
Limits = tuple[float, float] | None
Shown = tuple[Numerators, int, int]


def _clip(numerators: Numerators, divisor: int, _: Limits) -> Shown:
    rounded = _rounded(numerators, divisor)
    darker, brighter = int(np.count_nonzero(rounded < 0)), int(np.count_nonzero(rounded > 255))
    return np.clip(rounded, 0, 255, out=rounded), darker, brighter


def _absolute(numerators: Numerators, divisor: int, limits: Limits) -> Shown:
    return _clip(np.abs(numerators, out=numerators), divisor, limits)


def _rounded(numerators: Numerators, divisor: int) -> Numerators:
    """⌊n/d + ½⌋; in integers ⌊(n + ⌊d/2⌋) / d⌋, which is the same."""
    if numerators.dtype.kind == "f":
        return np.floor(numerators / divisor + 0.5)
    return numerators if divisor == 1 else (numerators + divisor // 2) // divisor


def _signed(numerators: Numerators, _: int, limits: Limits) -> Shown:
    most = max(map(abs, limits)) if limits else 0
    return np.floor(numerators * 127.0 / (most or 1) + 128.5), 0, 0


def _stretch(numerators: Numerators, _: int, limits: Limits) -> Shown:
    low, high = limits or (0, 0)
    return np.floor((numerators - np.float64(low)) * 255 / ((high - low) or 1) + 0.5), 0, 0


_SHOWN: dict[str, Callable[[Numerators, int, Limits], Shown]] = {
    "clip": _clip,
    "absolute": _absolute,
    "signed": _signed,
    "stretch": _stretch,
}

# The arithmetic

Tile = tuple[slice, slice]
Step = tuple[tuple[int, int], list[tuple[float, list[tuple[int, int]]]]]


class _Sweep:
    """One kernel over one picture, tile by tile."""

    def __init__(self, pixels: NDArray[np.uint8], kernel: Kernel, padding_mode: PaddingMode) -> None:
        self.pixels = _checked_pixels(pixels)
        self.shape = kernel.values.shape
        size = pixels.shape[:2]
        window = Window.over(size, self.shape, padding=padding_pairs("same", self.shape, (1, 1), (1, 1)))
        check_mode(padding_mode, window)
        self.sources = tuple(
            axis_sources(np.arange(-axis.padding[0], axis.size + axis.padding[1]), axis.size, padding_mode)
            for axis in (window.rows, window.columns)
        )
        weights, self.divisor, self.dtype = _weights(kernel.values)
        self.steps = [_grouped(part) for part in _factors(weights)]

    def over_tiles(self, work: Callable[[Tile], Any], threads: int) -> Iterator[Any]:
        """What `work` gives for each tile, in order."""
        tiles = list(_tiles(self.pixels.shape))
        if min(threads, len(tiles)) <= 1:
            yield from map(work, tiles)
            return
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(work, tiles)

    def extremes(self, tile: Tile) -> tuple[float, float]:
        """The least and greatest numerator of a tile."""
        numerators = self.numerators(tile)
        return float(numerators.min()), float(numerators.max())

    def numerators(self, tile: Tile) -> Numerators:
        """Response times divisor of a tile: its rows, and its columns with their channels side by side."""
        found, channels = self._padded(tile), self.pixels.shape[2]
        for shape, groups in self.steps:
            found = _correlated(found, shape, groups, channels)
        return found

    def _padded(self, tile: Tile) -> Numerators:
        """The part of the padded picture that a tile reads, as numbers that hold every sum."""
        reach = [slice(part.start, part.stop + k - 1) for part, k in zip(tile, self.shape, strict=True)]
        rows, columns = (source[part] for source, part in zip(self.sources, reach, strict=True))
        padded: Numerators = np.zeros((len(rows), len(columns), self.pixels.shape[2]), self.dtype)
        column_runs = list(_runs(columns))
        for place, source in _runs(rows):
            for across, from_ in column_runs:
                padded[place, across] = self.pixels[source, from_]
        return padded.reshape(len(rows), -1)


def _checked_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or 0 in pixels.shape:
        raise UsageError(
            f"The picture is {pixels.dtype} of shape {pixels.shape}. Give uint8 pixels H W C, none of them 0."
        )
    return pixels


def _tiles(shape: tuple[int, ...]) -> Iterator[Tile]:
    height, width, channels = shape
    columns = min(width, TILE_COLUMNS)
    rows = max(1, TILE_VALUES // (columns * channels))
    for y in range(0, height, rows):
        for x in range(0, width, columns):
            yield slice(y, min(y + rows, height)), slice(x, min(x + columns, width))


def _runs(sources: NDArray[np.int64]) -> Iterator[tuple[slice, slice]]:
    """(places, sources) of the stretches that are copied as they lie; a padded zero (source −1) is in none."""
    breaks = np.flatnonzero((np.diff(sources) != 1) | (sources[:-1] < 0)) + 1
    for start, stop in zip([0, *breaks.tolist()], [*breaks.tolist(), len(sources)], strict=True):
        first = int(sources[start])
        if first >= 0:
            yield slice(start, stop), slice(first, first + stop - start)


def _weights(values: NDArray[np.float64]) -> tuple[NDArray[Any], int, type]:
    """Whole numbers d·K, the divisor d and the narrowest type that holds every sum; else K, 1 and float64."""
    divisor = _common_divisor(values)
    whole = np.rint(values * divisor)
    most = np.abs(whole).sum() * 255 + divisor
    if not divisor or most >= EXACT_FLOAT:
        return values, 1, np.float64
    return whole.astype(np.int64), divisor, np.int16 if most < 2**15 else np.int32 if most < 2**31 else np.float64


def _common_divisor(values: NDArray[np.float64]) -> int:
    """The least d ≤ 10 000 with every value a float64 of the form n / d, or 0."""
    found = np.arange(1, MOST_DIVISOR + 1)
    for value in np.unique(values):
        found = found[np.rint(value * found) / found == value]
    return int(found[0]) if len(found) else 0


def _factors(weights: NDArray[Any]) -> list[NDArray[Any]]:
    """[column, row] where their product is the kernel and saves work, else the kernel."""
    rows, columns = weights.shape
    if not weights.any() or np.count_nonzero(weights) <= rows + columns:
        return [weights]
    pivot = np.unravel_index(np.abs(weights).argmax(), weights.shape)
    row, column = weights[pivot[0] : pivot[0] + 1], weights[:, pivot[1] : pivot[1] + 1]
    if weights.dtype.kind == "i":
        row = row // np.gcd.reduce(row[0])
        column = column // row[0, pivot[1]]
        return [column, row] if np.array_equal(column * row, weights) else [weights]
    column = column / row[0, pivot[1]]
    close = np.abs(column * row - weights) <= SAME_PRODUCT * np.abs(weights)
    return [column, row] if close.all() else [weights]


def _grouped(weights: NDArray[Any]) -> Step:
    """The shape, and the taps by weight: whole numbers are added up before they are multiplied, floats never."""
    taps = [(weights[u, v].item(), (int(u), int(v))) for u, v in zip(*weights.nonzero(), strict=True)]
    if weights.dtype.kind == "f":
        return weights.shape, [(weight, [tap]) for weight, tap in taps]
    groups: dict[float, list[tuple[int, int]]] = {}
    for weight, tap in taps:
        groups.setdefault(weight, []).append(tap)
    return weights.shape, list(groups.items())


def _correlated(padded: Numerators, shape: tuple[int, int], groups: Any, channels: int) -> Numerators:
    """Σ K[u, v] · X[y + u, x + v] for every window that fits."""
    height, width = padded.shape[0] - shape[0] + 1, padded.shape[1] - (shape[1] - 1) * channels
    total = np.zeros((height, width), padded.dtype)
    for weight, taps in groups:
        seen = [padded[u : u + height, v * channels : v * channels + width] for u, v in taps]
        if abs(weight) == 1:
            for one in seen:
                (np.add if weight == 1 else np.subtract)(total, one, out=total)
        else:
            part = seen[0] + seen[1] if len(seen) > 1 else seen[0]
            for one in seen[2:]:
                np.add(part, one, out=part)
            total += part * padded.dtype.type(weight)
    return total


def _said(value: float) -> str:
    text = f"{np.floor(value * 100 + 0.5) / 100:.2f}".removesuffix(".00")
    return text.replace("-", "−") if text != "-0" else "0"


def _share(share: float) -> str:
    return "under 0.1 %" if share < 0.001 else f"{100 * share:.1f} %"
