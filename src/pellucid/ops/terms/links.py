"""Which input, weight and output of a sliding window join in one product.

Two small tables say it all, one an axis: `reads[y, u]` is the input row that output row y reads through tap u, −1
where it is a padded zero. A row of the table is a window (forward); the places that hold an input row are its fan-out
(backward); a column is all that one weight multiplies.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pellucid.ops.terms.value import Part

__all__ = ["Links"]

Array = np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """The reads of a convolution over a canvas N C_in H W with results N C_out H_out W_out."""

    rows: Int[Array, "out_h kh"]
    columns: Int[Array, "out_w kw"]
    groups: int

    def window(
        self,
        index: tuple[int, ...],
        canvas: Float[Array, "n c_in h w"],
        weight: Float[Array, "c_out c kh kw"],
        source: str,
    ) -> Part:
        """The products that a result is made of: weight · canvas."""
        n, o, y, x = index
        first = o // (len(weight) // self.groups) * weight.shape[1]
        u, v = np.flatnonzero(self.rows[y] >= 0), np.flatnonzero(self.columns[x] >= 0)
        channels, rows, columns = np.arange(first, first + weight.shape[1]), self.rows[y, u], self.columns[x, v]
        coefficient = weight[o][:, u[:, None], v]
        value = canvas[n, first : first + weight.shape[1]][:, rows[:, None], columns]
        return Part(source, grid([n], channels, rows, columns), coefficient.ravel(), value.ravel())

    def fan_out(
        self,
        index: tuple[int, ...],
        result: Float[Array, "n c_out out_h out_w"],
        weight: Float[Array, "c_out c kh kw"],
        source: str,
    ) -> Part:
        """Where a canvas cell goes: weight · result, for every result that reads it."""
        n, channel, r, q = index
        group, c = divmod(channel, weight.shape[1])
        size = len(weight) // self.groups
        o = np.arange(group * size, (group + 1) * size)
        (y, u), (x, v) = np.nonzero(self.rows == r), np.nonzero(self.columns == q)
        coefficient = weight[o, c][:, u[:, None], v]
        value = result[n, o][:, y[:, None], x]
        return Part(source, grid([n], o, y, x), coefficient.ravel(), value.ravel())

    def shared(
        self,
        index: tuple[int, ...],
        result: Float[Array, "n c_out out_h out_w"],
        canvas: Float[Array, "n c_in h w"],
        source: str,
    ) -> Part:
        """All that one weight multiplies: canvas · result, over images and positions."""
        o, c, u, v = index
        channel = o // (result.shape[1] // self.groups) * (canvas.shape[1] // self.groups) + c
        y, x = np.flatnonzero(self.rows[:, u] >= 0), np.flatnonzero(self.columns[:, v] >= 0)
        coefficient = canvas[:, channel][:, self.rows[y, u][:, None], self.columns[x, v]]
        value = result[:, o][:, y[:, None], x]
        return Part(source, grid(np.arange(len(result)), [o], y, x), coefficient.ravel(), value.ravel())


def grid(*axes: Int[Array, " _"] | list[int]) -> Int[Array, "places axes"]:
    """Every combination of the indices of each axis, the last one fastest."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes)).astype(np.int64)
